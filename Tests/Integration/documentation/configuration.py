"""Pieces of configuration, and numbers that stand in a page because of a line of the code."""
import os
import re
import shutil
import subprocess
from pathlib import Path

from .pages import TREE, Wrong, read
from .programs import program_output
from .running import folder


def do_config(block):
    words = block.argument.split()
    if words[0] == "yaml":
        path = folder(block) / "fallow.yaml"
        path.write_text(block.text)
        for program in ("fallowd", "fallowctld"):
            done = subprocess.run([program, "--check", "--config", str(path)], capture_output=True, text=True,
                                  env={"PATH": os.environ["PATH"]})
            if done.returncode:
                raise Wrong(done.stderr)
    elif words[0] == "plugstack":
        known = read("slurm-plugin/README.md") if (TREE / "slurm-plugin/README.md").exists() else ""
        known += read(".ci/install-vendor") + "include plugstack.conf.d/*.conf"
        if block.text.strip() not in known:
            raise Wrong(f"'{block.text.strip()}' is not what is installed")
    elif words[0] == "unit":
        program = re.search(r"^ExecStart=(\S+)$", block.text, re.M).group(1)
        if Path(program).name != words[1] or f"$(RELEASE)/{words[1]}" not in read("Makefile"):
            raise Wrong(f"make install does not install {program}")
        if shutil.which("systemd-analyze"):
            unit = folder(block) / f"{words[1]}.service"
            unit.write_text(block.text.replace(program, shutil.which(words[1])))
            said = program_output("systemd-analyze", "verify", str(unit))
            if unit.name in said:
                raise Wrong(said)


def do_source(block):
    path, _, text = block.argument.partition(": ")
    if text not in read(path):
        raise Wrong(f"'{text}' is not in {path} any more: is what the page says still true?")
