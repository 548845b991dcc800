# shellcheck shell=bash
# What every stage stands on: stages with times, checked arguments, free ports, the keep, daemons, bounded waits.

started_at=${EPOCHREALTIME/./}

stage() { # SENTENCE
	local elapsed=$((${EPOCHREALTIME/./} - started_at))
	printf 'lab %3d.%02d s  %s\n' $((elapsed / 1000000)) $((elapsed / 10000 % 100)) "$1"
}

whole_number() { # OPTION TEXT LOWEST HIGHEST
	[[ $2 =~ ^[0-9]{1,9}$ && $((10#${2})) -ge $3 && $((10#${2})) -le $4 ]] ||
		fail "$1 wants a whole number from $3 to $4, not '$2'"
	printf '%d\n' "$((10#$2))"
}

key_and_value() { # OPTION TEXT [WHAT MAY STAND BEFORE IT]
	[[ $2 =~ ^${3-}[a-z_.]+=[^[:space:]]+$ ]] || fail "$1 wants KEY=VALUE without blanks, not '$2'"
	printf '%s\n' "$2"
}

check_ground() {
	local program
	for program in munged slurmctld slurmd scontrol sinfo setsid flock; do
		command -v "$program" >/dev/null || fail "$program is not installed; 'make deps' installs what is needed"
	done
	[ -n "$(keep_mount)" ] || fail "no cgroup hierarchy is mounted; a lab needs one to own its processes by"
}

# A block of COUNT ports in a row that nobody uses and no other lab has recorded; the caller holds the records' lock.
free_ports() { # COUNT
	local taken base port attempt
	taken=" $(sed 's/^[^:]*: [0-9A-F]*:\([0-9A-F]*\) .*/0x\1/;1d' /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		grep '^0x' | xargs -r printf '%d ') $(sed -n 's/^ports=//p' "$records"/* 2>/dev/null | tr '\n' ' ') "
	for attempt in $(seq 100); do
		base=$((20000 + RANDOM % 12000))
		for ((port = base; port < base + $1; port++)); do
			[[ $taken != *" $port "* ]] || continue 2
		done
		printf '%d\n' "$base"
		return 0
	done
	fail "no $1 free ports in a row after $attempt attempts between 20000 and 32000"
}

# The keep: one cgroup that every process of the lab is born in, and so is everything born of those: slurmstepds,
# tasks, executors. Its members are ours beyond doubt, whatever they call themselves, and `down` ends just these.
# It lies in a hierarchy that controls nothing, so that Slurm and Fallow find all controllers untouched.
keep_mount() {
	awk '$3 == "cgroup2" { best = $2 } $3 == "cgroup" && $4 ~ /name=/ { named = $2 } $3 == "cgroup" { any = $2 }
		END { print best ? best : named ? named : any }' /proc/self/mounts
}

make_keep() {
	mkdir -p "$(keep_mount)/fallow-lab-$id.keep" || fail "cannot make a cgroup under $(keep_mount)"
}

# Starts a daemon in the keep, detached, with a clean environment; its pid goes to pids/NAME, its command line (to
# start it by again) to commands/NAME, its words to log/NAME.out.
start_daemon() { # NAME [VARIABLE=VALUE ...] PROGRAM ARGUMENTS...
	local name=$1 keep
	shift
	keep=$(keep_mount)/fallow-lab-$id.keep
	rm -f "$state/pids/$name"
	(
		echo "$BASHPID" >"$keep/cgroup.procs"
		echo "$BASHPID" >"$state/pids/$name"
		exec setsid env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@" \
			</dev/null >>"$state/log/$name.out" 2>&1
	) &
	disown
	until [ -s "$state/pids/$name" ]; do
		kill -0 $! 2>/dev/null || fail "cannot put $name into the cgroup $keep"
		sleep 0.005
	done
	printf '%q ' "$@" >"$state/commands/$name"
}

# Is the daemon's recorded pid alive, and in the keep? (A pid can be somebody else's by now.) A real node's slurmd moves
# itself into the folder of its steps.
daemon_alive() { # NAME
	local pid place=/fallow-lab-$id.keep
	[ "$real_node" = 0 ] || [[ $1 != slurmd.* ]] || place="$place\|/${1#slurmd.}_slurmstepd.scope/"
	pid=$(cat "$state/pids/$1" 2>/dev/null) && grep -qs "$place" "/proc/$pid/cgroup" &&
		! grep -qs '^State:.Z' "/proc/$pid/status"
}

# Waits until the command succeeds; fails with the end of the daemon's log when it dies first or takes too long. A real
# node is usually a machine of QEMU's, where everything takes many times as long.
wait_until() { # SECONDS NAME WHAT COMMAND...
	local deadline=$((${EPOCHREALTIME/./} + $1 * (real_node == 1 ? 10 : 1) * 1000000)) name=$2 what=$3
	shift 3
	until "$@" >/dev/null 2>&1; do
		daemon_alive "$name" || fail_with_log "$name" "$name ended while waiting until $what"
		[ "${EPOCHREALTIME/./}" -lt "$deadline" ] || fail_with_log "$name" "gave up waiting until $what"
		sleep 0.05
	done
}

fail_with_log() { # NAME SENTENCE
	local file
	for file in "$state/log/$1.out" "$state/log/$1.log"; do
		[ -s "$file" ] || continue
		printf -- '--- the end of %s\n' "$file" >&2
		tail -n 15 "$file" | sed 's/^/    /' >&2
	done
	fail "$2"
}

# Is somebody listening on the Unix socket?
listening() { # PATH
	awk -v path="$1" '$8 == path && ($4 == "00010000" || $5 == "0002") { found = 1 } END { exit !found }' /proc/net/unix
}

# Does somebody accept on the port of this machine?
accepts() { # PORT
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
