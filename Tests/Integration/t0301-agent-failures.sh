#!/usr/bin/env bash
# A job never fails because of us: the agent killed, stopped, or replaced by something that answers garbage.
# Alone: how long things take is compared.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2 --debug
programs witness hold functions
library=$work/bin/libfunctions.so

cat >"$work/scratch/job.sh" <<'JOB'
#!/bin/sh
srun -n1 true || exit 1
exit 5
JOB

# The three commands, with their exit codes; all at once.
slurm_behaves() {
	local one each=() wrong=0
	gives 0 as "$user" srun -w node0 -n1 true & each+=($!)
	gives 7 as "$user" srun -w node0 -n1 sh -c 'exit 7' & each+=($!)
	gives 7 as "$user" srun -w node0 -n1 --serverless sh -c 'exit 7' & each+=($!)
	gives 5 as "$user" sbatch -w node0 -n1 --serverless=cpus=1,mem=100M -W -o /dev/null "$work/scratch/job.sh" & each+=($!)
	gives 3 as "$user" salloc -w node0 -n1 sh -c 'srun -n1 true && exit 3' & each+=($!)
	for one in "${each[@]}"; do wait "$one" || wrong=1; done
	[ "$wrong" = 0 ] && no_node_drained
}
# How often the plugin waited for as long as the deadline, so far.
deadlines() {
	sed -n 's/.*fallow: init_post_opt took \([0-9]*\) us.*/\1/p' "$FALLOW_LAB/log/slurmd.node0.log" | awk '$1 >= 240000' | wc -l
}

proves 'with a healthy agent: srun, sbatch, salloc and their exit codes' slurm_behaves
proves 'a healthy agent never costs a deadline' test "$(deadlines)" = 0

kill -9 "$(daemon_pid fallowd.node0)"
proves 'agent killed: srun, sbatch and salloc behave as without the plugin' slurm_behaves
proves 'agent killed: no step waited for it' test "$(deadlines)" = 0
proves 'agent started again' "$tree/lab/cluster" restart fallowd.node0
proves 'agent started again: srun, sbatch and salloc' slurm_behaves

beats=$(beats_file hung)
"$work/bin/as" "$user" "$work/bin/hold" "$library" burn_family "$beats" cpus=8 node=node0 wait=20 >"$work/hold" 2>&1 &
proves 'executors burn all cores of node0, one family ignoring every signal' \
	"$work/bin/witness" --wait 32 "$beats"
kill -STOP "$(daemon_pid fallowd.node0)"
before=$(deadlines)
proves "agent stopped: the job's first task finds none of them alive" \
	as "$user" srun -w node0 -n8 --ntasks-per-node=8 "$work/bin/witness" "$beats"
proves 'agent stopped: that took one deadline' test $(($(deadlines) - before)) = 1
before=$(deadlines)
proves 'agent stopped: 100 steps in one job' \
	as "$user" timeout 120 salloc -w node0 -n1 sh -c 'for i in $(seq 100); do srun -n1 true || exit 1; done'
proves 'agent stopped: the job with 100 steps paid one deadline' test $(($(deadlines) - before)) = 1
proves 'agent stopped: srun, sbatch and salloc' slurm_behaves
kill -CONT "$(daemon_pid fallowd.node0)"
lends_again() { as "$user" "$work/bin/hold" "$library" seven '' cpus=1 node=node0 wait=15 | grep -q 'ended FALLOW_OK value 7'; }
proves 'agent continued: it lends again' lends_again
proves 'agent continued: srun, sbatch and salloc' slurm_behaves
before=$(deadlines)
proves 'agent continued: a job start costs no deadline any more' \
	sh -c "srun -w node0 -n1 true && [ $(deadlines) = $before ]"

kill -9 "$(daemon_pid fallowd.node0)"
rm -f "$FALLOW_LAB/run/node0/report.sock"
# The others are in t0100.
for manner in garbage silence close; do
	python3 "$here/programs/impostor.py" "$FALLOW_LAB/run/node0/report.sock" "$manner" &
	impostor=$!
	within 5 test -S "$FALLOW_LAB/run/node0/report.sock"
	proves "agent replaced by one that answers $manner: srun, sbatch and salloc" slurm_behaves
	kill "$impostor"
	wait "$impostor" 2>/dev/null
	rm -f "$FALLOW_LAB/run/node0/report.sock" "$FALLOW_LAB"/run/node0/*breaker*
done
proves 'no node drained, and all jobs are gone' \
	within 10 sh -c '[ -z "$(squeue -h)" ] && [ "$(sinfo -h -t idle -o %D)" = 2 ]'
finish
