#!/usr/bin/env python3
"""What README.md and docs/*.md say, as claims that can fail. Used by t0900-documentation.sh.

    documentation.py list           one line a claim: its number, a tab, a sentence
    documentation.py claim NUMBER   checks it; status 0 when it holds, else says what is wrong

Blocks and tables carry markers that a reader of the page does not see, in an HTML comment on the line before:

    run [root] [status N[,N]] [within N]   a shell block: run it, as an ordinary user unless root is said
    output                                 what the run before has to print, by shape: numbers may differ, `...` is any lines
    file: NAME                             the block is written to NAME, for the runs that follow and have to use it
    compile: library|program [c++]|swift   the block must compile by itself
    shown                                  not run, because it would change the machine; commands and options are checked
    config: yaml|plugstack|unit PROGRAM    a piece of configuration
    check: KIND ...                        a table, compared with the code (see the functions named check_...)
    source: FILE: TEXT                     a number stands in the page because TEXT stands in FILE
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
WORK = Path(os.environ.get("FALLOW_DOCUMENTATION_WORK", "/nonexistent"))
MARKER = re.compile(r"^<!-- (\w+)(?::? ?(.*?))? ?-->$")
CODE = ("sh", "c", "cpp", "swift", "yaml", "ini")


class Wrong(Exception):
    """A claim that does not hold, in words."""


class Block:
    def __init__(self, page, line, kind, argument):
        self.page, self.line, self.kind, self.argument = page, line, kind, argument
        self.language, self.text, self.rows, self.before = "", "", [], None

    @property
    def place(self):
        return f"{self.page}:{self.line}"


def pages():
    return [TREE / "README.md"] + sorted((TREE / "docs").glob("*.md"))


def parse(path):
    """The marked blocks and tables of a page, in order; unmarked code blocks have the kind 'unmarked'."""
    page = str(path.relative_to(TREE))
    lines = path.read_text().split("\n")
    blocks, pending, at = [], None, 0
    while at < len(lines):
        line = lines[at]
        marker = MARKER.match(line)
        fence = re.match(r"^```(\w*)$", line)
        if marker:
            block = Block(page, at + 1, marker.group(1), (marker.group(2) or "").strip())
            if block.kind == "source":
                blocks.append(block)
            else:
                pending = block
        elif fence:
            end = lines.index("```", at + 1)
            block = pending or Block(page, at + 1, "unmarked", "")
            block.language, block.text = fence.group(1), "\n".join(lines[at + 1:end]) + "\n"
            if pending or block.language in CODE:
                blocks.append(block)
            pending, at = None, end
        elif line.startswith("|") and pending:
            while at < len(lines) and lines[at].startswith("|"):
                pending.rows.append([c.strip() for c in re.split(r"(?<!\\)\|", lines[at])[1:-1]])
                at += 1
            pending.rows = pending.rows[2:]
            blocks.append(pending)
            pending = None
        elif line.strip() and pending:
            raise SystemExit(f"{pending.place}: the marker stands before neither a block nor a table")
        at += 1
    last = None
    for block in blocks:
        if block.kind == "output":
            block.before = last
        if block.kind == "run":
            last = block
    return blocks


# ---------------------------------------------------------------- running

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


# ---------------------------------------------------------------- what exists

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


def read(*parts):
    return (TREE / Path(*parts)).read_text()


def code(cell):
    return [c for c in re.findall(r"`([^`]+)`", cell)]


def equal(what, documented, actual):
    documented, actual = list(documented), list(actual)
    missing = [x for x in actual if x not in documented]
    invented = [x for x in documented if x not in actual]
    words = []
    if missing:
        words.append(f"{what} not documented: {', '.join(map(str, missing))}")
    if invented:
        words.append(f"{what} that do not exist: {', '.join(map(str, invented))}")
    if len(set(documented)) != len(documented):
        words.append(f"{what} documented twice: {documented}")
    if words:
        raise Wrong("; ".join(words))


# ---------------------------------------------------------------- tables against the code

def check_keys(block, _):
    actual = settings()
    equal("keys", [code(r[0])[0] for r in block.rows], actual)
    for row in block.rows:
        key, default = code(row[0])[0], (code(row[1]) or [""])[0]
        if default != actual[key]["value"]:
            raise Wrong(f"{key}: the page says '{default}', the default is '{actual[key]['value']}'")
        if row[2] != actual[key]["meaning"]:
            raise Wrong(f"{key}: the page says '{row[2]}', the program '{actual[key]['meaning']}'")


def check_columns(block, words):
    command, _, part = words[0].partition(".")
    said = program_output("fallow", command)
    headers = [l.split() for l in said.split("\n") if l.split() and all(re.fullmatch(r"[A-Z-]+", w) for w in l.split())]
    wanted = {"": 0, "nodes": 0, "jobs": 1}[part]
    if len(headers) <= wanted:
        raise Wrong(f"fallow {command} printed no such table:\n{said}")
    if [r[0] for r in block.rows] != headers[wanted]:
        raise Wrong(f"the page has {[r[0] for r in block.rows]}, fallow {command} prints {headers[wanted]}")


def check_commands(block, _):
    actual = subcommands()
    common = {"--json", "--config", "--controller", "--help", "--version", "-h"}
    named = [(c.split()[1], row) for row in block.rows for c in code(row[0])]
    equal("commands", [n for n, _ in named], actual)
    for name, row in named:
        if name != "invoke":
            equal(f"options of fallow {name}", code(row[2]), set(actual[name]) - common)


def check_options(block, words):
    actual = subcommands()[words[0]]
    equal("options", [code(r[0])[0] for r in block.rows], set(actual) - {"--help", "--version", "-h"})
    for row in block.rows:
        default = actual[code(row[0])[0]]
        if default and default not in ("false", row[1]) and default.removesuffix(".0") != row[1]:
            raise Wrong(f"{row[0]}: the page says '{row[1]}', the default is '{default}'")


def header_struct(name):
    text = read("Sources/CFallow/include/fallow.h")
    body = re.search(r"struct " + name + r" \{(.*?)\n\}", text, re.S).group(1)
    return re.findall(r"^\t[\w \*]*?\*?(\w+)(?:\[\d+\])?;", re.sub(r"/\*.*?\*/", "", body, flags=re.S), re.M)


def check_struct(block, words):
    equal("fields", [code(r[0])[0] for r in block.rows], header_struct(words[0]))


def check_codes(block, _):
    text = read("Sources/CFallow/include/fallow.h")
    equal("codes", [code(r[0])[0] for r in block.rows], re.findall(r"^\t(FALLOW_\w+) = \d+", text, re.M))
    equal("Swift codes", [c for r in block.rows for c in code(r[1])], enum_cases("Code", "FallowError.swift"))


def check_functions(block, _):
    text = read("Sources/CFallow/include/fallow.h")
    equal("functions", [code(r[0])[0] for r in block.rows], re.findall(r"^(?!typedef)[a-z][\w \*]*?(fallow_\w+)\(", text, re.M))


def swift_files():
    return [p for p in (TREE / "Sources").rglob("*.swift")]


def enum_cases(name, within=""):
    for path in swift_files():
        found = re.search(r"^( *)(?:public )?enum " + name + r"\b[^\n]*\{(.*?)^\1\}", path.read_text(), re.S | re.M)
        if found and within in path.name:
            cases = re.findall(r"^ *case ([^\n/]+)", found.group(2), re.M)
            return [c.split("=")[0].strip() for line in cases for c in line.split(",")]
    raise Wrong(f"there is no enum {name}")


def check_cases(block, words):
    name = words[0].split(".")[-1]
    within = {"LeaseEnd": "LocalMessages", "Code": "LocalMessages"}[name]
    equal("cases", [code(r[0])[0] for r in block.rows], enum_cases(name, within))


def check_fields(block, words):
    for path in swift_files():
        found = re.search(r"struct " + words[0] + r":[^\n]*\{(.*?)^\}", path.read_text(), re.S | re.M)
        if found:
            fields = re.findall(r"^    (?:public )?var (\w+):", found.group(1), re.M)
            return equal("fields", [code(r[0])[0] for r in block.rows], fields)
    raise Wrong(f"there is no struct {words[0]}")


def compiles(text):
    done = subprocess.run(["gcc", "-fsyntax-only", "-x", "c", "-I", str(TREE / "Sources/CFallowReport/include"), "-"],
                          input=text, capture_output=True, text=True)
    if done.returncode:
        raise Wrong(done.stderr)


def check_record(block, words):
    name, size = words
    text = "#include <stddef.h>\n#include <fallow_report.h>\n"
    text += f'static_assert(sizeof(struct {name}) == {size}, "the size");\n'
    covered = 0
    for offset, count, field in ((r[0], r[1], code(r[2])[0]) for r in block.rows):
        text += f'static_assert(offsetof(struct {name}, {field}) == {offset}, "{field}: offset");\n'
        text += f'static_assert(sizeof(((struct {name} *)0)->{field}) == {count}, "{field}: bytes");\n'
        covered += int(count)
    if covered != int(size):
        raise Wrong(f"the fields of the page have {covered} bytes together, the record {size}")
    compiles(text)


def check_defines(block, _):
    text = "#include <fallow_report.h>\n"
    for row in block.rows:
        text += f'static_assert({code(row[0])[0]} == {row[1]}, "{code(row[0])[0]}");\n'
    compiles(text)


def routes(path):
    return re.findall(r'router\.(\w+)\("([^"]+)"', read(path))


def check_routes(block, words):
    documented = [tuple(code(r[0])[0].split()) for r in block.rows]
    equal("requests", documented, [(m.upper(), p) for m, p in routes(words[0])])


def check_plugin(block, _):
    text = read("slurm-plugin/src/arguments.c")
    equal("arguments", [code(r[0])[0] for r in block.rows], dict.fromkeys(re.findall(r'KEY\("(\w+)"\)', text)))
    defaults = dict(re.findall(r'^\t\.(\w+) = "?([^",\n]+)"?,', text, re.M))
    defaults["vacate"] = {"true": "on", "false": "off"}[defaults["vacate"]]
    for row in block.rows:
        if defaults[code(row[0])[0]] != code(row[1])[0]:
            raise Wrong(f"{row[0]}: the page says {row[1]}, the default is {defaults[code(row[0])[0]]}")


def check_grammar(block, _):
    for form in (f for row in block.rows for f in code(row[0])):
        said = subprocess.run(["srun", "-n1", "-c2", "--mem=100", form, "true"], capture_output=True, text=True,
                              timeout=60)
        if said.returncode:
            raise Wrong(f"srun {form}: status {said.returncode}\n{said.stderr}")


def check_rooms(block, _):
    text = re.sub(r"//.*", "", read("Package.swift"))
    text = text[text.index("targets: [\n"):]
    rooms = {}
    for name, list_ in re.findall(r'[rR]oom\(\s*"(\w+)"(?:,\s*\[(.*?)\])?(?:,\s*resources: \[.*?\])?\s*\)', text, re.S):
        rooms[name] = set(re.findall(r'"(\w+)"', list_))
    for name in re.findall(r'\.(?:target|systemLibrary)\(\s*name: "(C\w+)"', text):
        rooms[name] = set()
    equal("rooms", [r[1] for r in block.rows], rooms)
    layers = {r[1]: int(r[0]) for r in block.rows}
    for row in block.rows:
        equal(f"imports of {row[1]}", row[2].split(), rooms[row[1]])
        higher = [i for i in rooms[row[1]] if layers[i] > layers[row[1]]]
        if higher:
            raise Wrong(f"{row[1]} imports {higher} of a higher layer")


def check_installed(block, _):
    recipe = read("Makefile").split("\ninstall-tree:")[1].split("\n\n")[0] + read(".ci/install-site") + read(
        ".ci/install-vendor")
    for name in (Path(p).name for row in block.rows for p in code(row[0])):
        if not re.search(r"[/ ]" + re.escape(name) + r"(?![\w.])", recipe):
            raise Wrong(f"make install does not install {name}")


def check_files(block, _):
    for path in (p for row in block.rows for p in code(row[0])):
        if not (TREE / path).is_file():
            raise Wrong(f"there is no file {path}")


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


# ---------------------------------------------------------------- whole pages

def spans(path):
    """Code of a page: what stands in shell blocks, line by line, and in code spans."""
    blocks = [b for b in parse(path) if b.language == "sh"]
    for block in blocks:
        yield from re.sub(r"\\\n|\|\n", " ", block.text).split("\n")
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.S | re.M))


def page_commands(path):
    """Every command, option, target, key and variable that the page names exists."""
    known = subcommands()
    daemons = {name: options_of(dumped(name)) for name in ("fallowd", "fallowctld")}
    lab = program_output(str(TREE / "lab/cluster"), "help")
    targets = re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.M)
    keys = settings()
    variables = {"FALLOW_" + k.upper().replace(".", "_") for k in keys}
    wrong = []
    sources = "".join(p.read_text(errors="replace") for d in ("Sources", "slurm-plugin", "lab", "Tests/Unit", "pager")
                      for p in sorted((TREE / d).rglob("*")) if p.is_file() and ".build" not in p.parts)
    for text in spans(path):
        plain = text.split("#")[0]
        for name, rest in re.findall(r"(?:^|[\s(|])fallow ([a-z]+)\b([^|;&]*)", plain):
            if name not in known:
                wrong.append(f"fallow {name}")
            for option in re.findall(r"(?<=\s)(--[a-z-]+)", rest):
                if name in known and option not in known[name]:
                    wrong.append(f"fallow {name} {option}")
        for name, rest in re.findall(r"(?:^|[\s/])(fallowc?t?l?d)((?: --?[a-z-]+)+)", plain):
            wrong += [f"{name} {o}" for o in rest.split() if o not in daemons.get(name, {})]
        for name, rest in re.findall(r"lab/cluster ([a-z]+)([^|;&\")]*)", plain):
            for word in [name] + re.findall(r"--[a-z-]+", rest):
                if not re.search(r"(^|\s)" + re.escape(word) + r"\b", lab):
                    wrong.append(f"lab/cluster {word}")
        wrong += [f"make {t}" for t in re.findall(r"(?:^|\s)make ([a-z-]+)", plain) if t not in targets]
        key = re.fullmatch(r"(?:cluster|controller|node|agent|munge|lend|lease|executor|slurm)\.([a-z_]+)", text)
        if key and text not in keys and key.group(1) not in ("conf", "service"):
            wrong.append(f"the key {text}")
        if re.fullmatch(r"FALLOW_[A-Z_]+", text) and text not in variables and text not in sources:
            wrong.append(text)
    if wrong:
        raise Wrong("named, and there is no such thing: " + "; ".join(wrong))


def anchors(path):
    titles = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


def page_links(path):
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        file, _, anchor = target.partition("#")
        other = (path.parent / file) if file else path
        if not other.exists():
            raise Wrong(f"the link {target} leads nowhere")
        if anchor and anchor not in anchors(other):
            raise Wrong(f"{other.name} has no heading #{anchor}")


def page_size(path):
    lines = path.read_text().split("\n")
    if len(lines) - 1 > 180:
        raise Wrong(f"it has {len(lines) - 1} lines")
    wide = [l for l in lines if len(l) > 80 and not l.startswith(("|", "<!--"))]
    if wide:
        raise Wrong("wider than 80 columns: " + " / ".join(wide))


def api_routes(path):
    files = ("Sources/FallowController/Routes.swift", "Sources/FallowWeb/WebPages.swift")
    actual = {(m.upper(), p) for file in files for m, p in routes(file)}
    documented, at = set(), None
    for line in path.read_text().split("\n"):
        if found := re.match(r"^  (/[^:]*):", line):
            at = found.group(1)
        elif (found := re.match(r"^    (get|put|post|delete|head):", line)) and at:
            documented.add((found.group(1).upper(), at))
        elif re.match(r"^\w", line):
            at = None
    equal("requests", documented, actual)


# ---------------------------------------------------------------- the claims

def claims():
    result = []

    def add(sentence, action, *arguments):
        result.append((sentence, action, arguments))

    add("README.md: 180 lines of 80 columns at most", page_size, TREE / "README.md")
    for path in pages():
        page = str(path.relative_to(TREE))
        blocks = parse(path)
        unmarked = [b.place for b in blocks if b.kind == "unmarked"]
        add(f"{page}: every block of code is marked for this test", nothing, unmarked)
        add(f"{page}: every link leads somewhere", page_links, path)
        add(f"{page}: every command, option, target, key and variable exists", page_commands, path)
        for index, block in enumerate(blocks):
            following = blocks[index + 1] if index + 1 < len(blocks) and blocks[index + 1].kind == "output" else None
            first = block.text.split("\n")[0][:48]
            if block.kind == "run":
                add(f"{block.place}: '{first}' does" + (" and prints" if following else "") + " what is shown", do_run,
                    block, following)
            elif block.kind == "compile":
                add(f"{block.place}: the {block.language} snippet compiles", do_compile, block)
            elif block.kind == "file":
                add(f"{block.place}: {block.argument} is used by what follows", do_file, block, blocks[index:])
            elif block.kind == "config":
                add(f"{block.place}: the configuration ({block.argument}) is good", do_config, block)
            elif block.kind == "check":
                words = block.argument.split()
                add(f"{block.place}: the table is what the code says ({block.argument})",
                    globals()["check_" + words[0]], block, words[1:])
            elif block.kind == "source":
                add(f"{block.place}: it still stands in {block.argument.partition(': ')[0]}", do_source, block)
            elif block.kind not in ("output", "shown", "unmarked"):
                raise SystemExit(f"{block.place}: there is no marker '{block.kind}'")
    api = TREE / "docs/openapi.yaml"
    if api.exists():
        add("docs/openapi.yaml: it describes the requests that fallowctld answers", api_routes, api)
    return result


def nothing(found):
    if found:
        raise Wrong("not so: " + ", ".join(found))


def main():
    if sys.argv[1:] == ["list"]:
        for number, (sentence, _, _) in enumerate(claims()):
            print(f"{number}\t{sentence}")
    elif len(sys.argv) == 3 and sys.argv[1] == "claim":
        _, action, arguments = claims()[int(sys.argv[2])]
        try:
            action(*arguments)
        except (Wrong, subprocess.TimeoutExpired) as error:
            print(error)
            sys.exit(1)
    else:
        sys.exit(__doc__)


main()
