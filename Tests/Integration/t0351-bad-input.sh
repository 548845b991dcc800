#!/usr/bin/env bash
# Bad input of every kind gets a clear error sentence; nothing crashes.
. "$(dirname "$0")/lib.sh"

start_lab --nodes 2
programs functions hold
library=$work/bin/libfunctions.so
invoke() { as "$user" fallow invoke "$@"; }

# --- options of the commands
proves 'no arguments: the missing one is named' refuses 'library' invoke
proves 'an unknown option is named' refuses 'frobnicate' invoke --frobnicate "$library" seven
proves 'an unknown command is named' refuses 'frobnicate' fallow frobnicate
proves '--cpus 0' refuses 'cpus.*1 or more' invoke "$library" seven --cpus 0
proves '--cpus many' refuses 'cpus' invoke "$library" seven --cpus many
proves '--cpus 100000: more than any node has' refuses '1 to [0-9]+ cpus, not 100000' invoke "$library" seven --cpus 100000
proves '--mem 5Q' refuses '5Q.*512M' invoke "$library" seven --mem 5Q
proves '--mem 1P: more than any node has' refuses 'capacity|memory' invoke "$library" seven --mem 1000000G
proves '--repeat 0' refuses 'repeat' invoke "$library" seven --repeat 0
proves '--timeout 0' refuses 'timeout' invoke "$library" seven --timeout 0
proves '--node nowhere' refuses 'nowhere' invoke "$library" seven --node nowhere
proves '--input of no file' refuses 'no-such-file' invoke "$library" seven --input no-such-file
proves '--socket of nobody' refuses 'agent|fallowd' invoke "$library" seven --socket /tmp/nobody.sock
proves 'no co-scheduler at the URL' refuses 'reach|answer|refused|connect' fallow nodes --controller http://127.0.0.1:9
proves 'no URL at all' refuses 'no address.*http://host:port' fallow nodes --controller frob://x
for bad in cpus=x,mem=1G cpus=-1,mem=1G mem=lots cpus=1 yes 'cpus=1,mem=1G,extra=1'; do
	proves "--serverless=$bad is refused, with the right form" refuses 'right form' srun -n1 "--serverless=$bad" true
done
for bad in much -5G 1G,often; do
	proves "--remote-mem=$bad is refused" refuses 'remote-mem' srun -n1 "--remote-mem=$bad" true
done

# --- libraries
cp /etc/passwd "$work/scratch/no-elf.so"
head -c 300 "$library" >"$work/scratch/torn.so"
: >"$work/scratch/empty.so"
cp "$library" "$work/scratch/closed.so" && chmod 600 "$work/scratch/closed.so"
printf 'extern int nowhere_to_be_found(void); int seven(void) { return nowhere_to_be_found(); }' |
	gcc -shared -fPIC -x c -o "$work/scratch/unresolved.so" -
printf '__attribute__((constructor)) static void at_load(void) { __builtin_trap(); } int seven(void) { return 7; }' |
	gcc -shared -fPIC -x c -o "$work/scratch/crashes.so" -
printf '#include <unistd.h>\n__attribute__((constructor)) static void at_load(void) { for (;;) pause(); } int seven(void) { return 7; }' |
	gcc -shared -fPIC -x c -o "$work/scratch/hangs.so" -
chmod 644 "$work/scratch"/{no-elf,torn,empty,unresolved,crashes,hangs}.so
proves 'a library that is not there' refuses 'no-such-library|No such file' invoke no-such-library.so seven
proves 'a folder for a library' refuses 'file|folder|director' invoke /tmp seven
proves 'a library that the user may not read' refuses 'closed.so.*ermission|ermission.*closed.so' invoke "$work/scratch/closed.so" seven
proves 'a library that is not ELF' refuses 'ELF|librar' invoke "$work/scratch/no-elf.so" seven
proves 'a library that is torn' refuses 'librar|ELF|short|truncated' invoke "$work/scratch/torn.so" seven
proves 'a library that is empty' refuses 'librar|ELF|short|empty' invoke "$work/scratch/empty.so" seven
proves 'a library that needs a symbol nobody has' refuses 'nowhere_to_be_found' invoke "$work/scratch/unresolved.so" seven
proves 'a library that crashes when it is loaded' refuses 'librar' invoke "$work/scratch/crashes.so" seven
proves 'a library that hangs when it is loaded' refuses 'load|librar' invoke "$work/scratch/hangs.so" seven
proves 'a function that the library lacks' refuses 'no_such_function' invoke "$library" no_such_function
proves 'a function without a name' refuses 'function|name' invoke "$library" ''
proves 'a function whose name is 5,000 letters' refuses 'function|name' invoke "$library" "$(printf 'x%.0s' $(seq 5000))"
printed() { [ "$(invoke "$library" print_gigabyte --output - --timeout 120)" = printed ]; }
proves 'a function that prints 1 GB goes on undisturbed' printed
agent_is_small() { [ "$(awk '/VmRSS/ { print $2 }' "/proc/$(daemon_pid fallowd.node0)/status")" -lt 400000 ]; }
proves '... and the agent keeps next to nothing of it' agent_is_small

