#!/usr/bin/env bash
# Leases of memory: an ordinary user gets donors on his own node; a job that needs the memory has it back, and the borrower hears of it;
# whoever dies or hangs keeps nothing; nobody reads another's; nothing leaks.
. "$(dirname "$0")/lib.sh"

# 4000 MB a node, 64 of them headroom: 3936 MB to lend, in donors of 64 MiB that take 80 each.
start_lab --nodes 2 --memory 4000 --debug --setting lease.memory_per_user=2G
MiB=$((1 << 20))
cp "$here/programs/borrower.py" "$work/bin/" && chmod 755 "$work/bin/borrower.py"

# A borrower in the background, that ends when its standard input does: borrow NAME USER WORDS...
borrow() {
	local name=$1 who=$2
	shift 2
	mkfifo "$work/$name.in" && chmod 666 "$work/$name.in"
	FALLOW_CLIENT_SOCKET=$(client_socket node0) "$work/bin/as" "$who" python3 "$work/bin/borrower.py" "$@" \
		<"$work/$name.in" >"$work/$name.out" 2>&1 &
	borrower=$!
	exec {lifeline}>"$work/$name.in"
	within 60 grep -qE '"(held|error|gone)"' "$work/$name.out"
}
# A Python expression over `said`, all that a borrower said: said NAME EXPRESSION
said() {
	python3 - "$work/$1.out" "$2" <<'PYTHON'
import json, sys
text = open(sys.argv[1]).read()
said = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
donors = [s for s in said if "lease" in s and "node" in s]
ended = [s for s in said if "ended" in s]
errors = [s["error"] for s in said if "error" in s]
sys.exit(0 if eval(sys.argv[2]) else text[-2500:])
PYTHON
}
ends() { # NAME: its standard input ends, and then it does
	exec {lifeline}>&-
	wait "$borrower"
	rm "$work/$1.in"
}
once() { FALLOW_CLIENT_SOCKET=$(client_socket node0) timeout 60 "$work/bin/as" "$1" python3 "$work/bin/borrower.py" "${@:2}" </dev/null; }
lent() { node_is node0 "node['donatedMemory'] == $1 * $MiB"; } # MIB
donor_pids() { lease_pids node0; }
one_donor() { [ "$(donor_pids | wc -l)" = 1 ]; }
no_donor() { [ -z "$(donor_pids)" ]; }
cgroups() { find /sys/fs/cgroup/*/fallow-lab-"$(lab_id)"/node0 -mindepth 2 -type d 2>/dev/null | wc -l; }
free_again() { lent 0 && no_donor; }

proves 'an ordinary user leases four donors on his own node' borrow four "$user" --map hold 4 $((64 * MiB))
proves '... each is there whole, and can be read and written' \
	said four "len(donors) == 4 and all(d['allocated'] >= 64 * $MiB and d['reads'] and d['kind'] == 'memory' for d in donors)"
proves '... on his node, over shared memory, in memory that no job holds' \
	said four "all(d['node'] == 'node0' and d['transport'] == 'shm' and d['pool'] == {} for d in donors)"
as_donors_user() {
	local pid
	[ "$(donor_pids | wc -l)" = 4 ] || { donor_pids; return 1; }
	for pid in $(donor_pids); do
		grep -q "^Uid:	$(id -u nobody)	$(id -u nobody)	$(id -u nobody)	$(id -u nobody)$" "/proc/$pid/status" || return 1
		grep -q '^CapEff:	0000000000000000$' "/proc/$pid/status" || return 1
	done
}
proves '... by four processes of nobody, without capabilities' as_donors_user
charged() {
	local file bytes count=0
	for file in /sys/fs/cgroup/memory/fallow-lab-"$(lab_id)"/node0/leases/*/memory.usage_in_bytes \
		/sys/fs/cgroup/fallow-lab-"$(lab_id)"/node0/leases/*/memory.current; do
		[ -f "$file" ] || continue
		bytes=$(cat "$file")
		[ "$bytes" -ge $((64 * MiB)) ] && [ "$bytes" -le $((80 * MiB)) ] || { echo "$file: $bytes"; return 1; }
		echo "$((bytes / 1024)) KiB"
		count=$((count + 1))
	done
	[ "$count" = 4 ]
}
proves '... each charged with its memory, within its limit' charged
sed 's/^/# a donor of 65536 KiB is charged /' "$work/said"
ticks() { donor_pids | sed 's|.*|/proc/&/stat|' | xargs cat | awk '{ sum += $14 + $15 } END { print sum }'; }
sleep_all() {
	local before
	before=$(ticks)
	sleep 2
	[ $(($(ticks) - before)) -le 1 ]
}
proves '... which use no CPU' sleep_all
proves 'fallow leases shows them as what they are' \
	within 5 is_true "[l['kind'] for l in data].count('memory') == 4 and all(l['cpus'] == 0 and l['memory'] == 64 * $MiB for l in data)" leases
proves 'fallow nodes counts their memory, and no cores' within 5 node_is node0 "node['donatedMemory'] == 256 * $MiB and node['leasedCores'] == 0 and node['offer']['cores'] == 8"
proves 'fallow report counts it as lent' within 8 is_true "[n for n in data['nodes'] if n['node'] == 'node0' and n['use']['lentByteSeconds'] > 200 * $MiB]" report
no_other_reads() {
	local pid
	for pid in $(donor_pids); do
		! as "$other" ls "/proc/$pid/fd" 2>/dev/null || return 1
		! as "$other" head -c1 "/proc/$pid/mem" 2>/dev/null || return 1
		! as nobody ls "/proc/$pid/fd" 2>/dev/null || return 1
		ls "/proc/$pid/fd" >/dev/null || return 1
	done
	! as "$other" cat "/proc/$borrower/fd/3" 2>/dev/null
}
proves 'another user, or another process of the donors'"'"' user, cannot open a donor'"'"'s memory; root can' no_other_reads
steals() {
	FALLOW_CLIENT_SOCKET=$(client_socket node0) timeout 20 "$work/bin/as" "$other" python3 - "$work/four.out" <<'PYTHON'
import json, os, socket, sys
agent = socket.socket(socket.AF_UNIX)
agent.connect(os.environ["FALLOW_CLIENT_SOCKET"])
lease = json.loads(open(sys.argv[1]).readline())["lease"]
agent.sendall(json.dumps({"id": 1, "kind": "release", "leaseID": lease}).encode() + b"\n")
answer = json.loads(agent.recv(4096))
sys.exit(0 if answer["error"]["code"] == "notFound" else str(answer))
PYTHON
}
proves '... nor end its lease' steals
echo renew >&"$lifeline"
proves 'a term is renewed' within 5 said four "len([s for s in said if s.get('answer') == 'renewed']) == 4"

# A job that takes all but 200 MB of the node: 200 less the headroom leaves one donor of 80.
started=$(now_us)
as "$user" srun -w node0 -n1 --mem=3800 sh -c 'date +%s%N; sleep 4' >"$work/job" 2>&1 &
job=$!
proves 'a job starts whose memory three of the four hold' within 20 test -s "$work/job"
proves '... the borrower hears of it, and why: of as many as are needed' \
	within 5 said four "len(ended) == 3 and all(e['reason'] == 'reclaimed' for e in ended)"
proves '... their memory is back, although he maps it and holds the files' \
	said four "all(e['allocated'] <= 4096 and e['endedWord'] == 4 and e['reclaimedWord'] == 1 for e in ended)"
proves '... nothing can be read or written there any more' said four "all(e['read'] == 0 and e['written'] == 'EPERM' for e in ended)"
proves '... the fourth still stands' one_donor
back() {
	python3 - "$work/four.out" "$started" <<'PYTHON'
import json, sys
ended = [json.loads(line) for line in open(sys.argv[1]) if '"ended"' in line]
last = max(e["back"] for e in ended) - min(e["at"] for e in ended)
print(f"192 MiB in 3 donors: the last page back {last} us after the borrower heard of the first")
sys.exit(0 if last < 1_000_000 else 1)
PYTHON
}
proves '... within a second, with a margin for a busy machine' back
cat "$work/said"
proves '... the job has run as ever' wait "$job"
proves '... and no process of it was late: the step was answered in time' sh -c "! ls '$FALLOW_LAB'/run/node0/breaker.* 2>/dev/null"
refused() { # its status is that of a borrower without memory
	once "$user" --node node0 hold 1 $((1024 * MiB)) >"$work/once" 2>&1
	grep -q noCapacity "$work/once"
}
"$work/bin/as" "$user" srun -w node0 -n1 --mem=3800 sleep 4 >/dev/null 2>&1 &
job=$!
within 10 sh -c "squeue -h -t R | grep -q ."
proves 'while a job holds the memory, none is to be had there' within 5 refused
wait "$job"
proves 'the fourth donor is given back with its borrower' ends four
proves '... and everything is free' within 5 free_again

proves 'a borrower gets two donors' borrow killed "$user" hold 2 $((64 * MiB))
kill -9 "$borrower"
began=$(now_us)
proves 'kill -9 of the borrower: its donors are gone within a second' within 1 no_donor
echo "gone after $((($(now_us) - began) / 1000)) ms"
exec {lifeline}>&-
wait "$borrower" 2>/dev/null
rm "$work/killed.in"
proves '... and the memory counted as free' within 5 free_again

# A borrower that hangs: stopped, with the mapping and the descriptors. Its term ends.
proves 'a borrower whose term is two seconds maps its donors' borrow hung "$user" --map --term 2 hold 2 $((64 * MiB))
kill -STOP "$borrower"
# What a process's descriptors of donors' files still hold, in KiB, twice what is mapped (Python keeps a copy of the descriptor); nothing when it holds none.
held_kib() { # PID
	local link
	for link in "/proc/$1"/fd/*; do
		case $(readlink "$link") in
		*memfd:fallow-donor*) stat -L -c %b "$link" ;;
		esac
	done | awk '{ sum += $1 / 2 } END { if (NR) print sum }'
}
holds() { # PID LEAST MOST: what it holds, in KiB
	local kib
	kib=$(held_kib "$1")
	[ "${kib:--1}" -ge "$2" ] && [ "$kib" -le "$3" ]
}
proves '... holds them' holds "$borrower" $((128 * 1024)) $((258 * 1024))
proves '... hangs, and at the end of the term its donors are gone' within 5 no_donor
proves '... and so are their pages, of which it holds descriptors and mappings' within 3 holds "$borrower" 0 16
kill -CONT "$borrower"
proves '... it hears of it when it lives again' within 5 said hung "len(ended) == 2 and all(e['reason'] == 'expired' for e in ended)"
ends hung >/dev/null 2>&1

proves 'a donor is killed' borrow victim "$user" hold 1 $((64 * MiB))
kill -9 "$(donor_pids)"
proves '... its borrower hears of it, and nothing of it is left' \
	within 5 said victim "[e['reason'] for e in ended] == ['executorDied'] and ended[0]['allocated'] <= 4096"
ends victim >/dev/null 2>&1

proves 'a lease is released, not ended' borrow released "$user" hold 2 $((64 * MiB))
echo release >&"$lifeline"
proves '... as was asked' within 5 said released "len([s for s in said if s.get('answer') == 'released']) == 2"
proves '... everything is free' within 5 free_again
ends released >/dev/null 2>&1

job=$(as "$user" sbatch --parsable -w node0 -n1 --mem=3700 --serverless=cpus=0,mem=1G -t 5 -o /dev/null --wrap 'sleep 600')
proves 'a job promises memory' within 8 job_is "$job" "job['lending']['memory'] >= 1000 * $MiB"
proves '... which is lent when no other is' borrow beneath "$user" --node node0 hold 4 $((100 * MiB))
proves '... and the borrower is told from which job' said beneath "[d['pool'].get('beneath') for d in donors].count($job) >= 2"
scancel "$job"
proves '... when the job ends, those donors end' within 15 said beneath "len(ended) >= 2"
ends beneath >/dev/null 2>&1

apart() {
	local lease
	lease=$(sed -n 's/.*"lease": "\([0-9a-f]*\)".*/\1/p' "$work/first.out" | head -n 1)
	once "$user" --avoid "$lease" hold 1 $((64 * MiB)) >"$work/once" 2>&1
	grep 'noCapacity.*avoided' "$work/once"
}
proves 'a donor is leased' borrow first "$user" hold 1 $((64 * MiB))
proves '... another that must not share its fate is not to be had where all memory is unallocated' apart
need_not() {
	local lease
	lease=$(sed -n 's/.*"lease": "\([0-9a-f]*\)".*/\1/p' "$work/first.out" | head -n 1)
	once "$other" --avoid "$lease" hold 1 $((64 * MiB)) | grep '"held": 1'
}
proves '... of another user'"'"'s lease nobody need keep away' need_not
ends first >/dev/null 2>&1

