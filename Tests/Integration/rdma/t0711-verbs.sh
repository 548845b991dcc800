#!/usr/bin/env bash
# Leases over RDMA verbs in a real Slurm: the client comes from a login machine's device, rxe2, the executor listens on the
# node's, rxe1. That it is verbs is what the client says and what the devices have counted.
# Runs in the guest of lab/rdma-vm (make test-rdma); of times it looks only at the promise that a lost peer is known in 2 s.
. "$(dirname "$0")/../lib.sh"

executor_device=rxe1 executor_address=10.77.0.1
client_device=rxe2 client_address=10.77.0.2

start_lab --real-node --login --link-programs --plugin-option deadline_ms=10000 \
	--setting "node0/agent.rdma_address=$executor_address" --setting "login/agent.rdma_address=$client_address"
programs functions hold witness many
library=$work/bin/libfunctions.so
# Whoever calls a function here sits on the login machine.
FALLOW_CLIENT_SOCKET=$(client_socket login)
export FALLOW_CLIENT_SOCKET

uses() { # DAEMON DEVICE ADDRESS
	grep "executors are reached over RDMA" "$FALLOW_LAB/log/fallowd.$1.out" | grep -F "$2" | grep -F "$3"
}
proves "the node's agent has found its device" within 60 uses node0 "$executor_device" "$executor_address"
proves "and the login machine's agent its own" within 60 uses login "$client_device" "$client_address"
proves 'the node offers its two cores' within 30 node_is node0 "node['offer']['cores'] == 2"

# The guest reads the programs from its host, slowly: the first executor may take longer than an agent waits for one.
first_call() { timeout --kill-after=5 60 "$work/bin/as" "$user" fallow invoke "$library" echo --wait 30; }
proves 'a first call comes through' within 120 first_call

# Under cgroup v2 executors stand ready unless somebody says otherwise. The kernel refuses a device to a process that was
# somebody else when it was opened; the lease after the next would die of it.
opened_no_device() {
	local pid pids
	pids=$(parked_pids node0)
	[ -n "$pids" ] || { echo 'none stands ready'; return 1; }
	for pid in $pids; do grep -q libfabric "/proc/$pid/maps" || { echo 'it has not loaded libfabric yet'; return 1; }; done
	sleep 2
	for pid in $pids; do ! find "/proc/$pid/fd" -printf '%l\n' | grep infiniband || return 1; done
}
proves 'an executor stands ready for the next lease, and has opened no device yet' within 60 opened_no_device

# Payloads, and proof of the way they went.
received() { cat "/sys/class/infiniband/$1/ports/1/hw_counters/rcvd_pkts"; } # DEVICE
echoed() {
	local before after
	head -c 300000 /dev/urandom >"$work/payload" && chmod 644 "$work/payload"
	before="$(received "$executor_device") $(received "$client_device")"
	timeout --kill-after=5 120 "$work/bin/as" "$user" fallow invoke "$library" echo --input "$work/payload" --output "$work/scratch/reply" \
		--repeat 3 --wait 60 --json >"$work/json" || return 1
	after="$(received "$executor_device") $(received "$client_device")"
	cat "$work/json"
	cmp "$work/payload" "$work/scratch/reply" || return 1
	python3 - "$work/json" "$before" "$after" <<'PYTHON'
import json, sys
data = json.load(open(sys.argv[1]))
grown = [int(b) - int(a) for a, b in zip(sys.argv[2].split(), sys.argv[3].split())]
print("packets received by the executor's device and by the client's:", grown)
# A device's packet carries 4 KiB at most: three payloads each way are 220 at least.
sys.exit(not (data["transport"] == "verbs" and data["node"] == "node0" and data["invocations"] == 3 and min(grown) > 220))
PYTHON
}
proves '300,000 random bytes come back as they went, and the client and both devices say that it was over verbs' echoed
many_whole() {
	timeout --kill-after=5 200 "$work/bin/as" "$user" "$work/bin/many" "$library" 2000 remote >"$work/many" 2>&1 || { cat "$work/many"; return 1; }
	grep -q 'invocations 2000' "$work/many"
}
proves '2,000 invocations, 8 in flight, then payloads of up to 8 MiB: every byte is what it has to be' many_whole

