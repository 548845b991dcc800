#!/usr/bin/env bash
# The owner's cores are free before the owner's first task; with the vacate step switched off this check fails.
# Alone: its functions use every core, and fork as fast as they can.
. "$(dirname "$0")/lib.sh"

burn_all() { # NAME FUNCTION PROCESSES
	beats=$(beats_file "$1")
	"$work/bin/as" "$user" "$work/bin/hold" "$work/bin/libfunctions.so" "$2" "$beats" cpus=8 node=node0 wait=20 >"$work/hold.$1" 2>&1 &
	"$work/bin/witness" --wait "$3" "$beats"
}
start_and_look() { as "$user" srun -w node0 -n8 -l "$work/bin/witness" "$beats"; }

start_lab --nodes 2
programs functions hold witness
proves 'functions compute on all 8 cores of node0' burn_all plain burn 8
proves 'a job on those cores finds none of them alive' start_and_look
proves 'the client was told: reclaimed, outcome unknown, on all 8 workers' \
	within 3 sh -c "[ \$(grep -c 'ended FALLOW_OUTCOME_UNKNOWN' '$work/hold.plain') = 8 ]"
proves 'families that ignore every signal compute on all cores' burn_all family burn_family 32
proves 'a job on those cores finds none of them alive' start_and_look
proves 'nothing is left in the cgroups of the node' test -z "$(lease_pids node0)"

proves 'functions compute on all cores again' burn_all half burn 8
half_of_them() {
	as "$user" srun -w node0 -n4 true && "$work/bin/witness" --wait 1 "$beats"
	[ "$(fallow leases --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')" -le 1 ]
}
proves 'a job on 4 of the 8 cores starts, and that lease is over' half_of_them
stop_lab

start_lab --nodes 1 --plugin-option vacate=off
programs functions hold witness
proves 'without the vacate step: functions compute on all cores' burn_all off burn 8
# The agent must not hear of the job in another way either, from fallowctld, before the first task has looked.
beats_go_on() {
	kill -STOP "$(daemon_pid fallowctld)"
	start_and_look | tee "$work/looked"
	kill -CONT "$(daemon_pid fallowctld)"
	grep -q 'alive [1-9]' "$work/looked"
}
proves 'without the vacate step the same check fails: functions run beside the first task' beats_go_on
finish
