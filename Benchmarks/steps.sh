#!/usr/bin/env bash
# steps.sh [STEPS]: what the plugin adds to a step's start beside a healthy agent, timed inside its callbacks over many steps
# (default 500) of a real Slurm, and what starting a process by srun takes all in all. Rows in .build/bench/plugin.json. After
# 150 s it makes do with the steps that there were: a loaded machine needs more for 500; the row says how many.
. "$(dirname "$0")/../Tests/Integration/lib.sh"

steps=${1:-500}
[[ $steps =~ ^[1-9][0-9]{0,3}$ ]] || { echo "steps.sh wants how many steps, not '$steps'" >&2; exit 2; }
start_lab --nodes 1 --cpus "$(nproc)" --debug
log=$FALLOW_LAB/log/slurmd.node0.log

# One job; its steps one after the other, as a batch script's are.
cat >"$work/scratch/steps" <<'SCRIPT'
#!/bin/bash
for ((step = 0; step < $1 && SECONDS < 150; step++)); do
	began=${EPOCHREALTIME/./}
	srun -n1 true || exit 1
	echo $((${EPOCHREALTIME/./} - began))
done >"$2"
SCRIPT
chmod 755 "$work/scratch/steps"
as "$user" sbatch -W -n1 -o /dev/null "$work/scratch/steps" "$steps" "$work/scratch/times" >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }

mkdir -p "$tree/.build/bench"
python3 - "$log" "$work/scratch/times" "$tree/.build/bench/plugin.json" "$steps" <<'PYTHON'
import json
import math
import re
import sys

log, walls, target, steps = sys.argv[1:]
LINE = re.compile(r"\[\d+\.(\d+)\].*fallow: (\w+) took (\d+) us")
before = {}
for line in open(log, errors="replace"):
    # What a step's first task waits for: init, and init_post_opt, which asks the agent.
    if (found := LINE.search(line)) and found[2] in ("init", "init_post_opt"):
        before[found[1]] = before.get(found[1], 0) + int(found[3])
times = [int(line) for line in open(walls)]
assert len(before) >= len(times) > 0, f"callbacks of {len(before)} steps in the log, not of {len(times)}"
if len(times) < int(steps):
    print(f"only {len(times)} of {steps} steps in the time")


def at(values, share):
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def row(name, values, bound, text, mode):
    p99 = at(values, 0.99)
    return {
        "name": name, "value": at(values, 0.5), "unit": "us", "floor": None, "peer": None, "target": bound,
        "met": None if bound is None else p99 <= bound, "p99": p99, "judged": "p99", "target_text": text,
        "placement": "lab cluster, wherever the kernel puts them", "mode": mode, "repeats": len(values)}


rows = [
    row("plugin on a step's start", list(before.values()), 1000, "1 ms, inside the callbacks", "blocks on the agent's answer"),
    row("srun -n1 true, all in all", times, None, "", "blocks"),
]
json.dump({"rows": rows}, open(target, "w"), indent=1)
for r in rows:
    print(f"{r['name']}: {r['repeats']} steps, p50 {r['value']} us, p99 {r['p99']} us")
PYTHON
