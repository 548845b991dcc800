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
    check: KIND ...                        a table, compared with the code (see documentation/tables.py)
    source: FILE: TEXT                     a number stands in the page because TEXT stands in FILE
"""
import subprocess
import sys

# The package beside this file; nothing compiled of it is to lie in the tree.
sys.dont_write_bytecode = True
from documentation.claims import claims
from documentation.pages import Wrong


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
