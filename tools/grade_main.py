"""`python -m tools.grade_main report notebooks or folders...`"""

import argparse
import sys
from pathlib import Path

from inception_edu.files import atomic_write
from tools.grade import (
    LESSONS,
    MEMORY,
    SECONDS,
    as_json,
    report,
    submissions,
    summary,
    system_limits,
)


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def main(arguments=None):
    """The exit status: 0 when every notebook ran to its end, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tools.grade_main")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("report", help="say which exercises pass")
    add = command.add_argument
    add("notebooks", nargs="+", help="notebooks, or folders of them")
    add("--json", type=Path, metavar="FILE", help="write the report there, too")
    add("--seconds", type=positive, default=SECONDS, help="for one notebook")
    add("--memory", type=positive, default=MEMORY, help="MiB for one notebook")
    add("--jobs", type=positive, default=1, help="notebooks at a time")
    add("--lessons", type=Path, default=LESSONS, help="the folder of the series")
    chosen = parser.parse_args(arguments)
    try:
        paths = submissions(chosen.notebooks)
    except FileNotFoundError as error:
        sys.exit(str(error))
    if chosen.lessons != LESSONS and not chosen.lessons.is_dir():
        sys.exit(f"no folder of lessons at {chosen.lessons}")
    if chosen.json and (chosen.json.is_dir() or not chosen.json.parent.is_dir()):
        sys.exit(f"--json {chosen.json} must be a file in a folder that is there")
    if chosen.json and chosen.json.suffix != ".json":  # it may be a submission
        sys.exit(f"--json {chosen.json} would be overwritten; name a file .json")
    if not paths:
        sys.exit(f"no notebook in {', '.join(chosen.notebooks)}")
    print(f"limits: {chosen.seconds} s, {chosen.memory:,} MiB; {system_limits()}")
    done = []
    limits = chosen.seconds, chosen.memory
    for one in report(paths, *limits, chosen.lessons, chosen.jobs):
        print(one, flush=True)
        done.append(one)
    print(summary(done))
    if chosen.json:
        with atomic_write(chosen.json) as part:
            part.write_text(as_json(done, *limits), encoding="utf-8")
    return int(any(one.ended != "finished" for one in done))


if __name__ == "__main__":
    sys.exit(main())
