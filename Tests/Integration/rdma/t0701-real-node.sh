#!/usr/bin/env bash
# A node that is a machine, not a virtual one: Slurm under cgroup v2 alone, cores that are two CPUs far apart, real pinning.
# Runs in the guest of lab/rdma-vm (make test-rdma); nothing here looks at how long anything takes.
. "$(dirname "$0")/../lib.sh"

lease_of() { sed -n 's/^leased \([0-9a-f]*\) .*/\1/p' "$1"; } # FILE: the id of the lease that `hold` told
# The folder bears the name that it got when its executor was parked: the agent's log says which.
lease_folder() { # FILE
	printf '/sys/fs/cgroup/fallow-lab-%s/node0/leases/%s\n' "$(lab_id)" "$(folder_name "$1")"
}
folder_name() { sed -n "/ lease=$(lease_of "$1") .*lease begins/s/.* cgroup=\([0-9a-f]*\) .*/\1/p" "$FALLOW_LAB/log/fallowd.node0.out"; }
siblings() { cat "/sys/devices/system/cpu/cpu$1/topology/thread_siblings_list"; } # CPU: the CPUs of its core
cpus_of() { sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$1"; } # STATUS FILE

# Background: a client that holds a lease whose functions beat. $beats and $work/hold.NAME are its signs of life.
lease() { # NAME FUNCTION PROCESSES ARGUMENTS OF hold...
	local name=$1 function=$2 processes=$3
	shift 3
	beats=$(beats_file "$name")
	"$work/bin/as" "$user" "$work/bin/hold" "$work/bin/libfunctions.so" "$function" "$beats" node=node0 wait=60 "$@" \
		>"$work/hold.$name" 2>&1 &
	eventually "$work/bin/witness" --wait "$processes" "$beats" || { cat "$work/hold.$name"; return 1; }
}
eventually() { within 120 timeout 30 "$@"; } # a slow machine: the witness alone gives up after 10 s
heard_the_end() { within 30 grep -q 'ended FALLOW_OUTCOME_UNKNOWN' "$work/hold.$1" || { cat "$work/hold.$1"; return 1; }; }
finds_nobody() { timeout 120 "$work/bin/as" "$user" srun --mem=100 "$@" "$work/bin/witness" "$beats"; } # OPTIONS of srun
no_job_is_there() { [ -z "$(squeue -h)" ]; }

start_lab --real-node --link-programs --debug --plugin-option deadline_ms=10000
programs functions hold witness

confined() {
	timeout 120 "$work/bin/as" "$user" srun -n1 --mem=200 cat /proc/self/cgroup /proc/self/status >"$work/confined" || return 1
	grep -q '^0::/system.slice/node0_slurmstepd.scope/job_[0-9]*/step_0/' "$work/confined" || { cat "$work/confined"; return 1; }
}
proves 'Slurm runs a step in a cgroup of version 2' confined
whole_core() {
	local cpus
	cpus=$(cpus_of "$work/confined")
	echo "the step may run on $cpus, of $(cat /sys/devices/system/cpu/online)"
	[ "$cpus" = "$(siblings "${cpus%%[,-]*}")" ] && [ "$cpus" = 0,2 ]
}
proves 'confined to one core of one socket: CPUs 0 and 2, siblings that are not neighbours' whole_core
proves "from that step's cpuset the agent has proven which CPUs Slurm's cores are" \
	within 20 grep -q "the mapping of Slurm's cores to CPUs is proven" "$FALLOW_LAB/log/fallowd.node0.out"
proves '... and doctor says so' sh -c "fallow doctor | grep -E '^ok +core mapping: a step'"
proves 'the node offers both of its cores' within 30 node_is node0 "node['offer']['cores'] == 2 and node['cores'] == 2"

# One core for a job, the other for a lease.
beside() {
	"$work/bin/as" "$user" srun -n1 --mem=200 sh -c "cat /proc/self/status >'$work/scratch/neighbour' && sleep 600" \
		>"$work/neighbour.said" 2>&1 &
	within 60 grep -q Cpus_allowed_list "$work/scratch/neighbour" || { cat "$work/neighbour.said"; return 1; }
	within 30 node_is node0 "node['offer']['cores'] == 1"
}
proves 'a job holds one core; the node offers the other' beside
restarted() {
	kill -9 "$(daemon_pid fallowd.node0)"
	"$tree/lab/cluster" restart fallowd.node0 || return 1
	within 60 sh -c "[ \"\$(grep -c \"the mapping of Slurm's cores to CPUs is proven\" '$FALLOW_LAB/log/fallowd.node0.out')\" = 2 ]" &&
		within 60 node_is node0 "node['offer']['cores'] == 1"
}
proves 'an agent that is started again beside the job learns that from the step that runs' restarted
proves "a function computes on that one" lease beside burn 1 cpus=1 memory=134217728
pinned() {
	local job other pid status
	job=$(cpus_of "$work/scratch/neighbour")
	case $job in 0,2) other=1,3 ;; 1,3) other=0,2 ;; *) echo "the job has $job"; return 1 ;; esac
	for pid in $(lease_pids node0); do
		for status in "/proc/$pid/task/"*/status; do
			echo "$status: $(cpus_of "$status"); the job: $job"
			# A worker pins itself to one CPU of its core; which core that is, is the cgroup's word.
			[[ ",$other," == *",$(cpus_of "$status"),"* ]] || return 1
		done
	done
	[ -n "${status-}" ] && [ "$(cat "$(lease_folder "$work/hold.beside")/cpuset.cpus")" = "$other" ]
}
proves "it is given the other core whole, both siblings, and no thread of it may run on a CPU of the job's" pinned
limited() {
	local folder
	folder=$(lease_folder "$work/hold.beside")
	grep -H . "$folder"/{memory.max,memory.oom.group,pids.max,cpu.max}
	[ "$(cat "$folder/memory.max")" = 134217728 ] && [ "$(cat "$folder/memory.oom.group")" = 1 ] &&
		[ "$(cat "$folder/pids.max")" != max ] && [ "$(cat "$folder/cpu.max")" = '100000 100000' ]
}
proves "its memory, processes and CPU time are limited by its cgroup" limited
proves 'our folder has the least CPU weight there is' test "$(cat "/sys/fs/cgroup/fallow-lab-$(lab_id)/cpu.idle")" = 1
proves 'a second job takes that core, and its first task finds no executor alive' finds_nobody -n1
proves 'the caller was told that its lease is over' heard_the_end beside
proves 'the first job was not touched' test "$(squeue -h -t RUNNING -o %T)" = RUNNING
scancel --user="$user"
proves 'the jobs end' within 60 no_job_is_there

