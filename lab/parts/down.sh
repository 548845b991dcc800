# shellcheck shell=bash
# Taking a lab down: its daemons politely, then whatever is left in its cgroups, then the cgroups and the folder.

# The lab's folders in every hierarchy: the keep, and what the agents made. The id is in the name, so all of it is ours.
lab_cgroups() {
	local mount folder
	while read -r mount; do
		for folder in "$mount/fallow-lab-$id" "$mount/fallow-lab-$id.keep"; do
			[ ! -d "$folder" ] || printf '%s\n' "$folder"
		done
	done < <(awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts)
	# Slurm moves its steps out of the keep, into a folder that is the one real node's.
	[ "$real_node" = 0 ] || slurm_scopes
}

lab_pids() {
	local roots
	mapfile -t roots < <(lab_cgroups)
	[ ${#roots[@]} = 0 ] || find "${roots[@]}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un
}

take_down() { # FOLDER
	local name pids deadline left
	load_lab "$1"
	[ "$(id -u)" = 0 ] || fail "must be run as root, as 'up' was"
	for name in $(fallow_daemons); do
		kill -TERM "$(cat "$state/pids/$name")" 2>/dev/null || true
	done
	wait_briefly 40 fallow_daemons_gone || true
	deadline=$((${EPOCHREALTIME/./} + 10000000))
	while pids=$(lab_pids); [ -n "$pids" ]; do
		# shellcheck disable=SC2086
		kill -KILL $pids 2>/dev/null || true
		thaw_all
		[ "${EPOCHREALTIME/./}" -lt "$deadline" ] || break
		sleep 0.02
	done
	wait_briefly 100 remove_cgroups || true
	left=$(lab_pids)
	if [ -n "$left" ] || [ -n "$(lab_cgroups)" ]; then
		# shellcheck disable=SC2086
		[ -z "$left" ] || ps -o pid,stat,wchan,args -p "$(echo $left | tr ' ' ,)" >&2
		fail "not all of lab $id went away: cgroups $(lab_cgroups | tr '\n' ' '); its folder $state is kept"
	fi
	rm -rf --one-file-system "$state"
	rm -f "$record"
	rmdir --ignore-fail-on-non-empty "$(dirname "$record")" 2>/dev/null || true
	stage "down: $state and its processes are gone"
}

# Those of our daemons that are alive, by name.
fallow_daemons() {
	local name
	for name in "$state"/pids/fallow*; do
		! daemon_alive "${name##*/}" || printf '%s\n' "${name##*/}"
	done
}

fallow_daemons_gone() { [ -z "$(fallow_daemons)" ]; }

wait_briefly() { # TIMES COMMAND
	local attempt
	for ((attempt = 0; attempt < $1; attempt++)); do
		! "$2" || return 0
		sleep 0.05
	done
	return 1
}

# A frozen process takes its SIGKILL only when thawed (cgroup v1; under v2 it dies frozen).
thaw_all() {
	local file
	for file in $(lab_cgroups | sed 's|$|/|' | xargs -r -I{} find {} -name freezer.state 2>/dev/null); do
		echo THAWED 2>/dev/null >"$file" || true
	done
}

remove_cgroups() {
	local root
	for root in $(lab_cgroups); do
		find "$root" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
	[ -z "$(lab_cgroups)" ]
}
