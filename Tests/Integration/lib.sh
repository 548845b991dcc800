# shellcheck shell=bash
# lib.sh: what the numbered scripts share; sourced. Each script starts its own lab, proves its claims in order, and ends with
# "N passed, M failed". Whatever happens, its lab and its files are gone afterwards.
#
#   start_lab [options of lab/cluster up]       programs NAME...     compile test programs into $work/bin
#   proves SENTENCE COMMAND...                  "ok N - SENTENCE", or "not ok" with what the command said
#   as USER COMMAND...                          with an ordinary user's identity ("$work/bin/as" in the background)
#   within SECONDS COMMAND...                   waits until the command succeeds
#   finish                                      the last line of every script
set -uo pipefail
umask 022
# Debian's own programs first: what python3 is elsewhere may take five times as long to start.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
# Two ordinary users that every Debian has.
# shellcheck disable=SC2034
user=games other=mail
passed=0 failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/fallow-test.XXXXXX") || exit 1 # with nothing in it, "$work/bin" would be the system's
chmod 755 "$work"
mkdir -m 1777 "$work/scratch"
mkdir "$work/bin"
cat >"$work/bin/as" <<'SCRIPT'
#!/bin/sh
name=$1
shift
exec setpriv --reuid="$name" --regid="$(id -g "$name")" --init-groups env HOME=/tmp USER="$name" "$@"
SCRIPT
chmod 755 "$work/bin/as"
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
[ "$(id -u)" = 0 ] || { echo "must be run as root: the lab's slurmd starts steps as their users" >&2; exit 1; }

clean_up() {
	trap - EXIT
	trap '' INT TERM HUP
	local job
	for job in $(jobs -p); do kill "$job" 2>/dev/null; done
	[ ! -f "$work/lab/lab" ] || "$tree/lab/cluster" down "$work/lab" >"$work/down" 2>&1 || { cat "$work/down"; failed=$((failed + 1)); }
	wait 2>/dev/null
	# A script may have mounted something below: what lies on other file systems is not ours to remove.
	rm -rf --one-file-system "$work"
}

start_lab() {
	if ! "$tree/lab/cluster" up --dir "$work/lab" "$@" >"$work/up" 2>&1; then
		cat "$work/up"
		echo "the lab did not start"
		exit 1
	fi
	eval "$("$tree/lab/cluster" env "$work/lab")"
	cd "$work/scratch" || exit 1
}

stop_lab() { "$tree/lab/cluster" down "$work/lab" >"$work/down" 2>&1 || { cat "$work/down"; return 1; }; }

# Compiles programs/NAME.c: `functions` and `rfaas_functions` to libraries, the others to programs linked with libfallow.
programs() {
	local name
	for name in "$@"; do
		case $name in
		*functions) gcc -shared -fPIC -o "$work/bin/lib$name.so" "$here/programs/$name.c" -D_GNU_SOURCE -O2 -Wall -Wextra \
			-Werror -I"$tree/Sources/CFallow/include" ;;
		syscalls) gcc -o "$work/bin/$name" "$here/programs/$name.c" -D_GNU_SOURCE -O2 -Wall -Wextra -Werror \
			-I"$tree/Sources/CFallow/include" -I"$tree/pager/include" -L"$FALLOW_LAB/lib" -l:libfallow.so.0 \
			-L"$tree/.build/pager" -l:libfallow-pager.so.1 -Wl,-rpath,"$FALLOW_LAB/lib:$work/lib" &&
			mkdir -p "$work/lib" && cp "$tree/.build/pager/libfallow-pager.so.1" "$work/lib/" ;;
		*) gcc -o "$work/bin/$name" "$here/programs/$name.c" -D_GNU_SOURCE -O2 -Wall -Wextra -Werror \
			-I"$tree/Sources/CFallow/include" -L"$FALLOW_LAB/lib" -l:libfallow.so.0 -Wl,-rpath,"$FALLOW_LAB/lib" ;;
		esac || { echo "cannot compile $name"; exit 1; }
	done
}

proves() { # SENTENCE COMMAND...
	local sentence=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $sentence"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $sentence"
		printf '    $ %s\n' "$*"
		tail -n 20 "$work/said" | sed 's/^/    /'
	fi
}

