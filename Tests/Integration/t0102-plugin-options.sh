#!/bin/bash
# t0102: options are refused or carried, by every command and on every way; no slurmstepd stays.
set -u
. "$(dirname "$0")/lib-plugin.sh"

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
