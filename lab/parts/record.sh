# shellcheck shell=bash
# Which labs there are: one file per lab, named by its id, holding its folder and its ports.

records=${XDG_RUNTIME_DIR:-/tmp}/fallow-lab-$(id -u)

fail() { # SENTENCE [STATUS]
	printf 'lab/cluster: %s\n' "$1" >&2
	exit "${2:-1}"
}

# The folder of the lab that is meant: an argument, $FALLOW_LAB, or the newest one recorded.
find_lab() { # [FOLDER]
	local folder=${1:-${FALLOW_LAB-}} record
	if [ -z "$folder" ]; then
		record=$(newest_record "$records") || record=$(newest_record /tmp/fallow-lab-0) ||
			fail "no lab is up; 'lab/cluster up' starts one"
		folder=$(sed -n 's/^folder=//p' "$record")
	fi
	[ -f "$folder/lab" ] || fail "'$folder' is no lab's folder"
	trusted "$folder" || fail "'$folder' belongs neither to root nor to you"
	printf '%s\n' "$folder"
}

newest_record() { # FOLDER
	local record
	[ -d "$1" ] && trusted "$1" || return 1
	# Names are our own ids, so what ls prints is safe to split.
	# shellcheck disable=SC2045
	for record in $(ls -t "$1" 2>/dev/null); do
		[ -f "$(sed -n 's/^folder=//p' "$1/$record")/lab" ] || continue
		printf '%s\n' "$1/$record"
		return 0
	done
	return 1
}

# /tmp is everybody's: believe only what is root's or our own.
trusted() { # FILE
	local owner
	owner=$(stat -c %u "$1" 2>/dev/null) && { [ "$owner" = 0 ] || [ "$owner" = "$(id -u)" ]; }
}

# Makes the lab's folder, draws its id and ports, and records them before anything is started: whatever happens
# later, `down` finds what is to be removed.
claim_state() {
	# The lock is the folder itself, which the last lab's `down` may remove just now.
	until [ /dev/fd/9 -ef "$records" ] 2>/dev/null; do
		mkdir -p "$records"
		trusted "$records" || fail "'$records' is somebody else's; remove it or set XDG_RUNTIME_DIR"
		exec 9<"$records" || continue
		flock -w 10 9 || fail "another lab/cluster has locked $records for more than 10 s"
	done
	if [ -z "$state" ]; then
		state=$(mktemp -d "${TMPDIR:-/tmp}/fallow-lab.XXXXXX")
	else
		mkdir -p "$(dirname "$state")"
		mkdir "$state" || fail "--dir: '$state' must not exist yet: 'down' removes it whole"
		state=$(cd "$state" && pwd)
	fi
	# A Unix socket's path has at most 107 bytes; the longest of ours is a step's in slurmd's spool.
	[ ${#state} -le 60 ] || { rmdir "$state"; fail "the folder's path '$state' is longer than 60 characters"; }
	chmod 755 "$state"
	id=$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
	base=$(free_ports $((2 * nodes + 3)))
	printf 'folder=%s\nports=%s\n' "$state" "$(seq -s ' ' "$base" $((base + 2 * nodes + 2)))" >"$records/$id"
	exec 9<&-
	# What the other commands need to know of this lab.
	{
		printf 'id=%q nodes=%q cpus=%q memory=%q base=%q record=%q\n' \
			"$id" "$nodes" "$cpus" "$memory" "$base" "$records/$id"
		printf 'with_daemons=%q with_plugin=%q debug=%q real_node=%q\n' "$with_daemons" "$with_plugin" "$debug" "$real_node"
	} >"$state/lab"
	mkdir "$state"/{bin,etc,log,pids,commands,munge,mrun,slurmctld,spool,run,var}
	chmod 700 "$state/munge" "$state/slurmctld"
	make_keep
}

load_lab() { # FOLDER
	state=$1
	# shellcheck source=/dev/null
	. "$state/lab"
}
