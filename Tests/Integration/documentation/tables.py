"""Tables, compared with the code: `check: KIND WORDS` calls check_KIND with the block and the words."""
import re
import subprocess
from pathlib import Path

from .pages import TREE, Wrong, code, equal, read
from .programs import program_output, settings, subcommands
from .sources import compiles, enum_cases, header_struct, routes, swift_files


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


def check_struct(block, words):
    equal("fields", [code(r[0])[0] for r in block.rows], header_struct(words[0]))


def check_codes(block, _):
    text = read("Sources/CFallow/include/fallow.h")
    equal("codes", [code(r[0])[0] for r in block.rows], re.findall(r"^\t(FALLOW_\w+) = \d+", text, re.M))
    equal("Swift codes", [c for r in block.rows for c in code(r[1])], enum_cases("Code", "FallowError.swift"))


def check_functions(block, _):
    text = read("Sources/CFallow/include/fallow.h")
    equal("functions", [code(r[0])[0] for r in block.rows], re.findall(r"^(?!typedef)[a-z][\w \*]*?(fallow_\w+)\(", text, re.M))


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


def check_kernel(block, _):
    text = read("pager/src/kernel.c")
    text = text[text.index("features[] = {"):text.index("enum { FEATURES")]
    actual = re.findall(r'"([^"]+)", "([\d.]+)",\s*"([^"]+)"', text)
    equal("features of userfaultfd", [tuple(row) for row in block.rows], actual)
