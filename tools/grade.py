"""Which exercises of submitted notebooks pass, as text, JSON and CSV.

    python -m tools.grade submissions/ --lesson 1 --json grades.json --csv grades.csv

docs/lecturers.md says what is run, and what it is held to. This is made for
accidents, not for attackers: grade strangers' code in a container.
"""

import argparse
import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

import joblib
import pandas as pd

from inception_edu.files import atomic_write
from tools.dependencies import required
from tools.notebooks import Unreadable, read, tags
from tools.sandbox import Run, limits, one_line
from tools.submissions import EXERCISES, calls, code_cells, submissions, which_lesson

LARGEST = 20  # MB of a submitted file
SHOWN = 5  # cells that raised, in the printed report
SETUP = re.compile(  # commands, magics, windows to open: another machine's
    r"^[ \t]*(?:!|%(?!time)[a-z]|(?:matplotlib|mpl|plt)\.(?:use|switch_backend)\()"
    r"(?:.*\\\n)*.*$",
    re.MULTILINE,
)
RANKS = {"not attempted": 0, "passed": 2}  # of the verdicts on an exercise
MARKS = {"passed": "[ok]", "failed": "[x]", "flagged": "[?]"}


def grade(path, seconds=300, memory=4096, asked=None, whole=False):
    """The report on one submission, a dict. Raises nothing, whatever is in the file.

    `seconds` and `memory` (MiB) are the limits, `asked` is the number of the lesson
    that was to be handed in. In the report, `ended` is "finished", or says why there
    is less: "unread" (no notebook), "foreign" (not of the series), "other lesson",
    "time", "died"; `reason` says it in words. `errors` are the cells that raised,
    `notes` what was left out of them; `exercises` are those of `results`.
    """
    report = {"path": str(path), "lesson": None, "ended": "", "reason": ""}
    report |= {"seconds": 0.0, "points": 0, "maximum": 0}
    report |= {"exercises": [], "errors": [], "notes": []}
    try:
        if path.stat().st_size > LARGEST * 1_000_000:
            raise Unreadable(f"more than {LARGEST} MB; clear its outputs")
        notebook = read(path)
    except (OSError, Unreadable) as error:
        return report | {"ended": "unread", "reason": one_line(error)}
    report["lesson"] = lesson = which_lesson(path, notebook)
    if lesson is None:
        reason = "it checks no exercise and has the title of no lesson"
        return report | {"ended": "foreign", "reason": reason}
    names = [name for name, home in EXERCISES.items() if home == (asked or lesson)]
    report["maximum"] = len(names)
    if asked not in (None, lesson):
        reason = f"this is lesson {lesson:02}, not {asked:02}"
        return report | {"ended": "other lesson", "reason": reason}
    code = code_cells(notebook)
    chosen = code if whole else cells_to_run(code)
    for number, cell in chosen.items():
        cell.source = without_setup(number, cell.source, report["notes"])
    run, start = Run(chosen, seconds, memory), time.monotonic()
    report["ended"], report["reason"] = run.run()
    report["seconds"] = round(time.monotonic() - start, 1)
    report["errors"] = [
        f"cell {number} ({code[number].id}) raised {error}"
        for number, error in run.errors.items()
        if "raises-exception" not in tags(code[number])
    ]
    report["exercises"] = results(names, code, run, report["ended"])
    report["points"] = sum(one["status"] == "passed" for one in report["exercises"])
    return report


def cells_to_run(code):
    """Those of the cells by number that the exercises need."""
    cells = list(code.values())
    ids = {
        one.id
        for index, cell in enumerate(cells)
        if calls(cell) or re.search(r"\bcheck\b", cell.source)
        for one in required(cells, index)
    }
    return {number: cell for number, cell in code.items() if cell.id in ids}


def without_setup(number, source, notes):
    """The source without the lines that `SETUP` matches, each of them noted."""

    def left_out(match):
        notes.append(one_line(f"cell {number}: {match[0].strip()!r} was left out"))
        return f"{match[0][: -len(match[0].lstrip())]}pass"

    return SETUP.sub(left_out, source)


def results(names, code, run, ended):
    """`{exercise, status, why}` of every exercise. The status is one of

    passed, failed, flagged (passed, but a person should look), not attempted (the
    stub is still there), missing (no cell checks it), not reached (the run ended
    before) and not checked (its cell ran without the package's check).
    """
    found = []
    for name in names:
        home = next((n for n, cell in code.items() if name in calls(cell)), None)
        status, why = "not checked", "its cell ran without the package's check"
        if home is None:
            status, why = "missing", "no cell checks it"
        elif home in run.errors:
            status, why = "failed", f"cell {home} raised {run.errors[home]}"
        elif ended != "finished" and home not in run.begun[:-1]:
            status, why = "not reached", "the run ended before its check"
        verdicts = run.verdicts.get(name, [{"status": status, "why": why}])
        best = max(reversed(verdicts), key=lambda one: RANKS.get(one["status"], 1))
        found.append({"exercise": name} | best)
    return found


