#!/usr/bin/env bash
# vacate.sh [STARTS]: how long a job's start waits until our processes have left its cores, measured inside the plugin's callback over
# many job starts (default 200), half of them on busy workers, half on workers with families that fork, leave the session
# and ignore every signal; there are as many workers as this machine has CPUs, so that the figures are those of real cores.
# Besides, a tenth as many starts on workers with an arena of 256 MiB, of which the beginnings of the slots are in use. Each start's
# first task also looks whether any of them is alive. Rows, and .build/bench/vacate.json.
. "$(dirname "$0")/../Tests/Integration/lib.sh"

starts=${1:-200}
[[ $starts =~ ^[1-9][0-9]{0,3}$ ]] || { echo "vacate.sh wants how many starts, not '$starts'" >&2; exit 2; }
cores=$(nproc)
start_lab --nodes 1 --cpus "$cores" --debug --setting cgroup.lowest_weight=true --setting slurm.poll_interval=0.2 \
	--setting agent.report_interval=0.2
programs functions hold witness

series() { # NAME FUNCTION PROCESSES COUNT ARGUMENTS OF hold...
	local name=$1
	shift
	local beats count first
	first=$(wc -l <"$FALLOW_LAB/log/slurmd.node0.log")
	for ((count = 0; count < $3; count++)); do
		# A file of beats has room for 4096 processes.
		if [ $((count % 100)) = 0 ]; then
			beats=$(beats_file "$name.$count")
			[ -z "${holder-}" ] || kill "$holder" 2>/dev/null
			"$work/bin/as" "$user" "$work/bin/hold" "$work/bin/libfunctions.so" "$1" "$beats" "cpus=$cores" \
				wait=30 times=101 "${@:4}" >>"$work/hold" 2>&1 &
			holder=$!
		fi
		"$work/bin/witness" --wait "$2" "$beats" || { tail -n 3 "$work/hold"; return 1; }
		as "$user" srun -n "$cores" sh -c "[ \$SLURM_PROCID != 0 ] || exec $work/bin/witness $beats 20" >>"$work/alive" || return 1
	done
	kill "$holder" 2>/dev/null
	# Per job: the longest of its callbacks, which is the one that had to wait.
	tail -n +$((first + 1)) "$FALLOW_LAB/log/slurmd.node0.log" |
		sed -n 's/.*\[\([0-9]*\)\.[a-z0-9]*\].*fallow: init_post_opt took \([0-9]*\) us.*/\1 \2/p' |
		awk '$2 > longest[$1] { longest[$1] = $2 } END { for (job in longest) print longest[job] }' >"$work/$name.us"
	within 10 sh -c '[ -z "$(squeue -h)" ]'
}

half=$((starts / 2))
small=(slots=2 room=65536)
large=(slots=16 "room=$(((128 << 20) / 16 / cores))")
series busy burn "$cores" $((starts - half)) "${small[@]}" || exit 1
series family burn_family $((4 * cores)) "$half" "${small[@]}" || exit 1
series arena burn "$cores" $(((starts + 9) / 10)) "${large[@]}" || exit 1
mkdir -p "$tree/.build/bench"
python3 - "$work" "$tree/.build/bench/vacate.json" "$cores" <<'PYTHON'
import json
import math
import sys

folder, target, cores = sys.argv[1:]
alive = sum(int(line.split()[1]) for line in open(folder + "/alive"))


def row(name, times):
    times = sorted(times)
    at = lambda share: times[min(len(times) - 1, math.ceil(share * len(times)) - 1)]
    return {
        "name": name, "value": at(0.5), "unit": "us", "floor": None, "peer": None, "target": 10000,
        "met": at(0.99) <= 10000, "p99": at(0.99), "max": times[-1], "judged": "p99", "target_text": "10 ms",
        "placement": f"lab cluster, {cores} workers on as many CPUs", "mode": "workers busy; blocks on the agent's answer",
        "repeats": len(times)}


busy, family, arena = ([int(line) for line in open(f"{folder}/{name}.us")] for name in ("busy", "family", "arena"))
rows = [
    row("vacate, busy workers", busy),
    row("vacate, families that fork", family),
    row("vacate, both", busy + family),
    row("vacate, arena of 256 MiB", arena),
]
json.dump({"rows": rows, "alive_at_first_task": alive}, open(target, "w"), indent=1)
print(f"{'':30} {'starts':>6} {'p50 us':>8} {'p99 us':>8} {'max us':>8}")
for r in rows:
    print(f"{r['name']:30} {r['repeats']:6} {r['value']:8} {r['p99']:8} {r['max']:8}")
print(f"executors alive at a first task: {alive}")
PYTHON
