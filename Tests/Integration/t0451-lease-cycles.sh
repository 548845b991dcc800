#!/usr/bin/env bash
# Leases of memory, again and again, on the own node and on another, asked for and adopted by a job's programs, with an agent that is
# killed and started again among them, leave nothing: no descriptor, thread, process, cgroup folder, file or memory of the daemons, and no
# rows of the history but what its retention keeps. The same looks find a daemon that leaks, and leases that stay.
# As it is: 320 cycles. FALLOW_TEST_CYCLES=10000 for the long run (six minutes on two cores): fallowctld remembers its last 4096
# grants, so it grows until it has them; that run begins with 5000 cycles, and then sees 0.4 KiB a cycle, the short one sees 23.
# shellcheck source=Tests/Integration/lib.sh
. "$(dirname "$0")/lib.sh"

cycles=${FALLOW_TEST_CYCLES:-320}
warm=$((cycles / 4)) filling=10 adoptions=$((cycles / 20)) keep=4
[ "$cycles" -lt 5000 ] || warm=5000 filling=0
limit=$((cycles / 4 + 120)) # seconds: four times what it takes
# Single leases are kept for some seconds; what is older goes when fallowctld starts, and once an hour.
start_lab --nodes 2 --memory 4000 --setting lease.memory_per_user=2G --setting history.keep_events=$keep
cd "$work/scratch" || exit 1
MiB=$((1 << 20))
cp "$here/programs/borrower.py" "$work/bin/" && chmod 755 "$work/bin/borrower.py"
daemons="fallowctld fallowd.node0 fallowd.node1"

