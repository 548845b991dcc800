"""Pages, and what is marked in them."""
import re
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]
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
