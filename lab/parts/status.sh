# shellcheck shell=bash
# Looking at a lab: its environment for a shell, what of it runs, and starting one of its daemons again.

print_environment() { # FOLDER
	load_lab "$1"
	printf 'export FALLOW_LAB=%q\n' "$state"
	printf 'export SLURM_CONF=%q\n' "$state/etc/slurm.conf"
	[ "$with_daemons" = 1 ] || return 0
	printf 'export PATH=%q:"$PATH"\n' "$state/bin"
	printf 'export FALLOW_CONTROLLER_URL=http://127.0.0.1:%d\n' "$(controller_port)"
	printf 'export FALLOW_MUNGE_SOCKET=%q\n' "$state/mrun/munge.sock"
	printf 'export FALLOW_CLIENT_SOCKET=%q\n' "$state/run/node0/client.sock"
	printf 'export FALLOW_CONFIG=%q\n' "$state/etc/fallow.node0.yaml"
}

print_status() { # FOLDER
	local name
	load_lab "$1"
	printf 'lab %s in %s: %d nodes of %d cores\n' "$id" "$state" "$nodes" "$cpus"
	for name in "$state"/commands/*; do
		name=${name##*/}
		printf '  %-20s %s\n' "$name" "$(daemon_alive "$name" && echo "runs, pid $(cat "$state/pids/$name")" || echo ended)"
	done
	SLURM_CONF=$state/etc/slurm.conf timeout 5 sinfo -N -o '  %8N %10T %5c cores  %8m MB' || true
}

# For tests that killed one: the same command line, in the keep again.
restart_daemon() { # FOLDER NAME
	local command
	load_lab "$1"
	[ -f "$state/commands/$2" ] || fail "the lab has no daemon '$2'; 'lab/cluster status' lists them"
	# What was killed a moment ago may still be on its way out.
	for _ in {1..20}; do
		daemon_alive "$2" || break
		sleep 0.1
	done
	! daemon_alive "$2" || fail "$2 still runs, pid $(cat "$state/pids/$2")"
	# Written by start_daemon with %q, read back the same way.
	eval "command=($(cat "$state/commands/$2"))"
	# shellcheck disable=SC2128
	start_daemon "$2" "${command[@]}"
	[[ $2 != fallowd.* ]] || wait_for_sockets "${2#fallowd.}"
	stage "$2: runs again"
}
