"""crowd.py URL FIRST COUNT [SECONDS]: reports as the agents of COUNT nodes would: each sealed by MUNGE as that node's daemon, with jobs,
leases and pressure. Twice, 6 s of the nodes' time apart, so that their use is known; then for so many seconds more.
Names are FIRST and a number from 1 on."""
import concurrent.futures
import ctypes
import hashlib
import http.client
import json
import os
import random
import re
import secrets
import sys
import threading
import time

url, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 0
host = re.match("^http://([^/]*)", url).group(1)
cores = int(os.environ.get("CROWD_CORES", "64"))
user = int(os.environ.get("CROWD_USER", "1000"))
library = ctypes.CDLL("libmunge.so.2")
library.munge_ctx_create.restype = ctypes.c_void_p
library.munge_strerror.restype = ctypes.c_char_p
local = threading.local()
started = time.time_ns()


def munge(payload):
    if not hasattr(local, "context"):
        local.context = ctypes.c_void_p(library.munge_ctx_create())
        library.munge_ctx_set(local.context, 8, ctypes.c_char_p(os.environ["FALLOW_MUNGE_SOCKET"].encode()))
        library.munge_ctx_set(local.context, 9, ctypes.c_uint32(0))
    credential = ctypes.c_char_p()
    error = library.munge_encode(ctypes.byref(credential), local.context, payload, len(payload))
    if error:
        raise SystemExit(f"munge: {library.munge_strerror(error).decode()}")
    return credential.value.decode()


def post(node, report):
    path = f"/v1/nodes/{node}/report"
    body = json.dumps(report).encode()
    seal = {"method": "POST", "path": path, "bodySHA256": hashlib.sha256(body).hexdigest(), "node": node,
            "expires": time.time_ns() + 30_000_000_000, "id": secrets.token_hex(16)}
    credential = munge(json.dumps(seal).encode())
    for attempt in range(3):
        try:
            if not hasattr(local, "connection"):
                local.connection = http.client.HTTPConnection(host, timeout=20)
            local.connection.request("POST", path, body, {"X-Fallow-Seal": credential, "Content-Type": "application/json"})
            reply = local.connection.getresponse()
            text = reply.read().decode(errors="replace")
            if reply.status != 200:
                raise SystemExit(f"{path}: {reply.status} {text[:300]}")
            return
        except (http.client.HTTPException, OSError):
            del local.connection


def report(number, turn):
    """What node `number` says at its `turn`th report; the same numbers in each run."""
    draw = random.Random(number)
    node = f"{first}{number}"
    now = time.time_ns()
    elapsed = 6.0 * turn
    held = draw.choice([0, 0, cores, cores, cores, cores // 2, cores * 3 // 4])
    busy = held * draw.choice([0.2, 0.55, 0.7, 0.85, 0.95, 1.0])
    lent = min(cores - int(busy) - 1, draw.choice([0, 0, 4, 8, 16])) if number % 3 else 0
    lent = max(0, lent)
    jobs, leases = [], []
    if held:
        jobs.append({
            "jobID": 40_000 + number, "user": user + number % 7, "cores": f"0-{held - 1}", "memory": held << 31, "serverless": "auto",
            "firstSeenAt": started - 3_600_000_000_000, "measured": True, "heldCoreSeconds": held * (3600 + elapsed),
            "usedCoreSeconds": busy * (3600 + elapsed), "lentCoreSeconds": lent * (1800 + elapsed) if held == cores else 0,
            "heldByteSeconds": (held << 31) * 3600, "usedByteSeconds": (held << 30) * 3600, "lentByteSeconds": 0, "peakMemory": held << 30, "lending": {"cores": max(0, held - int(busy) - 1), "memory": 1 << 32}})
    if lent:
        leases.append({
            "leaseID": f"{number:016x}", "user": user + number % 5, "cores": f"{cores - lent}-{cores - 1}", "memory": lent << 30,
            "startedAt": started - 60_000_000_000, "termEnds": started + (240 + number) * 1_000_000_000, "usedCoreSeconds": 1.5,
            "libraryName": "<b>lib.so</b>", **({"beneath": 40_000 + number} if held == cores else {})})
    free = max(0, cores - held - lent)
    return node, {
        "node": node, "agentURL": "http://127.0.0.1:9", "version": "crowd", "instance": 7_000_000 + number + started % 1000,
        "sequence": turn, "at": started + int(elapsed * 1e9), "instanceStartedAt": started, "cores": cores, "memory": cores << 32,
        "offer": {"cores": free, "memory": free << 31}, "switches": {"unallocated": True, "lent": True},
        "integrals": {"elapsedSeconds": elapsed, "allocatedCoreSeconds": held * elapsed, "usedCoreSeconds": busy * elapsed,
                      "lentCoreSeconds": lent * elapsed, "recoveredCoreSeconds": lent * elapsed * 0.8, "allocatedByteSeconds": 0,
                      "usedByteSeconds": 0, "lentByteSeconds": 0},
        "jobs": jobs, "leases": leases, "ended": [], "reclaims": [],
        "pressure": {"cpuPercent": draw.choice([0, 1, 4, 12, 30]), "memoryPercent": 22 if number % 41 == 0 else 0, "ioPercent": 1},
        **({} if free else {"withheldReason": "all cores are held"})}


turn, until = 1, time.monotonic() + seconds
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    while turn <= 2 or time.monotonic() < until:
        for done in [pool.submit(post, *report(number, turn)) for number in range(1, count + 1)]:
            done.result()
        if turn == 2:
            print("reported", flush=True)
        turn += 1
        if turn > 2 and seconds:
            time.sleep(min(2, max(0, until - time.monotonic())))