borrower() { # WORDS...
	FALLOW_CLIENT_SOCKET=$(client_socket node0) timeout "$limit" "$work/bin/as" "$user" python3 "$work/bin/borrower.py" "$@" </dev/null
}
# Four borrowers at a time share COUNT cycles; one of them is on the other node.
cycle() { # COUNT
	local each=$(($1 / 4)) pids=() pid status=0
	for i in 1 2 3; do
		borrower --node node0 cycle "$each" $((4 * MiB)) >"cycle.$i" 2>&1 &
		pids+=($!)
	done
	borrower --remote cycle "$each" $((4 * MiB)) >"cycle.4" 2>&1 &
	pids+=($!)
	for pid in "${pids[@]}"; do wait "$pid" || status=1; done
	cat cycle.?
	return "$status"
}
cgroups() { find /sys/fs/cgroup/*/fallow-lab-"$(lab_id)" /sys/fs/cgroup/fallow-lab-"$(lab_id)" -type d 2>/dev/null | wc -l; }
kib() { awk '/^RssAnon:/ { print $2 }' "/proc/$1/status"; } # PID
# What there is of everything that could be left: one line each, "NAME AMOUNT".
count() {
	local name pid
	for name in $daemons; do
		pid=$(daemon_pid "$name")
		echo "$name.descriptors $(find "/proc/$pid/fd" 2>/dev/null | wc -l)"
		echo "$name.threads $(find "/proc/$pid/task" -maxdepth 1 2>/dev/null | wc -l)"
		echo "$name.kib $(kib "$pid")"
	done
	echo "cgroups $(cgroups)"
	echo "processes $(for node in node0 node1; do pids_below "$node" '1'; done | wc -l)"
	echo "files $(find "$FALLOW_LAB/run" "$FALLOW_LAB/var" -type f | wc -l)"
}
# What is more in AFTER than in BEFORE beyond what chance explains: threads of pools that were not needed before, arenas of malloc.
grown() { # BEFORE AFTER CYCLES
	awk -v cycles="$3" -v filling="${filling-0}" '
		BEGIN { kib = 4096 + cycles * filling }
		NR == FNR { before[$1] = $2; next }
		{
			allowed = $1 ~ /descriptors$/ ? 4 : $1 ~ /threads$/ ? 4 : $1 ~ /kib$/ ? kib : $1 == "files" ? 2 : 0
			more = $2 - before[$1]
			if (more > allowed) printf "%s: %d, then %d, after %d cycles\n", $1, before[$1], $2, cycles
		}' "$1" "$2"
}
nothing_grew() { local said; said=$(grown "$@"); [ -z "$said" ] || { echo "$said"; return 1; }; }
free_again() { no_lease_runs node0 node1 && node_is node0 "node['donatedMemory'] == 0" && node_is node1 "node['donatedMemory'] == 0"; }

# A job's program takes what waits for the job and gives it back, which is asked for anew each time; between its two halves the
# job's agent is killed, with what waited, and started again.
adopt_cycles() {
	local half=$(((adoptions + 1) / 2))
	cat >job.sh <<-JOB
		#!/bin/bash
		export FALLOW_CLIENT_SOCKET=$(client_socket node0)
		python3 $work/bin/borrower.py --wait 10 adopt $half 0 && touch half
		while [ ! -e again ]; do sleep 0.1; done
		python3 $work/bin/borrower.py --wait 10 adopt $half 0 && touch whole
	JOB
	rm -f half again whole
	as "$user" sbatch -n1 -w node0 --mem=100 --remote-mem=8M -o "$work/scratch/job.out" job.sh >/dev/null
	proves "$half times a job's program adopts what waits and gives it back" within $((half / 2 + 30)) test -e half
	kill -9 "$(daemon_pid fallowd.node0)"
	proves '... its agent is killed and started again' "$tree/lab/cluster" restart fallowd.node0
	touch again
	proves "... and $half times more" within $((half / 2 + 40)) test -e whole
	grep adoptions job.out | sed 's/^/# /'
	proves '... the job ends' within 20 sh -c '[ -z "$(squeue -h 2>/dev/null)" ]'
}

proves "$warm cycles, to warm up" cycle "$warm"
proves '... all of it is back' within 10 free_again
sleep 1
count >before
began=$(now_us)
proves "$((cycles / 2)) cycles of a lease" cycle $((cycles / 2))
adopt_cycles
proves "... and $((cycles / 2)) more" cycle $((cycles / 2))
took=$((($(now_us) - began) / 1000))
proves '... within the bound' [ "$took" -lt $((limit * 1000)) ]
proves '... all of it is back' within 10 free_again
sleep 1
count >after
echo "# $cycles cycles in $took ms, $((took * 1000 / cycles)) us each, four at a time"
paste before after | awk '{ printf "# %-28s %8d %8d\n", $1, $2, $4 }'
proves '... and nothing of the daemons has grown' nothing_grew before after "$cycles"
proves '... every lease was a lease' sh -c '[ "$(cat cycle.? | grep -c "\"cycles\"")" = 4 ]'

# The same looks, where something does stay.
count >before
FALLOW_CLIENT_SOCKET=$(client_socket node0) "$work/bin/as" "$user" python3 "$work/bin/borrower.py" --wait 20 --node node0 hold 6 $((4 * MiB)) \
	< <(sleep 60) >held 2>&1 &
six_held() { within 30 grep -q '"held": 6' held || { cat held; return 1; }; }
proves 'six leases are held' six_held
count >after
finds() { grown before after 6 | grep "^$1"; }
proves 'the looks find leases that stay, by their processes' finds processes
proves '... by their cgroup folders' finds cgroups
proves '... by the descriptors' finds 'fallowd.node0.descriptors'
kill %% 2>/dev/null
within 10 no_lease_runs node0 node1
printf 'x.kib 10000\nx.threads 5\n' >before
printf 'x.kib 15000\nx.threads 30\n' >after
proves '... and memory and threads that grow' sh -c "[ \"\$($(declare -f grown); grown before after 6 | wc -l)\" = 2 ]"
rows() { python3 -c 'import sqlite3, sys
print(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute("SELECT count(*) FROM leases").fetchone()[0])' "$(find "$FALLOW_LAB/var" -name '*.sqlite' | head -n 1)"; }
few_rows() { local there; there=$(rows) && echo "$there rows" && [ "$there" -le $((cycles / 10)) ]; }
many_rows() { local there; there=$(rows) && echo "$there rows" && [ "$there" -gt $((cycles / 10)) ]; }
[ "$cycles" -gt 2000 ] || proves 'the history has them' many_rows
sleep $((keep + 1))
kill "$(daemon_pid fallowctld)"
within 10 sh -c "! kill -0 $(daemon_pid fallowctld) 2>/dev/null"
"$tree/lab/cluster" restart fallowctld >/dev/null 2>&1
proves '... and its retention takes them out' within 30 few_rows

finish
