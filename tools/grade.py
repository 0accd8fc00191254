"""Which exercises of submitted notebooks pass, as text, JSON and CSV.

    python -m tools.grade submissions/ --lesson 1 --json grades.json --csv grades.csv

Every notebook runs in a kernel and a folder of its own, within limits and, where
the system has one, in its sandbox; the file that was handed in is only read. Only
the cells that the exercises need are run, `--whole` runs all. Cells tagged
`solution` are left out, so that a copy of the series earns nothing. This is made for
accidents, not for attackers: grade strangers' code in a container.
"""

import argparse
import csv
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import joblib
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbformat import v4

from inception_edu.files import atomic_write
from tools.dependencies import required
from tools.judge import MIME
from tools.notebooks import (
    ROOT,
    Unreadable,
    kernel_environment,
    own_kernel,
    read,
    tags,
)
from tools.submissions import (
    calls,
    code_cells,
    read_lessons,
    submissions,
    which_lesson,
)

START = 120  # seconds that a kernel gets to start
LARGEST = 20  # MB of a submitted file
ERRORS = 5  # cells that raised, in full
LESSONS = ROOT / "notebooks"
PIP = re.compile(
    r"^[ \t]*[!%]+[ \t]*(?:(?:\S*python\S*|uv)[ \t]+(?:-m[ \t]+)?)?"
    r"(?:pip3?|conda|mamba|apt|apt-get)\b(?:.*\\\n)*.*$",
    re.MULTILINE,
)
MARKS = {"passed": "[ok]", "failed": "[x]", "flagged": "[?]"}
SANDBOXES = {
    "no network and nothing writable but its folder (bwrap)": (
        *("bwrap", "--die-with-parent", "--unshare-all", "--ro-bind", "/", "/"),
        *("--dev", "/dev", "--proc", "/proc", "--unsetenv", "JPY_PARENT_PID"),
    ),
    "no network, but it may write where you may (unshare)": (
        *("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"),
        *("env", "--unset=JPY_PARENT_PID"),
    ),
}
NO_SANDBOX = "NO SANDBOX on this system (bwrap or unshare): code may do what you may"


@dataclass(frozen=True)
class Result:
    """One exercise of one submission. `status` is one of

    passed, failed, flagged (passed, but a person should look), not attempted (the
    stub is still there), missing (no cell checks it), not reached (the run ended
    before) and not checked (its cell ran without the package's check).
    """

    exercise: str
    status: str
    why: str = ""


@dataclass
class Report:
    """What came of one submission.

    `ended` is "finished", or says why there is less: "unread" (no notebook), "foreign"
    (not of the series), "other lesson", "time", "died"; `reason` says it in words.
    `errors` are the cells that raised, `notes` what was left out of them.
    """

    path: str
    lesson: int | None = None
    ended: str = "finished"
    reason: str = ""
    seconds: float = 0.0
    points: int = 0
    maximum: int = 0
    exercises: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def __str__(self):
        if not self.exercises:
            why = f"not graded: {self.reason}" if self.reason else "no exercises"
            return one_line(f"{self.path}: {why}")
        points = f"{self.points} of {self.maximum} exercises pass"
        head = f"{self.path}: lesson {self.lesson:02}, {points}, {self.seconds:.1f} s"
        lines = [one_line(head)]
        width = max(len(one.exercise) for one in self.exercises)
        for one in self.exercises:
            mark = MARKS.get(one.status, "[ ]")
            why = one.why.removeprefix("[x] ") if one.status in MARKS else one.status
            if one.why and one.status not in MARKS:
                why += f": {one.why}"
            lines.append(f"  {mark:<4} {one.exercise:<{width}}  {one_line(why)}")
        more = [*self.errors, *self.notes]
        more += [f"stopped: {self.reason}"] if self.reason else []
        return "\n".join(line.rstrip() for line in [*lines, *(f"  {m}" for m in more)])


# ---- grading ----------------------------------------------------------------


def grade(path, series, seconds=300, memory=4096, asked=None, whole=False):
    """The `Report` on one submission. Raises nothing, whatever is in the file.

    `series` is what `read_lessons` returns, `seconds` and `memory` (MiB) are the
    limits, `asked` is the number of the lesson that was to be handed in.
    """
    report = Report(str(path))
    try:
        if path.stat().st_size > LARGEST * 1_000_000:
            raise Unreadable(f"more than {LARGEST} MB; clear its outputs")
        notebook = read(path)
    except (OSError, Unreadable) as error:
        report.ended, report.reason = "unread", one_line(error)
        return report
    lesson = which_lesson(path, notebook, series)
    if lesson is None:
        report.ended = "foreign"
        report.reason = "it checks no exercise and has the title of no lesson"
        return report
    report.lesson = lesson.number
    report.maximum = len(series[asked].exercises if asked else lesson.exercises)
    if asked not in (None, lesson.number):
        report.ended = "other lesson"
        report.reason = f"this is lesson {lesson.number:02}, not {asked:02}"
        return report
    code = code_cells(notebook)
    chosen = code if whole else cells_to_run(code)
    for number, cell in chosen:
        cell.source = without_installing(number, cell.source, report.notes)
    run = Run(chosen, seconds, memory)
    start = time.monotonic()
    report.ended, report.reason = run.run()
    report.seconds = round(time.monotonic() - start, 1)
    report.errors = raised(code, run.errors)
    report.exercises = results(lesson, code, run, report.ended)
    report.points = sum(one.status == "passed" for one in report.exercises)
    return report


