#!/usr/bin/env bash
# Benchmarks/memory.sh: gets of remote memory beside their floors and, where they are installed, Redis, memcached and MPI_Get; printed, and
# left in .build/bench/memory.json. The borrower is on CPU 0, the donor (server, target) on CPU 1, and donor_cpu_us_per_get is what
# it used of it: 0 where nobody's help is needed. memory-bench has to be built for release.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=.build/release/memory-bench
[ -x "$bench" ] || { echo "memory-bench is not built: make build" >&2; exit 1; }
make --no-print-directory -s -C Benchmarks ../.build/bench/bin/memfd_read ../.build/bench/bin/fabric_read ../.build/bench/bin/store_get
! command -v mpicc >/dev/null || make --no-print-directory -s -C Benchmarks ../.build/bench/bin/mpi_get
floors=.build/bench/bin
rows=.build/bench/memory.jsonl
: >"$rows"

row() { # ROW WHO COMMAND...: a line of the table, and of the file
	local row=$1 who=$2 said
	shift 2
	said=$(timeout 60 "$@") || { echo "$row: $who failed" >&2; return 0; }
	python3 -c '
import json, sys
row, who, path = sys.argv[1:4]
numbers = {key: float(value) for key, value in (line.split() for line in sys.stdin if len(line.split()) == 2)}
print(f"{row:32} {who:24}" + "".join(f"  {key} {value:.3f}" for key, value in numbers.items()))
open(path, "a").write(json.dumps({"row": row, "who": who, **numbers}) + "\n")' "$row" "$who" "$rows" <<<"$said"
}

# A server of a peer's on a free port, on CPU 1, when it is installed; ended with this script.
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
serve() { # COMMAND...
	taskset -c 1 "$@" >/dev/null 2>&1 &
	servers+=($!)
}
redis='' memcached='' redis_pid='' memcached_pid=''
if command -v redis-server >/dev/null; then
	redis=$(free_port)
	serve redis-server --bind 127.0.0.1 --port "$redis" --save '' --appendonly no
	redis_pid=$!
fi
if command -v memcached >/dev/null; then
	memcached=$(free_port)
	serve memcached -u nobody -l 127.0.0.1 -p "$memcached" -m 1024 -I 4m -t 1
	memcached_pid=$!
fi
sleep 1
peers() { # ROW BYTES DEPTH ROUNDS
	[ -z "$redis" ] || row "$1" Redis "$floors/store_get" redis "$redis" "$2" "$3" "$4" "$redis_pid"
	[ -z "$memcached" ] || row "$1" memcached "$floors/store_get" memcached "$memcached" "$2" "$3" "$4" "$memcached_pid"
}
mpi() { # ROW WHERE BYTES DEPTH ROUNDS: shm, or tcp over loopback
	local way=(--mca osc sm)
	[ -x "$floors/mpi_get" ] || return 0
	[ "$2" = shm ] || way=(--mca pml ob1 --mca btl "tcp,self" --mca osc pt2pt)
	row "$1" 'Open MPI, MPI_Get' mpirun --allow-run-as-root --oversubscribe --bind-to none "${way[@]}" -n 2 "$floors/mpi_get" "$3" "$4" "$5"
}

row 'get 4 KiB, shm' 'pread, cold' taskset -c 0 "$floors/memfd_read" 100000 4096
row 'get 4 KiB, shm' 'Fallow' taskset -c 0 "$bench" region shm 4096 1 100000
mpi 'get 4 KiB, shm' shm 4096 1 100000
row 'get 4 KiB, tcp, polling' 'libfabric fi_read' "$floors/fabric_read" 20000 polling 4096 1
row 'get 4 KiB, tcp, polling' 'Fallow endpoint' taskset -c 0 "$bench" endpoint polling 4096 1 20000
row 'get 4 KiB, tcp, polling' 'Fallow region' taskset -c 0 "$bench" region stream 4096 1 20000
mpi 'get 4 KiB, tcp, polling' tcp 4096 1 20000
row 'get 4 KiB, tcp, blocking' 'libfabric fi_read' "$floors/fabric_read" 5000 blocking 4096 1
row 'get 4 KiB, tcp, blocking' 'Fallow endpoint' taskset -c 0 "$bench" endpoint blocking 4096 1 5000
peers 'get 4 KiB, tcp, blocking' 4096 1 5000
for size in 4096:40000 65536:10000 2097152:500; do
	bytes=${size%:*} rounds=${size#*:}
	row "get $bytes B, tcp, 32 in flight" 'libfabric fi_read' "$floors/fabric_read" "$rounds" polling "$bytes" 32
	row "get $bytes B, tcp, 32 in flight" 'Fallow region' taskset -c 0 "$bench" region stream "$bytes" 32 "$rounds"
	mpi "get $bytes B, tcp, 32 in flight" tcp "$bytes" 32 "$rounds"
	peers "get $bytes B, tcp, 32 in flight" "$bytes" 32 "$rounds"
done

{ echo '{"rows": ['; sed '$!s/$/,/' "$rows"; echo ']}'; } >.build/bench/memory.json
