#!/usr/bin/env bash
# Parked executors: leases in a row are served by processes that stood ready; such a one becomes its user wholly and for good; none
# is used twice, none stands in the way of a job, and none is left when there is no use for it.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2 --debug --setting executor.parked=8
programs functions hold witness cold
library=$work/bin/libfunctions.so
log=$FALLOW_LAB/log/fallowd.node0.out

cold() { as "$user" "$work/bin/cold" "$library" "$@"; }
function_says() { as "$user" fallow invoke "$library" "$1" --input - --output - <<<"${2-}"; } # FUNCTION INPUT
text_of() { printf %s "$1" | as "$user" fallow invoke "$library" text_of --input - --output -; }     # FILE
stands() { [ "$(parked_pids "${2:-node0}" | wc -l)" -ge "$1" ]; }                                       # COUNT NODE
none_stands() { for name in "$@"; do [ -z "$(parked_pids "$name")" ] || return 1; done; }
beginnings() { grep -c "parked=$1 .*lease begins" "${2:-$log}"; }                                       # true|false LOG

proves 'before anybody leased, none stands ready' none_stands node0 node1
proves 'the first lease has its executor started' cold 1 0
proves '... and another stands ready a moment later, as root, in a cgroup of its own' within 5 stands 1
waits_alone() {
	local pid threads
	pid=$(parked_pids node0 | head -n 1)
	threads=$(awk '/^Threads:/ { print $2 }' "/proc/$pid/status")
	[ "$threads" = 1 ] || { echo "$threads threads"; return 1; }
	grep -q "/leases/[0-9a-f]\{16\}$" "/proc/$pid/cgroup" || { cat "/proc/$pid/cgroup"; return 1; }
	# The agent's sockets, files and pipes are not its own: /dev/null, what it prints to, its control socket.
	[ "$(ls "/proc/$pid/fd" | sort -n | tr '\n' ' ')" = '0 1 2 3 ' ] || { ls -l "/proc/$pid/fd"; return 1; }
}
proves '... with one thread and four descriptors' waits_alone
served_by_parked() {
	local before
	before=$(beginnings true)
	cold 5 400 || return 1
	[ $(($(beginnings true) - before)) -ge 4 ] || { grep 'lease begins' "$log"; return 1; }
}
proves 'leases in a row are served by executors that stood ready' served_by_parked
used_once() {
	local pids
	pids=$(sed -n 's/.*pid=\([0-9]*\) .*lease begins.*/\1/p' "$log")
	[ "$(wc -w <<<"$pids")" -ge 6 ] && [ -z "$(sort <<<"$pids" | uniq -d)" ]
}
proves 'each of them served one lease' used_once

# A parked one is taken for each of these: who it is then.
within 5 stands 1
before=$(beginnings true)
text_of /proc/self/status >"$work/status"
proves 'a parked executor is taken for a look at itself' test "$(beginnings true)" -gt "$before"
status_is() { # FIELD PATTERN
	local line
	line=$(grep "^$1:" "$work/status") || { echo "no $1 in:"; head -n 5 "$work/status"; return 1; }
	grep -qxE "$1:[[:space:]]*$2[[:space:]]*" <<<"$line" || { echo "$line"; return 1; }
}
uid=$(id -u "$user") gid=$(id -g "$user")
proves 'its user, real, effective, saved and for files' status_is Uid "${uid}[[:space:]]${uid}[[:space:]]${uid}[[:space:]]$uid"
proves '... its group' status_is Gid "${gid}[[:space:]]${gid}[[:space:]]${gid}[[:space:]]$gid"
proves "... its user's groups" status_is Groups "$(id -G "$user" | tr ' ' '\n' | sort -n | tr '\n' ' ' | sed 's/ $//')"
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
	proves "... no capability ($set)" status_is $set 0000000000000000
