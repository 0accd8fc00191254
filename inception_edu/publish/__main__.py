"""`python -m inception_edu.publish execute|check notebooks...`"""

import argparse
import glob
import sys
import time
from pathlib import Path

from inception_edu.publish import check, execute

SLOW_SECONDS = 120


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


def main(arguments=None):
    """The exit status: 0 when all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m inception_edu.publish")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("execute", help="run and store the notebooks")
    command.add_argument("notebooks", nargs="+")
    command.add_argument(
        "--timeout", type=int, default=120, help="seconds a cell may take"
    )
    command = commands.add_parser("check", help="name departures from the form")
    command.add_argument("notebooks", nargs="+")
    chosen = parser.parse_args(arguments)
    paths = notebooks(chosen.notebooks)
    if chosen.command == "execute":
        return int(run(paths, chosen.timeout) > 0)
    return int(look(paths) > 0)


if __name__ == "__main__":
    sys.exit(main())
