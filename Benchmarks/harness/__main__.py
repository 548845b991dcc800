"""python3 Benchmarks/harness [GROUP...]: measures, prints a table, and writes .build/bench/GROUP.json, all.json and all.svg."""
import datetime
import json
import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True  # no cache in the sources' folders

import catalog
import plot
import programs
import rows
import table

ALL = [*catalog.GROUPS, *catalog.SCRIPTS]


def machine():
    """Where and when; with other programs' load, so that a noisy run is known for one."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "-C", programs.TREE, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "cpu": model, "cpus": os.cpu_count(), "kernel": os.uname().release, "commit": commit.stdout.strip(),
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "load": os.getloadavg(),
    }


def by_script(group):
    """Runs a group's script, and takes the rows that it left."""
    name, arguments = catalog.SCRIPTS[group]
    left = programs.OUT / f"{group}.json"
    left.unlink(missing_ok=True)
    try:
        programs.output([programs.TREE / "Benchmarks" / name, *arguments], seconds=300)
        return [whole(row) for row in json.loads(left.read_text())["rows"]]
    except (programs.Failed, OSError, ValueError, KeyError) as failure:
        return [whole({"name": group, "value": None, "unit": "us", "missing": {"ours": f"Benchmarks/{name}: {failure}"}})]


def whole(row):
    """A script's row with everything that the table wants; milliseconds become microseconds."""
    row = {"floor": None, "peer": None, "target": None, "met": None, "placement": "wherever the kernel puts them", "mode": "blocks", **row}
    if row["unit"] == "ms":
        row.update({key: row[key] * 1000 for key in ("value", "floor", "target", "p99") if row.get(key) is not None}, unit="us")
    if isinstance(row["peer"], str):  # a figure from a paper, not from here
        row.update(peer_name=row["peer"], peer=None)
    return row


def main():
    # Else servers in sessions of their own would outlive us.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    wanted = sys.argv[1:] or ALL
    unknown = [name for name in wanted if name not in ALL]
    if unknown:
        print(f"there are no rows '{unknown[0]}'; there are: {' '.join(ALL)}", file=sys.stderr)
        return 2
    about = machine()
    print(f"{about['cpu']}, {about['cpus']} CPUs, load {about['load'][0]:.1f}, {about['commit']}, {about['when']}")
    if about["load"][0] > 0.5:
        print("Others use this machine: trust the ratios, not the times.")
    print(table.HEAD)
    session, everything = rows.Session(), []
    for group in [name for name in ALL if name in wanted]:
        print(f"-- {group}")
        measured = by_script(group) if group in catalog.SCRIPTS else []
        catalog.stand_beside(group, measured, everything, session)
        table.print_rows(measured)
        for row in catalog.GROUPS.get(group, []):
            measured.append(session.measure(row))
            table.print_rows(measured[-1:])
        write(group, about, measured)
        everything += measured
    about["load_after"] = os.getloadavg()
    write("all", about, everything)
    try:
        plot.draw(everything, programs.OUT / "all.svg")
        print(f"{programs.OUT}/all.json, all.svg")
    except programs.Failed as failure:
        print(f"{programs.OUT}/all.json; no drawing: {failure}")
    judged = [row for row in everything if row["met"] is not None]
    print(f"{sum(row['met'] for row in judged)} of {len(judged)} targets met")
    unmeasured = [row["name"] for row in everything if row["value"] is None]
    if unmeasured:
        print("not measured: " + ", ".join(unmeasured), file=sys.stderr)
    return 1 if unmeasured else 0


def write(group, about, measured):
    path = programs.OUT / f"{group}.json"
    # What a script says beside its rows stays.
    said = json.loads(path.read_text()) if group in catalog.SCRIPTS and path.exists() else {}
    path.write_text(json.dumps({**said, "machine": about, "rows": measured}, indent=1) + "\n")


sys.exit(main())
