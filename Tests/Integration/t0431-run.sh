#!/usr/bin/env bash
# Programs left as they are, under `fallow run`, with less of their data in memory than they have: the same results as with local
# memory; what cannot be run so is refused at start; statuses and signals pass; lost memory ends a program, or does not matter.
# shellcheck source=Tests/Integration/lib.sh
. "$(dirname "$0")/lib.sh"

bin=${FALLOW_BIN:-$tree/.build/release}
# Memory files of `fallow run` itself stand for donors, laid out as theirs.
export FALLOW_TEST_DONORS=3 FALLOW_RUN_STATISTICS=1
cd "$work/scratch" || exit 1
lend() { timeout 50 "$bin/fallow" run --remote-mem=200M --local-mem=16M --block="${block:-64K}" "$@"; }
plain() { timeout 50 "$@"; }

awk 'BEGIN { srand(7); for (i = 0; i < 400000; i++) printf "%010d %d\n", rand() * 1e10, i }' >lines
head -n 60000 lines >few
cat >sorting.py <<'SCRIPT'
import hashlib, sys
import numpy
values = numpy.random.default_rng(7).integers(0, 1 << 62, 10_000_000)
values.sort()
values.tofile("values")
assert (numpy.fromfile("values", dtype=values.dtype) == values).all()
print(hashlib.md5(values).hexdigest())
with open("/proc/self/status") as status:
    peak = [line.split()[1] for line in status if line.startswith("VmHWM")][0]
open(sys.argv[1], "w").write(peak)
SCRIPT
cat >slow.py <<'SCRIPT'
import time
import numpy
values = numpy.arange(5_000_000)
for turn in range(40):
    values += 1
    time.sleep(0.05)
print(values.sum())
SCRIPT

# NAME ARGUMENTS... : runs it plainly and with remote memory; the output must be the same, and must have been remote.
same() {
	plain "${@:2}" >"$1.plain" || return
	lend -- "${@:2}" >"$1.remote" 2>"$1.said" || { cat "$1.said"; return 1; }
	grep -q 'MiB remote memory at its peak' "$1.said" || { echo "no remote memory was used"; cat "$1.said"; return 1; }
	cmp "$1.plain" "$1.remote" || { cat "$1.said"; return 1; }
}
ends_with() { # STATUS WORDS COMMAND...
	local status=0
	"${@:3}" >said 2>&1 || status=$?
	[ "$status" = "$1" ] && { [ -z "$2" ] || grep -q -- "$2" said; } && return
	echo "status $status, not $1, or not '$2':"
	cat said
	return 1
}
at_most() { # KIB FILE: by the kernel's count
	[ "$(cat "$2")" -le "$1" ] || { echo "$(cat "$2") KiB were in memory, more than $1"; return 1; }
}
more_than() { [ "$(cat "$2")" -gt "$1" ]; }

proves 'sort sorts a file larger than its local memory' same sort sort -S 40M --parallel=2 lines
faults() { sed -n 's/.*; \([0-9]*\) faults, .*/\1/p' "$1.said"; }
in_pages() {
	block=4K same pages sort -S 40M --parallel=2 lines || return
	echo "$(faults sort) faults in blocks of 64 KiB, $(faults pages) in pages"
	[ "$(faults pages)" -gt $(($(faults sort) * 2)) ]
}
proves 'the same in pages of 4 KiB, with more faults' in_pages
numpy_runs() {
	plain /usr/bin/python3 sorting.py plain.kib >numbers.plain || return
	lend -- /usr/bin/python3 sorting.py remote.kib >numbers.remote || return
	cmp numbers.plain numbers.remote
}
proves 'numpy sorts, writes and reads 80 MB with 16 MiB of it here' numpy_runs
proves 'what was in memory stays within the cap, by the kernel' at_most 71680 remote.kib
proves '... and the same look finds that it does not without' more_than 71680 plain.kib
proves 'xz compresses to the same bytes' same xz xz -3 -T1 -c few
proves 'a pipeline in a shell works; one process has the memory' same shell sh -c 'sort -S 40M lines | md5sum'

