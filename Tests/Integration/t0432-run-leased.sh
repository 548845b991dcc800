#!/usr/bin/env bash
# `fallow run` with donors that it leases from the node's agent: the same result, everything given back; a job that takes the memory
# ends the program with a sentence, and never shows it zeros.
# shellcheck source=Tests/Integration/lib.sh
. "$(dirname "$0")/lib.sh"

start_lab --nodes 1 --memory 4000 --debug --setting lease.memory_per_user=2G
cd "$work/scratch" || exit 1
no_donor() { [ -z "$(lease_pids node0)" ]; }
lend() { FALLOW_CLIENT_SOCKET=$(client_socket node0) FALLOW_RUN_STATISTICS=1 timeout 60 "$work/bin/as" "$user" \
	fallow run --remote-mem=128M --local-mem=32M --cache "$@"; }
programs

awk 'BEGIN { srand(7); for (i = 0; i < 400000; i++) printf "%010d %d\n", rand() * 1e10, i }' >lines
cat >slow.py <<'SCRIPT'
import time
memory = bytearray(96 << 20)
for start in range(0, len(memory), 1 << 20):
    memory[start : start + (1 << 20)] = b"x" * (1 << 20)
print("filled", flush=True)
while True:
    assert memory.count(b"x") == len(memory)
    time.sleep(0.1)
SCRIPT
chmod 644 lines slow.py

sorts() { lend -- sort -S 64M --parallel=1 lines >"$work/sorted" 2>"$work/sort.said" || { cat "$work/sort.said"; return 1; }; }
proves 'sort runs with memory of leased donors' sorts
proves '... which it used' grep -Eq 'remote memory at its peak.* [1-9][0-9]* faults' "$work/sort.said"
proves '... the result is that of local memory' sh -c "sort lines | cmp - '$work/sorted'"
proves '... and all of it is given back' within 5 no_donor

lend -- python3 slow.py >"$work/slow" 2>&1 &
program=$!
proves 'a program fills 96 MiB of donors' within 50 grep -q filled "$work/slow"
proves '... which stand on its node' sh -c "[ $(lease_pids node0 | wc -w) -ge 2 ]"
proves 'a job takes the memory, and runs as ever' as "$user" srun -w node0 -n1 --mem=3900 true
ended() { wait "$program"; [ $? -gt 128 ]; }
proves '... the program is ended by it' ended
proves '... in a sentence, and saw no zeros' sh -c "grep -i 'memory' '$work/slow' | grep -qv AssertionError && ! grep -q AssertionError '$work/slow'"
cat "$work/slow"
proves '... and nothing of it stays' within 5 no_donor
finish
