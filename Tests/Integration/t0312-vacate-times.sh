#!/usr/bin/env bash
# 80 job starts on busy workers: none finds an executor alive, and how long they waited is told as rows.
# Alone: how long things take is compared.
. "$(dirname "$0")/lib.sh"

rows=$tree/.build/bench/vacate.json
rm -f "$rows"
"$tree/Benchmarks/vacate.sh" 80 2>&1 | tee "$work/bench"
holds() { # PYTHON EXPRESSION over rows and alive
	[ -f "$rows" ] || { tail -n 20 "$work/bench"; return 1; }
	python3 -c 'import json, sys
data = json.load(open(sys.argv[1]))
rows, alive = data["rows"], data["alive_at_first_task"]
print(rows, alive)
sys.exit(not eval(sys.argv[2]))' "$rows" "$1"
}
proves '80 job starts were timed' holds 'rows[2]["repeats"] == 80'
proves 'no executor was alive at any first task' holds 'alive == 0'
proves 'no start waited as long as the deadline after which the plugin kills' holds 'max(row["max"] for row in rows) < 250000'
# The target is 10 ms at p99. Whether it is met is a row of the benchmark, not a condition for a change to land: two cores play
# for eight here. docs/performance.md has the profile.
python3 -c 'import json, sys
for row in json.load(open(sys.argv[1]))["rows"]:
    word = "met" if row["met"] else "MISSED"
    print("# %s: p50 %.1f ms, p99 %.1f ms, target 10 ms: %s" % (row["name"], row["value"] / 1e3, row["p99"] / 1e3, word))' "$rows"
finish
