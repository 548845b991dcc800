# lib-slurm.sh: a real Slurm of three virtual nodes with the plugin alone, for the scripts of this folder; sourced.
# State is one temporary folder, ports are free ones, and everything started here is ended by slurm_down (set as the
# EXIT trap by slurm_up). Needs root (slurmd does), munged, slurmctld, slurmd.
#
#   slurm_up "plugstack line" ["extra slurm.conf text"]     slurm_down      (@STATE@ in the line is our folder)
#   agent_up NODE MODE, agent_down NODE                     a fake agent behind RUNTIME.NODE/report.sock
#   prove "sentence" command...                             one line per claim; a false one fails the script at its end

# Debian's own programs first: what python3 is elsewhere may take five times as long to start.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
PROVEN=0 BROKEN=0
declare -A AGENT_PID AGENT_FD

prove() {
    local claim=$1
    shift
    if "$@"; then
        PROVEN=$((PROVEN + 1)); echo "  holds: $claim"
    else
        BROKEN=$((BROKEN + 1)); echo "  FAILS: $claim   (${*:1:1})"
    fi
}

free_ports() { # a block of five free ports below the ephemeral range
    python3 - <<'P'
import random, socket
for _ in range(200):
    base = random.randrange(20000, 31000)
    try:
        held = [socket.socket() for _ in range(5)]
        for i, s in enumerate(held):
            s.bind(("127.0.0.1", base + i))
        print(base)
        break
    except OSError:
        pass
    finally:
        for s in held:
            s.close()
P
}

slurm_up() {
    local plugstack=$1 extra=${2:-} port node host
    STATE=$(mktemp -d /tmp/fallow-slurm.XXXXXX) || exit 1
    export SLURM_CONF=$STATE/etc/slurm.conf
    trap slurm_down EXIT
    trap 'exit 130' INT TERM HUP
    chmod 755 "$STATE"
    mkdir -p "$STATE"/{etc,ctld,log,run,mrun,work}; mkdir -m 700 "$STATE/munge"; chmod 777 "$STATE/work"
    for node in node0 node1 node2; do mkdir "$STATE/run.$node"; done
    dd if=/dev/urandom of="$STATE/munge/key" bs=128 count=1 status=none; chmod 600 "$STATE/munge/key"
    munged --key-file="$STATE/munge/key" --socket="$STATE/mrun/munge.sock" --pid-file="$STATE/mrun/munged.pid" \
        --log-file="$STATE/munge/log" --seed-file="$STATE/munge/seed" --num-threads=2 || return 1
    port=$(free_ports); host=$(hostname -s)
    echo "${plugstack//@STATE@/$STATE}" > "$STATE/etc/plugstack.conf"
    echo "CgroupPlugin=cgroup/v1" > "$STATE/etc/cgroup.conf"
    cat > "$SLURM_CONF" <<C
ClusterName=plugin
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=socket=$STATE/mrun/munge.sock
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile=$STATE/run/slurmctld.pid
SlurmdPidFile=$STATE/run/slurmd.%n.pid
SlurmdSpoolDir=$STATE/run/spool.%n
StateSaveLocation=$STATE/ctld
SlurmctldLogFile=$STATE/log/slurmctld.log
SlurmdLogFile=$STATE/log/slurmd.%n.log
SlurmdDebug=debug2
MpiDefault=none
ReturnToService=0
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,bf_interval=2
InactiveLimit=0
KillWait=2
MinJobAge=60
SlurmdTimeout=60
MailProg=/bin/true
DefMemPerCPU=500
PlugStackConfig=$STATE/etc/plugstack.conf
NodeName=node0 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=8 RealMemory=16000
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=8 RealMemory=16000
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 3)) CPUs=8 RealMemory=16000
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP
$extra
C
    slurmctld -f "$SLURM_CONF" || return 1
    for node in node0 node1 node2; do slurmd -f "$SLURM_CONF" -N $node || return 1; done
    for _ in $(seq 200); do
        [ "$(timeout 2 sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l)" = 3 ] && return 0
        sleep 0.05
    done
    echo "the nodes did not become idle" >&2; timeout 2 sinfo >&2; return 1
}

slurm_reread() { # slurmstepd reads plugstack.conf anew at each step; slurmd learns of an epilog at its start alone
    local node
    echo "${1//@STATE@/$STATE}" > "$STATE/etc/plugstack.conf"
    for node in node0 node1 node2; do kill -HUP "$(cat "$STATE/run/slurmd.$node.pid")"; done
    sleep 0.5
}

slurm_down() {
    local pid file node
    trap - EXIT
    [ -n "${STATE:-}" ] || return 0
    timeout 5 squeue -h -o %A 2>/dev/null | xargs -r timeout 5 scancel --full > /dev/null 2>&1
    for _ in $(seq 100); do [ -z "$(timeout 2 squeue -h 2>/dev/null)" ] && break; sleep 0.05; done
    for node in "${!AGENT_PID[@]}"; do agent_down "$node"; done
    for file in "$STATE"/run/slurmd.*.pid "$STATE"/run/slurmctld.pid "$STATE"/mrun/munged.pid; do
        [ -f "$file" ] || continue
        pid=$(cat "$file"); kill "$pid" 2>/dev/null
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    done
    [ -n "${KEEP_STATE:-}" ] || rm -rf "$STATE"
}

agent_up() { # NODE MODE
    local node=$1 mode=$2 fd line
    mkfifo "$STATE/agent.$node.in"
    python3 "$ROOT/slurm-plugin/tests/fake_agent.py" "$STATE/run.$node/report.sock" "$STATE/records.$node" "$mode" \
        < "$STATE/agent.$node.in" > "$STATE/agent.$node.out" &
    AGENT_PID[$node]=$!
    exec {fd}> "$STATE/agent.$node.in"
    AGENT_FD[$node]=$fd
    rm "$STATE/agent.$node.in"
    for _ in $(seq 200); do grep -q ready "$STATE/agent.$node.out" && return 0; sleep 0.02; done
    echo "the fake agent of $node did not start" >&2; return 1
}

agent_down() { # NODE
    local fd=${AGENT_FD[$1]:-}
    [ -n "$fd" ] && exec {fd}>&-
    # By its pid: the agents started after it hold its standard input open too.
    [ -n "${AGENT_PID[$1]:-}" ] && kill -KILL "${AGENT_PID[$1]}" 2>/dev/null && wait "${AGENT_PID[$1]}" 2>/dev/null
    unset "AGENT_PID[$1]" "AGENT_FD[$1]"
    rm -f "$STATE/run.$1"/report.sock "$STATE/run.$1"/breaker.*
}

records() { cat "$STATE"/records.* 2>/dev/null; } # all records, as lines of JSON

# records_where EXPR: how many records satisfy the Python expression over the record r
records_where() {
    records | python3 -c 'import json, sys
print(sum(1 for r in map(json.loads, sys.stdin) if eval(sys.argv[1])))' "$1"
}

milliseconds() { # runs a command, prints how long it took; its output is dropped
    local began=$(date +%s%N)
    "$@" > /dev/null 2>&1
    echo $((($(date +%s%N) - began) / 1000000))
}

finish() {
    slurm_down
    echo "$PROVEN passed, $BROKEN failed"
    [ "$BROKEN" = 0 ] && [ "$PROVEN" -gt 0 ]
    exit
}
