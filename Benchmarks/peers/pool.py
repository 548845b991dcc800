"""No-ops through a ProcessPoolExecutor of one process on CPU 1. Usage: pool.py [rounds]. Both sides block."""
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def pin(cpu):
    os.sched_setaffinity(0, {cpu})


def noop(payload):
    return payload


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    began = time.perf_counter()
    with ProcessPoolExecutor(1, initializer=pin, initargs=(1,)) as pool:
        pin(0)
        pool.submit(noop, b"").result()
        print(f"cold_us {(time.perf_counter() - began) * 1e6:.0f}")
        payload, times = bytes(64), []
        for _ in range(rounds):
            start = time.perf_counter()
            pool.submit(noop, payload).result()
            times.append((time.perf_counter() - start) * 1e6)
        print(f"p50_us {statistics.median(times):.1f}")
        print(f"p99_us {sorted(times)[len(times) * 99 // 100]:.1f}")
        start = time.perf_counter()
        for _ in pool.map(noop, [payload] * rounds):
            pass
        print(f"per_second {rounds / (time.perf_counter() - start):.0f}")
        large, times = bytes(1 << 20), []
        for _ in range(20):
            start = time.perf_counter()
            pool.submit(noop, large).result()
            times.append((time.perf_counter() - start) * 1e6)
        print(f"large_us {statistics.median(times):.0f}")
