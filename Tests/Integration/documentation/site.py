"""What the site is made of: its navigation in mkdocs.yml, and the order of the glossary."""
import re
import subprocess

from .pages import TREE, Wrong, equal, read
from .programs import subcommands

# Made by .ci/build-site, of no page in docs/.
GENERATED = ("manual/", "reference/", "swift.md")


def navigation():
    return re.findall(r": (\S+\.md)$", read("mkdocs.yml").split("\nnav:\n")[1], re.M)


def every_page():
    shown = [page for page in navigation() if not page.startswith(GENERATED)]
    equal("pages in the navigation of mkdocs.yml", shown, sorted(p.name for p in (TREE / "docs").glob("*.md")))


def every_manual_page():
    shown = [page for page in navigation() if page.startswith("manual/")]
    names = ["fallow.1"] + [f"fallow-{name}.1" for name in subcommands()] + ["fallow.yaml.5", "fallowd.8", "fallowctld.8"]
    equal("manual pages in the navigation of mkdocs.yml", shown, [f"manual/{name}.md" for name in names])


def every_header():
    shown = [page for page in navigation() if page.startswith("reference/")]
    installed = re.findall(r"\$\(includedir\) \S*?(\w+\.h)$", read("Makefile"), re.M)
    equal("headers in the navigation of mkdocs.yml", shown, [f"reference/{name}.md" for name in dict.fromkeys(installed)])


def header_pages():
    """The page of each header has a heading for every function: what makes it says so itself."""
    for header in ("Sources/CFallow/include/fallow.h", "pager/include/fallow_pager.h"):
        done = subprocess.run([TREE / ".ci/site/header-page", TREE / header], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Wrong(done.stderr)


def glossary():
    terms = re.findall(r"^- \*\*(.+?)\*\*: ", read("docs/glossary.md"), re.M)
    entries = re.findall(r"^- .*", read("docs/glossary.md"), re.M)
    if len(terms) != len(entries) or not terms:
        raise Wrong("an entry is not of the form '- **term**: sentence'")
    for before, after in zip(terms, terms[1:]):
        if before.casefold() >= after.casefold():
            raise Wrong(f"'{after}' stands behind '{before}'")
