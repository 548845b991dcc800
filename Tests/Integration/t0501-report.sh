#!/usr/bin/env bash
# The report and the metrics on a real cluster: what jobs held and used, who is shown what, and what Prometheus reads.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2
programs functions hold

cat >"$work/scratch/busy.sh" <<'JOB'
#!/bin/sh
srun -n1 --exact timeout 8 sh -c 'while :; do :; done'
exit 0
JOB
chmod 755 "$work/scratch/busy.sh"
started=$(date +%s)
job=$(as "$user" sbatch --parsable -w node0 -n1 -c4 --mem=6G -t 5 -o /dev/null "$work/scratch/busy.sh")
array=$(as "$other" sbatch --parsable -w node1 -n1 --mem=100M -a 3-4 -t 5 -o /dev/null --wrap 'sleep 3')
within 40 sh -c '[ -z "$(squeue -h)" ]'

reported() { is_true "$1" report; }
of_job() { is_true "[j for j in data['jobs'] if j['facts']['jobID'] == $job and ($1)]" report; }
proves 'a job that ended is reported as such' \
	within 15 of_job "j['ended'] and j['cores'] == 4 and j['nodes'] == 1 and j['memory'] == 6 << 30"
# Other programs may have had the CPU meanwhile: of 8 s it got at least one.
proves '... with what it used: one core of four' of_job "1 < j['usedCoreSeconds'] < 12 and j['heldCoreSeconds'] > 28"
proves '... and its partition, by Slurm' of_job "j['facts'].get('partition')"
proves 'the parts of the core time add up' reported "abs(data['total']['coreSeconds'] - sum(data['total'][k + 'CoreSeconds']
	for k in ('used', 'unused', 'unallocated', 'down', 'unwatched'))) < 1e-6 * data['total']['coreSeconds']"
used_by_nodes_and_jobs() { reported "abs(data['total']['usedCoreSeconds'] - data['jobTotal']['usedCoreSeconds']) < 1"; }
proves 'what nodes saw used is what jobs used' used_by_nodes_and_jobs
proves 'a gap that the first job ended is counted' reported "data['nodeGaps']['count'] >= 1 and data['nodeGaps']['medianSeconds'] > 0"

