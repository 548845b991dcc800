#!/usr/bin/env python3
"""A stand-in for fallowd's report.sock, for tests of the plugin alone.

fake_agent.py SOCKET RECORDS MODE     MODE: healthy | hung | deaf | garbage | short | version | stuck | silent

Every record that arrives is appended to RECORDS as one line of JSON. hung: takes records, never answers; deaf: takes
none, and its queue is full; silent: closes without an answer. Ends when its standard input does, so it cannot outlive its test.
"""
import json
import os
import selectors
import socket
import struct
import sys

REQUEST = struct.Struct("=IHHIIIIIIIIIIiiQQqqqQQ64s512s512s2048s")
REPLY = struct.Struct("=IHHIIqq224s128s")
MAGIC = 0x574F4C46
NAMES = (
    "magic version kind flags job step uid gid array_job array_task node_index node_count tasks stepd_pid task_pid"
    " alloc_mem step_mem lend_cpus lend_mem reserve_mem remote_mem sent_at node alloc_cores step_cores cgroup"
).split()
KINDS = {1: "HELLO", 2: "STEP_START", 3: "STEP_RUNNING", 4: "STEP_END", 5: "JOB_END"}


def reply_of(mode, record):
    text = f"lending nothing of job {record['job']} on {record['node']}"
    if mode == "garbage":
        return os.urandom(REPLY.size)
    version = 9 if mode == "version" else 1
    status = 2 if mode == "stuck" else 1
    whole = REPLY.pack(MAGIC, version, status, 0, 0, 0, 0, text.encode(), b"")
    return whole[:100] if mode == "short" else whole


def main():
    path, records_path, mode = sys.argv[1:]
    assert REQUEST.size == 3248 and REPLY.size == 384
    if os.path.exists(path):
        os.unlink(path)
    mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    mailbox.bind(path)
    os.chmod(path, 0o600)
    records = open(records_path, "a", buffering=1)
    if mode == "deaf":
        fill(path)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    if mode != "deaf":
        selector.register(mailbox, selectors.EVENT_READ)
    print("ready", flush=True)
    kept = []
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                if not os.read(0, 1):
                    return
            else:
                kept += serve(mailbox, records, mode)


def fill(path):
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    try:
        while True:
            sender.sendto(b"-", path)
    except BlockingIOError:
        sender.close()


def serve(mailbox, records, mode):
    """Takes one record. Returns the ends to keep open."""
    data, ends, _, _ = socket.recv_fds(mailbox, REQUEST.size + 1, 1)
    peers = [socket.socket(fileno=end) for end in ends]
    if len(data) != REQUEST.size:
        records.write(json.dumps({"bad_size": len(data)}) + "\n")
        return []
    record = dict(zip(NAMES, REQUEST.unpack(data)))
    for name in ("node", "alloc_cores", "step_cores", "cgroup"):
        record[name] = record[name].split(b"\0")[0].decode()
    for peer in peers if mode not in ("hung", "silent") else []:
        try:
            peer.send(reply_of(mode, record))
        except OSError:
            pass  # nobody waits any more
    record["kind"] = KINDS.get(record["kind"], record["kind"])
    records.write(json.dumps(record) + "\n")
    return peers if mode == "hung" else []


main()
