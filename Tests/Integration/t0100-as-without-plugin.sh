#!/bin/bash
# t0100: the SPANK plugin alone on a real Slurm, with fake agents. No job is changed by it, whatever the agent does.
set -u
. "$(dirname "$0")/lib-plugin.sh"

# What a user sees of their jobs: outputs, errors, exit codes and environment. Lines are sorted: srun's own messages and
# the task's output reach the terminal in no particular order. One of them is left out: when a task ends before its output is
# connected srun may say that it knew the node for down, with our plugin or without.
show() { # NAME command...
    local name=$1; shift
    { timeout 60 "$@"; echo "rc=$?"; } 2>&1 | grep -v 'IO: Hey, you told me node .* was down' | sort >"$STATE/seen/$name" &
    shown+=("$name") each+=($!)
}
# All of them at once, and then in their order.
behaviour() {
    local one="srun -Q -w node0 -N1 -n1" shown=() each=() name
    rm -rf "$STATE/seen"; mkdir "$STATE/seen"
    show 0       $one true
    show 42      $one sh -c 'echo out; echo err >&2; exit 42'
    show signal  $one sh -c 'kill -9 $$'
    show missing $one "$STATE/no-such-program"
    show many    srun -Q -N3 -n6 -l sh -c 'echo $SLURM_PROCID'
    show env     $one sh -c 'env | cut -d= -f1 | grep -v "^FALLOW_LENDING$"'
    show salloc  salloc -Q -N1 -w node0 srun -Q sh -c 'exit 3'
    show shell   salloc -Q -N1 -w node0 sh -c 'exit 5'
    show sbatch  sbatch -Q -W -N1 -w node0 -o batch.out --wrap 'echo batch; srun -Q -n1 sh -c "exit 4"; echo $?; exit 7'
    wait "${each[@]}"
    for name in "${shown[@]}"; do echo "== $name"; cat "$STATE/seen/$name"; done
    sort batch.out
}

echo "-- the user's view is the same as without the plugin"
slurm_reread "# no plugin for the moment"
BEFORE=$(behaviour 2>&1)
echo "$BEFORE" | grep -q 'rc=42' || { echo "the baseline is broken:"; echo "$BEFORE"; exit 1; }
slurm_reread "$LINE"
prove "no agent: outputs, exit codes, signals, environment" is "$(behaviour 2>&1)" "$BEFORE"
prove "... and no node drained" nobody_drained
for mode in healthy hung deaf garbage short version stuck silent; do
    reset_records $mode
    prove "a $mode agent: the same" is "$(behaviour 2>&1)" "$BEFORE"
    prove "... and no node drained" nobody_drained
done
every_agent down
slurm_reread "optional $PLUGIN runtime=nonsense cgroup=/ deadline_ms=x colour=blue"
prove "nonsense in plugstack.conf: the same" is "$(behaviour 2>&1)" "$BEFORE"
prove "... and the log says what is right" has "$(cat "$STATE"/log/slurmd.node0.log)" "known are runtime=<directory>"
slurm_reread "optional $STATE/no-such-plugin.so"
prove "the plugin's file is gone: the same but for Slurm's own complaint" is "$(behaviour 2>&1 | grep -v 'no-such-plugin.so')" "$BEFORE"
slurm_reread "$LINE"
finish