finish() {
	clean_up
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

as() { "$work/bin/as" "$@"; } # USER COMMAND...; in the background say "$work/bin/as", so that $! is the command itself

within() { # SECONDS COMMAND...
	local began=${EPOCHREALTIME/./} took pause deadline
	deadline=$((began + $(microseconds "$1")))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$deadline" ] || { "$@"; return; }
		# A pause as long as the look, so that waiting leaves the machine to what is waited for.
		took=$((${EPOCHREALTIME/./} - began))
		printf -v pause '0.%06d' $((took < 20000 ? 20000 : took > 500000 ? 500000 : took))
		sleep "$pause"
		began=${EPOCHREALTIME/./}
	done
}

microseconds() { awk -v seconds="$1" 'BEGIN { printf "%d", seconds * 1e6 }'; }
now_us() { printf '%s\n' "${EPOCHREALTIME/./}"; }

# A command or one of the script's functions, at most a minute.
# shellcheck disable=SC2154
bounded() {
	timeout --kill-after=5 60 bash -c "$(declare -f)
$(declare -p user other work here tree library 2>/dev/null)"'
"$@"' bounded "$@"
}

gives() { # STATUS COMMAND...: the command ends with just this status, within a minute
	local want=$1 status=0
	shift
	bounded "$@" || status=$?
	[ "$status" = "$want" ] || { echo "status $status instead of $want"; return 1; }
}

refuses() { # PATTERN COMMAND...: the command fails, by no signal and in time, and what it says matches
	local pattern=$1 status=0 said
	shift
	said=$(bounded "$@" 2>&1 </dev/null) || status=$?
	# 124 and above are the time limit and signals; 255 is how Slurm's commands refuse.
	if [ "$status" = 0 ] || { [ "$status" -ge 124 ] && [ "$status" != 255 ]; }; then
		printf 'status %s, said: %s\n' "$status" "${said:0:400}"
		return 1
	fi
	grep -qiE -- "$pattern" <<<"$said" || { printf 'nothing like "%s" in: %s\n' "$pattern" "${said:0:400}"; return 1; }
}

daemon_pid() { cat "$FALLOW_LAB/pids/$1"; }
daemons_live() { # NAME...
	local name
	for name in "$@"; do
		grep -qs '^State:.[^Z]' "/proc/$(daemon_pid "$name")/status" && continue
		echo "$name has ended:"
		tail -n 5 "$FALLOW_LAB/log/$name.out"
		return 1
	done
}
client_socket() { printf '%s\n' "$FALLOW_LAB/run/$1/client.sock"; } # NODE
no_node_drained() { ! sinfo -h -o '%N %T %E' | grep -iE 'drain|down|fail'; }

# A Python expression over `data`, what `fallow ... --json` prints: is_true EXPRESSION SUBCOMMAND...
is_true() {
	local expression=$1
	shift
	timeout 20 fallow "$@" --json >"$work/json" || return 1
	python3 -c 'import json, sys
data = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else json.dumps(data)[:1500])' "$work/json" "$expression"
}
# ... over `node`, one of `fallow nodes`; over `job`, one of `fallow jobs`.
node_is() { is_true "[node for node in data if node['node'] == '$1' and ($2)]" nodes; }
job_is() { is_true "[job['job'] for job in data if job['job']['jobID'] == $1 and (lambda job: $2)(job['job'])]" jobs; }

# The processes in a node's cgroups: those of leases, which are their users'; and the parked ones, which are root's.
lease_pids() { pids_below "$1" '$2 != 0'; } # NODE
parked_pids() { pids_below "$1" '$2 == 0'; } # NODE
pids_below() { # NODE CONDITION
	local pid
	for pid in $(find /sys/fs/cgroup/*/fallow-lab-"$(lab_id)"/"$1" /sys/fs/cgroup/fallow-lab-"$(lab_id)"/"$1" -name cgroup.procs \
		-exec cat {} + 2>/dev/null | sort -un); do
		awk "/^Uid:/ { exit !($2) }" "/proc/$pid/status" 2>/dev/null && echo "$pid"
	done
}
no_lease_runs() { [ -z "$(for name in "$@"; do lease_pids "$name"; done)" ]; } # NODE...
lab_id() { sed -n 's/^id=\([0-9a-f]*\) .*/\1/p' "$FALLOW_LAB/lab"; }

# A shared file of heartbeats that everybody may write.
beats_file() { # NAME
	: >"$work/scratch/$1" && chmod 666 "$work/scratch/$1" && printf '%s\n' "$work/scratch/$1"
}
