"""Rows as a table of 80 columns."""
import sys
import textwrap

WIDTH = 80
HEAD = f"{'':29}{'ours':>10}{'p99':>10}{'floor':>10}{'target':>10}  {'met':9}"


def amount(value, unit):
    """Three digits and a unit that suits the size."""
    if value is None:
        return "-"
    if unit == "us":
        for limit, scale, name in ((1000, 1, "us"), (1e6, 1000, "ms"), (float("inf"), 1e6, "s")):
            if abs(value) < limit:
                return f"{value / scale:.3g} {name}"
    if unit == "GB/s" and value < 1:
        return f"{value * 1000:.3g} MB/s"
    for limit, name in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {name}{unit}"
    return f"{value:.3g} {unit}"


def short(name):
    """What fits; the part before a colon of a long name, since the rest says what the column says."""
    return name if len(name) <= 29 else name.split(":")[0][:29]


def verdict(row):
    if row["met"] is None:
        return ""
    if row.get("met_by_best") not in (None, row["met"]):
        return "unsteady"
    return "yes" if row["met"] else "MISSED"


def lines(row):
    unit = row["unit"]
    yield (
        f"{short(row['name']):29}{amount(row['value'], unit):>10}{amount(row.get('p99'), 'us'):>10}"
        f"{amount(row['floor'], unit):>10}{amount(row['target'], unit):>10}  {verdict(row)}").rstrip()
    parts = [f"{row['placement']}; {row['mode']}"]
    if row.get("floor_name"):
        parts.append(f"floor: {row['floor_name']}")
    if row.get("target_text"):
        judged = "p99 " if row.get("judged") == "p99" else ""
        parts.append(f"target: {judged}{row['target_text']}")
    if row.get("peers"):
        parts.append("peers: " + ", ".join(f"{name} {amount(value, unit)}" for name, value in row["peers"].items()))
    for called, figures in row.get("beside", {}).items():
        parts.append(f"{called}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
    if row.get("spread") is not None:
        parts.append(f"{row['repeats']} repeats, spread {row['spread'] * 100:.0f} %")
    for name, why in row.get("missing", {}).items():
        parts.append(f"no figure for {name}: {why}")
    yield from textwrap.wrap("; ".join(parts), WIDTH - 2, initial_indent="  ", subsequent_indent="  ")


def print_rows(rows):
    """Rows that nothing was promised of are left to the JSON where there are many."""
    shown = rows if len(rows) < 8 else [row for row in rows if row["target"] is not None]
    for row in shown:
        for line in lines(row):
            print(line)
    if len(shown) < len(rows):
        print(f"  and {len(rows) - len(shown)} rows without a target, in the JSON")
    sys.stdout.flush()
