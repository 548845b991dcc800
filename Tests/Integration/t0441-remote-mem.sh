#!/usr/bin/env bash
# sbatch --remote-mem: leases wait for the job's programs, which take them; the job's end gives all back, however it ends; nothing to be
# had fails no job; nobody else's process takes them; an agent that is started again has them anew.
# shellcheck source=Tests/Integration/lib.sh
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2 --memory 4000 --debug --setting lease.memory_per_user=2G
cd "$work/scratch" || exit 1
socket=$(client_socket node0)
donors() { lease_pids "$1" | wc -l; } # NODE
no_donor() { no_lease_runs node0 node1; }
says() { within "$1" grep -q "$2" "$3" || { cat "$3"; tail -n 20 "$FALLOW_LAB/log/fallowd.node0.out"; return 1; }; } # SECONDS WORDS FILE
job_ends() { [ -z "$(squeue -h -j "$1" 2>/dev/null)" ]; } # JOB
submit() { # NAME OPTIONS...: the script on standard input; its output in NAME.out
	local name=$1
	shift
	cat >"$name.sh"
	as "$user" sbatch --parsable -w node0 -n1 --mem=500 -o "$work/scratch/$name.out" "$@" "$name.sh"
}

awk 'BEGIN { srand(7); for (i = 0; i < 300000; i++) printf "%010d %d\n", rand() * 1e10, i }' >lines
chmod 644 lines
sort lines >"$work/sorted"
cat >take.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fallow.h"
int main(int argc, char **argv)
{
	fallow_client *client;
	fallow_memory *memory;
	struct fallow_memory_options options = FALLOW_MEMORY_OPTIONS;
	struct fallow_memory_statistics told = { .size = sizeof told };
	char in[64] = "kept", out[64] = "";
	options.durability = argc > 1 ? (uint32_t)atoi(argv[1]) : FALLOW_MEMORY_CACHE;
	options.scratch_folder = "/tmp";
	if (fallow_connect(NULL, &client) != 0 || fallow_memory_open(client, 96 << 20, &options, &memory) != 0 ||
	    fallow_memory_put(memory, 90 << 20, in, 64) != 0 || fallow_memory_get(memory, 90 << 20, out, 64) != 0 ||
	    fallow_memory_get_statistics(memory, &told) != 0) {
		printf("failed: %s\n", fallow_message());
		return 1;
	}
	printf("took, and it %s, at %u donors\n", memcmp(in, out, 64) == 0 ? "holds" : "lies", told.donors);
	fflush(stdout);
	sleep(1);
	return 0;
}
C
gcc -o "$work/bin/take" take.c -I"$tree/Sources/CFallow/include" -L"$FALLOW_LAB/lib" -l:libfallow.so.0 -Wl,-rpath,"$FALLOW_LAB/lib" ||
	exit 1

