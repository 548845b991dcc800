#!/bin/bash
# t0100: the SPANK plugin alone on a real Slurm, with fake agents. No job is changed by it, whatever the agent does; a
# hung agent costs one deadline per job and node; options are refused or carried; the cord leaves no executor alive.
set -u
. "$(dirname "$0")/lib-slurm.sh"
PLUGIN=$ROOT/.build/plugin/spank_fallow.so
make -s -C "$ROOT/slurm-plugin" || exit 1

TREE=fallow-t0100-$$
LINE="optional $PLUGIN runtime=@STATE@/run.%n cgroup=$TREE/%n"
slurm_up "$LINE" "PrologFlags=Alloc,Contain" || exit 1
cd "$STATE/work" || exit 1
slurm_reread "# no plugin for the moment"
NODES="node0 node1 node2"

every_agent() { for n in $NODES; do "agent_$1" "$n" "${@:2}"; done; }
reset_records() { rm -f "$STATE"/records.*; every_agent down; every_agent up "$1"; }
is() { [ "$1" = "$2" ] || { diff <(echo "$2") <(echo "$1") | sed 's/^/      /'; return 1; }; }
has() { case "$1" in *"$2"*) ;; *) echo "      got: $1"; return 1 ;; esac; }
at_least() { [ "$1" -ge "$2" ] || { echo "      got: $1"; return 1; }; }
below() { [ "$1" -lt "$2" ] || { echo "      got: $1"; return 1; }; }
nobody_drained() { is "$(timeout 5 sinfo -h -R)" "" && is "$(timeout 5 sinfo -h -N -o %T | grep -Ei 'drain|down|fail|\*')" ""; }
all_idle() { for _ in $(seq 100); do [ -z "$(squeue -h)" ] && [ "$(sinfo -h -N -o %T | sort -u)" = idle ] && return; sleep 0.1; done; false; }
log_of() { grep -h "\[$2\." "$STATE/log/slurmd.$1.log"; } # NODE JOB: that job's slurmstepd lines

# What a user sees of their jobs: outputs, errors, exit codes and environment. Lines are sorted: srun's own messages and
# the task's output reach the terminal in no particular order.
show() { # NAME command...
    echo "== $1"; shift
    { timeout 60 "$@"; echo "rc=$?"; } 2>&1 | sort
}
behaviour() {
    local one="srun -Q -w node0 -N1 -n1"
    show 0       $one true
    show 42      $one sh -c 'echo out; echo err >&2; exit 42'
    show signal  $one sh -c 'kill -9 $$'
    show missing $one "$STATE/no-such-program"
    show many    srun -Q -N3 -n6 -l sh -c 'echo $SLURM_PROCID'
    show env     $one sh -c 'env | cut -d= -f1 | grep -v "^FALLOW_LENDING$"'
    show salloc  salloc -Q -N1 -w node0 srun -Q sh -c 'exit 3'
    show shell   salloc -Q -N1 -w node0 sh -c 'exit 5'
    show sbatch  sbatch -Q -W -N1 -w node0 -o batch.out --wrap 'echo batch; srun -Q -n1 sh -c "exit 4"; echo $?; exit 7'
    sort batch.out
}

echo "-- the user's view is the same as without the plugin"
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

echo "-- bad grammar is refused at submission, with the right form"
reset_records healthy
for command in "srun true" "sbatch --wrap true" "salloc true"; do
    set -- $command
    text=$(timeout 30 "$1" --serverless=cpus=two "${@:2}" 2>&1); code=$?
    prove "$1 --serverless=cpus=two ends with 255" is $code 255
    prove "... and says how" has "$text" "error: fallow: --serverless=cpus=two refused: cpus=\"two\" is not a whole number of cores"
    prove "... and what is right" has "$text" "cpus=<n|auto|0>,mem=<size|auto|0>"
    text=$(FALLOW_REMOTE_MEM=64GB timeout 30 "$@" 2>&1); code=$?
    prove "FALLOW_REMOTE_MEM=64GB $1 ends with 255" is $code 255
    prove "... and says how" has "$text" "fallow: the environment variable FALLOW_REMOTE_MEM=64GB refused"