make --no-print-directory -s -C "$tree/examples" memory PAGER="$tree/.build/pager" MEMORY_BUILD="$work/bin" || exit 1
ours() { # NAME ARGUMENTS...: with plain memory, and with 8 MiB of it here
	"$work/bin/$1" 0 "${@:2}" >"$1.plain" 2>/dev/null && "$work/bin/$1" 8 "${@:2}" >"$1.remote" 2>"$1.said" || return
	cmp "$1.plain" "$1.remote" && grep -q '"peak_local_bytes":8388608,' "$1.said" || { cat "$1.said"; return 1; }
}
proves 'a blocked matrix product of 24 MiB with 8 MiB here' ours matmul 1024
proves 'a Jacobi solver on 32 MiB with 8 MiB here' ours jacobi 1448
proves 'a breadth-first search in 18 MiB with 8 MiB here' ours bfs 262144 16

proves "the program's status is the command's" ends_with 7 '' lend -- sh -c 'exit 7'
# shellcheck disable=SC2016
proves '... and 128 + n when a signal ended it' ends_with 137 '' lend -- sh -c 'kill -9 $$'
signalled() {
	"$bin/fallow" run --remote-mem=64M -- sleep 30 &
	local run=$! status=0
	within 10 pgrep -P "$run" -x sleep >/dev/null || return
	kill -TERM "$run"
	wait "$run" || status=$?
	[ "$status" = 143 ] || { echo "status $status"; return 1; }
}
proves 'signals are passed on' signalled
proves 'no such program: 127' ends_with 127 'there is no program' lend -- fallow-no-such-program
printf 'int main(void) { return 0; }\n' >still.c
gcc -static -o still still.c && gcc -o raised still.c && chmod u+s raised
printf '#include <stdlib.h>\nvoid *malloc(size_t n) { static char m[1 << 16]; static size_t at; at += n; return m + at - n; }\nint main(void) { return 0; }\n' >own.c
gcc -rdynamic -fno-builtin -o own own.c
proves 'refused: a static program' ends_with 126 'statically linked' lend -- ./still
proves 'refused: a setuid program' ends_with 126 'setuid' lend -- ./raised
proves 'refused: a program with its own malloc' ends_with 126 'its own malloc' lend -- ./own
proves 'refused: a second copy in memory' ends_with 75 'tmpfs' lend --durable --scratch=/dev/shm -- true
proves 'bad sizes are told' ends_with 64 'remote-mem' "$bin/fallow" run --remote-mem=banana -- true
nothing() { env -u FALLOW_TEST_DONORS FALLOW_CLIENT_SOCKET="$work/none" "$bin/fallow" run --remote-mem=64M "$@"; }
proves 'nothing to be had: 75' ends_with 75 'fallow run: ' nothing -- echo ran
proves '... or this node, when told so' ends_with 0 'ran' nothing --fallback=local -- echo ran

plain /usr/bin/python3 slow.py >slow.plain
survives() {
	FALLOW_TEST_DONORS=1:1000 lend --durable -- /usr/bin/python3 slow.py >slow.remote 2>slow.said || { cat slow.said; return 1; }
	cmp slow.plain slow.remote && grep -q 'goes on with its copy' slow.said
}
proves 'durable: all donors go, and the result is the same' survives
dies() {
	local status=0 began=${EPOCHREALTIME/./} took
	FALLOW_TEST_DONORS=1:1000 lend -- /usr/bin/python3 slow.py >slow.remote 2>slow.said || status=$?
	took=$((${EPOCHREALTIME/./} - began))
	echo "# ended with $status after $((took / 1000)) ms"
	# By SIGTERM, by its touch of what is gone, or by the SIGKILL that comes 5 s later: a fault that waits for room lets no other
	# signal through.
	[[ $status = 143 || $status = 135 || ($status = 137 && $took -ge 6000000 && $took -lt 12000000) ]] || return 1
	[ ! -s slow.remote ] && grep -q 'remote memory is gone' slow.said
}
proves 'cache: a donor goes, and the program ends without a result' dies
cat "$work/said"
finish
