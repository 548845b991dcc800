# shellcheck shell=bash
# Keeps the guest's kernel from rewriting its own code while all CPUs run it.
#
# The first cgroup with a quota of CPU time, with a cpuset or with a limit of memory switches on paths in the scheduler, the page
# allocator and the network (static keys: a breakpoint is put there, then the new instruction), and the last one's end switches them
# off. QEMU 7.2 now and then goes on running its translation of the breakpoint, for ever, on CPUs that hold a run queue's lock: the guest
# stands still. Leases come and go; so one cgroup that has all of it stays.
hold_kernel_steady() {
	local root=/sys/fs/cgroup
	echo '+cpu +cpuset +memory +pids' >$root/cgroup.subtree_control
	mkdir -p $root/rdma-vm-steady
	echo '100000 100000' >$root/rdma-vm-steady/cpu.max
}