says() { # PATTERN WORDS...
	local pattern=$1
	shift
	once "$user" "$@" >"$work/once" 2>&1
	grep -qE "$pattern" "$work/once" || { cat "$work/once"; return 1; }
}
proves 'bad input: no page is no size' says '"invalid"' hold 1 5000
proves '... nor is more than one donor may be' says '"invalid"' hold 1 $((8192 * MiB))
proves '... nor a negative one' says '"invalid"' hold 1 -4096
proves '... more than the user may have is refused, by the name of the limit' says 'lease.memory_per_user' hold 1 $((2560 * MiB))
proves '... root borrows nothing' sh -c "FALLOW_CLIENT_SOCKET='$(client_socket node0)' python3 '$work/bin/borrower.py' hold 1 $((64 * MiB)) </dev/null | grep -q refused"

# On another node: the donor listens, and the borrower is told where. What goes over the connection the unit tests say.
proves 'donors on another node' borrow far "$user" --remote hold 2 $((64 * MiB))
proves '... which listen there' \
	said far "all(d['node'] == 'node1' and d['transport'] == 'stream' and d['address'].startswith('127.0.0.1:') for d in donors)"
proves '... each as a process of that node' sh -c "[ $(lease_pids node1 | wc -w) = 2 ]"
accepts() {
	local address
	for address in $(sed -n 's/.*"address": "127.0.0.1:\([0-9]*\)".*/\1/p' "$work/far.out"); do
		exec {probe}<>"/dev/tcp/127.0.0.1/$address" || return 1
		exec {probe}>&-
	done
}
proves '... at an address that takes connections' accepts
proves '... and are counted there' within 5 node_is node1 "node['donatedMemory'] == 128 * $MiB"
proves 'a job there takes one of them back' as "$user" srun -w node1 -n1 --mem=3800 true
proves '... and the borrower on this node hears of it' \
	within 5 said far "[e['reason'] for e in ended] == ['reclaimed']"
