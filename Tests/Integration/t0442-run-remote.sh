#!/usr/bin/env bash
# `fallow run` where the own node has nothing to lend: donors on another node, behind a relay. The same results; lost memory ends the program,
# never shows it zeros; a relay that dies or hangs is noticed; some here and some there; everything is given back.
# shellcheck source=Tests/Integration/lib.sh
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2 --memory 4000 --debug --setting lease.memory_per_user=2G
cd "$work/scratch" || exit 1
socket=$(client_socket node0)
donors() { lease_pids "$1" | wc -l; } # NODE
no_donor() { no_lease_runs node0 node1; }
lend() { FALLOW_CLIENT_SOCKET=$socket FALLOW_RUN_STATISTICS=1 timeout 100 "$work/bin/as" "$user" fallow run --local-mem=32M "$@"; }
full() { as "$user" sbatch --parsable -w "$1" -n1 --mem="$2" -o /dev/null --wrap 'sleep 600'; } # NODE MB
runs() { [ "$(squeue -h -j "$1" -o %T)" = RUNNING ]; }

awk 'BEGIN { srand(7); for (i = 0; i < 300000; i++) printf "%010d %d\n", rand() * 1e10, i }' >lines
sort lines >"$work/sorted"
cat >hold.py <<'PY'
import os, sys, time
memory = bytearray(96 << 20)
for start in range(0, len(memory), 1 << 20):
    memory[start : start + (1 << 20)] = b"x" * (1 << 20)
print("filled", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
print("right" if memory.count(b"x") == len(memory) else "WRONG", flush=True)
PY
chmod 644 lines hold.py

owner=$(full node0 3940)
proves 'a job leaves nothing to lend on node0' within 30 runs "$owner"
nothing_here() { node_is node0 "node['offer']['memory'] < 80 * 2**20"; }
proves '... which fallowctld knows' within 20 nothing_here

sorts() { lend --remote-mem=128M -- sort -S 64M --parallel=1 lines >"$work/out" 2>"$work/sort.said" || { cat "$work/sort.said"; return 1; }; }
proves 'sort runs with memory of another node' sorts
proves '... which it used' grep -Eq 'remote memory at its peak.* [1-9][0-9]* faults' "$work/sort.said"
proves '... the result is that of local memory' cmp "$work/out" "$work/sorted"
proves '... and all of it is given back' within 10 no_donor
cat "$work/sort.said"
in_pages() { lend --remote-mem=128M --block=4K -- sort -S 64M --parallel=1 lines >"$work/out" 2>"$work/sort.said" || { cat "$work/sort.said"; return 1; }; }
proves 'sort runs so in pages of 4 KiB' in_pages
proves '... with the same result' cmp "$work/out" "$work/sorted"
proves '... and all of it is given back' within 10 no_donor
cat "$work/sort.said"

begin() { # NAME OPTIONS...: a program in the background that has filled its memory
	local name=$1
	shift
	lend "$@" -- python3 hold.py "$name.go" >"$name.out" 2>&1 &
	program=$!
	within 60 grep -q filled "$name.out" || { cat "$name.out"; return 1; }
}
ends_with() { local status=0; wait "$program" || status=$?; [ "$status" = "$1" ] || { echo "status $status"; return 1; }; } # STATUS
# Of this script, not of those that run beside it.
its_run() { local pid; for pid in $(pgrep -u "$user" -x fallow); do [ "$(readlink "/proc/$pid/cwd")" != "$PWD" ] || echo "$pid"; done; }
by_signal() { local status=0; wait "$program" || status=$?; [ "$status" -gt 128 ] || { echo "status $status"; return 1; }; }
never_wrong() { ! grep -q WRONG "$1.out" || { cat "$1.out"; return 1; }; }

proves 'a program fills 96 MiB elsewhere' begin whole --remote-mem=128M
there() { [ "$(donors node1)" = 2 ] && [ "$(donors node0)" = 0 ]; }
proves '... at two donors of node1' there
touch whole.go
proves '... reads all of it again, and ends well' ends_with 0
proves '... and it was right' grep -q right whole.out
cat whole.out

proves 'a program fills 96 MiB elsewhere' begin lost --remote-mem=128M --cache
for pid in $(lease_pids node1); do kill -9 "$pid"; done
proves '... its donors are killed: it is ended' by_signal
proves '... in a sentence, and saw no zeros' sh -c 'grep -q "remote memory is gone" lost.out && ! grep -qE "WRONG|right" lost.out'
proves '... and nothing stays' within 10 no_donor
cat lost.out

proves 'a durable program fills 96 MiB elsewhere' begin durable --remote-mem=128M --durable --scratch=/var/tmp
for pid in $(lease_pids node1); do kill -9 "$pid"; done
sleep 1
touch durable.go
proves '... its donors are killed: it goes on' ends_with 0
proves '... and all was right' grep -q right durable.out
proves '... and nothing stays' within 10 no_donor

# Every page of a block is touched after the other end was killed or stopped.
proves 'a program fills 96 MiB elsewhere' begin orphan --remote-mem=128M
run=$(its_run)
child=$(pgrep -P "$run")
kill -9 "$run"
touch orphan.go
gone() { [ ! -d "/proc/$child" ] || grep -q '^State:.Z' "/proc/$child/status"; }
proves '... fallow run is killed: the program ends at its next touch' within 10 gone
proves '... and saw no zeros' never_wrong orphan
wait "$program"
proves '... and nothing stays' within 10 no_donor

proves 'a program fills 96 MiB elsewhere' begin frozen --remote-mem=128M
run=$(its_run)
child=$(pgrep -P "$run")
kill -STOP "$run"
touch frozen.go
proves '... fallow run hangs: the program ends within the bound' within 30 gone
kill -CONT "$run"
wait "$program"
proves '... and saw no zeros' never_wrong frozen
proves '... and nothing stays' within 10 no_donor

# Some here and some there: 160 MB are left on node0, of which one donor can be had.
scancel "$owner"
ended() { [ -z "$(squeue -h -j "$owner" 2>/dev/null)" ]; }
within 30 ended
owner=$(full node0 3790)
within 30 runs "$owner"
some_here() { node_is node0 "80 * 2**20 <= node['offer']['memory'] < 160 * 2**20"; }
proves 'node0 has room for one donor' within 20 some_here
proves 'a program fills 96 MiB, here and elsewhere' begin mixed --remote-mem=128M
both() { [ "$(donors node1)" = 1 ] && [ "$(donors node0)" = 1 ]; }
proves '... at a donor of each node' both
touch mixed.go
proves '... reads all of it again, and ends well' ends_with 0
proves '... and it was right' grep -q right mixed.out
proves '... and nothing stays' within 10 no_donor
scancel "$owner"

# What waits for a job on another node.
cat >job.sh <<JOB
#!/bin/bash
export FALLOW_CLIENT_SOCKET=$socket
fallow run --local-mem=32M -- sort -S 64M --parallel=1 lines | cmp - $work/sorted && echo sorted
fallow run --local-mem=32M -- sort -S 64M --parallel=1 lines | cmp - $work/sorted && echo again
JOB
within 30 ended
as "$user" sbatch -w node0 -n1 --mem=3940 --remote-mem=128M -o "$work/scratch/job.out" job.sh
proves 'a job that leaves its node nothing sorts with what waits elsewhere' within 60 grep -q sorted job.out
proves '... and a second program has it anew' within 60 grep -q again job.out
proves '... and nothing stays' within 10 no_donor
cat job.out
finish
