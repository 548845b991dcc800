#!/usr/bin/env bash
# Remote memory through fallow.h: a program's region at leased donors; what a starting job takes is said to be lost, or was kept
# elsewhere, as asked; never zeros.
. "$(dirname "$0")/lib.sh"

# 4000 MB a node, 64 of them headroom, in donors of 64 MiB that take 72 each.
start_lab --nodes 1 --memory 4000 --debug --setting lease.memory_per_user=2G
programs remote

# A program with a region in the background, that ends when its standard input does: region NAME WORDS...
region() {
	local name=$1
	shift
	mkfifo "$work/$name.in" && chmod 666 "$work/$name.in"
	FALLOW_CLIENT_SOCKET=$(client_socket node0) "$work/bin/as" "$user" "$work/bin/remote" "$@" <"$work/$name.in" >"$work/$name.out" 2>&1 &
	program=$!
	exec {lifeline}>"$work/$name.in"
	within 60 grep -qE '^(ready|failed)' "$work/$name.out"
	grep -q '^ready' "$work/$name.out" || { cat "$work/$name.out"; return 1; }
}
ends() { exec {lifeline}>&-; wait "$program"; }
no_donor() { [ -z "$(lease_pids node0)" ]; }
donors() { [ "$(lease_pids node0 | wc -l)" = "$1" ]; }
# All of the node but 200 MB, which leaves one donor of those there are.
takes() {
	"$work/bin/as" "$user" srun -w node0 -n1 --mem=3800 sleep 2 >"$work/job" 2>&1 &
	job=$!
	within 20 donors "$1"
}

proves 'a program has a region of 192 MiB at three donors, and what it writes it reads' region cache cache 192
proves '... at three donors of this node' donors 3
proves 'a job starts, and takes two of them' takes 1
echo check >&"$lifeline"
proves '... what they held is said to be lost, block by block; the rest is there' within 20 grep -qx 'lost 2048, 2 of 3 donors lost' "$work/cache.out"
proves '... the job has run as ever' wait "$job"
proves '... the region is closed, and closing it twice is an error' ends
proves '... and its memory is back' within 5 no_donor
# The job's epilog is told a little later than its end.
proves '... the job'\''s, too, once its end is known here' within 15 node_is node0 "node['offer']['memory'] > 3 << 30"

proves 'a region with a scratch file' region scratch scratch 192 "$work/scratch"
proves 'a job starts, and takes two of its donors' takes 1
echo check >&"$lifeline"
proves '... every byte is there still' within 20 grep -qx 'same, 2 of 3 donors lost' "$work/scratch.out"
proves '... the job has run as ever' wait "$job"
proves '... it ends well' ends
proves '... and leaves nothing' within 5 sh -c "[ -z \"\$(ls -A '$work/scratch' | grep fallow-region)\" ]"

one_node_no_pair() {
	local said
	said=$(FALLOW_CLIENT_SOCKET=$(client_socket node0) timeout 60 "$work/bin/as" "$user" "$work/bin/remote" pair 64 </dev/null)
	[[ $said == 'failed open'* ]]
}
proves 'pairs are not to be had on one node: that is said, and no donor is held for it' one_node_no_pair
proves '... none' within 5 no_donor

finish
