#!/usr/bin/env bash
# Pairs of donors with two fates: one copy beneath a job, one in memory that no job holds. A job that takes all of the latter at once
# costs nothing that was acknowledged; what is lost after that, before it could be copied again, is said to be lost.
. "$(dirname "$0")/lib.sh"

# Donors of 64 MiB take 72. On node0 next to nothing is free but what a job there promised; all of node1 is free.
start_lab --nodes 2 --memory 4000 --debug --setting lease.memory_per_user=2G
programs remote
job=$(as "$user" sbatch --parsable -w node0 -n1 --mem=3900 --serverless=cpus=0,mem=1G -t 5 -o /dev/null --wrap 'sleep 600')
proves 'a job on node0 promises memory' within 15 job_is "$job" "job['lending']['memory'] >= 1000 << 20"

mkfifo "$work/in" && chmod 666 "$work/in"
FALLOW_CLIENT_SOCKET=$(client_socket node0) "$work/bin/as" "$user" "$work/bin/remote" pair 192 <"$work/in" >"$work/out" 2>&1 &
program=$!
exec {lifeline}>"$work/in"
within 60 grep -qE '^(ready|failed)' "$work/out"
proves 'a program has a region of 192 MiB in pairs' grep -q '^ready' "$work/out"
cat "$work/out"
pools() { # BENEATH FREE: how many donors lie beneath the job, and in memory that no job holds
	is_true "sorted(l.get('beneath') or 0 for l in data if l['kind'] == 'memory') == [0] * $2 + [$job] * $1 and all((l['node'] == 'node0') == (l.get('beneath') == $job) for l in data)" leases
}
proves '... three donors beneath that job, three in memory that no job holds, on the other node' within 8 pools 3 3

donors_left() { [ "$(lease_pids "$1" | wc -l)" = "$2" ]; }
proves '... each a process there' donors_left node1 3
# All of it, in one step's start.
as "$user" srun -w node1 -n1 --mem=3999 -J taker sleep 600 >"$work/taker" 2>&1 &
taker=$!
proves 'a job takes all memory that was free, and with it one copy of everything' within 20 donors_left node1 0
echo check >&"$lifeline"
proves '... every byte is there, read from the other copies' within 30 grep -qx 'same, 3 of 6 donors lost' "$work/out"
proves '... those stand' donors_left node0 3
proves '... and the job runs' sh -c "squeue -h -n taker -t R | grep -q ."

# There is no room for new copies now; the second loss is no silent one.
scancel "$job"
proves 'the lending job ends, and with it the other copies' within 20 donors_left node0 0
echo check >&"$lifeline"
proves '... all is said to be lost, block by block, and nothing reads as zeros' within 30 grep -qx 'lost 3072, 6 of 6 donors lost' "$work/out"
# The job's srun holds the other end of the program's standard input too.
scancel -n taker
wait "$taker"
exec {lifeline}>&-
proves '... the program ends well' wait "$program"
no_donor() { donors_left node0 0 && donors_left node1 0; }
proves '... and no donor is left' no_donor

finish