done
timeout 30 srun --remote-mem=much true > /dev/null 2>&1
prove "srun --remote-mem=much ends with 255" is $? 255
prove "nothing of it reached the queue" is "$(squeue -h)" ""

echo "-- options and what comes of them"
reset_records healthy
cat > job.sh <<'J'
#!/bin/bash
echo "batch $SLURM_JOB_ID [$FALLOW_LENDING]"
srun -Q -N1 -n1 -w node1 sh -c 'echo "inner [$FALLOW_LENDING]"'
sbatch --parsable -o nested.out --wrap 'echo nested'
J
chmod +x job.sh
timeout 60 sbatch -Q -W -N2 -w node0,node1 -o job.out --serverless=cpus=1,mem=64M,reserve-mem=20% --remote-mem=1.5G,durable job.sh
prove "the batch job ended well" is $? 0
J=$(sed -n 's/^batch \([0-9]*\).*/\1/p' job.out); N=$(grep -x "[0-9]*" job.out); all_idle; sleep 0.3
WANT='r["flags"] == 0x1d and r["lend_cpus"] == 1 and r["lend_mem"] == 64 << 20 and r["reserve_mem"] == 20 and r["remote_mem"] == 3 << 29'
prove "its batch step told the options" is "$(records_where "r['job'] == $J and r['kind'] == 'STEP_START' and r['step'] == 0xfffffffb and $WANT")" 1
prove "its inner srun, on the other node, told them too" is "$(records_where "r['job'] == $J and r['kind'] == 'STEP_START' and r['step'] == 0 and r['node'] == 'node1' and $WANT")" 1
prove "the extern step is told on both nodes" is "$(records_where "r['job'] == $J and r['kind'] == 'STEP_START' and r['step'] == 0xfffffffc")" 2
prove "the job's end is told on both nodes" is "$(records_where "r['job'] == $J and r['kind'] == 'JOB_END'")" 2
prove "each started step was also running and ended" is "$(records_where "r['job'] == $J and r['kind'] in ('STEP_RUNNING', 'STEP_END')")" 8
prove "the nested sbatch ran" is "$(cat nested.out)" nested
prove "... and did not inherit" is "$(records_where "r['job'] == $N and r['kind'] == 'STEP_START' and r['flags'] == 0")" 2
prove "FALLOW_LENDING is seen by the batch script" has "$(cat job.out)" "batch $J [lending nothing of job $J on node0]"
prove "... and by the inner step" has "$(cat job.out)" "inner [lending nothing of job $J on node1]"
prove "cores and memory are told" is "$(records_where "r['job'] == $J and r['step'] == 0 and r['kind'] == 'STEP_START' and r['alloc_cores'] == '0' and r['alloc_mem'] == 500")" 1
for n in $NODES; do
    prove "everything that $n heard was about $n" is "$(python3 -c 'import json,sys
print(sorted({json.loads(l)["node"] for l in open(sys.argv[1])} | {sys.argv[2]}))' "$STATE/records.$n" $n 2>/dev/null || echo "['$n']")" "['$n']"
done

