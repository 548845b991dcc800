# shellcheck shell=bash
# Fallow's own part: the plugin's line, one fallow.yaml per node, fallowctld and the fallowds.
# Ports after the slurmds': fallowctld's, then the fallowds', that of the login machine last.

bin() { printf '%s\n' "${FALLOW_BIN:-$tree/.build/release}"; }
plugin() { printf '%s\n' "${FALLOW_PLUGIN:-$tree/.build/plugin/spank_fallow.so}"; }

# The lab runs copies: ordinary users must reach the programs and the plugin, and a clone often lies in a home
# that is closed to them; besides, a later build then changes nothing in a lab that runs.
copy_programs() {
	local program
	if [ "$with_plugin" = 1 ]; then
		[ -f "$(plugin)" ] || fail "there is no plugin at $(plugin); 'make build' builds it, FALLOW_PLUGIN names another"
		cp "$(plugin)" "$state/bin/spank_fallow.so"
	fi
	[ "$with_daemons" = 1 ] || return 0
	for program in fallow fallowd fallowctld fallow-executor fallow-donor fallow-slurm-reader; do
		[ -x "$(bin)/$program" ] || fail "there is no $(bin)/$program; 'make build' builds it, FALLOW_BIN names another folder"
	done
	mkdir "$state/lib"
	ln -s libfallow.so.0 "$state/lib/libfallow.so"
	# What `fallow run` puts before programs; without it nothing else is missing.
	[ ! -f "$tree/.build/pager/libfallow-preload.so" ] || install -m 755 "$tree/.build/pager/libfallow-preload.so" "$state/lib"
	if [ "$link_programs" = 1 ]; then
		ln -s "$(realpath "$(bin)")"/{fallow,fallowd,fallowctld,fallow-executor,fallow-donor,fallow-slurm-reader} "$state/bin/"
		ln -s "$(realpath "$(bin)")/libfallow-c.so" "$state/lib/libfallow.so.0"
		stage "programs: linked to $(bin)"
		return 0
	fi
	cp --reflink=auto "$(bin)"/{fallow,fallowd,fallowctld,fallow-executor,fallow-donor,fallow-slurm-reader} "$state/bin/"
	cp "$(bin)/libfallow-c.so" "$state/lib/libfallow.so.0"
	chmod 755 "$state/bin"/* "$state/lib/libfallow.so.0"
	stage "programs: copied from $(bin)"
}

write_plugstack() {
	: >"$state/etc/plugstack.conf"
	[ "$with_plugin" = 1 ] || return 0
	printf 'optional %s/bin/spank_fallow.so runtime=%s/run/%%n cgroup=fallow-lab-%s/%%n/leases deadline_ms=250 %s\n' \
		"$state" "$state" "$id" "${plugin_options[*]-}" >"$state/etc/plugstack.conf"
}

controller_port() { printf '%d\n' $((base + nodes + 1)); }

# One file serves all programs on a node: the daemons, and `fallow` of whoever is logged in there.
write_fallow_yaml() { # INDEX [NAME]
	local setting index=$1 node=${2-node$1} port=$(($(controller_port) + 1 + $1))
	mkdir -p "$state/run/$node" "$state/var/$node"
	{
		cat <<YAML
cluster.name: lab
controller.url: http://127.0.0.1:$(controller_port)
controller.listen: 127.0.0.1:$(controller_port)
node.name: $node
agent.listen: 127.0.0.1:$port
agent.url: http://127.0.0.1:$port
agent.data_address: 127.0.0.1
agent.report_interval: 1
runtime_directory: $state/run/$node
state_directory: $state/var/$node
cgroup.path: fallow-lab-$id/$node
munge.socket: $state/mrun/munge.sock
lend.unallocated: true
lend.lent: true
lend.window: 3
lease.grace_lost: 8
executor.path: $state/bin/fallow-executor
donor.path: $state/bin/fallow-donor
slurm.reader_path: $state/bin/fallow-slurm-reader
donor.size: 64M
lend.unallocated_headroom: 64M
slurm.poll_interval: 1
YAML
		[ "$real_node" = 1 ] || cat <<YAML
node.cores: $cpus
node.memory: ${memory}M
cgroup.lowest_weight: false
lend.core_mapping: logical
YAML
		for setting in "${settings[@]-}"; do
			[[ ${setting%%=*} != */* || $setting == "$node/"* ]] || continue
			setting=${setting#"$node/"}
			[ -z "$setting" ] || printf '%s: %s\n' "${setting%%=*}" "${setting#*=}"
		done
	} | awk -F': ' '{ line[$1] = $0; if (!($1 in seen)) { seen[$1] = 1; order[++count] = $1 } }
		END { for (i = 1; i <= count; i++) print line[order[i]] }' >"$state/etc/fallow.$node.yaml"
}

start_fallowctld() {
	local index
	for ((index = 0; index < nodes; index++)); do write_fallow_yaml "$index"; done
	[ "$login" = 0 ] || write_fallow_yaml "$nodes" login
	mkdir -p "$state/var/controller"
	sed "s|^state_directory: .*|state_directory: $state/var/controller|" "$state/etc/fallow.node0.yaml" \
		>"$state/etc/fallow.controller.yaml"
	start_fallow_daemon fallowctld controller
	wait_until 20 fallowctld "fallowctld listens" accepts "$(controller_port)"
	stage "fallowctld: http://127.0.0.1:$(controller_port)"
}

start_fallowds() {
	local index
	for ((index = 0; index < nodes; index++)); do start_fallow_daemon "fallowd.node$index" "node$index"; done
	[ "$login" = 0 ] || start_fallow_daemon fallowd.login login
	for ((index = 0; index < nodes; index++)); do wait_for_sockets "node$index"; done
	[ "$login" = 0 ] || wait_for_sockets login
	stage "fallowds: one per node, report.sock and client.sock listen"
}

wait_for_sockets() { # NODE
	local socket
	for socket in report client; do
		wait_until 20 "fallowd.$1" "fallowd of $1 listens on $socket.sock" listening "$state/run/$1/$socket.sock"
	done
}

start_fallow_daemon() { # NAME CONFIGURATION
	local words=()
	[ "$debug" = 0 ] || [ "$1" = fallowctld ] || words=(--log-level debug)
	start_daemon "$1" "SLURM_CONF=$state/etc/slurm.conf" "FALLOW_CONFIG=$state/etc/fallow.$2.yaml" \
		"$state/bin/${1%%.*}" "${words[@]}"
}

# The lab is up when fallowctld has heard of every agent and every node offers something.
wait_for_reports() {
	wait_until 20 fallowctld "all agents have reported and lend" all_nodes_offer
	stage "reports: $nodes nodes lend"
}

all_nodes_offer() {
	# Without the caller's environment, which may be another lab's.
	env -i FALLOW_CONFIG="$state/etc/fallow.node0.yaml" timeout $((real_node == 1 ? 50 : 5)) "$state/bin/fallow" nodes --json |
		python3 -c 'import json, sys
text = json.load(sys.stdin)
offered = [n for n in (text if isinstance(text, list) else text["nodes"]) if n["offer"]["cores"] > 0]
sys.exit(len(offered) != int(sys.argv[1]))' "$nodes"
}
