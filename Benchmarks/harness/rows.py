"""What a row is, and how it is measured: floor, ours and peers in turn, again and again."""
import contextlib
import dataclasses
import statistics
import sys
import typing

import programs


@dataclasses.dataclass(frozen=True)
class Subject:
    """Something that is run for a figure."""

    command: tuple
    key: str = "p50_us"
    seconds: int = 60
    environment: dict = dataclasses.field(default_factory=dict)
    # Arguments of the bench-agent that it talks to.
    agent: tuple | None = None
    # A peer's server (programs.STORES) that it talks to; the command's words {port} and {pid} become the server's.
    store: str | None = None
    # Makes figures of the output, for programs that are not ours.
    read: typing.Callable = programs.figures
    # How many of the repeats it takes part in; slow ones that nothing is judged by take part in few.
    most: int = 1000
    # Whether one run in a repeat serves every row that shows it. Not floors and ours: those are run side by side.
    shared: bool = False


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    unit: str
    ours: Subject
    placement: str
    mode: str  # who polls and who blocks
    floor: Subject | None = None
    floor_name: str = ""
    peers: dict = dataclasses.field(default_factory=dict)
    # The bound for `value`, from the floor's figure and the peers' by name; None when nothing was promised.
    target: typing.Callable | None = None
    target_text: str = ""
    of_floor: bool = True  # whether the target is made of the floor
    judged: str = "value"  # or "p99"
    more_is_better: bool = False
    repeats: int = 5
    # Another figure that ours, floor and peers print, and what it is called.
    beside: tuple | None = None


class Servers(contextlib.ExitStack):
    """What subjects talk to, started when the first asks and ended with the block."""

    def __init__(self):
        super().__init__()
        self.running = {}

    def get(self, kind, which):
        if (kind, which) not in self.running:
            self.running[kind, which] = self.enter_context(kind(which))
        return self.running[kind, which]


class Session:
    """Measures rows. What several rows share in one repeat (a peer that gives two figures) is run once."""

    def __init__(self):
        self.known = {}

    def run(self, subject, repeat, servers):
        key = (subject.command, subject.agent, subject.store, repeat)  # not the figure's name: a command may give several
        if not subject.shared or key not in self.known:
            try:
                self.known[key] = programs.output(*self.prepared(subject, servers), subject.seconds)
            except programs.Failed as failure:
                self.known[key] = failure
        said = self.known[key]
        return said if isinstance(said, programs.Failed) else subject.read(said)

    @staticmethod
    def prepared(subject, servers):
        """A subject's command and environment, once what it talks to is there; that is started for the first of a row."""
        command, environment = subject.command, dict(subject.environment)
        if subject.agent is not None:
            environment["FALLOW_CLIENT_SOCKET"] = servers.get(programs.Agent, subject.agent).socket
        if subject.store is not None:
            store = servers.get(programs.Store, subject.store)
            places = {"{port}": store.port, "{pid}": store.process.pid}
            command = tuple(places.get(word, word) for word in command)
        return command, environment

    def measure(self, row):
        """A row's figures, as they go to the JSON."""
        subjects = {"floor": row.floor, "ours": row.ours, **{"peer " + name: peer for name, peer in row.peers.items()}}
        samples = {name: [] for name in subjects}
        failures = {}
        with Servers() as servers:
            for repeat in range(row.repeats):
                for name, subject in subjects.items():
                    if subject is None or repeat >= subject.most or name in failures:
                        continue
                    progress(f"  {row.name}: {name}, {repeat + 1} of {row.repeats}")
                    got = self.run(subject, repeat, servers)
                    if isinstance(got, programs.Failed):
                        failures[name] = str(got)
                    elif subject.key not in got:
                        failures[name] = f"printed no {subject.key}"
                    else:
                        samples[name].append(got)
        progress("")
        return self.result(row, subjects, samples, failures)

    @staticmethod
    def result(row, subjects, samples, failures):
        best = max if row.more_is_better else min
        middle, extreme = {}, {}
        for name, subject in subjects.items():
            values = [sample[subject.key] for sample in samples[name]] if subject else []
            middle[name] = statistics.median(values) if values else None
            extreme[name] = best(values) if values else None
        values = [sample[row.ours.key] for sample in samples["ours"]]
        p99s = [sample["p99_us"] for sample in samples["ours"] if "p99_us" in sample and row.unit == "us"]
        p99 = statistics.median(p99s) if p99s else None
        peers = {name: middle["peer " + name] for name in row.peers}
        reached = {name: value for name, value in peers.items() if value is not None}
        peer_name = best(reached, key=reached.get) if reached else None
        judged = p99 if row.judged == "p99" else middle["ours"]
        target = bound(row, middle)
        return {
            "name": row.name, "value": middle["ours"], "unit": row.unit, "floor": middle["floor"],
            "peer": reached.get(peer_name), "target": target, "met": met(judged, target, row.more_is_better),
            "p99": p99, "judged": row.judged, "target_text": row.target_text, "floor_name": row.floor_name,
            "peer_name": peer_name, "peers": peers, "placement": row.placement, "mode": row.mode,
            "repeats": len(values), "spread": (max(values) - min(values)) / middle["ours"] if values else None,
            "best": extreme["ours"], "best_floor": extreme["floor"],
            "met_by_best": None if row.judged == "p99" else met(
                extreme["ours"], bound(row, extreme), row.more_is_better),
            "more_is_better": row.more_is_better,
            "beside": aside(row, samples),
            "missing": failures,
        }


def progress(text):
    """What is going on, on a terminal alone; the next call overwrites it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def bound(row, figures):
    """The row's target, from one figure of each subject; None where that lacks what it is made of."""
    if row.target is None or (row.floor and row.of_floor and figures["floor"] is None):
        return None
    peers = {name: figures["peer " + name] for name in row.peers if figures["peer " + name] is not None}
    return row.target(figures["floor"], peers)


def aside(row, samples):
    """The other figure that a row shows: the median of each who printed it."""
    if row.beside is None:
        return {}
    key, called = row.beside
    found = {name.removeprefix("peer "): [sample[key] for sample in some if key in sample] for name, some in samples.items()}
    return {called: {name: statistics.median(values) for name, values in found.items() if values}}


def met(value, target, more_is_better):
    if value is None or target is None:
        return None
    return value >= target if more_is_better else value <= target
