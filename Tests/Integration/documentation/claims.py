"""All claims, in the order of the pages."""
from . import site, tables
from .configuration import do_config, do_source
from .pages import TREE, Wrong, pages, parse
from .running import do_compile, do_file, do_run
from .whole_pages import api_routes, page_commands, page_links, page_size


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
                    getattr(tables, "check_" + words[0]), block, words[1:])
            elif block.kind == "source":
                add(f"{block.place}: it still stands in {block.argument.partition(': ')[0]}", do_source, block)
            elif block.kind not in ("output", "shown", "unmarked"):
                raise SystemExit(f"{block.place}: there is no marker '{block.kind}'")
    api = TREE / "docs/openapi.yaml"
    if api.exists():
        add("docs/openapi.yaml: it describes the requests that fallowctld answers", api_routes, api)
    add("docs/glossary.md: terms in the order of the alphabet, each once", site.glossary)
    add("mkdocs.yml: every page of docs/ is in the site's navigation", site.every_page)
    add("mkdocs.yml: the manual page of every command and of the configuration is in the site's navigation", site.every_manual_page)
    add("mkdocs.yml: every header that is installed is in the site's navigation", site.every_header)
    add("fallow.h, fallow_pager.h: their pages in the site have every function", site.header_pages)
    return result


def nothing(found):
    if found:
        raise Wrong("not so: " + ", ".join(found))
