"""What stands in the sources."""
import re
import subprocess

from .pages import TREE, Wrong, read


def header_struct(name):
    text = read("Sources/CFallow/include/fallow.h")
    body = re.search(r"struct " + name + r" \{(.*?)\n\}", text, re.S).group(1)
    return re.findall(r"^\t[\w \*]*?\*?(\w+)(?:\[\d+\])?;", re.sub(r"/\*.*?\*/", "", body, flags=re.S), re.M)


def swift_files():
    return [p for p in (TREE / "Sources").rglob("*.swift")]


def enum_cases(name, within=""):
    for path in swift_files():
        found = re.search(r"^( *)(?:public )?enum " + name + r"\b[^\n]*\{(.*?)^\1\}", path.read_text(), re.S | re.M)
        if found and within in path.name:
            cases = re.findall(r"^ *case ([^\n/]+)", found.group(2), re.M)
            return [c.split("=")[0].strip() for line in cases for c in line.split(",")]
    raise Wrong(f"there is no enum {name}")


def compiles(text):
    done = subprocess.run(["gcc", "-fsyntax-only", "-x", "c", "-I", str(TREE / "Sources/CFallowReport/include"), "-"],
                          input=text, capture_output=True, text=True)
    if done.returncode:
        raise Wrong(done.stderr)


def routes(path):
    return re.findall(r'router\.(\w+)\("([^"]+)"', read(path))
