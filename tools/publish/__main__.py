"""`python -m tools.publish execute|check notebooks...`

and, from the same notebooks, what a lecturer takes along:
`python -m tools.publish pages|slides|students|handout`.
"""

import argparse
import glob
import sys
import time
from pathlib import Path

from tools.notebooks import Unreadable
from tools.publish import check, execute

SLOW_SECONDS = 120
SERIES = Path(__file__).parents[2] / "notebooks" / "*.ipynb"
TARGETS = {
    "pages": "one HTML page a lesson",
    "slides": "two reveal.js decks a lesson, whole and 20 minutes",
    "students": "the series without solutions and notes, as a folder and a zip",
    "handout": "a PDF a lesson, two weeks of homework and the answer key",
}


def notebooks(patterns):
    """The paths meant by the arguments; not every shell expands `*.ipynb`."""
    names = [
        name
        for pattern in patterns
        for name in (sorted(glob.glob(pattern)) if "*" in pattern else [pattern])
    ]
    paths = [Path(name) for name in names]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        sys.exit(f"no notebook at {', '.join(missing or patterns)}")
    return paths


def run(paths, timeout):
    """The number of notebooks that could not be stored, or break the form."""
    failed = 0
    for path in paths:
        start = time.perf_counter()
        problems, changed = execute(path, timeout=timeout)
        seconds = time.perf_counter() - start
        outcome = "NOT STORED" if problems else "stored" if changed else "unchanged"
        print(f"{path}: {outcome}, {seconds:.0f} s", flush=True)
        if seconds > SLOW_SECONDS:
            print(f"  warning: longer than the {SLOW_SECONDS} s a lesson may take")
        for problem in problems or check(path):
            print(f"  {problem}")
            failed += 1
    return failed


def look(paths):
    """The number of departures from the form, each printed."""
    found = 0
    for path in paths:
        problems = check(path)
        found += len(problems)
        print(f"{path}: {'in form' if not problems else ''}".rstrip())
        for problem in problems:
            print(f"  {problem}")
    return found


def build(target, paths, folder, **options):
    """The exit status of building a target; what is missing is said in one line."""
    from tools.publish.build import pages, slides
    from tools.publish.bundle import Missing
    from tools.publish.handout import handout
    from tools.publish.students import students

    builders = (pages, slides, students, handout)
    builder = {builder.__name__: builder for builder in builders}[target]
    try:
        builder(paths, folder, **options)
    except Missing as missing:
        print(f"make {target}: {missing}", file=sys.stderr)
        return 1
    return 0


def main(arguments=None):
    """The exit status: 0 when all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("execute", help="run and store the notebooks")
    command.add_argument("notebooks", nargs="+")
    command.add_argument(
        "--timeout", type=int, default=120, help="seconds a cell may take"
    )
    command = commands.add_parser("check", help="name departures from the form")
    command.add_argument("notebooks", nargs="+")
    for target, text in TARGETS.items():
        command = commands.add_parser(target, help=text)
        command.add_argument("notebooks", nargs="*", default=[str(SERIES)])
        add = command.add_argument
        add("--to", type=Path, default=Path("site"), metavar="FOLDER", help="where to")
        if target in ("pages", "slides"):
            add("--solutions", action="store_true", help="for your own use")
        if target == "slides":
            add("--notes", action="store_true", help="the speaker's, for your own use")
    chosen = parser.parse_args(arguments)
    paths = notebooks(chosen.notebooks)
    try:
        if chosen.command in TARGETS:
            names = ("solutions", "notes")
            options = {k: v for k, v in vars(chosen).items() if k in names}
            return build(chosen.command, paths, chosen.to, **options)
        if chosen.command == "execute":
            return int(run(paths, chosen.timeout) > 0)
        return int(look(paths) > 0)
    except (Unreadable, FileExistsError) as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    sys.exit(main())
