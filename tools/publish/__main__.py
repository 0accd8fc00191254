"""What is done with the notebooks of the series, or with those that are named:

execute   run and store them
check     name departures from the form
pages     one HTML page a lesson
slides    two reveal.js decks a lesson, complete and 20 minutes
students  the series without solutions and notes, as a folder and a zip
handout   a PDF a lesson, two weeks of homework and the answer key
"""

import argparse
import glob
import sys
from pathlib import Path

from tools.notebooks import ROOT, Unreadable
from tools.publish import check, execute
from tools.publish.build import pages, slides
from tools.publish.bundle import Missing
from tools.publish.handout import handout
from tools.publish.students import students

SERIES = ROOT / "notebooks" / "*.ipynb"


def notebooks(patterns):
    """The paths meant by the arguments; not every shell expands `*.ipynb`."""
    found = {pattern: sorted(glob.glob(pattern)) for pattern in patterns}
    if missing := [pattern for pattern, names in found.items() if not names]:
        sys.exit(f"no notebook at {', '.join(missing)}")
    return [Path(name) for names in found.values() for name in names]


def problems_of(path, command):
    """Look at a notebook, or run and store it, and say what came of it."""
    problems, changed = execute(path) if command == "execute" else ([], False)
    problems = problems or check(path)
    outcome = "not in form" if problems else "stored" if changed else "in form"
    print(f"{path}: {outcome}", *problems, sep="\n  ", flush=True)
    return problems


def main(arguments=None):
    """The exit status: 0 when all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.publish", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = ("execute", "check", "pages", "slides", "students", "handout")
    add = parser.add_argument
    add("command", choices=commands)
    add("notebooks", nargs="*", default=[str(SERIES)])
    add("--to", type=Path, default=Path("site"), metavar="FOLDER", help="where to")
    add("--solutions", action="store_true", help="pages, slides: for your own use")
    add("--notes", action="store_true", help="slides: the speaker's, for your own use")
    chosen = parser.parse_intermixed_args(arguments)
    paths, folder = notebooks(chosen.notebooks), chosen.to
    try:
        match chosen.command:
            case "pages":
                pages(paths, folder, chosen.solutions)
            case "slides":
                slides(paths, folder, chosen.notes, chosen.solutions)
            case "students":
                students(paths, folder)
            case "handout":
                handout(paths, folder)
            case command:
                found = [problems_of(path, command) for path in paths]
                return int(any(found))
    except (Unreadable, Missing) as refused:
        sys.exit(str(refused))
    return 0


if __name__ == "__main__":
    sys.exit(main())
