#!/usr/bin/env bash
# Daemons that end and come back: the co-scheduler rebuilds its view, silence means off, a restarted agent lends again.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2 --setting lease.grace_lost=8
programs functions hold witness
library=$work/bin/libfunctions.so
hold() { as "$user" "$work/bin/hold" "$library" "$@"; }
cluster() { "$tree/lab/cluster" "$@"; }

beats=$(beats_file first)
"$work/bin/as" "$user" "$work/bin/hold" "$library" burn "$beats" cpus=2 node=node1 wait=10 >"$work/hold" 2>&1 &
proves 'a lease runs on another node' "$work/bin/witness" --wait 2 "$beats"
lease=$(sed -n 's/^leased \([0-9a-f]*\) .*/\1/p' "$work/hold")
hold seven '' node=node1 >"$work/short" 2>&1
short=$(sed -n 's/^leased \([0-9a-f]*\) .*/\1/p' "$work/short")
proves 'a lease that ended is remembered' within 5 is_true "'$short' in [l['leaseID'] for l in data]" leases --ended

kill -9 "$(daemon_pid fallowctld)"
sleep 1
proves 'co-scheduler killed: invocations go on' "$work/bin/witness" --wait 2 "$beats"
proves 'co-scheduler killed: a lease request is told so' \
	sh -c "setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups '$work/bin/hold' '$library' seven '' node=node1 | grep -q 'failed lease'"
proves 'co-scheduler killed: jobs run' gives 7 srun -n1 sh -c 'exit 7'
proves 'co-scheduler started again' cluster restart fallowctld
proves '... it knows the nodes again' within 5 is_true "len([n for n in data if n['offer']['cores'] > 0]) == 2" nodes
proves '... and the lease that runs' within 5 is_true "'$lease' in [l['leaseID'] for l in data]" leases
proves '... and the one that ended before' is_true "'$short' in [l['leaseID'] for l in data]" leases --ended
proves '... the lease was not disturbed' "$work/bin/witness" --wait 2 "$beats"
proves '... new leases are had' sh -c "setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups '$work/bin/hold' '$library' seven '' node=node1 wait=5 | grep -q 'value 7'"

kill -9 "$(daemon_pid fallowctld)"
proves 'a co-scheduler that stays silent: the leases end by themselves' within 25 sh -c "grep -q ^ended '$work/hold'"
proves '... and their processes' within 3 no_lease_runs node1
proves 'co-scheduler started again' cluster restart fallowctld
within 8 is_true "len([n for n in data if n['offer']['cores'] > 0]) == 2" nodes

beats=$(beats_file second)
"$work/bin/as" "$user" "$work/bin/hold" "$library" burn_family "$beats" cpus=2 node=node1 wait=10 >"$work/hold" 2>&1 &
proves 'a lease with families runs on another node' "$work/bin/witness" --wait 8 "$beats"
kill -9 "$(daemon_pid fallowd.node1)"
proves 'the agent killed: callers know within 6 s' within 6 sh -c "grep -q ^ended '$work/hold'"
no_executor() { # NODE: what a function forked and what left its session may still be there
	local pid
	for pid in $(lease_pids "$1"); do ! grep -sq lifeline /proc/"$pid"/task/*/comm || return 1; done
}
proves 'the agent killed: its executors end by themselves within 6 s' within 6 no_executor node1
proves 'the agent started again' cluster restart fallowd.node1
proves '... clears what was left of its predecessor' within 3 no_lease_runs node1
proves '... and lends again' within 10 node_is node1 "node['offer']['cores'] == 8"
kill "$(daemon_pid fallowd.node1)"
ended() { ! daemons_live fallowd.node1; }
proves 'an agent told to stop (SIGTERM) ends' within 5 ended
proves '... and leaves no lease of it' test -z "$(find /sys/fs/cgroup -maxdepth 5 -path "*fallow-lab-$(lab_id)/node1/leases/*")"
proves '... and the co-scheduler offers nothing of it soon' \
	within 10 is_true "all(n['offer']['cores'] == 0 for n in data if n['node'] == 'node1')" nodes
finish
