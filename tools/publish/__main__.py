"""`python -m tools.publish execute|check notebooks...`

and, from the same notebooks, what a lecturer takes along:
`python -m tools.publish pages|slides|students|handout`.
"""

import argparse
import glob
import sys
import time
from pathlib import Path

from tools.notebooks import ROOT, Unreadable
from tools.publish import check, execute
from tools.publish.bundle import Missing

SLOW_SECONDS = 120
SERIES = ROOT / "notebooks" / "*.ipynb"
TARGETS = {
    "pages": "one HTML page a lesson",
    "slides": "two reveal.js decks a lesson, whole and 20 minutes",
    "students": "the series without solutions and notes, as a folder and a zip",
    "handout": "a PDF a lesson, two weeks of homework and the answer key",
}


def notebooks(patterns):
    """The paths meant by the arguments; not every shell expands `*.ipynb`."""
    names = [sorted(glob.glob(p)) if "*" in p else [p] for p in patterns]
    paths = [Path(name) for found in names for name in found]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        sys.exit(f"no notebook at {', '.join(missing or patterns)}")
    return paths


def run(path, timeout):
    """What kept the notebook from being stored, or breaks the form."""
    start = time.perf_counter()
    problems, changed = execute(path, timeout=timeout)
    seconds = time.perf_counter() - start
    outcome = "NOT STORED" if problems else "stored" if changed else "unchanged"
    print(f"{path}: {outcome}, {seconds:.0f} s", flush=True)
    if seconds > SLOW_SECONDS:
        print(f"  warning: longer than the {SLOW_SECONDS} s a lesson may take")
    return problems or check(path)


def look(path):
    """The departures of the notebook from the form."""
    problems = check(path)
    print(f"{path}: {'in form' if not problems else ''}".rstrip())
    return problems


def build(target, *arguments, **options):
    """Build a target; the modules behind it are imported when they are needed."""
    from tools.publish import build, handout, students

    home = {"students": students, "handout": handout}.get(target, build)
    getattr(home, target)(*arguments, **options)


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
    chosen = vars(parser.parse_args(arguments))
    command, paths = chosen.pop("command"), notebooks(chosen.pop("notebooks"))
    try:
        if command in TARGETS:
            build(command, paths, chosen.pop("to"), **chosen)
            return 0
        failed = False
        for path in paths:
            problems = look(path) if command == "check" else run(path, **chosen)
            failed |= bool(problems)
            print(*(f"  {problem}\n" for problem in problems), sep="", end="")
        return int(failed)
    except (Unreadable, FileExistsError, Missing) as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    sys.exit(main())
