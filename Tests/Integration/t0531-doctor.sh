#!/usr/bin/env bash
# `fallow doctor` on a real cluster: what is well is called so, and each fault that is provoked is found, with the line that mends it.
# Clocks, versions and kernels that differ are provoked in the unit tests of FallowDiagnosis.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 1
# Slurm's configuration as scontrol tells it, changed by the sed script in $work/change; its version by $work/release.
mkdir "$work/fake"
scontrol=$(command -v scontrol)
cat >"$work/fake/scontrol" <<SCRIPT
#!/bin/sh
[ "\$1" != --version ] || [ ! -s $work/release ] || exec cat $work/release
[ "\$1" = show ] || exec $scontrol "\$@"
$scontrol "\$@" | sed -f $work/change
SCRIPT
chmod 755 "$work/fake/scontrol"
: >"$work/change"
export PATH=$work/fake:$PATH

# diagnose STATUS GRADE SUBJECT PATTERN [ENVIRONMENT...]: doctor ends so, and one finding is as said; PATTERN is for sentence and mend.
diagnose() {
	local want=$1 status=0
	bounded env "${@:5}" fallow doctor --json >"$work/found" 2>"$work/complaint" || status=$?
	python3 - "$work/found" "$2" "$3" "$4" <<'PYTHON' || return 1
import json, re, sys
found = json.load(open(sys.argv[1]))
grade, subject, pattern = sys.argv[2:]
for f in found:
    assert f["grade"] == "good" or f.get("mend"), f"nothing mends {f}"
hits = [f for f in found if f["subject"] == subject and f["grade"] == grade]
sys.exit(0 if any(re.search(pattern, f["sentence"] + " | " + f.get("mend", "")) for f in hits) else
         f"no {grade} finding of '{subject}' like '{pattern}': {json.dumps([f for f in found if f['grade'] != 'good'])}")
PYTHON
	[ "$status" = "$want" ] || { echo "status $status instead of $want"; cat "$work/found"; return 1; }
}
change() { printf '%s\n' "$@" >"$work/change"; } # sed commands
config() { change "s|^$1 .*|$1 = $2|"; } # KEY VALUE
# A virtual node: what is missing here at least is that memory is not confined.
proves 'a lab is well but for what is virtual' diagnose 1 warning ConstrainRAMSpace 'ConstrainRAMSpace=yes'
for subject in configuration agent port 'core mapping' munge fallowctld clock versions PrologFlags SelectTypeParameters plugin cgroups disk userfaultfd; do
	proves "... $subject is good" diagnose 1 good "$subject" .
done
change 's|^TaskPlugin .*|TaskPlugin = task/cgroup|' '$a ConstrainCores = yes' '$a ConstrainRAMSpace = yes'
proves '... and with memory confined, too' diagnose 0 good 'memory constraint' .
in_words() { fallow doctor | grep -E '^ok +plugin: .*spank_fallow.so, for Slurm 22\.05'; }
proves 'in words, too' in_words

good=('s|^TaskPlugin .*|TaskPlugin = task/cgroup|' '$a ConstrainCores = yes' '$a ConstrainRAMSpace = yes')
change "${good[@]}" 's|^PrologFlags .*|PrologFlags = Alloc|'
proves 'PrologFlags' diagnose 2 broken PrologFlags 'slurm.conf: PrologFlags=Alloc,Contain'
change "${good[@]}" 's|^SelectTypeParameters .*|SelectTypeParameters = CR_CORE|'
proves 'memory that is not counted' diagnose 1 warning SelectTypeParameters CR_Core_Memory
change "${good[@]}" 's|^TaskPlugin .*|TaskPlugin = task/affinity|'
proves 'cores that are not confined' diagnose 1 warning TaskPlugin ConstrainCores=yes FALLOW_LEND_CORE_MAPPING=auto
change "${good[@]:0:1}" '$a ConstrainRAMSpace = yes' '$a ConstrainCores = no'
proves '... by cgroup.conf' diagnose 1 warning ConstrainCores ConstrainCores=yes FALLOW_LEND_CORE_MAPPING=auto
change "${good[@]}" 's|^SuspendProgram .*|SuspendProgram = /usr/sbin/off|' 's|^SuspendTime .*|SuspendTime = 600 sec|'
proves 'power saving' diagnose 1 warning SuspendProgram SuspendExcNodes

# shellcheck disable=SC2016
printf '#!/bin/sh\n\npkill -KILL -u "$SLURM_JOB_USER"\n' >"$work/epilog"
change "${good[@]}" "s|^Epilog .*|Epilog = $work/epilog|"
proves 'an epilog that kills a users processes' diagnose 1 warning Epilog "$work/epilog:3"
change "${good[@]}" "s|^Epilog .*|Epilog = $work/no-epilog|"
proves '... or that cannot be read' diagnose 1 warning Epilog 'cannot be read'
change "${good[@]}" "s|^HealthCheckProgram .*|HealthCheckProgram = $work/epilog|"
proves 'a health check that does' diagnose 1 warning HealthCheckProgram "$work/epilog:3"

