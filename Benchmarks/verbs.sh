#!/usr/bin/env bash
# verbs.sh [REPEATS]: over RDMA verbs, in turns: round trips of 1 B, ours beside the raw WRITE_WITH_IMM and beside ib_write_lat; gets of 4 KiB
# of a donor's memory, ours beside ib_read_lat.
# On a machine with RDMA devices it runs there: BENCH_RDMA_SERVER and BENCH_RDMA_CLIENT name the addresses of two ports. Without,
# it boots lab/rdma-vm's guest and runs in it, between rxe1 and rxe2: there the times mean nothing, only the ratio does.
# Rows, and .build/bench/verbs.json.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

repeats=${1:-5} bin=.build/bench/bin port=17471
if [ -z "${BENCH_RDMA_SERVER-}" ] && ! compgen -G '/sys/class/infiniband/*' >/dev/null; then
	[ -x lab/rdma-vm ] || { echo "no RDMA device, and no lab/rdma-vm to make some" >&2; exit 1; }
	mkdir -p .build/bench
	lab/rdma-vm run --limit 280 --env BENCH_RDMA_SERVER=10.77.0.2 --env BENCH_RDMA_CLIENT=10.77.0.1 -- \
		Benchmarks/verbs.sh "$repeats" | tee .build/bench/verbs.txt || exit
	# The guest's files are gone with it; its last line is the JSON.
	tail -n 1 .build/bench/verbs.txt | grep '^{"rows"' >.build/bench/verbs.json
	exit
fi
server=${BENCH_RDMA_SERVER:?the address of the port that answers} client=${BENCH_RDMA_CLIENT:?the address of the port that asks}

pair() { # SERVER COMMAND -- CLIENT COMMAND: both bounded; prints what the client said
	local serving=()
	while [ "$1" != -- ]; do serving+=("$1"); shift; done
	shift
	timeout 60 "${serving[@]}" >/dev/null 2>&1 &
	local pid=$!
	sleep 1
	timeout 60 "$@"
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}
raw() { pair "$bin/verbs_pingpong" server "$server" $((++port)) 1000 1 -- "$bin/verbs_pingpong" client "$server" "$port" 1000 1 "$client"; }
public() { # ib_write_lat: its typical time is half a round trip
	pair taskset -c 1 ib_write_lat -R -F -s 1 -n 1000 -p $((++port)) -- \
		taskset -c 0 ib_write_lat -R -F -s 1 -n 1000 -p "$port" "$server" |
		awk '$1 == 1 && NF >= 6 { print "p50_us", 2 * $5 }'
}
public_read() { # ib_read_lat: its typical time is a whole read
	pair taskset -c 1 ib_read_lat -R -F -s 4096 -n 1000 -p $((++port)) -- \
		taskset -c 0 ib_read_lat -R -F -s 4096 -n 1000 -p "$port" "$server" |
		awk '$1 == 4096 && NF >= 6 { print "p50_us", $5 }'
}
ours_read() { timeout 60 taskset -c 0 .build/release/memory-bench endpoint verbs 4096 1 1000; }
ours() { timeout 60 taskset -c 0 .build/release/transport-bench verbs "$server" "$client"; }

for ((repeat = 0; repeat < repeats; repeat++)); do
	for who in raw ours public public_read ours_read; do # what fails is left out, and said by its row
		"$who" 2>&1 | sed "s/^/$who /"
	done
done | python3 -c '
import json, statistics, sys
found = {}
for line in sys.stdin:
    words = line.split()
    if len(words) == 3 and words[1] in ("p50_us", "p99_us"):
        found.setdefault((words[0], words[1]), []).append(float(words[2]))
middle = {key: statistics.median(values) for key, values in found.items()}
floor, value = middle.get(("raw", "p50_us")), middle.get(("ours", "p50_us"))
target = None if floor is None else 1.10 * floor
read_floor, read = middle.get(("public_read", "p50_us")), middle.get(("ours_read", "p50_us"))
read_target = None if read_floor is None else 1.10 * read_floor
print(json.dumps({"rows": [{
    "name": "verbs hot, 1 B", "value": value, "unit": "us", "floor": floor, "peer": middle.get(("public", "p50_us")),
    "peer_name": "ib_write_lat, doubled", "peers": {"ib_write_lat, doubled": middle.get(("public", "p50_us"))}, "target": target,
    "met": None if None in (value, target) else value <= target, "p99": middle.get(("ours", "p99_us")),
    "floor_name": "raw WRITE_WITH_IMM", "target_text": "1.10 x floor", "placement": "between two ports; CPU 0 and CPU 1",
    "mode": "both poll", "repeats": len(found.get(("ours", "p50_us"), []))}, {
    "name": "verbs get, 4 KiB", "value": read, "unit": "us", "floor": read_floor, "floor_name": "ib_read_lat", "target": read_target,
    "met": None if None in (read, read_target) else read <= read_target, "p99": middle.get(("ours_read", "p99_us")),
    "target_text": "1.10 x floor", "placement": "between two ports; CPU 0 and CPU 1", "mode": "polls; the donor sleeps",
    "repeats": len(found.get(("ours_read", "p50_us"), []))}]}))'
