#!/usr/bin/env bash
# The lab itself: usable by ordinary users, several side by side, nothing left behind whatever was killed.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2
proves 'a lab starts, and its nodes are idle' \
	test "$(sinfo -h -t idle -o %D)" = 2
proves 'its environment puts our commands first' \
	test "$(command -v fallow)" = "$FALLOW_LAB/bin/fallow"
proves 'an ordinary user runs a step' \
	test "$(as "$user" srun -n1 id -un)" = "$user"
proves 'an ordinary user asks the cluster' \
	as "$user" fallow nodes
proves "a job's programs are shown the agent of their own node" \
	test "$(as "$user" srun -w node1 -n1 printenv FALLOW_CLIENT_SOCKET)" = "$(client_socket node1)"

second_lab() {
	"$tree/lab/cluster" up --nodes 1 --dir "$work/second" &&
		(eval "$("$tree/lab/cluster" env "$work/second")" && srun -n1 true) &&
		srun -n1 true
}
proves 'a second lab runs beside it' second_lab
# Zombies that their new parent has not yet noticed are no processes any more.
no_process_of() { # ID
	local file
	while read -r file; do
		! grep -s '^State:.[^Z]' "${file%cgroup}status" || { cat "$file"; return 1; }
	done < <(grep -ls "fallow-lab-$1" /proc/[0-9]*/cgroup)
}
second_leaves_nothing() {
	local id
	id=$(sed -n 's/^id=\([0-9a-f]*\) .*/\1/p' "$work/second/lab")
	(eval "$("$tree/lab/cluster" env "$work/second")" && srun -n1 setsid sh -c 'sleep 300 & exec sleep 300') &
	sleep 0.5
	# Everything that could tidy up is killed first.
	# shellcheck disable=SC2046
	kill -9 $(cat "$work"/second/pids/*) && "$tree/lab/cluster" down "$work/second" && [ ! -e "$work/second" ] &&
		[ -z "$(find /sys/fs/cgroup -maxdepth 3 -name "fallow-lab-$id*")" ] &&
		no_process_of "$id"
}
proves 'after kill -9 of all its daemons, down leaves no process, cgroup or file of it' second_leaves_nothing
proves 'the first lab is not touched by that' srun -n1 true

half_started() {
	! "$tree/lab/cluster" up --nodes 1 --dir "$work/third" --slurm 'NoSuchKey=1' >"$work/third-said" 2>&1 &&
		grep -q NoSuchKey "$work/third-said" && [ ! -e "$work/third" ]
}
proves 'a lab that cannot start shows the log that says why, and is removed' half_started
proves 'a bad option is refused with what would be right' \
	refuses 'whole number from 1 to 64' "$tree/lab/cluster" up --nodes many
proves 'an ordinary user is told that root is needed' \
	refuses 'root' as "$user" "$tree/lab/cluster" up
finish
