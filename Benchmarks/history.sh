#!/usr/bin/env bash
# history.sh [NODES [DAYS]]: makes the history of so many nodes and days (default: 10000 and 30; that takes some minutes and
# several GiB in .build/bench) and times reports over it. Rows, and .build/bench/history.json.
set -euo pipefail
cd "$(dirname "$0")/.."
nodes=${1:-10000} days=${2:-30}
for count in "$nodes" "$days"; do
	[[ $count =~ ^[1-9][0-9]{0,4}$ ]] || { echo "history.sh wants whole numbers of nodes and days, not '$count'" >&2; exit 2; }
done
make --no-print-directory build >&2
mkdir -p .build/bench
file=.build/bench/history.sqlite
trap 'rm -f "$file" "$file-wal" "$file-shm"' EXIT
rm -f "$file" "$file-wal" "$file-shm"
.build/release/history-bench "$file" "$nodes" "$days" >.build/bench/history.json