# A job with 128 MiB: two donors wait; sort takes them; a second program has them anew; the job's end gives back.
job=$(submit sorts --remote-mem=128M,cache <<JOB
#!/bin/bash
export FALLOW_CLIENT_SOCKET=$socket FALLOW_RUN_STATISTICS=1
echo "said: \$FALLOW_REMOTE_MEM_GRANTED"
sleep 2
srun -n1 sh -c 'echo "later: \$FALLOW_REMOTE_MEM_GRANTED"'
while [ ! -e go ]; do sleep 0.1; done
fallow run --local-mem=32M -- sort -S 64M --parallel=1 lines >first || echo failed
fallow run --local-mem=32M -- sort -S 64M --parallel=1 lines >second || echo failed
$work/bin/take
while [ ! -e stop ]; do sleep 0.1; done
JOB
)
two_wait() { [ $(($(donors node0) + $(donors node1))) = 2 ]; }
proves 'two donors wait for a job that said --remote-mem=128M' within 30 two_wait
proves '... leased in the name of its user' is_true "len([l for l in data if l['user'] == $(id -u "$user") and l['kind'] == 'memory']) == 2" leases
stranger() { FALLOW_CLIENT_SOCKET=$socket timeout 60 "$work/bin/as" "$1" env SLURM_JOB_ID="$job" FALLOW_REMOTE_MEM=128M fallow run -- true; }
refused() { local said; said=$(stranger "$1" 2>&1) && return 1; grep -q 'no --remote-mem was given' <<<"$said" || { echo "$said"; return 1; }; }
proves "another user's process does not take them, whatever its environment says" refused "$other"
proves "... nor does the user's own from outside of the job" refused "$user"
proves '... and they wait still' two_wait
proves 'a later step is told what waits' within 20 grep -q 'later: waiting=128M,used=0,cache' sorts.out
touch go
proves 'fallow run within the job sorts with them' within 60 sh -c 'cmp second '"$work/sorted"' && cmp first '"$work/sorted"
proves '... using them, twice' sh -c '[ "$(grep -Ec "remote memory at its peak.* [1-9][0-9]* faults" sorts.out)" = 2 ]'
proves "a program linked with libfallow takes them too" within 30 grep -q 'took, and it holds' sorts.out
proves '... and nothing failed' sh -c '! grep failed sorts.out'
touch stop
proves 'the job ends' within 20 job_ends "$job"
proves '... and nothing of it is lent any more' within 10 no_donor
cat sorts.out

# What nobody took goes back with the job: ended, and cancelled.
job=$(printf '#!/bin/sh\nsleep 4\n' | submit idle --remote-mem=128M)
proves 'a job that takes nothing has them wait' within 30 two_wait
proves '... until it ends' within 20 no_donor
job=$(printf '#!/bin/sh\nsleep 600\n' | submit cancelled --remote-mem=128M)
proves 'a job has them wait' within 30 two_wait
scancel "$job"
proves '... it is cancelled, and they go back' within 30 no_donor

# A cancelled job whose program has them.
cat >hold.py <<'PY'
memory = bytearray(96 << 20)
for start in range(0, len(memory), 1 << 20):
    memory[start : start + (1 << 20)] = b"x" * (1 << 20)
print("filled", flush=True)
while True:
    assert memory.count(b"x") == len(memory)
PY
job=$(submit held --remote-mem=128M <<JOB
#!/bin/bash
export FALLOW_CLIENT_SOCKET=$socket
exec fallow run --local-mem=32M -- python3 hold.py
JOB
)
proves 'a program of a job fills what it took' says 60 filled held.out
scancel "$job"
proves '... the job is cancelled, and all goes back' within 60 no_donor

# Nothing to be had: the job runs; fallow run fails, or goes local, as it is told.
job=$(submit none --remote-mem=1T <<JOB
#!/bin/bash
export FALLOW_CLIENT_SOCKET=$socket
for i in \$(seq 40); do
	srun -n1 sh -c 'echo "told: \$FALLOW_REMOTE_MEM_GRANTED"' | tee told
	grep -q nothing told && break
	sleep 0.5
done
fallow run -- true
echo "status \$?"
fallow run --fallback=local -- echo local
echo done
JOB
)
proves 'nothing to be had: the job runs to its end' within 60 grep -q '^done' none.out
proves '... was told why' grep -q '^told: nothing: ' none.out
proves '... fallow run fails with 75' grep -q '^status 75' none.out
proves '... or goes local' grep -q '^local' none.out
proves '... and nothing is lent' within 10 no_donor
cat none.out

# Durable: the program goes on when its donors are taken by a job that needs the memory.
job=$(submit durable --remote-mem=128M,durable <<JOB
#!/bin/bash
export FALLOW_CLIENT_SOCKET=$socket
fallow run --local-mem=32M -- python3 count.py
echo "status \$?"
JOB
)
cat >count.py <<'PY'
import os, time
memory = bytearray(96 << 20)
for start in range(0, len(memory), 1 << 20):
    memory[start : start + (1 << 20)] = b"x" * (1 << 20)
print("filled", flush=True)
while not os.path.exists("taken"):
    time.sleep(0.1)
