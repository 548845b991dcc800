#!/usr/bin/env python3
"""A borrower of remote memory that speaks client.sock's protocol itself. Used by t0401-memory-leases.sh.

    borrower.py [options] hold COUNT BYTES    leases donors, says what it got, then what becomes of them, until stdin ends
    borrower.py [options] cycle COUNT BYTES   leases one and gives it back, COUNT times
    borrower.py [options] adopt COUNT 0       in a job that said --remote-mem: takes what waits for it and gives it back, COUNT times

Options: --node NAME, --remote, --avoid ID (any number), --wait SECONDS, --term SECONDS, --map (maps all of it too and never lets
go), --stay (holds on to everything when the agent is gone).
What it says, one JSON object a line: a donor; {"error": CODE, "message"}; {"ended": ID, "reason", "at"} and what it found
when it then tried to read and write."""
import argparse
import array
import errno
import json
import mmap
import os
import select
import socket
import sys
import time

CONTROL_BYTES = 4096


class Agent:
    """The conversation with the node's agent."""

    def __init__(self, path, stays):
        self.stays = stays
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.buffer, self.descriptors, self.last = b"", [], 0

    def ask(self, **request):
        self.last += 1
        self.socket.sendall(json.dumps({"id": self.last, **request}).encode() + b"\n")
        return self.last

    def messages(self, seconds):
        """What has come within a time; a closed connection is the end of this process."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return []
        data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 16, 16)
        if not data:
            say(gone="the agent closed the connection")
            if self.stays:
                sys.stdin.read()
            sys.exit(3)
        self.descriptors += descriptors
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [json.loads(line) for line in lines if line]

    def take_descriptor(self):
        return self.descriptors.pop(0)


def say(**what):
    print(json.dumps(what), flush=True)


def demand(options, size):
    wanted = {
        "kind": "memory", "cpus": 0, "memory": size, "termSeconds": options.term, "waitSeconds": options.wait,
        "slotCount": 0, "inputBytes": 0, "outputBytes": 0, "remote": options.remote, "libraryName": "",
    }
    if options.node:
        wanted["node"] = options.node
    if options.avoid:
        wanted["avoid"] = options.avoid
    return wanted


class Donor:
    def __init__(self, agent, lease, is_mapped):
        self.id, self.size = lease["leaseID"], lease["memory"]
        self.file, self.mapping = -1, None
        if lease["transport"] == "shm":
            self.file = agent.take_descriptor()
            os.pwrite(self.file, self.id.encode(), CONTROL_BYTES + self.size - 16)
            if is_mapped:
                self.mapping = mmap.mmap(self.file, CONTROL_BYTES + self.size)
                self.mapping[CONTROL_BYTES:CONTROL_BYTES + 4096] = b"x" * 4096
        say(lease=self.id, node=lease["node"], memory=self.size, kind=lease["kind"], transport=lease["transport"],
            pool=lease.get("pool"), address=lease.get("address"), allocated=self.allocated(), reads=self.reads(),
            termEnds=lease["termEnds"])

    def allocated(self):
        return os.fstat(self.file).st_blocks * 512 if self.file >= 0 else None

    def reads(self):
        if self.file < 0:
            return None
        return os.pread(self.file, 16, CONTROL_BYTES + self.size - 16).decode() == self.id

    def looks(self):
        """What is left of it: whether reading and writing work, how much is allocated, what the control page says."""
        if self.file < 0:
            return {}
        try:
            written = os.pwrite(self.file, b"late", CONTROL_BYTES)
        except OSError as error:
            written = errno.errorcode[error.errno]
        words = array.array("I", os.pread(self.file, 8, 128))
        return {"read": len(os.pread(self.file, 16, CONTROL_BYTES)), "written": written, "allocated": self.allocated(),
                "endedWord": words[0], "reclaimedWord": words[1]}


def answers(agent, ids, seconds):
    """The answers to requests, as they come."""
    waiting, deadline = set(ids), time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        for message in agent.messages(0.1):
            if message.get("id") in waiting:
                waiting.discard(message["id"])
                yield message
    if waiting:
        say(error="timedOut", message=f"{len(waiting)} requests were not answered")
        sys.exit(4)


def hold(agent, options):
    donors, failed = {}, False
    ids = [agent.ask(kind="lease", lease=demand(options, options.bytes)) for _ in range(options.count)]
    for message in answers(agent, ids, options.wait + 60):
        if message["kind"] == "error":
            say(error=message["error"]["code"], message=message["error"]["message"])
            failed = True
        else:
            donor = Donor(agent, message["lease"], options.map)
            donors[donor.id] = donor
    say(held=len(donors))
    if failed and not donors:
        sys.exit(2)
    while True:
        ready = select.select([agent.socket, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return
            if line.strip() == "renew":
                for donor in donors:
                    agent.ask(kind="renew", leaseID=donor, termSeconds=100)
            elif line.strip() == "release":
                for donor in donors:
                    agent.ask(kind="release", leaseID=donor)
        if agent.socket in ready:
            for message in agent.messages(0):
                if message["kind"] == "ended":
                    at = time.time_ns() // 1000
                    donor = donors[message["leaseID"]]
                    deadline = time.monotonic() + 10
                    while donor.file >= 0 and donor.allocated() > CONTROL_BYTES and time.monotonic() < deadline:
                        time.sleep(0.001)
                    say(ended=donor.id, reason=message["reason"], at=at, back=time.time_ns() // 1000, **donor.looks())
                else:
                    say(answer=message["kind"], lease=message.get("leaseID"), termEnds=message.get("termEnds"))


def cycle(agent, options):
    for _ in range(options.count):
        for message in answers(agent, [agent.ask(kind="lease", lease=demand(options, options.bytes))], 60):
            if message["kind"] == "error":
                say(error=message["error"]["code"], message=message["error"]["message"])
                sys.exit(2)
            if message["lease"]["transport"] == "shm":
                file = agent.take_descriptor()
                os.pwrite(file, b"cycle", CONTROL_BYTES)
                os.close(file)
            lease = message["lease"]["leaseID"]
        for message in answers(agent, [agent.ask(kind="release", leaseID=lease)], 60):
            if message["kind"] != "released":
                sys.exit(2)
    say(cycles=options.count)


def adopt(agent, options):
    """All that the job said, which is asked for anew each time, as `fallow run` does."""
    donors = 0
    for _ in range(options.count):
        deadline = time.monotonic() + 20
        ids = None
        while ids is None:
            for message in answers(agent, [agent.ask(kind="adopt", waitSeconds=options.wait)], 120):
                if message["kind"] == "adopted":
                    ids = message["adopted"]["leaseIDs"]
                elif time.monotonic() > deadline:
                    say(error=message["error"]["code"], message=message["error"]["message"])
                    sys.exit(2)
                else:  # what was given back is on its way still
                    time.sleep(0.02)
        for message in answers(agent, [agent.ask(kind="adopt", leaseID=lease) for lease in ids], 60):
            if message["kind"] != "leased":
                say(error=message["error"]["code"], message=message["error"]["message"])
                sys.exit(2)
            if message["lease"]["transport"] == "shm":
                os.close(agent.take_descriptor())
        for message in answers(agent, [agent.ask(kind="release", leaseID=lease) for lease in ids], 60):
            if message["kind"] != "released":
                sys.exit(2)
        donors += len(ids)
    say(adoptions=options.count, donors=donors)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--node")
    parser.add_argument("--remote", action="store_true")
    parser.add_argument("--avoid", action="append")
    parser.add_argument("--wait", type=float, default=0)
    parser.add_argument("--term", type=float, default=0)
    parser.add_argument("--map", action="store_true")
    parser.add_argument("--stay", action="store_true")
    parser.add_argument("what", choices=["hold", "cycle", "adopt"])
    parser.add_argument("count", type=int)
    parser.add_argument("bytes", type=int)
    options = parser.parse_args()
    agent = Agent(os.environ["FALLOW_CLIENT_SOCKET"], options.stay)
    {"hold": hold, "cycle": cycle, "adopt": adopt}[options.what](agent, options)


main()
