#!/usr/bin/env bash
# What is lent: unallocated cores, what --serverless promises, what auto measures as unused; and nothing else.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2
programs functions hold witness
library=$work/bin/libfunctions.so
GiB=$((1 << 30))

proves 'an idle node offers all its cores' within 5 node_is node0 "node['offer']['cores'] == 8"

cat >"$work/scratch/one-busy.sh" <<'JOB'
#!/bin/sh
srun -n1 --exact sh -c 'while :; do :; done'
JOB
cat >"$work/scratch/idle.sh" <<'JOB'
#!/bin/sh
srun -n1 --exact sleep 600
JOB
chmod 755 "$work/scratch"/*.sh
submit() { as "$user" sbatch --parsable --exclusive -n8 -t 20 -o /dev/null "$@"; }
gone() { scancel "$1" && within 15 sh -c "[ -z \"\$(squeue -h -j $1)\" ]" && within 8 node_is node0 "node['offer']['cores'] == 8"; }

job=$(submit -w node0 "$work/scratch/one-busy.sh")
proves 'a job without the flag: it is reported' within 8 job_is "$job" "len(job['cores']) > 0 and job['measured']"
proves 'a job without the flag: nothing of it is lent' job_is "$job" "job['lending']['cores'] == 0"
proves 'a job without the flag: its node offers nothing' node_is node0 "node['offer']['cores'] == 0"
refused() { refuses 'failed lease FALLOW_NO_CAPACITY' as "$other" "$work/bin/hold" "$library" seven '' node=node0; }
proves 'a job without the flag: a lease there is refused for lack of capacity' refused
proves 'when it ends its cores are offered again' gone "$job"

job=$(submit -w node0 --serverless=cpus=3,mem=1G "$work/scratch/one-busy.sh")
proves '--serverless=cpus=3,mem=1G: just that is lent' \
	within 8 job_is "$job" "job['lending']['cores'] == 3 and job['lending']['memory'] <= $GiB"
beats=$(beats_file promised)
"$work/bin/as" "$other" "$work/bin/hold" "$library" burn "$beats" cpus=3 node=node0 wait=10 memory=268435456 >"$work/hold" 2>&1 &
proves '--serverless=cpus=3,mem=1G: three workers run beneath the job' "$work/bin/witness" --wait 3 "$beats"
proves '... and the lease says beneath which' within 5 is_true "[l for l in data if l.get('beneath') == $job]" leases
proves '... and a fourth is refused' refused
proves 'when the job ends, its leases end' gone "$job"
told() { grep -c '^ended FALLOW_OUTCOME_UNKNOWN' "$work/hold" | grep -qx 3; }
proves '... and the caller was told' within 3 told

job=$(submit -w node0 --serverless "$work/scratch/one-busy.sh")
proves '--serverless: after the window what was measured unused is lent, all but the busy core' \
	within 20 job_is "$job" "6 <= job['lending']['cores'] <= 7"
proves '--serverless: one core of the job is used, as measured' job_is "$job" "job['usedCoreSeconds'] > 1"
gone "$job" >/dev/null
job=$(submit -w node0 --serverless=no "$work/scratch/idle.sh")
sleep 5
proves '--serverless=no: nothing is lent' job_is "$job" "job['lending']['cores'] == 0 and job['serverless'] == 'no'"
gone "$job" >/dev/null

lending() { as "$user" srun -n1 "$@" printenv FALLOW_LENDING; }
proves 'FALLOW_LENDING tells the job what was decided' sh -c "[ -n '$(lending --serverless=cpus=0,mem=100M)' ]"
FALLOW_SERVERLESS=cpus=2,mem=100M
export FALLOW_SERVERLESS
job=$(submit -w node0 "$work/scratch/idle.sh")
proves 'FALLOW_SERVERLESS in the environment does what the option does' \
	within 8 job_is "$job" "job['lending']['cores'] == 2"
gone "$job" >/dev/null
job=$(submit -w node0 --serverless=no "$work/scratch/idle.sh")
sleep 4
proves 'the option on the command line wins' job_is "$job" "job['lending']['cores'] == 0"
gone "$job" >/dev/null
unset FALLOW_SERVERLESS

beats=$(beats_file site)
"$work/bin/as" "$user" "$work/bin/hold" "$library" burn "$beats" cpus=2 node=node1 wait=10 >"$work/hold" 2>&1 &
proves 'functions run on node1' "$work/bin/witness" --wait 2 "$beats"
proves 'an operator switches lending of unallocated cores off' fallow disable unallocated --node node1
proves '... and the leases there end' within 8 sh -c "grep -q ^ended '$work/hold'"
proves '... and nothing is offered, with the reason' within 3 node_is node1 "node['offer']['cores'] == 0"
proves '... an ordinary user may not do that' refuses 'operator|refused|not allowed' as "$user" fallow enable unallocated --node node1
proves '... and on again' fallow enable unallocated --node node1
proves '... it is offered again' within 8 node_is node1 "node['offer']['cores'] == 8"

proves 'a drained node lends nothing' \
	sh -c 'scontrol update nodename=node1 state=drain reason=test'
proves '... within seconds, and the reason says so' \
	within 8 node_is node1 "node['offer']['cores'] == 0 and 'DRAIN' in (node.get('slurmState') or '').upper()"
scontrol update nodename=node1 state=resume
proves '... resumed, it lends again' within 10 node_is node1 "node['offer']['cores'] == 8"
scontrol create reservation reservationname=kept nodes=node1 starttime=now duration=10 users=root flags=ignore_jobs >/dev/null
proves 'a reserved node lends nothing' within 8 node_is node1 "node['offer']['cores'] == 0"
scontrol delete reservation=kept
proves '... and lends again after the reservation' within 10 node_is node1 "node['offer']['cores'] == 8"
finish
