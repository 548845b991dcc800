"""No-ops through Dask's scheduler and one worker process. Usage: tasks.py [rounds]. All sides block."""
import statistics
import sys
import time

from distributed import Client, LocalCluster


def noop(number):
    return number


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    began = time.perf_counter()
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(noop, -1).result()
        print(f"cold_us {(time.perf_counter() - began) * 1e6:.0f}")
        times = []
        for number in range(rounds):
            start = time.perf_counter()
            client.submit(noop, number).result()
            times.append((time.perf_counter() - start) * 1e6)
        print(f"p50_us {statistics.median(times):.1f}")
        print(f"p99_us {sorted(times)[len(times) * 99 // 100]:.1f}")
        start = time.perf_counter()
        client.gather(client.map(noop, range(rounds, 5 * rounds)))
        print(f"per_second {4 * rounds / (time.perf_counter() - start):.0f}")
