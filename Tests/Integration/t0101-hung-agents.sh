#!/bin/bash
# t0101: a hung agent costs one deadline per job and node; the cord leaves no executor alive; a job ends cleanly all the same.
set -u
. "$(dirname "$0")/lib-plugin.sh"

echo "-- a hung agent costs one deadline per job and node"
hundred_steps() { timeout 120 salloc -Q -N2 -w node0,node1 sh -c \
    'echo $SLURM_JOB_ID; for i in $(seq 50); do srun -Q -N1 -n1 -w node0 true; srun -Q -N1 -n1 -w node1 true; done'; }
waits() { log_of "$1" "$2" | sed -n 's/.*fallow: init_post_opt took \([0-9]*\) us/\1/p'; }
long_waits() { waits "$1" "$2" | awk '$1 >= 240000' | wc -l; }
for mode in hung deaf stopped; do
    case $mode in
    stopped) reset_records healthy; for n in $NODES; do kill -STOP "${AGENT_PID[$n]}"; done ;;
    *) reset_records $mode ;;
    esac
    job=$(hundred_steps)
    for n in node0 node1; do
        prove "$mode agent, 50 steps on $n: all steps ran" at_least "$(waits $n "$job" | wc -l)" 51
        prove "$mode agent, 50 steps on $n: one waited for the deadline" is "$(long_waits $n "$job")" 1
        prove "$mode agent, 50 steps on $n: that one for at most 400 ms" below "$(waits $n "$job" | sort -n | tail -1)" 400000
    done
    prove "... and no node drained" nobody_drained
    prove "... and the epilog reset the breaker" is "$(sleep 0.5; find "$STATE"/run.node0 -name "*breaker.$job*" | wc -l)" 0
done

echo "-- the cord: a hung agent and executors that burn CPU"
FREEZER=/sys/fs/cgroup/freezer
if mkdir "$FREEZER/$TREE" "$FREEZER/$TREE/node0" "$FREEZER/$TREE/node0/lease" 2> /dev/null; then
    burn() { # an executor in node0's tree that ignores SIGTERM and forks
        sh -c 'echo $$ > "$1/cgroup.procs"; trap "" TERM INT HUP; (while :; do sleep 0.01; done) & (while :; do sleep 0.01; done) & while :; do sleep 0.01; done' \
            burn "$FREEZER/$TREE/node0/lease" & EXECUTOR=$!
        for _ in $(seq 100); do [ "$(wc -l < "$FREEZER/$TREE/node0/lease/cgroup.procs")" -ge 3 ] && return; sleep 0.02; done
    }
    alive="timeout 30 srun -Q -N1 -n1 -w node0 sh -c 'cat $FREEZER/$TREE/node0/lease/cgroup.procs | wc -l'"
    for mode in hung garbage; do
        reset_records $mode
        burn
        prove "$mode agent: the first task finds no executor alive" is "$(eval "$alive")" 0
        wait $EXECUTOR 2> /dev/null
    done
    every_agent down; burn
    prove "absent agent: the first task finds no executor alive" is "$(eval "$alive")" 0
    wait $EXECUTOR 2> /dev/null
    reset_records hung; burn
    slurm_reread "$LINE vacate=off"
    prove "with vacate=off the same task finds them alive" at_least "$(eval "$alive")" 1
    slurm_reread "$LINE"
    prove "a step on another node leaves them alive" at_least "$(timeout 30 srun -Q -N1 -n1 -w node1 true; wc -l < "$FREEZER/$TREE/node0/lease/cgroup.procs")" 3
    prove "... and one on theirs does not" is "$(eval "$alive")" 0
    wait $EXECUTOR 2> /dev/null
    prove "no node drained" nobody_drained
    rmdir "$FREEZER/$TREE/node0/lease" "$FREEZER/$TREE/node0" "$FREEZER/$TREE"
else
    echo "  skip: no v1 freezer hierarchy that we may write to (the unit tests cover v2)"
fi

echo "-- endings"
reset_records hung
timeout 30 srun -Q -N1 -n1 -w node0 sleep 60 & CLIENT=$!
for _ in $(seq 100); do JOB=$(squeue -h -t R -o %A); [ -n "$JOB" ] && break; sleep 0.05; done
sleep 0.6; timeout 10 scancel "$JOB"; wait $CLIENT 2> /dev/null
prove "a cancelled job is gone" all_idle
prove "... and no node drained" nobody_drained
finish