told() { # FLAGS LEND_CPUS: the last step of the last job said so
    local got
    got=$(records | python3 -c 'import json, sys
r = [json.loads(l) for l in sys.stdin]
r = [x for x in r if x["kind"] == "STEP_START" and x["step"] != 0xfffffffc]
r = max(r, key=lambda x: x["sent_at"]); print(r["flags"], r["lend_cpus"])')
    is "$got" "$1 $2"
}
one="timeout 30 srun -Q -N1 -n1"
$one --serverless true; prove "bare --serverless is auto" told 1 -1
$one --serverless=no true; prove "--serverless=no" told 3 0
$one true; prove "no option: nothing is asked" told 0 -2
FALLOW_SERVERLESS=cpus=2,mem=0 $one true; prove "FALLOW_SERVERLESS" told 1 2
FALLOW_SERVERLESS=cpus=2,mem=0 timeout 60 sbatch -Q -W -N1 -o /dev/null --export=NONE --wrap 'srun -Q -n1 true'
prove "... also with sbatch --export=NONE, in its inner step" told 1 2
FALLOW_SERVERLESS=cpus=2,mem=0 $one --serverless=cpus=3,mem=0 true; prove "the command line wins" told 1 3
FALLOW_SERVERLESS=rubbish $one --serverless=cpus=3,mem=0 true; prove "... even over rubbish" told 1 3
timeout 30 salloc -Q --serverless=cpus=2,mem=0 -N1 srun -Q -n1 true; prove "salloc's option reaches its srun" told 1 2
timeout 30 salloc -Q --serverless=no -N1 srun -Q -n1 --serverless=auto true; prove "a step cannot undo the job's no" told 3 0
timeout 30 salloc -Q --serverless=auto -N1 sh -c 'timeout 30 sbatch -Q -W -o /dev/null --wrap true'
prove "an sbatch inside salloc does not inherit" told 0 -2
timeout 60 sbatch -Q -W --array=3,5 -o /dev/null --wrap true
prove "array jobs tell their array and task" is "$(records_where "r['kind'] == 'STEP_START' and r['step'] == 0xfffffffb and r['array_job'] and r['array_task'] in (3, 5)")" 2
chmod 700 "$STATE/run.node0" "$STATE/run.node1" "$STATE/run.node2"
text=$(runuser -u nobody -- timeout 30 srun -Q -N1 -n1 -w node0 --serverless sh -c 'echo $(id -un) $FALLOW_LENDING' 2>&1)
prove "an ordinary user's job is told, in a runtime directory closed to users" has "$text" "nobody lending nothing of job"
prove "... with their uid" is "$(records_where "r['uid'] == $(id -u nobody) and r['kind'] == 'STEP_START' and r['step'] == 0")" 1
every_agent down
prove "without an agent FALLOW_LENDING is unset, also if an outer job had it" is "$(FALLOW_LENDING=old $one sh -c 'echo [$FALLOW_LENDING]')" "[]"

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

echo "-- time inside the callbacks (the fake agent is Python: its wake-up is in the figures)"
timed_steps() {
    local job
    job=$(timeout 120 salloc -Q -N1 -w node0 sh -c 'echo $SLURM_JOB_ID; for i in $(seq 250); do srun -Q -N1 -n1 true; done')
    log_of node0 "$job" | python3 "$ROOT/slurm-plugin/tests/callback_times.py"
}
figure() { echo "$figures" | awk -v column="$1" '$1 == "before" { print $column }'; }
reset_records healthy
figures=$(timed_steps); echo "  healthy agent, load $(cut -d' ' -f1 /proc/loadavg)"; echo "$figures"
prove "250 steps were timed" at_least "$(figure 2)" 250
prove "with a healthy agent the median first task waits below 2 ms here" below "$(figure 3)" 2000
every_agent down
figures=$(timed_steps); echo "  no agent, load $(cut -d' ' -f1 /proc/loadavg)"; echo "$figures"
prove "without one, below 1 ms" below "$(figure 3)" 1000

left_over() { # slurmstepds of this cluster
    local p
    for p in $(pgrep slurmstepd); do grep -qz "^SLURM_CONF=$SLURM_CONF$" "/proc/$p/environ" 2> /dev/null && echo "$p"; done
}
timeout 30 srun -Q -N1 -n1 sleep 30 > /dev/null 2>&1 & CLIENT=$!
for _ in $(seq 100); do JOB=$(squeue -h -t R -o %A); [ -n "$JOB" ] && break; sleep 0.05; done
sleep 0.5
prove "while a step runs its slurmstepd is found" at_least "$(left_over | wc -l)" 1
timeout 10 scancel "$JOB"; wait $CLIENT 2> /dev/null; all_idle; sleep 1
prove "afterwards no slurmstepd is left over" is "$(left_over)" ""
finish
