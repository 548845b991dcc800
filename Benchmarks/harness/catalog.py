"""The rows, by group. Numbers of rounds are such that a subject takes some tenths of a second on an idle machine."""
import re
import sys

from programs import BIN, OUT, figures
from rows import Row, Subject

CROSS = "client CPU 0, worker CPU 1"
ONE_WORKER = "callers CPU 0, one worker CPU 1"
WAITING = "callers poll 50 us, then sleep"
LIBRARY = BIN / "libfunctions.so"
LOOPS = BIN.parents[1] / "release" / "transport-bench"
VENV_PYTHON = OUT / "venv" / "bin" / "python"
PEERS = BIN.parents[2] / "Benchmarks" / "peers"
SHM, WARM, FABRIC = ("cpu=1",), ("cpu=1", "poll-us=0"), ("cpu=1", "fabric")
HERE = {"BENCH_TRANSPORT": "shm"}


def floor(program, *arguments, key="p50_us", **more):
    return Subject((BIN / program, *map(str, arguments)), key, **more)


def ours(program, *arguments, agent=SHM, key="p50_us", environment=None):
    return Subject((BIN / program, LIBRARY, *map(str, arguments)), key, agent=agent, environment=environment or HERE)


def bare(transport, key):
    """The endpoints without client and executor around them."""
    return Subject(("taskset", "-c", "0", LOOPS, transport), key, shared=True)


def mpi(rounds, size):
    command = ("mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "2", BIN / "mpi_pingpong",
               str(rounds), str(size))
    return Subject(command, most=3, shared=True)


def zmq(size=64):
    return Subject((BIN / "zmq_echo", "2000" if size < 4096 else "200", str(size)), most=3, shared=True)


def grpc(size=64):
    return Subject((BIN / "grpc_echo", "2000" if size < 4096 else "100", str(size)), most=3, shared=True)


def pool(key="p50_us"):
    return Subject((sys.executable, PEERS / "pool.py", "1000"), key, most=2, shared=True)


def dask(key="p50_us"):
    return Subject((VENV_PYTHON, PEERS / "tasks.py", "50"), key, most=1, shared=True)


def fi_pingpong(provider, endpoint):
    """Debian's own program; it prints microseconds one way."""
    script = (
        f"taskset -c 1 fi_pingpong -p {provider} -e {endpoint} -I 20000 -S 64 >/dev/null 2>&1 & server=$!; sleep 1;"
        f" timeout 20 taskset -c 0 fi_pingpong -p {provider} -e {endpoint} -I 20000 -S 64 127.0.0.1; status=$?;"
        " kill $server 2>/dev/null; exit $status")
    return Subject(("sh", "-c", script), most=2, read=read_fi_pingpong, shared=True)


def read_fi_pingpong(text):
    numbers = re.findall(r"^64\s.*?([0-9.]+)\s+[0-9.]+\s*$", text, re.MULTILINE)
    return {"p50_us": 2 * float(numbers[-1])} if numbers else {}


SHM_ROWS = [
    Row("shm hot, no-op", "us", ours("invoke", "noop", 0, 200000), CROSS, "both poll",
        floor("shm_pingpong", 400000, 0), "C ping-pong, same ring layout",
        {"Open MPI 64 B": mpi(100000, 64), "libfabric shm": fi_pingpong("shm", "rdm")},
        lambda base, _: base + 0.150, "floor + 150 ns"),
    Row("shm hot, 64 B echoed", "us", ours("invoke", "echo", 64, 200000), CROSS, "both poll",
        floor("shm_pingpong", 400000, 64), "C ping-pong, 64 B behind the header",
        {"Open MPI": mpi(100000, 64), "ZeroMQ": zmq(), "gRPC C++": grpc(), "ProcessPool": pool(), "Dask": dask()},
        lambda base, _: base + 0.150, "floor + 150 ns"),
    Row("shm hot, bare endpoint", "us", bare("shm", "p50_us"), CROSS, "both poll",
        floor("shm_pingpong", 400000, 0), "C ping-pong, same ring layout"),
    Row("shm pipelined no-ops", "/s", ours("pipeline", 1000000, 64, key="per_second"), CROSS, "both poll, 64 in flight",
        None, "",
        {"gRPC C++, 32 in flight": Subject((BIN / "grpc_echo", "20000", "0", "32"), "per_second", most=2),
         "ProcessPool": pool("per_second"), "Dask": dask("per_second")},
        lambda *_: 3e6, "3 million a second", more_is_better=True),
    Row("shm pipelined, bare endpoint", "/s", bare("shm", "per_second"), CROSS,
        "both poll, 64 in flight", more_is_better=True),
    Row("shm warm, no-op", "us", ours("invoke", "noop", 0, 4000, 25, agent=WARM), CROSS, "worker sleeps, caller polls",
        floor("futex_pingpong", 4000, "polling"), "raw futex, the same",
        {"raw futex, both sleep": floor("futex_pingpong", 4000, "sleeping", most=3), "ZeroMQ": zmq(), "gRPC C++": grpc(),
         "ProcessPool": pool(), "Dask": dask()},
        lambda base, _: 1.3 * base, "1.3 x floor"),
]

