#!/usr/bin/env bash
# cold.sh [LEASES]: from a lease request to the first result, over many leases in a row (default 100), each given back before the next:
# on the own node over shm and on another node over libfabric's tcp, with executors that stand ready and without. Besides, the
# start of libfabric in a process of its own, in turns with it, and what the kernel takes to start a process in a new cgroup.
# What is measured is said by the client; the phases within are
# said by the agents' logs at debug level. Rows, and .build/bench/cold.json.
. "$(dirname "$0")/../Tests/Integration/lib.sh"

leases=${1:-100}
[[ $leases =~ ^[1-9][0-9]{0,3}$ ]] || { echo "cold.sh wants how many leases, not '$leases'" >&2; exit 2; }
# Long enough that the next executor stands ready: the row of parked ones is about those that did.
pause=300

series() { # NAME NODE LEASES PAUSE_MS ARGUMENTS OF cold...
	local name=$1 log=$FALLOW_LAB/log/fallowd.$2.out count=$3 pause=$4
	shift 4
	as "$user" "$work/bin/cold" "$library" 3 "$pause" "$@" >/dev/null || return 1
	sleep 1.5
	as "$user" "$work/bin/cold" "$library" "$count" "$pause" "$@" >"$work/$name.client" || return 1
	# The agents' word on the same leases.
	awk '{ print $NF }' "$work/$name.client" | grep -F -f - "$log" | grep 'lease begins' >"$work/$name.agent"
}

first_of_process() { # NAME COUNT ARGUMENTS OF cold...: a client that has leased nothing before
	local name=$1 count=$2
	shift 2
	for ((; count > 0; count--)); do as "$user" "$work/bin/cold" "$library" 1 0 "$@" || return 1; sleep 0.3; done >"$work/$name.client"
	: >"$work/$name.agent"
}

for mode in parked started; do
	parked=8
	[ $mode = parked ] || parked=0
	start_lab --nodes 2 --debug --setting executor.parked=$parked
	programs functions cold
	library=$work/bin/libfunctions.so
	series "$mode-shm" node0 "$leases" "$pause" || exit 1
	series "$mode-fabric" node1 "$(((leases + 3) / 4))" 800 remote || exit 1
	first_of_process "$mode-fabric-first" "$(((leases + 9) / 10))" remote || exit 1
	if [ $mode = parked ]; then
		for pid in $(parked_pids node0) $(parked_pids node1); do
			awk -v pid="$pid" '/^(Pss|Rss|Private_Clean|Private_Dirty):/ { sum[$1] += $2 } END { print pid, sum["Rss:"], sum["Pss:"], sum["Private_Clean:"] + sum["Private_Dirty:"] }' \
				"/proc/$pid/smaps_rollup"
		done >"$work/memory"
	fi
	cd / && stop_lab && rm -rf "$work/lab" || exit 1