def cells_to_run(code):
    """Those of the pairs of number and cell that the exercises need."""
    cells, needed = [cell for _, cell in code], set()
    for index, cell in enumerate(cells):
        if calls(cell) or re.search(r"\bcheck\b", cell.source):
            needed |= {one.id for one in required(cells, index)}
    return [(number, cell) for number, cell in code if cell.id in needed]


def without_installing(number, source, notes):
    """The source without commands that install packages, each of them noted."""

    def left_out(match):
        notes.append(one_line(f"cell {number}: {match[0].strip()!r} was left out"))
        return f"{match[0][: -len(match[0].lstrip())]}pass"

    return PIP.sub(left_out, source)


class Run(NotebookClient):
    """One submission in its kernel: `.verdicts`, `.errors` and `.begun` cells."""

    def __init__(self, cells, seconds, memory):
        self.key, self.memory = secrets.token_hex(16), memory * 2**20
        self.verdicts, self.errors, self.begun = {}, {}, []
        self.numbers = [number for number, _ in cells]
        self.seconds, self.deadline = seconds, time.monotonic() + START + seconds
        notebook = v4.new_notebook(cells=[cell for _, cell in cells])
        super().__init__(notebook, allow_errors=True, startup_timeout=START)
        self.timeout_func = lambda cell: max(1, self.deadline - time.monotonic())

    def output(self, outs, msg, display_id, cell_index):
        """Keep verdicts and errors; nobody reads what else a submission shows."""
        content, number = msg["content"], self.begun[-1] if self.begun else 0
        verdict = content.get("data", {}).get(MIME)
        if isinstance(verdict, dict) and verdict.get("key") == self.key:
            self.verdicts.setdefault(verdict["exercise"], []).append(verdict)
        if msg["msg_type"] == "error":
            self.errors[number] = one_line(f"{content['ename']}: {content['evalue']}")

    def run(self):
        """`(ended, reason)` of running all the cells."""
        with tempfile.TemporaryDirectory(
            prefix="grade-", dir=short_folder(), ignore_cleanup_errors=True
        ) as folder:
            command, _ = sandbox()
            if command and command[0] == "bwrap":
                command = (*command, "--bind", folder, folder)
            ipc = {"transport": "ipc"} if command else {}
            connection = str(Path(folder, "kernel.json"))
            self.km = own_kernel(command, connection_file=connection, **ipc)
            self.resources = {"metadata": {"path": folder}}
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            options = {"env": surroundings(folder), **quiet}
            try:
                with self.setup_kernel(cleanup_kc=True, **options):
                    self.run_cells()
            except CellTimeoutError:
                return "time", f"still running after {self.seconds:g} s{self.where()}"
            except Exception as error:  # garbled messages among them
                return "died", f"the kernel ended{self.where()} ({one_line(error)})"
        return "finished", ""

    def run_cells(self):
        begin = f"import tools.judge\ntools.judge.start({self.key!r}, {self.memory})"
        first = v4.new_code_cell(f"{begin}\ndel tools")
        self.nb.cells.append(first)
        self.execute_cell(first, len(self.nb.cells) - 1, store_history=False)
        if self.errors:
            raise RuntimeError(f"the grader could not start: {self.errors.popitem()}")
        self.deadline = time.monotonic() + self.seconds
        for index, number in enumerate(self.numbers):
            self.begun.append(number)
            self.execute_cell(self.nb.cells[index], index)

    def where(self):
        return f", in cell {self.begun[-1]}" if self.begun else ", before its cells"


def short_folder():
    """Where to put a run: the path of a Unix socket has at most 107 characters."""
    long = len(tempfile.gettempdir()) > 50
    return "/tmp" if long and os.path.isdir("/tmp") else None


