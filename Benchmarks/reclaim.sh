#!/usr/bin/env bash
# reclaim.sh [ROUNDS] [GIB]: how long memory that is lent takes to be back when a job needs it. A borrower on the same node has GIB GiB
# (default 8) in as many donors, mapped and held on to; a job takes all of it. Per round (default 10): what the job's step waits, timed in
# the plugin's callback, and how long after it had asked (slurmd's log, to the millisecond) the last page was free, as the borrower sees
# it in the files. Rows, and .build/bench/reclaim.json.
. "$(dirname "$0")/../Tests/Integration/lib.sh"

rounds=${1:-10} gib=${2:-8}
[[ $rounds =~ ^[1-9][0-9]{0,2}$ && $gib =~ ^[1-9][0-9]?$ ]] || { echo "reclaim.sh wants how many rounds, and GiB up to 99, not '$rounds' '$gib'" >&2; exit 2; }
node_mib=$((gib * 1024 + gib * 64 + 512))
[ "$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)" -gt $((node_mib + 2048)) ] || { echo "reclaim.sh: this machine has not $gib GiB to lend" >&2; exit 2; }
start_lab --nodes 1 --memory "$node_mib" --debug --setting "lease.memory_per_user=$((gib + 1))G"
cp "$here/programs/borrower.py" "$work/bin/" && chmod 755 "$work/bin/borrower.py"
mkfifo "$work/in" && chmod 666 "$work/in"

for ((round = 0; round < rounds; round++)); do
	within 30 node_is node0 "node['offer']['memory'] >= $gib * ((1 << 30) + (16 << 20))" || exit 1
	FALLOW_CLIENT_SOCKET=$(client_socket node0) "$work/bin/as" "$user" python3 "$work/bin/borrower.py" --map hold "$gib" $((1 << 30)) \
		<"$work/in" >"$work/out" 2>&1 &
	borrower=$!
	exec {lifeline}>"$work/in"
	within 120 grep -q "\"held\": $gib" "$work/out" || { cat "$work/out"; exit 1; }
	seen=$(wc -l <"$FALLOW_LAB/log/slurmd.node0.log")
	as "$user" srun -n1 --mem=$((node_mib - 80)) true || exit 1
	within 30 sh -c "[ \$(grep -c '\"ended\"' '$work/out') = $gib ]" || { cat "$work/out"; exit 1; }
	tail -n +$((seen + 1)) "$FALLOW_LAB/log/slurmd.node0.log" >"$work/log"
	python3 - "$work/out" "$work/log" >>"$work/rounds" <<'PYTHON' || exit 1
import datetime
import json
import re
import sys

out, log = sys.argv[1:]
ended = [json.loads(line) for line in open(out) if '"ended"' in line]
# slurmd's log says, to the millisecond, when the step had its answer, and how long that took.
LINE = re.compile(r"\[(\d{4}-\d\d-\d\dT[\d:.]+)\].*fallow: init_post_opt took (\d+) us")
wait, answered = max((int(took), at) for at, took in LINE.findall(open(log).read()))
asked = datetime.datetime.fromisoformat(answered).timestamp() * 1e6 - wait
print(wait, int(max(donor["back"] for donor in ended) - asked))
PYTHON
	exec {lifeline}>&-
	wait "$borrower"
done
mkdir -p "$tree/.build/bench"
python3 - "$work/rounds" "$tree/.build/bench/reclaim.json" "$gib" <<'PYTHON'
import json
import sys

rounds, target, gib = sys.argv[1], sys.argv[2], int(sys.argv[3])
waits, backs = zip(*([int(word) for word in line.split()] for line in open(rounds)))


def row(name, values, unit, bound, text):
    values = sorted(values)
    return {
        "name": name, "value": values[len(values) // 2], "unit": unit, "floor": None, "peer": None, "target": bound,
        "met": None if bound is None else values[len(values) // 2] <= bound, "most": values[-1], "target_text": text,
        "placement": "lab cluster, wherever the kernel puts them", "mode": "blocks", "repeats": len(values)}


rows = [
    row(f"reclaim of {gib} GiB in {gib} donors: last page back, per GiB", [back / 1e6 / gib for back in backs], "s", 0.1, "0.1 s a GiB"),
    row(f"reclaim of {gib} GiB in {gib} donors: what the step waits", [wait / 1e3 for wait in waits], "ms", None, ""),
]
json.dump({"rows": rows}, open(target, "w"), indent=1)
for r in rows:
    met = {None: "", True: ", met", False: ", missed"}[r["met"]]
    print(f"{r['name']}: {r['repeats']} rounds, p50 {r['value']:.3f} {r['unit']}, most {r['most']:.3f}{met}")
PYTHON