proves 'families that ignore every signal compute on both cores' lease family burn_family 8 cpus=2
proves 'a job that takes the whole node finds none of them alive' finds_nobody --exclusive -n1
proves 'the caller was told' heard_the_end family
proves "nothing is left in the leases' cgroups" within 20 no_lease_runs node0
proves 'the job ends' within 60 no_job_is_there

proves 'functions compute on both cores again' lease hung burn 2 cpus=2
kill -STOP "$(daemon_pid fallowd.node0)"
proves 'the agent hangs: a job that takes the whole node finds no executor alive' finds_nobody --exclusive -n1
proves 'that was the plugin, by the cord' grep -q 'fallow: .*; killed all of fallow-lab-' "$FALLOW_LAB/log/slurmd.node0.log"
kill -CONT "$(daemon_pid fallowd.node0)"
proves 'the caller was told' heard_the_end hung
proves 'the job ends' within 60 no_job_is_there

over_its_memory() { # one time in three at least the agent says why before its client has waited long enough for that
	for _ in 1 2 3; do
		timeout 120 "$work/bin/as" "$user" "$work/bin/hold" "$work/bin/libfunctions.so" eat_memory '' node=node0 wait=60 \
			memory=134217728 >"$work/hold.eats" 2>&1
		cat "$work/hold.eats"
		dmesg | grep "Tasks in /fallow-lab-$(lab_id)/node0/leases/$(folder_name "$work/hold.eats") are going to be killed due to memory.oom.group" ||
			return 1
		! grep -q 'ended FALLOW_OUTCOME_UNKNOWN .*used more memory than the lease has' "$work/hold.eats" || return 0
	done
	return 1
}
proves 'the agent goes on and lends; what eats more memory than its lease is killed whole by the kernel, and the caller told why' over_its_memory
proves 'the history says so too' within 20 \
	is_true "[l['reason'] for l in data if l['leaseID'] == '$(lease_of "$work/hold.eats")'] == ['outOfMemory']" leases --ended
proves 'no node was drained' no_node_drained

id=$(lab_id)
proves 'the lab ends' stop_lab
nothing_stays() {
	local left
	left=$(find /sys/fs/cgroup -mindepth 1 -type d \( -name 'fallow*' -o -name '*slurm*' -o -name 'job_*' \))
	[ -z "$left" ] || { echo "$left"; return 1; }
	! grep -ls "fallow-lab-$id" /proc/[0-9]*/cgroup
}
proves 'nothing of it stays in /sys/fs/cgroup' nothing_stays
finish