plugstack() { printf '%s\n' "$@" >"$work/plugstack.conf"; }
change "${good[@]}" "s|^PlugStackConfig .*|PlugStackConfig = $work/plugstack.conf|"
plugstack '# nothing'
proves 'a plugin that no line loads' diagnose 1 warning plugin 'plugstack.conf.d/fallow.conf'
plugstack "required $FALLOW_LAB/bin/spank_fallow.so"
proves '... that is required' diagnose 2 broken plugin "write 'optional'"
plugstack "optional $work/spank_fallow.so"
proves '... that is not there' diagnose 2 broken plugin 'fallow-slurm'
mkdir "$work/plugstack.conf.d"
echo "optional $FALLOW_LAB/bin/spank_fallow.so" >"$work/plugstack.conf.d/fallow.conf"
plugstack 'include plugstack.conf.d/*'
proves 'an include of everything' diagnose 1 warning plugstack 'include plugstack.conf.d/\*.conf'
plugstack 'include plugstack.conf.d/*.conf'
proves '... and of what is meant' diagnose 0 good plugin 'spank_fallow.so, for Slurm'
srun -n1 true
cp "$FALLOW_LAB/bin/spank_fallow.so" "$work/spank_fallow.so"
plugstack "optional $work/spank_fallow.so"
proves 'once a step has started: the build that steps load' within 20 diagnose 0 good plugin 'same build that steps load on node0'
echo >>"$work/spank_fallow.so"
proves '... and another one, as a login node may have it' diagnose 1 warning plugin 'install the same fallow-slurm'
rm "$work/spank_fallow.so"
plugstack "optional $FALLOW_LAB/bin/spank_fallow.so"
echo 'slurm 23.11.4' >"$work/release"
proves 'a plugin for another Slurm' diagnose 2 broken plugin 'built for Slurm 22.05, and here is slurm 23.11.4'
rm "$work/release"

change "${good[@]}"
proves 'munged that is not there' diagnose 2 broken munge 'enable --now munge' FALLOW_MUNGE_SOCKET=/nonexistent/munge
proves 'fallowctld that does not answer' diagnose 2 broken fallowctld 'fallowctld on its node' FALLOW_CONTROLLER_URL=http://127.0.0.1:1
proves 'an agent that is not there' diagnose 2 broken agent 'enable --now fallowd' FALLOW_CLIENT_SOCKET=/nonexistent/client.sock
kill -STOP "$(daemon_pid fallowd.node0)"
proves '... or that hangs' diagnose 2 broken agent 'restart fallowd'
kill -CONT "$(daemon_pid fallowd.node0)"
proves '... which a login node need not have' diagnose 0 good agent 'no compute node' FALLOW_CLIENT_SOCKET=/nonexistent/client.sock FALLOW_NODE_NAME=login7
proves 'a port on which nobody listens' diagnose 2 broken port 'agent.listen' FALLOW_AGENT_LISTEN=127.0.0.1:1
mkdir "$work/runtime"
: >"$work/runtime/breaker.7"
proves 'a circuit breaker' diagnose 1 warning 'circuit breaker' 'restart fallowd' "FALLOW_RUNTIME_DIRECTORY=$work/runtime"
mkdir "$work/cgroup"
proves 'no cgroups' diagnose 2 broken cgroups cgroup.mount "FALLOW_CGROUP_MOUNT=$work/cgroup"
echo 'cpu pids' >"$work/cgroup/cgroup.controllers"
proves '... without memory' diagnose 2 broken 'cgroup controllers' 'memory' "FALLOW_CGROUP_MOUNT=$work/cgroup"
mkdir "$work/small" "$work/empty"
small_disk() { # In a name space of its own: the mount is gone with it.
	unshare -m --propagation private bash -c 'mount -t tmpfs -o size=8m small "$1/small" && { FALLOW_STATE_DIRECTORY=$1/small/state fallow doctor || true; }' _ "$work" |
		grep -E '^BROKEN +disk: only .*/state, '
}
proves 'a disk without room' small_disk
no_pressure() { unshare -m --propagation private bash -c 'mount --bind "$1/empty" /proc/pressure && { fallow doctor || true; }' _ "$work" | grep -E 'mend: boot with psi=1$'; }
proves 'a kernel without pressure' no_pressure
echo 'lend.unalocated: true' >"$work/bad.yaml"
proves 'a configuration with an unknown key' diagnose 2 broken configuration "nearest is 'lend.unallocated'" "FALLOW_CONFIG=$work/bad.yaml"
mkdir "$work/nothing"
proves 'Slurm that does not answer' diagnose 1 warning slurm 'PATH' "PATH=$work/nothing:$FALLOW_LAB/bin:$(dirname "$(command -v timeout)")" SLURM_CONF=/nonexistent/slurm.conf
finish