done
proves '... no_new_privs' status_is NoNewPrivs 1
proves '... closed to other processes of its user' sh -c "[ '$(as "$user" "$work/bin/hold" "$library" dumpable '' node=node0 wait=10 2>&1 | sed -n 's/^ended FALLOW_OK value \([0-9]*\) .*/\1/p')' = 0 ]"
text_of /proc/self/environ | tr '\0' '\n' >"$work/environ"
only_ours() {
	function_says descriptors >"$work/descriptors"
	# Nothing of the agent's: its log, its database, other executors' sockets and pipes. The library may be open, the arena is.
	awk '$1 > 2 && $3 !~ /^socket:|memfd:|\/libraries\/|^anon_inode:/ { print "leaked:", $0; bad = 1 } END { exit bad }' "$work/descriptors" &&
		[ "$(grep -c socket: "$work/descriptors")" = 1 ] && [ "$(grep -c pipe: "$work/descriptors")" = 2 ] && return 0
	cat "$work/descriptors"
	return 1
}
proves "no descriptor of the agent's is in it" only_ours
proves '... and nothing of the agent or of root in its environment' sh -c "! grep -E '^(FALLOW_CONFIG|SLURM|SUDO|SSH|HOME=/root)' '$work/environ'"
proves 'its cgroup is the one that the agent limited' sh -c "printf %s /proc/self/cgroup | setpriv --reuid=$user --regid=$gid --init-groups fallow invoke '$library' text_of --input - --output - | grep -q 'memory:.*fallow-lab-$(lab_id)/node0/leases/'"

# While the co-scheduler is asked, one of those that stand becomes the user: seen while it does not answer.
becomes_its_user_ahead() {
	local ahead asked status
	kill -STOP "$(daemon_pid fallowctld)"
	cold 1 0 >"$work/asked" & asked=$!
	is_ahead() { ahead=$(pids_below node0 "\$2 == $uid"); [ -n "$ahead" ]; }
	within 3 is_ahead
	status=$?
	kill -CONT "$(daemon_pid fallowctld)"
	wait "$asked" && [ "$status" = 0 ] || { echo "none of these had become uid $uid:"; parked_pids node0; return 1; }
	grep "lease begins" "$log" | tail -n 1 | grep -q "pid=$ahead " || { echo "$ahead was not its executor:"; grep "lease begins" "$log" | tail -n 1; return 1; }
}
within 5 stands 1 && within 5 no_lease_runs node0
proves 'one becomes the user while the co-scheduler is asked, and is what serves him' becomes_its_user_ahead

# kill -9 of those that stand: replaced, and leases go on.
within 5 stands 1
kill_parked() { parked_pids node0 | xargs -r kill -9; }
kill_parked
proves 'with all that stand killed, a lease is had all the same' cold 1 0
proves '... and others stand ready again' within 8 stands 1
# One that has become a lease by the time the signal comes is a lease that was killed: its call says so, its opening does not.
killed_in_the_act() {
	local said
	for _ in $(seq 10); do
		(kill_parked || true) & # some have ended meanwhile
		said=$(cold 1 20 2>&1) || grep -qE '^invoke: FALLOW_(OUTCOME_UNKNOWN|NOT_STARTED|LEASE_ENDED)' <<<"$said" || { echo "$said"; return 1; }
		wait $!
	done
}
proves 'killed at the very moment they are taken, no lease fails to open' killed_in_the_act

# Over the network.
proves 'a lease on the other node' cold 1 0 remote
proves '... leaves one ready there' within 8 stands 1 node1
remote_parked() {
	local before
	sleep 1.5
	before=$(beginnings true "$FALLOW_LAB/log/fallowd.node1.out")
	cold 2 1500 node=node1 || return 1
	[ "$(beginnings true "$FALLOW_LAB/log/fallowd.node1.out")" -gt "$before" ]
}
proves '... which the next one gets' remote_parked

# A job takes every core: the vacate finds leases alone, and the parked ones go when nothing is left to lend.
within 8 stands 1
proves 'a job on all cores begins' as "$user" srun -w node0 -n 8 true
hold_all() { as "$user" srun -w node0 -n 8 sleep 4 & within 3.5 none_stands node0; local status=$?; wait $!; return $status; }
proves 'while a job holds the whole node, none stands' hold_all
proves 'afterwards one stands again: the demand is not forgotten' within 8 stands 1
proves 'lending switched off, none stands' sh -c "fallow disable all --node node0 >/dev/null && fallow disable all --node node1 >/dev/null"
proves '... within seconds' within 8 none_stands node0 node1
proves 'switched on, they come back' sh -c "fallow enable all --node node0 >/dev/null"
proves '... within seconds' within 8 stands 1

# The agent's end is theirs.
parked=$(parked_pids node0)
kill -9 "$(daemon_pid fallowd.node0)"
gone() { local pid; for pid in "$@"; do ! grep -qs '^State:.[^Z]' "/proc/$pid/status" || return 1; done; }
# shellcheck disable=SC2086
proves 'the agent killed, its parked executors end' within 2 gone $parked
proves 'no cgroup, process or file is left of the lab' stop_lab
finish