done
cat >"$work/libfabric.c" <<'C'
#include <dlfcn.h>
#include <rdma/fabric.h>
#include <rdma/fi_endpoint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
static double now_us(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}
int main(void)
{
	struct fi_info *hints, *found;
	double began = now_us(CLOCK_MONOTONIC), loaded, ready;
	void *library = dlopen("libfabric.so.1", RTLD_NOW);
	if (!library)
		return 1;
	loaded = now_us(CLOCK_MONOTONIC);
	hints = ((typeof(fi_dupinfo) *)dlsym(library, "fi_dupinfo"))(NULL);
	hints->ep_attr->type = FI_EP_MSG;
	hints->fabric_attr->prov_name = strdup("tcp");
	if (((typeof(fi_getinfo) *)dlsym(library, "fi_getinfo"))(FI_VERSION(1, 17), "127.0.0.1", "0", FI_NUMERICHOST | FI_SOURCE, hints, &found))
		return 1;
	ready = now_us(CLOCK_MONOTONIC);
	printf("load %.0f first-getinfo %.0f cpu %.0f\n", loaded - began, ready - loaded, now_us(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}
C
gcc -D_GNU_SOURCE -o "$work/bin/libfabric" "$work/libfabric.c" || exit 1
for _ in 1 2 3 4 5 6 7 8 9 10; do "$work/bin/libfabric" || exit 1; done >"$work/libfabric"

mkdir -p "$tree/.build/bench/bin"
make --no-print-directory -s -C "$tree/Benchmarks" "BENCH=$tree/.build/bench/bin" "$tree/.build/bench/bin/cgroup_birth" || exit 1
for mount in /sys/fs/cgroup /sys/fs/cgroup/unified; do
	[ ! -e "$mount/cgroup.controllers" ] || "$tree/.build/bench/bin/cgroup_birth" "$mount"
done >"$work/birth" || : >"$work/birth" # a kernel that cannot do it has no such rows
python3 - "$work" "$tree/.build/bench/cold.json" <<'PYTHON'
import json
import math
import os
import re
import sys

folder, target = sys.argv[1:]


def share(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, max(0, math.ceil(part * len(values)) - 1))]


def client(name, word):
    pattern = re.compile(rf"\b{word} (\d+)")
    return [int(pattern.search(line).group(1)) / 1000 for line in open(f"{folder}/{name}.client")]


rows = []


def row(name, value, goal=None, floor=None, peer=None):
    value = round(value, 3)
    rows.append({"name": name, "value": value, "unit": "ms", "floor": floor, "peer": peer, "target": goal,
                 "met": None if goal is None else value <= goal})


titles = {
    "parked-shm": ("cold, own node, shm, parked", 5),
    "started-shm": ("cold, own node, shm, not parked", 25),
    "parked-fabric": ("cold, other node, tcp, parked", None),
    "started-fabric": ("cold, other node, tcp, not parked", None),
    "parked-fabric-first": ("cold, other node, tcp, parked, a client's first", None),
    "started-fabric-first": ("cold, other node, tcp, not parked, a client's first", None),
}
for name, (title, goal) in titles.items():
    times = client(name, "cold")
    row(f"{title}: request to first result, p50 of {len(times)}", share(times, 0.5), goal, peer="rFaaS 25 ms")
    row(f"{title}: p99", share(times, 0.99))
    row(f"{title}: least", min(times))
    for word, what in (("leased", "request to lease"), ("first", "lease to first result")):
        row(f"{title}:   {what}, p50", share(client(name, word), 0.5))
    phases = {}
    parked = 0
    begun = open(f"{folder}/{name}.agent").read().splitlines()
    for line in begun:
        parked += "parked=true" in line
        for phase, microseconds in re.findall(r"([a-z]+)=(\d+)", line.split("us=", 1)[1]):
            if phase != "user":
                phases.setdefault(phase, []).append(int(microseconds) / 1000)
    for phase in sorted(phases, key=lambda phase: share(phases[phase], 0.5)):
        row(f"{title}:     agent and executor, {phase}, p50", share(phases[phase], 0.5))
        row(f"{title}:     agent and executor, {phase}, p99", share(phases[phase], 0.99))
    if begun:
        rows.append({"name": f"{title}: served by one that stood ready", "value": round(100 * parked / len(begun), 1), "unit": "%",
                     "floor": None, "peer": None, "target": None, "met": None})
for index, what in enumerate(("loading it", "its first fi_getinfo", "CPU time of both")):
    values = [int(re.findall(r" (\d+)", line)[index]) / 1000 for line in open(f"{folder}/libfabric")]
    row(f"libfabric's start in a process of its own: {what}, p50", share(values, 0.5))
for line in open(f"{folder}/birth"):
    key, microseconds = line.split()
    row(f"a process in a new cgroup of v2, {key.removesuffix('_p50_us').replace('_', ' ')}, p50", float(microseconds) / 1000)
memory = [[int(word) for word in line.split()] for line in open(f"{folder}/memory")]
for index, what in enumerate(("RSS", "PSS", "private"), 1):
    if memory:
        rows.append({"name": f"a parked executor's memory, {what}, most of {len(memory)}", "value": round(max(line[index] for line in memory) / 1024, 2),
                     "unit": "MiB", "floor": None, "peer": None, "target": None, "met": None})
json.dump({"rows": rows}, open(target, "w"), indent=1)
for r in rows:
    goal = "" if r["target"] is None else f"target {r['target']} {r['unit']}: {'met' if r['met'] else 'MISSED'}"
    print(f"{r['name']:84} {r['value']:>10} {r['unit']:3} {goal}")
print(f"load average: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
PYTHON