print("counted", memory.count(b"x") == len(memory), flush=True)
PY
proves 'a durable job fills what it took' says 60 filled durable.out
proves 'a job that needs the memory has it, and runs as ever' as "$user" srun -w node0 -n1 --mem=3400 true
touch taken
proves '... and the program has all that it wrote' within 60 grep -q 'counted True' durable.out
proves '... and ends well' within 20 grep -q 'status 0' durable.out
cat durable.out
proves '... and nothing stays' within 10 no_donor

# Durable, in a program of its own: two sets of donors where the second shares no fate with the first, else one and a file.
lender=$(as "$user" sbatch --parsable -w node1 -n1 --mem=3950 --serverless=cpus=0,mem=1G -t 5 -o /dev/null --wrap 'sleep 600')
proves 'a job on the other node promises memory' within 15 job_is "$lender" "job['lending']['memory'] >= 1000 << 20"
job=$(submit forms --remote-mem=128M,durable <<JOB
#!/bin/bash
export FALLOW_CLIENT_SOCKET=$socket
sleep 1
$work/bin/take 3
touch paired
while [ ! -e alone ]; do sleep 0.1; done
$work/bin/take 3
$work/bin/take 1
echo done
JOB
)
proves 'a durable region in a durable job has two sets of donors' within 30 grep -q 'took, and it holds, at 4 donors' forms.out
within 20 test -e paired
scancel "$lender"
proves '... when the other job ends there is no second set' within 20 job_ends "$lender"
touch alone
proves '... and a region has a file for its second copy' within 30 grep -q 'took, and it holds, at 2 donors' forms.out
proves '... where pairs alone are wanted, that is said' within 30 grep -q '^failed: no second set of donors' forms.out
proves '... the job ends' within 20 job_ends "$job"
proves '... and nothing stays' within 10 no_donor
cat forms.out

# The headroom is not lent, vacate is first: a large job has its memory though another job's leases wait there.
job=$(printf '#!/bin/sh\nsleep 60\n' | submit waits --remote-mem=128M)
lent_here() { is_true "len([l for l in data if l['node'] == 'node0' and l['usedCoreSeconds'] > 0]) == 2" leases; }
proves 'leases wait for a job' within 30 lent_here
proves 'a job that needs their memory has it' as "$user" srun -w node0 -n1 --mem=3400 true
gone_here() { [ "$(donors node0)" = 0 ]; }
proves '... and the waiting ones went' within 10 gone_here
scancel "$job"
proves '... and nothing stays of that job' within 20 no_donor

# The agent is started again: what waited goes with it, and the job has it anew.
job=$(printf '#!/bin/sh\nwhile [ ! -e again ]; do sleep 0.1; done\nexport FALLOW_CLIENT_SOCKET=%s\nfallow run --local-mem=32M -- sort -S 64M lines | cmp - %s && echo sorted\n' "$socket" "$work/sorted" |
	submit restart --remote-mem=128M)
proves 'leases wait for a job' within 30 two_wait
kill -9 "$(daemon_pid fallowd.node0)"
proves 'its agent is killed, and they are gone' within 10 no_donor
proves '... it is started again' "$tree/lab/cluster" restart fallowd.node0
proves '... and they wait anew, of a job that said it once' within 30 two_wait
touch again
proves '... and its program takes them' within 60 grep -q sorted restart.out
proves '... and nothing stays' within 20 no_donor
cat restart.out

# A job on two nodes: leases on each for its own steps.
job=$(as "$user" sbatch --parsable -N2 -n2 --mem=500 --remote-mem=64M -o "$work/scratch/pair.out" --wrap 'srun sleep 20')
both() { [ $(($(donors node0) + $(donors node1))) = 2 ]; }
proves 'a job on two nodes has leases asked for by each' within 30 both
scancel "$job"
proves '... which go back' within 30 no_donor
proves 'no node was drained' no_node_drained
proves 'all daemons live' daemons_live fallowctld fallowd.node0 fallowd.node1
finish
