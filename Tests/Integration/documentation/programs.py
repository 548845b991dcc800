"""What the programs say of themselves."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

from .pages import TREE


def build_folder():
    return Path(os.environ.get("FALLOW_BIN", TREE / ".build/release"))


def program_output(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, **options)
    return done.stdout


def dumped(program):
    return json.loads(program_output(program, "--experimental-dump-help"))["command"]


def options_of(command):
    names = {}
    for argument in command.get("arguments", []):
        for name in argument.get("names", []):
            dash = "--" if name["kind"] == "long" else "-"
            names[dash + name["name"]] = argument.get("defaultValue", "")
    return names


def subcommands():
    return {c["commandName"]: options_of(c) for c in dumped("fallow")["subcommands"] if c["commandName"] != "help"}


def settings():
    with tempfile.NamedTemporaryFile(suffix=".yaml") as empty:
        text = program_output("fallow", "doctor", "--show-config", "--json", "--config", empty.name,
                              env={"PATH": os.environ["PATH"]})
    return {row["key"]: row for row in json.loads(text)}
