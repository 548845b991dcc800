#!/usr/bin/env bash
# Benchmarks/programs.sh [NAME...]: how much slower real programs are with 75, 50 and 25 % of their large memory here and the rest in
# memory files of the same node. Prints a table, and leaves .build/bench/programs.json. Each figure is the best of RUNS (2).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/${FALLOW_BIN:-.build/release}
runs=${RUNS:-2}
work=$(mktemp -d "${TMPDIR:-/tmp}/fallow-programs.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p .build/bench
make --no-print-directory -s -C pager PAGER_BUILD="$PWD/.build/pager"
make --no-print-directory -s -C examples memory PAGER="$PWD/.build/pager" MEMORY_BUILD="$work"
cd "$work"
awk 'BEGIN { srand(7); for (i = 0; i < 600000; i++) printf "%010d %d\n", rand() * 1e10, i }' >lines
head -n 60000 lines >few
cat >sorting.py <<'SCRIPT'
import numpy
values = numpy.random.default_rng(7).integers(0, 1 << 62, 8_000_000)
values.sort()
print(values[::1000].sum())
SCRIPT

now() { echo "${EPOCHREALTIME/./}"; }

# Runs a command `runs` times; its output goes to $1, the least microseconds to $best.
best_of() { # OUTPUT COMMAND...
	local began took output=$1 run
	shift
	best=
	for ((run = 0; run < runs; run++)); do
		began=$(now)
		timeout 100 "$@" >"$output" 2>words || { cat words >&2; return 1; }
		took=$(($(now) - began))
		[ -n "$best" ] && [ "$best" -le "$took" ] || best=$took
	done
}

field() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" | tail -n 1; } # of the JSON on standard input

# One program: `with LOCAL_BYTES OUTPUT` runs it, LOCAL_BYTES 0 plainly; both print their time to $best and leave $bytes.
command_with() {
	if [ "$1" = 0 ]; then
		best_of "$2" "${command[@]}"
	else
		rm -f statistics
		FALLOW_TEST_DONORS=2 FALLOW_RUN_STATISTICS=$work/statistics best_of "$2" \
			"$bin/fallow" run --remote-mem=512M --local-mem="$1" --block="$block" -- "${command[@]}"
		bytes=$(grep '"used":true' statistics | field peak_bytes)
	fi
}
example_with() {
	best_of "$2" "./${command[0]}" "$((($1 + 1048575) / 1048576))" "${command[@]:1}"
	bytes=$(field bytes <words)
}

rows=()
row() { # NAME KIND COMMAND...
	local name=$1 kind=$2 plain percent slower line whole
	shift 2
	[ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $name "* ]] || return 0
	command=("$@")
	bytes=0
	"${kind}_with" 0 plain.out
	plain=$best
	"${kind}_with" $((512 << 20)) all.out
	whole=$bytes
	line=$(printf '%-12s %7.0f MiB %9.2f s %9.2f' "$name" "$(awk "BEGIN { print $whole / 1048576 }")" \
		"$(awk "BEGIN { print $plain / 1e6 }")" "$(awk "BEGIN { print $best / $plain }")")
	local json
	json="{\"program\":\"$name\",\"bytes\":$whole,\"plain_seconds\":$(awk "BEGIN { print $plain / 1e6 }"),\"slowdown_100\":$(awk "BEGIN { print $best / $plain }")"
	for percent in 75 50 25; do
		"${kind}_with" $((whole * percent / 100)) some.out
		cmp plain.out some.out || { echo "$name: the result differs at $percent %" >&2; exit 1; }
		slower=$(awk "BEGIN { printf \"%.2f\", $best / $plain }")
		line+=$(printf ' %9s' "$slower")
		json+=",\"slowdown_$percent\":$slower"
	done
	echo "$line"
	rows+=("$json}")
}

wanted=("$@") block=64K
printf '%-12s %11s %11s %9s %9s %9s %9s\n' program memory plain '100 %' '75 %' '50 %' '25 %'
row sort command sort -S 60M --parallel=2 lines
row numpy command /usr/bin/python3 sorting.py
row xz command xz -4 -T1 -c few
block=4K row 'xz, 4K' command xz -4 -T1 -c few
row matmul example matmul 1024
row jacobi example jacobi 1448 8
row bfs example bfs 262144 16
{
	echo '{"rows": ['
	for ((i = 0; i < ${#rows[@]}; i++)); do echo "${rows[i]}$([ $((i + 1)) -eq ${#rows[@]} ] || echo ,)"; done
	echo ']}'
} >"$OLDPWD/.build/bench/programs.json"
