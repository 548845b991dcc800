#!/usr/bin/env bash
# 200 job starts on busy workers: none finds an executor alive, and the waiting stays within its bound (p99 of 10 ms).
. "$(dirname "$0")/lib.sh"

rows=$tree/.build/bench/vacate.json
rm -f "$rows"
"$tree/Benchmarks/vacate.sh" 200 2>&1 | tee "$work/bench"
holds() { # PYTHON EXPRESSION over rows and alive
	[ -f "$rows" ] || { tail -n 20 "$work/bench"; return 1; }
	python3 -c 'import json, sys
data = json.load(open(sys.argv[1]))
rows, alive = data["rows"], data["alive_at_first_task"]
print(rows, alive)
sys.exit(not eval(sys.argv[2]))' "$rows" "$1"
}
proves '200 job starts were timed' holds 'rows[2]["starts"] == 200'
proves 'no executor was alive at any first task' holds 'alive == 0'
proves 'p99 of the waiting is within 10 ms (workers of real cores, small arenas)' holds 'rows[2]["p99_us"] <= 10000'
finish
