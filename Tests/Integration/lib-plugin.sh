# lib-plugin.sh: the plugin alone on the Slurm of lib-slurm.sh, for the scripts t01..; sourced. Brings the cluster up.
. "$(dirname "$0")/lib-slurm.sh"
PLUGIN=$ROOT/.build/plugin/spank_fallow.so
make -s -C "$ROOT/slurm-plugin" || exit 1

TREE=fallow-plugin-$$
LINE="optional $PLUGIN runtime=@STATE@/run.%n cgroup=$TREE/%n"
slurm_up "$LINE" "PrologFlags=Alloc,Contain" || exit 1
cd "$STATE/work" || exit 1
NODES="node0 node1 node2"

every_agent() { for n in $NODES; do "agent_$1" "$n" "${@:2}"; done; }
reset_records() { rm -f "$STATE"/records.*; every_agent down; every_agent up "$1"; }
is() { [ "$1" = "$2" ] || { diff <(echo "$2") <(echo "$1") | sed 's/^/      /'; return 1; }; }
has() { case "$1" in *"$2"*) ;; *) echo "      got: $1"; return 1 ;; esac; }
at_least() { [ "$1" -ge "$2" ] || { echo "      got: $1"; return 1; }; }
below() { [ "$1" -lt "$2" ] || { echo "      got: $1"; return 1; }; }
nobody_drained() { is "$(timeout 5 sinfo -h -R)" "" && is "$(timeout 5 sinfo -h -N -o %T | grep -Ei 'drain|down|fail|\*')" ""; }
all_idle() { for _ in $(seq 100); do [ -z "$(squeue -h)" ] && [ "$(sinfo -h -N -o %T | sort -u)" = idle ] && return; sleep 0.1; done; false; }
log_of() { grep -h "\[$2\." "$STATE/log/slurmd.$1.log"; } # NODE JOB: that job's slurmstepd lines