# --- configuration
checks() { # TEXT
	printf '%s\n' "$1" >"$work/scratch/bad.yaml"
	env -i PATH="$PATH" fallowd --check --config "$work/scratch/bad.yaml"
}
proves 'an unknown key is refused with the nearest known one' refuses 'lend.unallocatd.*lend.unallocated' checks 'lend: {unallocatd: true}'
proves 'a bad switch' refuses 'lend.lent.*true or false' checks 'lend: {lent: perhaps}'
proves 'a bad number' refuses 'lease.per_user.*whole number' checks 'lease: {per_user: many}'
proves 'a bad amount' refuses 'node.memory' checks 'node: {memory: lots}'
proves 'no YAML' refuses 'YAML' checks '{unclosed: ['
proves 'a configuration that is not there' refuses 'cannot read' fallowd --check --config "$work/none.yaml"
proves 'a bad variable' refuses 'FALLOW_LEND_WINDOW' env FALLOW_LEND_WINDOW=soon fallowd --check
proves 'an agent does not start twice on one runtime folder' \
	refuses 'in use|already|another|serves' env -i PATH="$PATH" fallowd --config "$FALLOW_LAB/etc/fallow.node0.yaml"
proves 'the first agent is not disturbed by that' daemons_live fallowd.node0
proves 'the daemons refuse to run without rights' \
	refuses 'root|permission|rights|denied' as "$user" fallowd --config "$FALLOW_LAB/etc/fallow.node0.yaml"

# --- what arrives at client.sock
say() { as "$user" python3 "$here/programs/talk.py" "$(client_socket node0)" "$@" 2>&1; }
answers() { # PATTERN COMMAND...
	local pattern=$1 said
	shift
	said=$("$@" 2>&1)
	grep -qE -- "$pattern" <<<"$said" || { printf 'nothing like "%s" in: %s\n' "$pattern" "${said:0:500}"; return 1; }
}
proves 'client.sock: no JSON' answers 'error|closed' say 'hello there'
proves 'client.sock: JSON of another kind' answers 'error' say '[1,2,3]'
proves 'client.sock: an unknown kind of request' answers 'error' say '{"id":1,"kind":"frobnicate"}'
proves 'client.sock: a lease without a demand' answers 'error' say '{"id":1,"kind":"lease"}'
proves 'client.sock: a lease without its library' \
	answers 'error' say '{"id":1,"kind":"lease","lease":{"cpus":1,"memory":1048576,"termSeconds":0,"waitSeconds":0,"slotCount":16,"inputBytes":4096,"outputBytes":4096,"remote":false,"libraryName":"x"}}'
proves 'client.sock: a release of nothing' answers 'error' say '{"id":1,"kind":"release"}'
proves 'client.sock: an id that is no lease id' answers 'error' say '{"id":1,"kind":"release","leaseID":"../../etc"}'
proves 'client.sock: an object 20,000 deep' answers 'error|closed' say "$(printf '{"a":%.0s' $(seq 20000))"
noise() {
	as "$user" python3 -c '
import os, socket, sys
for size in (1, 100, 70000, 3000000):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(3)
    peer.connect(sys.argv[1])
    try:
        peer.sendall(os.urandom(size).replace(b"\n", b"x") + (b"\n" if size < 1000000 else b""))
        peer.recv(4096)
    except OSError:
        pass
' "$(client_socket node0)"
}
proves 'client.sock: noise, and a line of 3 MB' noise
hoard() {
	as "$user" python3 -c '
import socket, sys
kept = []
for number in range(2000):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(3)
    try:
        peer.connect(sys.argv[1])
    except OSError:
        break
    kept.append(peer)
print(len(kept))
import subprocess
sys.exit(subprocess.run(["timeout", "10", "srun", "-w", "node0", "-n1", "true"]).returncode)
' "$(client_socket node0)"
}
ulimit -n 4096
proves 'client.sock: one user who opens 2,000 connections does not keep a job from starting' hoard
another_is_served() { [ "$(as "$other" "$work/bin/hold" "$library" seven '' node=node0 wait=5 | grep -c 'value 7')" = 1 ]; }
proves 'client.sock: another user is served' another_is_served