# Memory of the node for a program on the login machine: sort's buffer is the donor's, and its bytes go over the devices.
sorted() {
	local before after
	awk 'BEGIN { srand(7); for (i = 0; i < 300000; i++) printf "%010d %d\n", rand() * 1e10, i }' >"$work/scratch/lines"
	chmod 644 "$work/scratch/lines"
	before="$(received "$executor_device") $(received "$client_device")"
	timeout --kill-after=5 200 "$work/bin/as" "$user" fallow run --remote-mem=64M --local-mem=8M -- \
		sort -S 32M --parallel=1 "$work/scratch/lines" >"$work/sorted" || return 1
	after="$(received "$executor_device") $(received "$client_device")"
	sort "$work/scratch/lines" | cmp - "$work/sorted" || return 1
	python3 - "$before" "$after" <<'PYTHON'
import sys
grown = [int(b) - int(a) for a, b in zip(sys.argv[1].split(), sys.argv[2].split())]
print("packets received by the donor's device and by the borrower's:", grown)
sys.exit(not min(grown) > 100)
PYTHON
}
proves "a program sorts in the node's memory, which it reads and writes over verbs" sorted

# Background: a client that holds a lease whose functions beat. $beats and $work/hold.NAME are its signs of life.
lease() { # NAME FUNCTION PROCESSES ARGUMENTS OF hold...
	local name=$1 function=$2 processes=$3
	shift 3
	beats=$(beats_file "$name")
	"$work/bin/as" "$user" "$work/bin/hold" "$library" "$function" "$beats" node=node0 wait=60 "$@" >"$work/hold.$name" 2>&1 &
	within 60 timeout 30 "$work/bin/witness" --wait "$processes" "$beats" || { cat "$work/hold.$name"; return 1; }
	grep -q '^leased [0-9a-f]* node0 verbs$' "$work/hold.$name" || { cat "$work/hold.$name"; return 1; }
}
heard_the_end() { within 60 grep -q 'ended FALLOW_OUTCOME_UNKNOWN' "$work/hold.$1" || { cat "$work/hold.$1"; return 1; }; }
# When the caller was told, from its own words, less when it happened; microseconds.
heard_within() { # NAME MICROSECONDS SINCE
	local at
	heard_the_end "$1" || return 1
	at=$(sed -n 's/^ended .* at \([0-9]*\): .*/\1/p' "$work/hold.$1" | head -n 1)
	echo "it took $((at / 1000 - $3)) us"
	[ $((at / 1000 - $3)) -lt "$2" ]
}
reason_is() { # NAME REASON
	local id
	id=$(sed -n 's/^leased \([0-9a-f]*\) .*/\1/p' "$work/hold.$1")
	is_true "[l['reason'] for l in data if l['leaseID'] == '$id'] == ['$2']" leases --ended
}
finds_nobody() { timeout --kill-after=5 200 "$work/bin/as" "$user" srun --mem=100 "$@" "$work/bin/witness" "$beats"; } # OPTIONS of srun
no_job_is_there() { [ -z "$(squeue -h)" ]; }
cores_are_back() { within 60 node_is node0 "node['offer']['cores'] == 2"; }

proves 'a function computes for a caller over verbs' lease killed burn 1
since=$(now_us)
# shellcheck disable=SC2046
kill -KILL $(lease_pids node0)
proves 'its executor is killed: the caller hears it, typed, within 6 s: the promise is 2, this machine is emulated' heard_within killed 6000000 "$since"
proves 'and the lease is over for everybody, as one whose executor died' within 20 reason_is killed executorDied
proves 'the core is back' cores_are_back

proves 'functions compute on both cores, families of processes that ignore every signal' lease vacated burn_family 8 cpus=2
proves 'a job takes the node, and its first task finds none of them alive' finds_nobody --exclusive -n1
proves 'the callers were told' heard_the_end vacated
proves 'with the reason, which the history has too: the owner took the cores back' within 20 reason_is vacated reclaimed
proves 'the job ends' within 60 no_job_is_there

proves 'a function computes again' lease frozen burn 1
# shellcheck disable=SC2046
kill -STOP $(lease_pids node0)
sleep 3
proves 'its executor is frozen: for longer than a silence is borne, the caller takes nobody for lost' \
	test -z "$(grep ended "$work/hold.frozen")"
proves 'a job takes the node from a frozen executor as from any other' finds_nobody --exclusive -n1
proves 'then the caller is told' heard_the_end frozen
proves 'the job ends' within 60 no_job_is_there

proves 'a function computes again' lease cut burn 1
since=$(now_us)
"$tree/lab/rdma-vm.d/wire" cut
proves 'the wire between the devices is cut: the caller hears it, typed, within 6 s: the promise is 2, this machine is emulated' heard_within cut 6000000 "$since"
"$tree/lab/rdma-vm.d/wire" mend
proves 'and the lease is over for everybody' cores_are_back
proves 'the wire mended, verbs goes on' echoed

proves 'no node was drained' no_node_drained
proves 'the daemons live' daemons_live fallowctld fallowd.node0 fallowd.login
proves 'the lab ends' stop_lab
finish
