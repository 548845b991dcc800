# shellcheck shell=bash
# A node that is this machine: what Slurm and Fallow do there is what they do on a site's node, pinning included.

# Sockets, cores, threads and memory, as slurmd itself counts them.
measure_real_node() {
	local line
	[ -f /sys/fs/cgroup/cgroup.controllers ] ||
		fail "--real-node wants cgroup v2 alone at /sys/fs/cgroup; 'lab/rdma-vm run' boots a machine that has it"
	[ -z "$(slurm_scopes)" ] || fail "a lab with --real-node is up already; this machine is one node only"
	line=$(slurmd -C | head -n 1)
	[[ $line =~ (CPUs=[0-9]+.*ThreadsPerCore=[0-9]+)\ RealMemory=([0-9]+) ]] || fail "slurmd -C says '$line'"
	real_cpus=${BASH_REMATCH[1]} memory=${BASH_REMATCH[2]} nodes=1
	[[ $real_cpus =~ SocketsPerBoard=([0-9]+)\ CoresPerSocket=([0-9]+) ]] || fail "slurmd -C says '$line'"
	cpus=$((BASH_REMATCH[1] * BASH_REMATCH[2]))
}

real_node_plugins() {
	cat <<'CONF'
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup,task/affinity
JobAcctGatherType=jobacct_gather/cgroup
CONF
}

real_node_cgroups() {
	cat <<'CONF'
CgroupPlugin=cgroup/v2
IgnoreSystemd=yes
ConstrainCores=yes
ConstrainRAMSpace=yes
CONF
}

# Where slurmd makes the cgroups of its steps. Without systemd nobody else makes the slice and gives it controllers.
slurm_slice=/sys/fs/cgroup/system.slice
slurm_scopes() { find "$slurm_slice" -maxdepth 1 -name 'node*_slurmstepd.scope' 2>/dev/null; }

make_slurm_slice() {
	local folder
	mkdir -p "$slurm_slice"
	for folder in /sys/fs/cgroup "$slurm_slice"; do
		echo '+cpu +cpuset +memory +pids' >"$folder/cgroup.subtree_control" ||
			fail "cannot give the controllers cpu, cpuset, memory and pids to what is below $folder"
	done
}
