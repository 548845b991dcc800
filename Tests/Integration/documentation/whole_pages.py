"""Claims about whole pages: what they name exists, what they link to is there."""
import re

from .pages import TREE, Wrong, equal, parse, read
from .programs import dumped, options_of, program_output, settings, subcommands
from .sources import routes


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
