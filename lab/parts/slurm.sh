# shellcheck shell=bash
# Slurm's own part: munged, slurmctld, one slurmd per virtual node. Ports: base is slurmctld's, then the slurmds'.

start_munge() {
	dd if=/dev/urandom of="$state/munge/key" bs=128 count=1 status=none
	chmod 600 "$state/munge/key"
	start_daemon munged munged --foreground --key-file="$state/munge/key" --socket="$state/mrun/munge.sock" \
		--pid-file="$state/mrun/munged.pid" --log-file="$state/log/munged.log" --seed-file="$state/munge/seed" \
		--num-threads=2
	wait_until 10 munged "it makes a credential" munge_works
	stage "munged: socket $state/mrun/munge.sock"
}

munge_works() { munge -S "$state/mrun/munge.sock" -n | unmunge -S "$state/mrun/munge.sock"; }

write_slurm_conf() {
	local level=info host index
	host=$(hostname -s)
	[ "$debug" = 0 ] || level=debug2
	{
		cat <<CONF
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$base
AuthType=auth/munge
AuthInfo=socket=$state/mrun/munge.sock
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile=$state/run/slurmctld.pid
SlurmdPidFile=$state/run/slurmd.%n.pid
SlurmdSpoolDir=$state/spool/%n
StateSaveLocation=$state/slurmctld
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.%n.log
SlurmctldDebug=$level
SlurmdDebug=$level
PlugStackConfig=$state/etc/plugstack.conf
TaskProlog=$state/etc/task-prolog
PrologFlags=Alloc,Contain
$([ "$real_node" = 1 ] && real_node_plugins || virtual_node_plugins)
JobAcctGatherFrequency=task=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,bf_interval=2
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
InactiveLimit=0
KillWait=2
MinJobAge=60
SlurmctldTimeout=30
SlurmdTimeout=30
Waittime=0
MailProg=/bin/true
CONF
		for ((index = 0; index < nodes; index++)); do
			printf 'NodeName=node%d NodeHostname=%s NodeAddr=127.0.0.1 Port=%d %s RealMemory=%d State=UNKNOWN\n' \
				"$index" "$host" $((base + 1 + index)) "${real_cpus:-$(virtual_cpus)}" "$memory"
		done
		printf 'PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n'
		[ ${#slurm_lines[@]} = 0 ] || printf '%s\n' "${slurm_lines[@]}"
	} >"$state/etc/slurm.conf"
	if [ "$real_node" = 1 ]; then real_node_cgroups; else echo CgroupPlugin=autodetect; fi >"$state/etc/cgroup.conf"
	write_task_prolog
	write_plugstack
}

# Virtual nodes: cores and memory are what slurm.conf says, and nothing is confined.
virtual_cpus() { printf 'CPUs=%d Boards=1 SocketsPerBoard=1 CoresPerSocket=%d ThreadsPerCore=1' "$cpus" "$cpus"; }
virtual_node_plugins() {
	cat <<'CONF'
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SlurmdParameters=config_overrides
CONF
}

# A job's programs ask the agent of the virtual node they are on.
write_task_prolog() {
	{
		echo '#!/bin/sh'
		if [ "$with_daemons" = 1 ]; then
			echo "echo export FALLOW_CLIENT_SOCKET=$state/run/\$SLURMD_NODENAME/client.sock"
			echo "echo export FALLOW_CONFIG=$state/etc/fallow.\$SLURMD_NODENAME.yaml"
		fi
	} >"$state/etc/task-prolog"
	chmod 755 "$state/etc/task-prolog"
}

start_slurmctld() {
	write_slurm_conf
	export SLURM_CONF=$state/etc/slurm.conf
	start_daemon slurmctld "$(command -v slurmctld)" -D -f "$SLURM_CONF"
	wait_until 20 slurmctld "slurmctld answers" timeout 3 scontrol ping
	stage "slurmctld: port $base"
}

start_slurmds() {
	local index
	for ((index = 0; index < nodes; index++)); do
		mkdir -p "$state/spool/node$index"
		start_daemon "slurmd.node$index" "$(command -v slurmd)" -D -f "$SLURM_CONF" -N "node$index"
	done
	for ((index = 0; index < nodes; index++)); do
		wait_until 20 "slurmd.node$index" "Slurm calls node$index idle" node_is_idle "node$index"
	done
	stage "slurmds: $(timeout 3 sinfo -h -o '%N %c cores %m MB %T' | tr -s ' ')"
}

node_is_idle() { [ "$(timeout 3 sinfo -h -n "$1" -o %T)" = idle ]; }
