"""Blocks that do something: commands are run, snippets compiled, files written."""
import os
import re
import subprocess
import time
from pathlib import Path

from .pages import TREE, Wrong
from .programs import build_folder

WORK = Path(os.environ.get("FALLOW_DOCUMENTATION_WORK", "/nonexistent"))


def environment():
    here = dict(os.environ)
    here["CPATH"] = str(TREE / "Sources/CFallow/include")
    here["LIBRARY_PATH"] = here["LD_LIBRARY_PATH"] = os.environ.get("FALLOW_LAB", "") + "/lib"
    return here


def folder(block):
    path = WORK / block.page.replace("/", "_")
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o1777)
    return path


def execute(block):
    words = block.argument.split()
    statuses = {0}
    if "status" in words:
        statuses = {int(n) for n in words[words.index("status") + 1].split(",")}
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    if "root" not in words:
        user = os.environ.get("FALLOW_DOCUMENTATION_USER", "games")
        group = subprocess.run(["id", "-g", user], capture_output=True, text=True, check=True).stdout.strip()
        command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "env", "HOME=/tmp",
                   f"USER={user}"] + command
    done = subprocess.run(command, cwd=folder(block), env=environment(), stdin=subprocess.DEVNULL, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode not in statuses:
        raise Wrong(f"status {done.returncode}, not {sorted(statuses)}; it said:\n{done.stdout}")
    return done.stdout


def shape(line):
    line = re.sub(r"^(leases ended:) .*", r"\1 #", line)
    line = re.sub(r"\b[0-9a-f]{16}\b", "#", line)
    line = re.sub(r"(?<=\s)[#+:.]{16}(?=\s|$)", "BAR", line)
    line = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "#", line)
    line = re.sub(r"\b(IDLE|MIXED|ALLOCATED)(\+\w+)*", "STATE", line)
    line = re.sub(r"\bnode\d+", "node#", line)
    line = re.sub(r"(?<=\s)/\S+", "/#", line)
    line = re.sub(r"https?://\S+", "URL", line)
    line = re.sub(r"(?<![A-Za-z_#])\d+(\.\d+)?( ?(B|KiB|MiB|GiB|TiB|%)(?![A-Za-z]))?", "#", line)
    line = re.sub(r"(?<=\s)-(?=\s|$)", "#", line)
    return " ".join(line.split())


def same_shape(expected, said):
    want = [shape(l) for l in expected.rstrip("\n").split("\n")]
    have = [shape(l) for l in said.rstrip("\n").split("\n")]
    pattern = "".join("(?:.*\n)*?" if l == "..." else re.escape(l) + "\n" for l in want)
    if not re.fullmatch(pattern, "\n".join(have) + "\n"):
        raise Wrong("the page shows\n" + expected + "and the run printed\n" + said)


def do_run(block, following):
    words = block.argument.split()
    seconds = float(words[words.index("within") + 1]) if "within" in words else 0
    deadline = time.monotonic() + seconds
    while True:
        try:
            said = execute(block)
            if following:
                same_shape(following.text, said)
            return
        except Wrong:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.3)


def do_compile(block):
    words = block.argument.split()
    source = folder(block) / f"line{block.line}.{block.language}"
    source.write_text(block.text)
    target = str(source.with_suffix(".out"))
    if words[0] == "swift":
        built = next((f for f in (build_folder(), TREE / ".build/release", TREE / ".build/debug")
                      if (f / "Modules/FallowClient.swiftmodule").exists()), None)
        if not built:
            raise Wrong("there is no module FallowClient in the build folder; 'make build' makes it")
        maps = [f"-fmodule-map-file={m}" for m in (
            *built.glob("*.build/module.modulemap"), TREE / "Sources/CSodium/module.modulemap")]
        command = ["swiftc", "-typecheck", "-swift-version", "6", "-warnings-as-errors", "-I", str(built / "Modules"),
                   *(word for m in maps for word in ("-Xcc", m)), str(source)]
    else:
        compiler, standard = ("g++", "c++17") if "c++" in words else ("gcc", "c11")
        command = [compiler, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", str(source), "-o",
                   target]
        command += ["-shared", "-fPIC"] if words[0] == "library" else ["-lfallow"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise Wrong(done.stdout + done.stderr)


def do_file(block, later):
    path = folder(block) / block.argument
    path.write_text(block.text)
    path.chmod(0o755)
    if not any(b.kind == "run" and block.argument in b.text for b in later):
        raise Wrong(f"no run that follows uses {block.argument}")
