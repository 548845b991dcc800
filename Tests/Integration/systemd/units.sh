#!/usr/bin/env bash
# units.sh PACKAGES OLDER-PACKAGES PROGRAMS: run as root in a guest whose process 1 is systemd (t0611-systemd.sh boots it): the units, from
# a fresh install to a purge, beside a Slurm that Debian's own units run. Nothing here looks at how long anything takes but for its bounds.
. "$(dirname "$0")/../lib.sh"
new=$1 old=$2 programs=$3
units=/sys/fs/cgroup/fallow.slice
dpkg_install() { timeout 200 dpkg --force-unsafe-io -i "$1"/*.deb; }
property() { systemctl show --value -p "$2" "$1"; } # UNIT NAME
is() { # UNIT PROPERTY VALUE
	local value
	value=$(property "$1" "$2")
	[ "$value" = "$3" ] || { echo "$2 of $1 is '$value', not '$3'"; return 1; }
}
agent() { property fallowd.service MainPID; }
version() { dpkg-query -W -f '${Version}' "$1"; }
said() { journalctl -q -o cat "$@"; }
telling() { "$@" || { journalctl -q -n 30 -o short-monotonic -u fallowd -u fallowctld -u slurmd -u slurmctld; return 1; }; }
slurmd_is_the_same() { is slurmd.service MainPID "$slurmd" && is slurmd.service NRestarts 0 && is slurmd.service ActiveState active; }

# Slurm by Debian's own units.
node=$(slurmd -C | head -n 1)
cat >/etc/slurm/slurm.conf <<CONF
ClusterName=guest
SlurmctldHost=guest
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmUser=slurm
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup,task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PrologFlags=Alloc,Contain
ReturnToService=2
MessageTimeout=60
SlurmdTimeout=300
${node%% Uptime*}
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE
CONF
install -d -o slurm -g slurm /var/lib/slurm/slurmctld /var/lib/slurm/slurmd
printf 'CgroupPlugin=cgroup/v2\nConstrainCores=yes\nConstrainRAMSpace=yes\n' >/etc/slurm/cgroup.conf
slurm_runs() { systemctl restart munge slurmctld slurmd && within 60 sh -c 'sinfo -h -o %T | grep -qx idle' && timeout 60 srun true; }
proves "Slurm runs under systemd, by Debian's units" telling slurm_runs
[ "$failed" = 0 ] || finish
slurmd=$(property slurmd.service MainPID)
# Python's own caches are no packages' files.
export PYTHONDONTWRITEBYTECODE=1
files() { find / -xdev \( -path /host -o -path /.rdma-vm -o -path /tmp -o -path /var/cache -o -path /var/log -o -path /var/lib/dpkg -o -path /var/lib/slurm \
	-o -path /var/lib/systemd \) -prune -o -type f ! -path '/etc/*-' -print | sort; }
files >"$work/before"
sort /etc/passwd /etc/group >"$work/accounts"

proves 'an older version is installed' dpkg_install "$old"
is_off() { is fallowd.service ActiveState inactive && is fallowctld.service ActiveState inactive && is fallowd.service UnitFileState disabled; }
proves '... and runs nothing: which machines do is the word of the site' is_off
loaded() { is "$1" LoadState loaded && is "$1" NeedDaemonReload no; }
for unit in fallowd.service fallowctld.service fallow.slice; do proves "systemd has loaded $unit" loaded "$unit"; done
started() { systemctl start "$1" && is "$1" ActiveState active && is "$1" SubState running && is "$1" Type notify && is "$1" Result success; }
proves 'fallowctld starts, and says so itself (Type=notify)' telling started fallowctld.service
proves 'fallowd starts, and says so itself' telling started fallowd.service
proves 'the node reports' telling within 60 is_true "[n for n in data if n['node'] == 'guest' and n['lastReportSeconds'] < 10]" nodes
reports_only() { is_true "[n for n in data if n['offer']['cores'] == 0 and 'lend.unallocated' in (n['withheldReason'] or '')]" nodes; }
proves 'a fresh install lends nothing: it only reports' telling within 20 reports_only
proves 'a job runs with the plugin' timeout 60 srun true
proves 'fallow.slice has the least weight: idle' grep -qx 1 $units/cpu.idle
in_service() { grep -qx "0::/fallow.slice/fallowd.service\(/agent\)\?" "/proc/$(agent)/cgroup" || { cat "/proc/$(agent)/cgroup"; return 1; }; }
proves 'the agent is in it' in_service
delegated() {
	local controllers
	controllers=" $(cat $units/fallowd.service/leases/cgroup.subtree_control) "
	[[ $controllers == *' cpu '* && $controllers == *' memory '* && $controllers == *' pids '* ]] || { echo "$controllers"; return 1; }
}
proves '... with its cgroups delegated: it has given controllers to those of leases' delegated

lending() {
	sed -i 's/^  unallocated: false/  unallocated: true/' /etc/fallow/fallow.yaml
	printf 'lend.unallocated_headroom: 64M\nslurm.poll_interval: 1\n' >>/etc/fallow/fallow.yaml
	systemctl restart fallowctld fallowd && within 60 offers
}
offers() { node_is guest "node['offer']['cores'] > 0"; }
proves "when the site says so, the node offers its cores" telling lending
cp /etc/fallow/fallow.yaml "$work/site.yaml"

sed 's/^lend:/log.levels: info,FallowHost=debug\n&/' "$work/site.yaml" >/etc/fallow/fallow.yaml
reads_levels() {
	systemctl reload "$1" && within 10 sh -c "journalctl -q -o cat -u $1 | grep -F 'levels=info,FallowHost=debug' | grep -F 'log levels are read again'" &&
		is "$1" ActiveState active
}
for unit in fallowd.service fallowctld.service; do proves "$unit reads its log levels again while it runs" telling reads_levels "$unit"; done
cp "$work/site.yaml" /etc/fallow/fallow.yaml
levelled() { journalctl -q -p warning -u fallowd -u fallowctld -o cat >"$work/warnings" && journalctl -q -o cat -u fallowd | grep -q 'fallowd starts' && ! grep -q 'fallowd starts' "$work/warnings"; }
proves "... whose lines have levels in the journal, and no time of their own" levelled

# It sleeps: a guest that computes as well has no time for what is looked at.
held() { # NAME
	"$work/bin/as" "$user" "$programs/hold" "$programs/libfunctions.so" sleep_for_ever '' cpus=1 wait=60 memory=134217728 >"$work/$1.said" 2>&1 &
	within 90 leased "$1" && cgroup_of_executor >"$work/$1.cgroup" || { cat "$work/$1.said"; return 1; }
}
# An executor that stood ready keeps the cgroup that it was born in, whichever lease it is given to.
cgroup_of_executor() { sed 's/^0:://' "/proc/$(pgrep -u "$user" -x fallow-executor)/cgroup"; }
leased() { grep -q '^leased' "$work/$1.said"; }
told() { grep -q '^ended FALLOW_OUTCOME_UNKNOWN' "$work/$1.said" || { cat "$work/$1.said"; return 1; }; }
folder() { echo "/sys/fs/cgroup$(cat "$work/$1.cgroup")"; } # NAME
proves 'a function runs on them' telling held first
in_cgroup() { [[ $(folder first) = "$units/fallowd.service/leases/"* ]] && grep -q . "$(folder first)/cgroup.procs" && grep -qx 1 $units/cpu.idle && [ "$(cat "$(folder first)/memory.max")" != max ]; }
proves '... in a cgroup of its lease, below fallow.slice, with its memory bounded' in_cgroup

# A hang: systemd misses the signs of life.
before=$(agent)
kill -STOP "$before"
replaced() { [ "$(agent)" != "$before" ] && [ "$(agent)" != 0 ] && is fallowd.service ActiveState active; }
proves 'an agent that is stopped (SIGSTOP) is replaced by the watchdog' telling within 60 replaced
proves '... for that reason' sh -c "journalctl -q -o cat -u fallowd | grep -q 'Watchdog timeout'"
proves '... its lease ended with a word' within 20 told first
proves '... and nothing of it is left' sh -c "[ ! -e '$(folder first)' ]"
proves '... the new one lends again' telling within 60 offers
proves '... slurmd noticed nothing' slurmd_is_the_same

# The upgrade, with a lease and a job.
timeout 470 "$work/bin/as" "$user" srun -n1 --mem=100 sleep 460 >"$work/job" 2>&1 &
proves 'a job runs beside' within 60 sh -c '[ "$(squeue -h -t R | wc -l)" = 1 ]'
proves 'a function runs' telling held second
before=$(agent) since=$(date '+%F %T')
proves 'the packages are upgraded while they run' telling dpkg_install "$new"
proves '... to the new version' sh -c "[ '$(version fallow)' != 0.0.9 ] && [ '$(version fallow-slurm)' = '$(version fallow)' ]"
proves '... the lease ended with a word' within 20 told second
proves '... the agent stopped by itself, in time' sh -c "journalctl -q -o cat -u fallowd --since '$since' | grep -q 'fallowd ended' && ! journalctl -q -o cat -u fallowd --since '$since' | grep -qiE 'timed out|SIGKILL'"
both_run() { replaced && is fallowctld.service ActiveState active; }
proves '... and both daemons run again' telling within 30 both_run
proves '... and the node lends again' telling within 60 offers
proves "... the site's file is as it was" cmp /etc/fallow/fallow.yaml "$work/site.yaml"
job_runs() { [ "$(squeue -h -t R | wc -l)" = 1 ] && slurmd_is_the_same; }
proves '... the job runs on, slurmd is the same' job_runs

# Killed: ExecStopPost before the next one.
proves 'a function runs' telling held third
before=$(agent)
kill -KILL "$before"
proves 'an agent that is killed is started again' telling within 60 replaced
gone() { [ ! -e "$(folder third)" ] && told third; }
proves '... its lease is gone, and its client knows' within 20 gone
proves '... the job runs on' job_runs

# Stopped.
proves '... and the new one lends again' telling within 60 offers
proves 'a function runs' telling held fourth
proves 'fallowd stops' telling systemctl stop fallowd
stopped() { is fallowd.service ActiveState inactive && is fallowd.service Result success; }
proves '... in good order' telling stopped
proves '... the lease ended with a word' within 20 told fourth
no_trace() { [ ! -e $units/fallowd.service ] && [ ! -e /run/fallow/report.sock ] && [ ! -e /run/fallow/client.sock ] && ! pgrep fallow-executor; }
proves '... and leaves no cgroup, no socket, no executor' telling no_trace
proves '... the job runs on, slurmd is the same' job_runs
proves '... and a step starts as ever' timeout 60 srun -n1 --mem=100 true
scancel --user="$user"

proves 'systemd finds nothing wrong with the units' sh -c "! systemd-analyze verify --man=no fallowd.service fallowctld.service fallow.slice 2>&1 | grep fallow"
systemctl start fallowd
removed() { timeout 200 dpkg --purge fallow-slurm fallow libfallow-dev libfallow0 libfallow-pager1; }
proves 'they are purged while they run' telling removed
nothing_stays() { files | diff "$work/before" - && sort /etc/passwd /etc/group | diff "$work/accounts" - && [ -z "$(pgrep -a fallow)" ] &&
	[ ! -e $units/fallowd.service ] && [ ! -e /run/fallow ] && [ ! -e /var/lib/fallow ] && is fallowd.service LoadState not-found; }
proves '... and nothing stays' nothing_stays
proves '... a job runs without' timeout 60 srun true
proves '... slurmd is the same' slurmd_is_the_same
finish
