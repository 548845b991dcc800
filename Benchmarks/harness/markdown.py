"""python3 Benchmarks/harness/markdown.py: the last full run as the table of docs/performance.md."""
import json
import sys

sys.dont_write_bytecode = True  # no cache in the sources' folders

import programs
import table


def words(row):
    unit = row["unit"]
    peers = ", ".join(f"{name} {table.amount(value, unit)}" for name, value in row.get("peers", {}).items() if value is not None)
    return [
        row["name"].split(":")[0], table.amount(row["value"], unit), table.amount(row.get("p99"), "us"),
        table.amount(row["floor"], unit), table.amount(row["target"], unit), table.verdict(row) or "-", peers or "-"]


def main():
    data = json.loads((programs.OUT / "all.json").read_text())
    about = data["machine"]
    print(f"{about['cpu']}, {about['cpus']} CPUs, kernel {about['kernel']}; load {about['load'][0]:.1f} before and "
          f"{about['load_after'][0]:.1f} after; {about['commit']}, {about['when']}.\n")
    print("| row | ours | p99 | floor | target | met | peers |\n|---|---|---|---|---|---|---|")
    for row in data["rows"]:
        if row["target"] is not None or not row["name"].startswith(("cold", "libfabric", "a parked", "a process in")):
            print("| " + " | ".join(words(row)) + " |")


main()
