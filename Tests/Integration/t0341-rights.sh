#!/usr/bin/env bash
# No one gets in: another user cannot reach, release or prolong a lease; a function can do only what its user could.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2
programs functions hold witness
library=$work/bin/libfunctions.so
agent0=$(sed -n 's/^agent.url: //p' "$FALLOW_LAB/etc/fallow.node0.yaml")

beats=$(beats_file held)
"$work/bin/as" "$user" "$work/bin/hold" "$library" burn "$beats" cpus=2 node=node1 wait=20 >"$work/hold" 2>&1 &
proves 'a user holds a lease on another node' "$work/bin/witness" --wait 2 "$beats"
lease=$(sed -n 's/^leased \([0-9a-f]*\) .*/\1/p' "$work/hold")
still_held() { "$work/bin/witness" --wait 2 "$beats" && ! grep -q ended "$work/hold"; }

say() { as "$other" python3 "$here/programs/talk.py" "$(client_socket node0)" "$@"; }
answers() { # PATTERN COMMAND...
	local pattern=$1 said
	shift
	said=$("$@" 2>&1)
	grep -qE -- "$pattern" <<<"$said" || { printf 'nothing like "%s" in: %s\n' "$pattern" "${said:0:500}"; return 1; }
}
proves 'another user cannot release it' \
	answers '"error"' say "{\"id\":1,\"kind\":\"release\",\"leaseID\":\"$lease\"}"
proves 'another user cannot prolong it' \
	answers '"error"' say "{\"id\":1,\"kind\":\"renew\",\"leaseID\":\"$lease\",\"termSeconds\":1000}"
proves 'the same user over another connection cannot release it either' \
	answers '"error"' as "$user" python3 "$here/programs/talk.py" "$(client_socket node0)" "{\"id\":1,\"kind\":\"release\",\"leaseID\":\"$lease\"}"
# The connects themselves, with wrong secrets among them, are the conformance suite's subject.
nobody_listens() {
	local pids
	mapfile -t pids < <(lease_pids node1)
	[ ${#pids[@]} -gt 0 ] && [ -z "$(python3 "$here/programs/listeners.py" "${pids[@]}")" ]
}
proves 'once its workers are connected the executor listens no more' nobody_listens
proves 'the lease is held as before' still_held

sealed() { as "$other" python3 "$here/programs/sealed.py" "$@"; }
# Clause by clause what a lease request of a daemon looks like; only who sends it is wrong.
request='{"requestID":1,"user":'$(id -u "$user")',"fromNode":"node0","fromAgentURL":"'$agent0'","demand":{"cpus":1,"memory":1048576,"termSeconds":0,"waitSeconds":0,"slotCount":16,"inputBytes":4096,"outputBytes":4096,"remote":false,"libraryName":"x"}}'
url=$FALLOW_CONTROLLER_URL
proves "another user cannot take a lease in someone's name, sealed as a user" \
	answers '^40[13] ' sealed POST "$url/v1/leases" "$request"
proves '... nor by claiming to be a node' \
	answers '^40[13] ' sealed POST "$url/v1/leases" "$request" as=node0
proves '... nor without a seal' \
	answers '^401 ' as "$other" python3 "$here/programs/plain.py" "${url#http://}" "POST /v1/leases HTTP/1.1" "$request"
proves 'another user cannot end it at the co-scheduler' \
	answers '^40[0-9] ' sealed DELETE "$url/v1/leases/$lease" '' as=node0
proves 'another user cannot end it at the agent' \
	answers '^40[13] ' sealed DELETE "$agent0/v1/executors/$lease" "{\"leaseID\":\"$lease\",\"reason\":\"released\"}" as=node1
proves 'another user cannot say that it ended' \
	answers '^40[13] ' sealed POST "$agent0/v1/leases/$lease/ended" "{\"leaseID\":\"$lease\",\"reason\":\"expired\"}" as=node1
proves 'another user cannot switch lending' \
	answers '^40[13] ' sealed PUT "$url/v1/switches" '{"switches":{"unallocated":false,"lent":false}}'
proves 'another user cannot report for a node' \
	answers '^40[0-9] ' sealed POST "$url/v1/nodes/node0/report" '{}' as=node0
proves 'a seal for one path opens no other' \
	answers '^401 ' python3 "$here/programs/sealed.py" GET "$url/v1/leases" seal=/v1/nodes
proves 'a request that was seen before is refused' \
	answers '^40[0-9] ' python3 "$here/programs/sealed.py" GET "$url/v1/nodes" repeat
proves "root's seal opens it" answers '^200 ' python3 "$here/programs/sealed.py" GET "$url/v1/nodes"
proves 'the lease is held as before' still_held
proves 'report.sock is for root alone' \
	sh -c "[ \"\$(stat -c %a:%u '$FALLOW_LAB/run/node0/report.sock')\" = 600:0 ]"
proves "an ordinary user sees no other's leases" \
	sh -c "! setpriv --reuid=$other --regid=$(id -g "$other") --clear-groups fallow leases --json | grep -q $lease"
proves 'their owner sees them' \
	sh -c "setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups fallow leases --json | grep -q $lease"

# What a function may do: its errno is its value.
: >"$work/scratch/of-root" && chmod 600 "$work/scratch/of-root"
as "$other" sh -c 'umask 077; echo secret > of-other'
as "$user" sh -c 'umask 077; echo mine > of-user'
value() { # FUNCTION INPUT
	as "$user" "$work/bin/hold" "$library" "$1" "$2" node="${3:-node0}" wait=10 2>&1 | sed -n 's/^ended FALLOW_OK value \([0-9]*\) .*/\1/p'
}
for node in node0 node1; do
	proves "$node: a function reads a file of its user" test "$(value read_file "$work/scratch/of-user" $node)" = 0
	proves "$node: it cannot read another user's file (EACCES)" test "$(value read_file "$work/scratch/of-other" $node)" = 13
	proves "$node: it cannot write root's file (EACCES)" test "$(value write_file "$work/scratch/of-root" $node)" = 13
	proves "$node: it cannot make a file in a folder of root (EACCES)" test "$(value write_file /etc/fallow-was-here $node)" = 13
	proves "$node: it cannot kill another user's process (EPERM)" test "$(value kill_process "$(daemon_pid fallowd.node0)" $node)" = 1
	proves "$node: it cannot become root (EPERM)" test "$(value become_root '' $node)" = 1
	proves "$node: it cannot open a disk" sh -c "[ '$(value read_file /dev/vda $node)' != 0 ]"
	proves "$node: it cannot reach report.sock's secrets: the agent's state" sh -c "[ '$(value read_file "$FALLOW_LAB/munge/key" $node)' = 13 ]"
done
identity() {
	as "$user" fallow invoke "$library" who_am_i --output - |
		grep -qx "uid=$(id -u "$user") euid=$(id -u "$user") gid=$(id -g "$user") groups=[0-9]* no_new_privs=1"
}
proves 'a function runs as its user, and with no_new_privs' identity
proves 'functions never run as root' refuses 'never|root' fallow invoke "$library" seven
limit() { # FUNCTION HIGHEST
	local count
	count=$(as "$user" fallow invoke "$library" "$1" --output - --mem 256M)
	echo "$count of at most $2"
	[ "${count:-0}" -ge 1 ] && [ "$count" -le "$2" ]
}
proves 'processes of a lease are limited' limit fork_many 64
proves 'open files of a lease are limited' limit open_many 256
finish