in_eighty() { fallow report | tee /dev/stderr | awk 'length > 80 { wide = 1 } END { exit wide }'; }
proves 'the text has 80 columns' in_eighty
proves '... and no colour when nobody looks' sh -c '! fallow report | grep -q "$(printf "\033")"'
proves '-j names one job' sh -c "fallow report -P -j $job --format job,cores,state | tail -n +2 | grep -qx '$job|4|ended'"
array_rows() { [ "$(fallow report -P -j "$array" --format job | tail -n +2 | sort | paste -sd ' ')" = "${array}_3 ${array}_4" ]; }
proves '... and an array all of its tasks' array_rows
proves '-u shows that user alone' is_true "{j['user'] for j in data['jobs']} == {$(id -u "$other")} and not data.get('total')" report -u "$other"
proves '-n shows that node alone' is_true "[n['node'] for n in data['nodes']] == ['node1']" report -n node1
core_seconds() { fallow report --json --since "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["total"]["coreSeconds"])'; }
bounded_by_since() { python3 -c 'import sys; sys.exit(not 0 < float(sys.argv[1]) < 0.95 * float(sys.argv[2]))' "$(core_seconds s=5)" "$(core_seconds d=1)"; }
proves '--since bounds it' bounded_by_since
proves '... and takes a date' is_true "len(data['jobs']) == 3" report --since "$(date -d "@$started" +%FT%T)"
proves 'an ordinary user sees the cluster and their own jobs' \
	sh -c "$work/bin/as $other fallow report --json | python3 -c 'import json, sys; d = json.load(sys.stdin)
sys.exit(not (d[\"total\"][\"coreSeconds\"] > 0 and {j[\"user\"] for j in d[\"jobs\"]} == {$(id -u "$other")}))'"
proves '... and not those of others' sh -c "[ \"\$($work/bin/as $other fallow report -P -j $job | wc -l)\" = 1 ]"
proves 'a day that there is not is refused' refuses 'month 2 of 2026 has 28 days' fallow report --since 2026-02-30
proves 'a time to come is refused' refuses 'after' fallow report --since 2200-01-01
proves 'what is no time is refused with what would be' refuses 'd=7' fallow report --until soon
proves 'an unknown column is refused with those that there are' refuses 'memeff' fallow report --format +colour
proves 'an unknown user is refused' refuses 'no user' fallow report -u nobody-of-this-name

# A dump as sacct makes it, with lines that are none.
python3 - >"$work/scratch/dump" <<'PYTHON'
print("JobID|User|Account|Partition|State|ElapsedRaw|AllocTRES|NNodes|NTasks|TotalCPU|MaxRSS")
for job in range(1, 20001):
    print(f"{job}|user{job % 50}|a|batch|COMPLETED|{job % 1000 + 61}|billing=4,cpu=4,mem=16G,node=1|1||00:01:00|")
    print(f"{job}.batch||a||COMPLETED|{job % 1000 + 61}|cpu=4|1|1|00:01:00|{job % 9000}K")
    if job % 100 == 0:
        print("sacct: error: broken|line")
PYTHON
dump_read() { fallow report --from-sacct "$work/scratch/dump" >"$work/dump-said" && grep -q '20000 jobs that ran, 0 .*200 of 40201' "$work/dump-said" &&
	grep -q -- '--cpus-per-task=1` fits job' "$work/dump-said"; }
proves '--from-sacct reads a dump and counts its broken lines' dump_read
from_pipe() { fallow report --from-sacct - --json <"$work/scratch/dump" | grep '"jobs" : 20000' >/dev/null; }
proves '... from a pipe too' from_pipe
proves 'what is no dump is refused with the command that makes one' refuses 'sacct -a -P' fallow report --from-sacct /etc/passwd

url=$(cat "$FALLOW_LAB"/state/ctld/fallowctld.url 2>/dev/null || find "$FALLOW_LAB" -name fallowctld.url -exec cat {} +)
proves 'promtool finds nothing wrong with /metrics' sh -c "curl -sf -m 10 $url/metrics | promtool check metrics"
mkdir "$work/prometheus"
cp "$tree/examples/monitoring/fallow.rules.yml" "$work/prometheus"
sed "s|127.0.0.1:6880|${url#http://}|; s/scrape_interval: 15s/scrape_interval: 1s/" \
	"$tree/examples/monitoring/prometheus.yml" >"$work/prometheus/prometheus.yml"
proves 'promtool finds nothing wrong with the example' promtool check config "$work/prometheus/prometheus.yml"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus --config.file="$work/prometheus/prometheus.yml" --storage.tsdb.path="$work/prometheus/data" \
	--web.listen-address="127.0.0.1:$port" >"$work/prometheus/log" 2>&1 &
prometheus=$!
ask() { # EXPRESSION CONDITION over `value`
	curl -s -m 5 --data-urlencode "query=$1" "http://127.0.0.1:$port/api/v1/query" | python3 -c 'import json, sys
result = json.load(sys.stdin)["data"]["result"]
value = float(result[0]["value"][1]) if result else None
sys.exit(0 if value is not None and eval(sys.argv[1]) else str(result))' "$2"
}
proves 'Prometheus scrapes it' within 30 ask 'up{job="fallow"}' 'value == 1'
proves '... both agents report' within 10 ask 'fallow_agents{state="reporting"}' 'value == 2'
used=$(fallow report --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["total"]["usedCoreSeconds"])')
proves '... and the used core time is that of the report' \
	within 10 ask 'fallow_core_seconds_total{use="used"}' "abs(value - $used) < 0.1 and value > 1"
rules_known() { curl -s -m 5 "http://127.0.0.1:$port/api/v1/rules" | grep -q FallowReclaimLate; }
proves '... with the example rules' rules_known
panels_known() { # Every metric that the dashboard and the rules name is one that is exported.
	curl -sf -m 10 "$url/metrics" >"$work/metrics" || return 1
	local name
	for name in $(grep -ohE 'fallow_[a-z_]+' "$tree"/examples/monitoring/*.json "$tree"/examples/monitoring/*.yml | sort -u); do
		grep -q "^${name}[ {]" "$work/metrics" || { echo "there is no $name"; return 1; }
	done
}
proves 'every metric of the dashboard and the rules is there' panels_known
kill "$prometheus"
wait "$prometheus" 2>/dev/null

history=$(find "$FALLOW_LAB" -name history.sqlite)
copied() { sqlite3 "$history" ".backup '$work/copy.sqlite'" && [ "$(sqlite3 "$work/copy.sqlite" 'SELECT count(*) FROM nodes')" = 2 ]; }
proves 'the history is copied while it is written' copied
finish