FABRIC_ROWS = [
    Row("fabric tcp hot, no-op", "us",
        ours("invoke", "noop", 0, 20000, agent=FABRIC, environment={"BENCH_TRANSPORT": "fabric"}), CROSS, "both poll",
        floor("fabric_pingpong", 20000, "manual"), "raw libfabric, FI_EP_MSG",
        {"fi_pingpong -p tcp -e msg": fi_pingpong("tcp", "msg")},
        lambda base, _: 1.10 * base, "1.10 x floor"),
    Row("fabric tcp hot, bare endpoint", "us", bare("fabric", "p50_us"), CROSS,
        "both poll", floor("fabric_pingpong", 20000, "manual"), "raw libfabric, FI_EP_MSG", {},
        lambda base, _: 1.10 * base, "1.10 x floor"),
]

MIB = 1 << 20
LARGE_PEERS = {
    "Open MPI": mpi(2000, MIB), "ZeroMQ": zmq(MIB), "gRPC C++": grpc(MIB), "ProcessPool": pool("large_us")}
LARGE_ROWS = [
    Row("1 MiB echo, arena buffers", "us", ours("large", 1000, MIB, "buffers"), CROSS, "both poll",
        floor("memcpy_echo", 1000, MIB), "one cross-core memcpy", LARGE_PEERS, lambda base, _: 1.2 * base, "1.2 x floor"),
    Row("1 MiB echo, copied", "us", ours("large", 1000, MIB, "copied"), CROSS, "both poll",
        floor("memcpy_echo", 1000, MIB), "one cross-core memcpy", LARGE_PEERS),
]

# What 64 callers of a 20 us function wait at the mean when the worker never idles.
CALLERS = 64


def work(key):
    return floor("direct_calls", LIBRARY, "work_20us", 20000, key=key, read=read_work)


def read_work(text):
    """Calls a second of one worker that never idles, and the mean of its queue with so many callers."""
    rate = figures(text)["per_second"]
    return {"per_second": rate, "queue_us": CALLERS / rate * 1e6}


CALLERS_ROWS = [
    Row("64 callers, 20 us, throughput", "/s", ours("callers", CALLERS, 1500, key="per_second"), ONE_WORKER, WAITING,
        work("per_second"), "the function alone in a loop", {}, lambda base, _: 0.90 * base, "0.90 x floor",
        more_is_better=True, repeats=3),
    Row("64 callers, 20 us, p99", "us", ours("callers", CALLERS, 1500, key="p99_us"), ONE_WORKER, WAITING,
        work("queue_us"), "the queue's mean", {}, lambda base, _: 3 * base, "3 x the queue's mean", repeats=3),
]

# Gets of remote memory: the borrower on CPU 0, the donor (server, target) on CPU 1, 128 MiB on it, at places drawn at random.
GETS = "borrower CPU 0, donor CPU 1"
MEMORY = BIN.parents[1] / "release" / "memory-bench"
STORES = {"redis": "Redis", "memcached": "memcached"}
DONOR_CPU = ("donor_cpu_us_per_get", "us of the donor's CPU a get")
RATE = "gigabytes_per_second"


def gets(way, how, size, depth, rounds, key="p50_us"):
    return Subject(("taskset", "-c", "0", MEMORY, way, how, str(size), str(depth), str(rounds)), key)


def stores(size, depth, rounds, key="p50_us"):
    return {
        name: Subject((BIN / "store_get", store, "{port}", str(size), str(depth), str(rounds), "{pid}"), key, store=store)
        for store, name in STORES.items()}