# --- what arrives at report.sock (root's), and at the HTTP ports
report() {
	python3 -c '
import os, socket, sys
for size in (0, 1, 100, 3247, 3248, 3249, 60000):
    peer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(3)
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    agent.connect(sys.argv[1])
    socket.send_fds(agent, [os.urandom(size)], [theirs.fileno()])
    theirs.close()
    answer = peer.recv(4096)
    print(size, len(answer), answer[32:].split(b"\0")[0])
' "$FALLOW_LAB/run/node0/report.sock"
}
proves 'report.sock: records of every wrong size, and of noise' report
controller=${FALLOW_CONTROLLER_URL#http://}
agent=$(sed -n 's/^agent.url: http:..//p' "$FALLOW_LAB/etc/fallow.node0.yaml")
plain() { python3 "$here/programs/plain.py" "$@"; }
sealed() { python3 "$here/programs/sealed.py" "$@"; }
for server in "$controller" "$agent"; do
	name=$([ "$server" = "$controller" ] && echo fallowctld || echo fallowd)
	proves "$name: no HTTP at all" answers '^(400|closed)' plain "$server" 'hello\r\n\r\n'
	proves "$name: zero bytes" answers '^(400|closed)' plain "$server" '\x00\x00\x00\x00'
	proves "$name: a header of 100 kB" answers '^(4|closed)' plain "$server" "GET /v1/health HTTP/1.1\r\nX: $(head -c 100000 /dev/zero | tr '\0' x)\r\n\r\n"
	proves "$name: an unknown path" answers '^40[14] ' sealed GET "http://$server/v1/frobnicate"
	proves "$name: a path out of the tree" answers '^40[0-9] ' sealed GET "http://$server/v1/../../etc/passwd"
	proves "$name: no seal" answers '^401 .*X-Fallow-Seal' plain "$server" 'GET /v1/nodes HTTP/1.1'
	proves "$name: a seal that is noise" answers '^401 ' plain "$server" 'GET /v1/nodes HTTP/1.1\r\nHost: x\r\nX-Fallow-Seal: MUNGE:noise:\r\nConnection: close\r\n\r\n'
	proves "$name: a body that is no JSON, 100 kB" answers '^4(13|0[0-9]) ' sealed POST "http://$server/v1/leases" "$(head -c 100000 /dev/zero | tr '\0' 1)" as=node0
done
for body in '' '{' '[]' 'null' '{"requestID":-1}' '{"requestID":1,"user":"root"}'; do
	proves "fallowctld: a lease request '$body'" answers '^4[0-9][0-9] .*message' sealed POST "http://$controller/v1/leases" "$body" as=node0
	proves "fallowd: an executor request '$body'" answers '^4[0-9][0-9] .*message' sealed POST "http://$agent/v1/executors" "$body" as=node1
done
proves 'fallowctld: a report that is none' answers '^4[0-9][0-9] .*message' sealed POST "http://$controller/v1/nodes/node0/report" '{"node":"node0"}' as=node0
proves 'fallowd: a library whose hash is none' answers '^4[0-9][0-9] ' sealed PUT "http://$agent/v1/libraries/5/../../x" 'x' as=node1
proves 'fallowd: a library that is not what its hash says' \
	answers '^4[0-9][0-9] ' sealed PUT "http://$agent/v1/libraries/5/$(printf 'a%.0s' $(seq 64))" 'x' as=node1
proves 'fallowd: a grant that is no credential' answers '^4[0-9][0-9] ' sealed POST "http://$agent/v1/executors" '{"grant":"MUNGE:x:","librarySHA256":"x"}' as=node1

proves 'after all that every daemon lives' daemons_live fallowctld fallowd.node0 fallowd.node1
proves 'after all that functions run' another_is_served
proves 'after all that jobs run' gives 7 srun -n1 sh -c 'exit 7'
finish
