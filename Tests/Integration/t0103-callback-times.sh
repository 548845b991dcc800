#!/bin/bash
# t0103: how long the plugin keeps a step waiting, timed inside its callbacks.
# Alone: how long things take is compared.
set -u
. "$(dirname "$0")/lib-plugin.sh"

echo "-- time inside the callbacks (the fake agent is Python: its wake-up is in the figures)"
timed_steps() {
    local job
    job=$(timeout 120 salloc -Q -N1 -w node0 sh -c 'echo $SLURM_JOB_ID; for i in $(seq 120); do srun -Q -N1 -n1 true; done')
    log_of node0 "$job" | python3 "$ROOT/slurm-plugin/tests/callback_times.py"
}
figure() { echo "$figures" | awk -v column="$1" '$1 == "before" { print $column }'; }
reset_records healthy
figures=$(timed_steps); echo "  healthy agent, load $(cut -d' ' -f1 /proc/loadavg)"; echo "$figures"
prove "120 steps were timed" at_least "$(figure 2)" 120
prove "with a healthy agent the median first task waits below 2 ms here" below "$(figure 3)" 2000
every_agent down
figures=$(timed_steps); echo "  no agent, load $(cut -d' ' -f1 /proc/loadavg)"; echo "$figures"
prove "without one, below 1 ms" below "$(figure 3)" 1000
finish