kill -9 "$borrower"
proves 'kill -9 of the borrower: the other is gone within a second' within 1 no_lease_runs node1
ends far >/dev/null 2>&1

# Leaks: everything that 500 leases could have left behind.
within 5 free_again
agent=$(daemon_pid fallowd.node0)
once "$user" cycle 20 $((4 * MiB)) >/dev/null
within 5 free_again
sleep 1
descriptors=$(find "/proc/$agent/fd" | wc -l) folders=$(cgroups)
same_folders() { [ "$(cgroups)" = "$folders" ]; }
proves '500 leases of a donor, one after the other' timeout 300 "$work/bin/as" "$user" env FALLOW_CLIENT_SOCKET="$(client_socket node0)" \
	python3 "$work/bin/borrower.py" cycle 500 $((4 * MiB))
proves '... nothing runs' within 5 free_again
proves '... no cgroup folder is left' within 5 same_folders
same_descriptors() { [ "$(find "/proc/$agent/fd" | wc -l)" -le $((descriptors + 2)) ]; }
proves '... no descriptor of the agent' within 5 same_descriptors
no_file() { [ -z "$(held_kib "$agent")" ] && ! grep -q fallow-donor "/proc/$agent/maps"; }
proves '... no memory file' within 5 no_file
proves '... and the ledger has every end' is_true "len([l for l in data if l['kind'] == 'memory' and l.get('reason') == 'released']) >= 500" leases --ended

# An agent that dies takes its donors with it, and they the memory that a borrower still holds.
proves 'a borrower holds two donors of an agent' borrow orphan "$user" --map --stay hold 2 $((64 * MiB))
kill -9 "$agent"
proves 'kill -9 of the agent: the borrower hears of it' within 5 said orphan "[s for s in said if 'gone' in s]"
proves '... the donors are gone' within 5 no_donor
proves '... and the memory is free, which the borrower still maps' within 5 holds "$borrower" 0 16
exec {lifeline}>&-
wait "$borrower" 2>/dev/null
proves 'no daemon has ended that should not' daemons_live fallowctld fallowd.node1

finish
