#!/usr/bin/env bash
# What README.md and docs/ show works as shown: commands run, snippets compile, tables match the code, links lead somewhere.
# documentation.py says how a page is marked.
. "$(dirname "$0")/lib.sh"

claims=$(python3 "$here/documentation.py" list) || { echo "the pages cannot be read"; exit 1; }
[ "$(wc -l <<<"$claims")" -gt 50 ] || { echo "only $(wc -l <<<"$claims") claims were found"; exit 1; }

start_lab --nodes 3
export FALLOW_DOCUMENTATION_WORK=$work/pages FALLOW_DOCUMENTATION_USER=$user
mkdir -m 1777 "$FALLOW_DOCUMENTATION_WORK"

while IFS=$'\t' read -r number sentence; do
	proves "$sentence" python3 "$here/documentation.py" claim "$number" </dev/null
done <<<"$claims"
finish
