#!/usr/bin/env python3
"""Reads slurmd's debug2 log lines, prints per callback how long the plugin took: name, count, median, p99, max in µs.

"before" is the sum of a step's init and init_post_opt: what its first task waits for.
"""
import re
import statistics
import sys

LINE = re.compile(r"\[(\d+\.\w+)\].*fallow: (\w+) took (\d+) us")


def row(name, values):
    values = sorted(values)
    p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
    print(f"{name:>16} {len(values):6} {statistics.median(values):8.0f} {p99:8} {values[-1]:8}")


times, before = {}, {}
for line in sys.stdin:
    found = LINE.search(line)
    if not found:
        continue
    step, callback, us = found.group(1), found.group(2), int(found.group(3))
    times.setdefault(callback, []).append(us)
    if callback in ("init", "init_post_opt"):
        before[step] = before.get(step, 0) + us
print(f"{'callback':>16} {'count':>6} {'median':>8} {'p99':>8} {'max':>8}   microseconds")
for callback, values in times.items():
    row(callback, values)
if before:
    row("before", before.values())