def surroundings(folder):
    """The environment variables of a submission's kernel."""
    places = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "MPLCONFIGDIR")
    places += ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "JUPYTER_RUNTIME_DIR")
    mine = dict.fromkeys(places, folder) | kernel_environment(folder)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    mine |= {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {k: v for k, v in (os.environ | mine).items() if v is not None}


@cache
def sandbox():
    """`(command, sentence)` of the system's own sandbox, tried once."""
    for sentence, command in SANDBOXES.items():
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command, sentence
    return (), NO_SANDBOX


def limits(seconds, memory):
    """How a notebook is held within limits on this system, in one line."""
    capped = f"{memory:,} MiB" if os.name == "posix" else "no limit on memory here"
    return f"{seconds} s, {capped}; {sandbox()[1]}"


def results(lesson, code, run, ended):
    """The `Result` of every exercise of the lesson, in its order."""
    homes = {}
    for number, cell in code:
        for name in calls(cell):
            homes.setdefault(name, number)

    def result(name):
        if verdicts := run.verdicts.get(name):
            passed = [one for one in verdicts if one["status"] == "passed"]
            tried = [one for one in verdicts if one["status"] != "not attempted"]
            best = (passed or tried or verdicts)[-1]
            return Result(name, best["status"], best["why"])
        home = homes.get(name)
        if home is None:
            return Result(name, "missing", "no cell checks it")
        if home in run.errors:
            return Result(name, "failed", f"cell {home} raised {run.errors[home]}")
        if ended != "finished" and home not in run.begun[:-1]:
            return Result(name, "not reached", "the run ended before its check")
        return Result(name, "not checked", "its cell ran without the package's check")

    return [result(name) for name in lesson.exercises]


def raised(code, errors):
    """One line for every cell that raised, other than on purpose."""
    lines = [
        f"cell {number} ({cell.id}) raised {errors[number]}"
        for number, cell in code
        if number in errors and "raises-exception" not in tags(cell)
    ]
    rest = len(lines) - ERRORS
    return lines[:ERRORS] + [f"and {rest} more cells raised"] * (rest > 0)


# ---- output -----------------------------------------------------------------


def one_line(text, most=300):
    """The text on one line, without what could move a terminal's cursor."""
    text = "".join(c if c.isprintable() else " " for c in str(text))
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def write_json(path, reports, others, how):
    with atomic_write(path) as part:
        content = {
            "limits": how,
            "submissions": [asdict(one) for one in reports],
            "not_graded": [{"path": str(p), "reason": why} for p, why in others],
        }
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_csv(path, reports):
    """One line a submission, one column an exercise; with a mark for Excel."""
    names = dict.fromkeys(r.exercise for one in reports for r in one.exercises)
    head = ["path", "lesson", "points", "maximum", "ended", "reason", *names]
    with (
        atomic_write(path) as part,
        part.open("w", newline="", encoding="utf-8-sig") as file,
    ):
        table = csv.DictWriter(file, head, restval="", extrasaction="ignore")
        table.writeheader()
        for one in reports:
            statuses = {r.exercise: r.status for r in one.exercises}
            table.writerow(asdict(one) | statuses)


def main(arguments=None):
    """The exit status: 0 when every notebook ran to its end, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tools.grade")
    add = parser.add_argument
    add("notebooks", nargs="+", help="notebooks, or folders of them")
    add("--json", type=Path, metavar="FILE", help="the report, for programs")
    add("--csv", type=Path, metavar="FILE", help="the points, for a spreadsheet")
    add("--lesson", type=int, help="the lesson that was to be handed in")
    add("--whole", action="store_true", help="run every cell")
    add("--jobs", type=int, default=os.cpu_count(), help="notebooks at a time")
    add("--seconds", type=int, default=300, help="for one notebook")
    add("--memory", type=int, default=4096, help="MiB for one notebook")
    add("--lessons", type=Path, default=LESSONS, help="the folder of the series")
    chosen = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console may know few letters
            stream.reconfigure(errors="backslashreplace")
    try:
        paths, others = submissions(chosen.notebooks)
    except FileNotFoundError as error:
        sys.exit(str(error))
    refuse(parser, chosen)
    series = read_lessons(chosen.lessons)
    if not series or chosen.lesson not in (None, *series):
        sys.exit(f"no lesson {chosen.lesson or ''} in {chosen.lessons}")
    if not paths:
        sys.exit(f"no notebook in {', '.join(chosen.notebooks)}")
    how = limits(chosen.seconds, chosen.memory)
    options = chosen.seconds, chosen.memory, chosen.lesson, chosen.whole
    work = (joblib.delayed(grade)(path, series, *options) for path in paths)
    reports = joblib.Parallel(chosen.jobs, prefer="threads")(work)
    if chosen.json:
        write_json(chosen.json, reports, others, how)
    if chosen.csv:
        write_csv(chosen.csv, reports)
    print(f"limits: {how}")
    print(*reports, sep="\n")
    for path, reason in others:
        print(one_line(f"{path}: not graded: {reason}"))
    print(summary(reports, others))
    return int(any(one.ended != "finished" for one in reports))


def refuse(parser, chosen):
    """Exit in words on options that would fail after the work."""
    for name in ("jobs", "seconds", "memory"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1")
    for path, suffix in ((chosen.json, ".json"), (chosen.csv, ".csv")):
        if path and (path.is_dir() or not path.parent.is_dir()):
            sys.exit(f"--{suffix[1:]} {path} must be a file in a folder that exists")
        if path and path.suffix != suffix:  # it may be a submission
            sys.exit(f"{path} would be overwritten; name a file {suffix}")


def summary(reports, others):
    """The last line: how many submissions, and how they ended."""
    ends = Counter(one.ended for one in reports)
    parts = [f"{count} {end}" for end, count in ends.most_common()]
    rest = f"; {len(others)} other files" if others else ""
    return f"{len(reports)} submissions: {', '.join(parts)}{rest}"


if __name__ == "__main__":
    sys.exit(main())
