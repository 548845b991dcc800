"""Latencies beside their floors, targets and peers, as one drawing by gnuplot (Debian's gnuplot-nox)."""
import shutil
import subprocess

import programs
import table

STYLES = (("ours", 7, "#d62728"), ("floor", 5, "#2ca02c"), ("target", 2, "#444444"), ("peers", 6, "#1f77b4"))


def quoted(text):
    """As gnuplot writes a text in which nothing is special."""
    return "'" + text.replace("'", "''") + "'"


def draw(rows, path):
    """Writes an SVG of the rows that something stands beside. Raises Failed when there is no gnuplot, or nothing to draw."""
    rows = [row for row in rows if row["unit"] == "us" and row["value"] is not None and (row["floor"] or row["target"] or row["peer"])]
    if not rows:
        raise programs.Failed("no latencies to draw")
    if shutil.which("gnuplot") is None:
        raise programs.Failed("gnuplot is not there (Debian: gnuplot-nox)")
    points = {name: [] for name, _, _ in STYLES}
    for number, row in enumerate(reversed(rows)):
        points["ours"].append((row["value"], number))
        points["floor"].append((row["floor"], number))
        points["target"].append((row["target"], number))
        points["peers"] += [(value, number) for value in row.get("peers", {}).values()]
    points = {name: [point for point in some if point[0]] for name, some in points.items()}
    names = ", ".join(f"{quoted(table.short(row['name']))} {number}" for number, row in enumerate(reversed(rows)))
    shown = [style for style in STYLES if points[style[0]]]
    script = [
        f"set terminal svg size 900,{120 + 34 * len(rows)} font 'sans,13'",
        f"set output {quoted(str(path))}",
        "set title 'Medians beside their floors, targets and peers'",
        "set logscale x; set xlabel 'microseconds'; set format x '10^{%T}'; set grid x y; set key outside bottom horizontal",
        f"set ytics ({names}); set yrange [-0.6:{len(rows) - 0.4}]; set xrange [0.05:*]",
        "plot " + ", ".join(
            f"'-' with points pointtype {kind} pointsize 1.1 linecolor rgb '{colour}' title '{name}'"
            for name, kind, colour in shown),
    ]
    for name, _, _ in shown:
        script += [f"{value} {number}" for value, number in points[name]] + ["e"]
    done = subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        raise programs.Failed(f"gnuplot: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