# ---- output -----------------------------------------------------------------


def as_text(report):
    """A report as it is printed."""
    path, reason, exercises = report["path"], report["reason"], report["exercises"]
    if not exercises:
        return one_line(f"{path}: not graded: {reason or 'no exercises'}")
    points = f"{report['points']} of {report['maximum']} exercises pass"
    head = f"{path}: lesson {report['lesson']:02}, {points}, {report['seconds']:.1f} s"
    lines = [one_line(head)]
    width = max(len(one["exercise"]) for one in exercises)
    for one in exercises:
        status, why = one["status"], one["why"].removeprefix("[x] ")
        if status not in MARKS:
            why = f"{status}: {why}".rstrip(": ")
        name, mark = one["exercise"], MARKS.get(status, "[ ]")
        lines.append(f"  {mark:<4} {name:<{width}}  {one_line(why)}".rstrip())
    more = [*report["errors"][:SHOWN], *report["notes"]]
    more += [f"stopped: {reason}"] if reason else []
    return "\n".join([*lines, *(f"  {text}" for text in more)])


def write_csv(path, reports):
    """One line a submission, one column an exercise; with a mark for Excel."""
    rows = [r | {e["exercise"]: e["status"] for e in r["exercises"]} for r in reports]
    names = [name for name in EXERCISES if any(name in row for row in rows)]
    head = ["path", "lesson", "points", "maximum", "ended", "reason", *names]
    with atomic_write(path) as part:
        table = pd.DataFrame(rows, columns=head, dtype=object)
        table.to_csv(part, index=False, encoding="utf-8-sig", lineterminator="\r\n")


def parsed(arguments):
    """The options; exits in words on those that would fail after the work."""
    parser = argparse.ArgumentParser(prog="python -m tools.grade")
    add, lessons = parser.add_argument, sorted({*EXERCISES.values()})
    add("notebooks", nargs="+", help="notebooks, or folders of them")
    add("--json", type=Path, metavar="FILE", help="the report, for programs")
    add("--csv", type=Path, metavar="FILE", help="the points, for a spreadsheet")
    add("--lesson", type=int, choices=lessons, help="that was to be handed in")
    add("--whole", action="store_true", help="run every cell")
    add("--jobs", type=int, default=os.cpu_count(), help="notebooks at a time")
    add("--seconds", type=int, default=300, help="for one notebook")
    add("--memory", type=int, default=4096, help="MiB for one notebook")
    chosen = parser.parse_args(arguments)
    if min(chosen.jobs, chosen.seconds, chosen.memory) < 1:
        parser.error("--jobs, --seconds and --memory must be at least 1")
    for kind, path in ("json", chosen.json), ("csv", chosen.csv):
        if path and (path.suffix != f".{kind}" or not path.parent.is_dir()):
            sys.exit(f"--{kind} {path} must be a file .{kind} in a folder that exists")
    return chosen


def main(arguments=None):
    """The exit status: 0 when every notebook ran to its end, 1 otherwise."""
    chosen = parsed(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console may know few letters
            stream.reconfigure(errors="backslashreplace")
    paths, others = submissions(chosen.notebooks)
    if not paths:
        sys.exit(f"no notebook in {', '.join(chosen.notebooks)}")
    how = limits(chosen.seconds, chosen.memory)
    options = chosen.seconds, chosen.memory, chosen.lesson, chosen.whole
    work = (joblib.delayed(grade)(path, *options) for path in paths)
    reports = joblib.Parallel(chosen.jobs, prefer="threads")(work)
    if chosen.json:
        content = {"limits": how, "submissions": reports, "not_graded": others}
        with atomic_write(chosen.json) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if chosen.csv:
        write_csv(chosen.csv, reports)
    print(f"limits: {how}", *map(as_text, reports), sep="\n")
    for other in others:
        print(one_line(f"{other['path']}: not graded: {other['reason']}"))
    ends = Counter(one["ended"] for one in reports)
    ended = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    rest = f"; {len(others)} other files" if others else ""
    print(f"{len(reports)} submissions: {ended}{rest}")
    return int(any(one["ended"] != "finished" for one in reports))


if __name__ == "__main__":
    sys.exit(main())