def mpi_get(where, size, depth, rounds, key="p50_us"):
    way = ("--mca", "osc", "sm") if where == "shm" else ("--mca", "pml", "ob1", "--mca", "btl", "tcp,self", "--mca", "osc", "pt2pt")
    command = ("mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", *way, "-n", "2", BIN / "mpi_get",
               str(size), str(depth), str(rounds))
    return {"MPI_Get": Subject(command, key)}


def of_both(peers):
    """What both stores did; None when one of them is not there, for then nothing can be said."""
    return [peers[name] for name in STORES.values()] if peers.keys() >= set(STORES.values()) else None


def ahead_of_both(base, peers):
    both = of_both(peers)
    return both and min(1.10 * base, *both)


def better_store(_, peers):
    both = of_both(peers)
    return both and 1.3 * max(both)


def many_gets(size, called, rounds, target, target_text):
    return Row(
        f"get {called}, tcp, 32 on the way", "GB/s", gets("region", "stream", size, 32, rounds, RATE), GETS, "both poll",
        floor("fabric_read", rounds, "polling", size, 32, key=RATE), "libfabric's read, both poll",
        {**stores(size, 32, rounds, RATE), **mpi_get("tcp", size, 32, rounds, RATE)}, target, target_text, more_is_better=True,
        repeats=3, beside=DONOR_CPU, of_floor=False)


MEMORY_ROWS = [
    Row("get 4 KiB, shm", "us", gets("region", "shm", 4096, 1, 100000), "borrower CPU 0; the donor takes no part", "nobody waits",
        Subject(("taskset", "-c", "0", BIN / "memfd_read", "100000", "4096")), "a pread of the same cold bytes",
        mpi_get("shm", 4096, 1, 100000), lambda base, _: 1.2 * base, "1.2 x floor", beside=DONOR_CPU),
    Row("get 4 KiB, tcp, polling", "us", gets("region", "stream", 4096, 1, 20000), GETS, "both poll",
        floor("fabric_read", 20000, "polling", 4096, 1), "libfabric's read, both poll",
        mpi_get("tcp", 4096, 1, 20000), lambda base, _: 1.10 * base, "1.10 x floor", beside=DONOR_CPU),
    Row("get 4 KiB, tcp, blocking", "us", gets("endpoint", "blocking", 4096, 1, 5000), GETS, "both block",
        floor("fabric_read", 5000, "blocking", 4096, 1), "libfabric's read, both block",
        stores(4096, 1, 5000), ahead_of_both, "1.10 x floor, and ahead of both stores", beside=DONOR_CPU),
    many_gets(4096, "4 KiB", 40000, better_store, "1.3 x the better store"),
    many_gets(65536, "64 KiB", 10000, lambda _, peers: peers.get("memcached"), "ahead of memcached"),
    many_gets(2 * MIB, "2 MiB", 500, lambda _, peers: peers.get("memcached"), "ahead of memcached"),
]

GROUPS = {"shm": SHM_ROWS, "fabric": FABRIC_ROWS, "large": LARGE_ROWS, "callers": CALLERS_ROWS, "memory": MEMORY_ROWS}
# Groups that a script of its own measures, on a lab cluster or in a guest; it leaves rows in .build/bench/GROUP.json.
SCRIPTS = {
    "plugin": ("steps.sh", ["500"]),
    "cold": ("cold.sh", ["40"]),
    "vacate": ("vacate.sh", ["60"]),
    "verbs": ("verbs.sh", []),
    "pager": ("pager.sh", []),
    "reclaim": ("reclaim.sh", ["5"]),
}


def stand_beside(group, measured, everything, session):
    """Puts beside a script's cold rows what a peer needs from nothing to a first result."""
    if group != "cold":
        return
    peers = {row["name"].split(",")[0]: row["value"] for row in everything if row["name"].startswith("srun")}
    for name, subject in (("ProcessPool", pool("cold_us")), ("Dask", dask("cold_us"))):
        got = session.run(subject, 0, {})
        peers[name] = got.get("cold_us") if isinstance(got, dict) else None
    for row in measured:
        if row["target"] is not None:
            row["peers"] = peers
            reached = {name: value for name, value in peers.items() if value is not None}
            if reached:
                row["peer_name"] = min(reached, key=reached.get)
                row["peer"] = reached[row["peer_name"]]
