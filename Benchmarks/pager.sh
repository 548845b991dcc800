#!/usr/bin/env bash
# Benchmarks/pager.sh [fault|scan|eviction|policy]...: the pager's rows, printed and left in .build/bench/pager.json.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .build/bench
FALLOW_BENCH_FILE=$PWD/.build/bench/pager.jsonl \
	make --no-print-directory -s -C pager PAGER_BUILD="$PWD/.build/pager" bench ROWS="$*"
{ echo '{"rows": ['; sed '$!s/$/,/' .build/bench/pager.jsonl; echo ']}'; } >.build/bench/pager.json
