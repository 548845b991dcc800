#!/usr/bin/env bash
# Capacity comes back and callers hear of it: client killed, executor killed, function crashed, term over.
# Alone: how long things take is compared.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2
programs functions hold witness
library=$work/bin/libfunctions.so
hold() { as "$user" "$work/bin/hold" "$library" "$@"; }

# 8 cores of node0 by one client; kill -9; how long until another user has 8 cores there?
client_killed() { # remote?
	local beats killed taken pid
	beats=$(beats_file "killed$1")
	FALLOW_CLIENT_SOCKET=$(client_socket "$1") "$work/bin/as" "$user" "$work/bin/hold" "$library" burn_family "$beats" cpus=8 node=node0 wait=20 >"$work/hold" 2>&1 &
	"$work/bin/witness" --wait 32 "$beats" || return 1
	pid=$(pgrep -u "$user" -x hold) || return 1
	killed=$(now_us)
	kill -9 "$pid"
	as "$other" "$work/bin/hold" "$library" seven '' cpus=8 node=node0 wait=5 >"$work/second" 2>&1 || { cat "$work/second"; return 1; }
	taken=$(($(now_us) - killed))
	grep -q 'ended FALLOW_OK value 7' "$work/second" || { cat "$work/second"; return 1; }
	echo "# capacity was back, and taken by another user, after $((taken / 1000)) ms"
	[ "$taken" -lt 1000000 ]
}
proves 'kill -9 of a client on the same node: its 8 cores are leased to another user within 1 s' client_killed node0
tail -n 1 "$work/said"
proves 'kill -9 of a client on another node: the same' client_killed node1
tail -n 1 "$work/said"
proves 'nothing of the killed clients runs any more' within 2 no_lease_runs node0 node1

executor_killed() { # CLIENT-NODE
	local beats killed heard
	beats=$(beats_file "executor$1")
	FALLOW_CLIENT_SOCKET=$(client_socket "$1") "$work/bin/as" "$user" "$work/bin/hold" "$library" burn "$beats" cpus=2 node=node0 wait=20 >"$work/hold.$1" 2>&1 &
	"$work/bin/witness" --wait 2 "$beats" || { cat "$work/hold.$1"; return 1; }
	killed=$(date +%s%N)
	# shellcheck disable=SC2046
	kill -9 $(lease_pids node0)
	within 3 sh -c "[ \$(grep -c ^ended '$work/hold.$1') = 2 ]" || { cat "$work/hold.$1"; return 1; }
	heard=$(sed -n 's/^ended FALLOW_OUTCOME_UNKNOWN .* at \([0-9]*\):.*/\1/p' "$work/hold.$1" | sort -n | tail -n 1)
	[ -n "$heard" ] || { cat "$work/hold.$1"; return 1; }
	echo "# both callers knew after $(((heard - killed) / 1000)) us"
	[ $((heard - killed)) -lt 100000000 ]
}
proves 'kill -9 of an executor: its callers on the same node know within 100 ms' executor_killed node0
tail -n 1 "$work/said"
proves 'kill -9 of an executor: its callers on another node know within 100 ms' executor_killed node1
tail -n 1 "$work/said"

tells() { # PATTERN ARGUMENTS OF hold...
	local pattern=$1
	shift
	hold "$@" wait=10 >"$work/told" 2>&1
	grep -qE "$pattern" "$work/told" || { cat "$work/told"; return 1; }
}
tells_within() { # SECONDS PATTERN ARGUMENTS OF hold...
	local began=$SECONDS limit=$1
	shift
	tells "$@" && [ $((SECONDS - began)) -le "$limit" ]
}
proves 'a function that crashes: outcome unknown, and the caller is told that it crashed' \
	tells 'ended FALLOW_OUTCOME_UNKNOWN .*crashed' crash '' node=node0
proves '... and the ended lease names the signal' \
	within 5 is_true "any('SIGSEGV' in (l.get('detail') or '') or '11' in (l.get('detail') or '') for l in data)" leases --ended
proves 'a function that leaves by _exit: outcome unknown' tells 'ended FALLOW_OUTCOME_UNKNOWN' leave '' node=node0
proves 'a function that eats more memory than its lease: outcome unknown, and memory is named' \
	tells 'ended FALLOW_OUTCOME_UNKNOWN .*memory' eat_memory '' node=node0 memory=134217728
proves 'a term of 2 s ends a function that never returns' \
	tells_within 6 'ended FALLOW_OUTCOME_UNKNOWN' sleep_for_ever '' node=node0 term=2
proves 'a term of 2 s ends a function that never returns on another node' \
	tells_within 6 'ended FALLOW_OUTCOME_UNKNOWN' sleep_for_ever '' node=node1 term=2
all_free() { hold seven '' cpus=8 node=node0 wait=5 && hold seven '' cpus=8 node=node1 wait=5; }
proves 'after all that every core of both nodes can be leased' all_free
finish
