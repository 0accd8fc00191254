"""Which exercises of a submitted notebook pass: `report(paths)`, as text and JSON.

    python -m tools.grade_main report submissions/ --json report.json

Every notebook runs in a process and a folder of its own, within limits; the
file that was handed in is only read. Cells tagged `solution` are left out, so
that a copy of the series with its solutions earns nothing.
"""

import json
import multiprocessing
import os
import re
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inception_edu.lesson.checking import brief, check
from tools import sandbox

SECONDS = 300  # for one notebook
MEMORY = 4096  # MiB for one notebook
PROCESSES = 4  # more than its own and these is a notebook that multiplies
LARGEST = 20  # MB of a submitted file
LOOK_EVERY = 0.05  # seconds
ERRORS = 5  # cell errors that are told in full
LESSONS = Path(__file__).parents[1] / "notebooks"
CALL = re.compile(r"\bcheck\s*\.\s*([a-z]\w*)\s*\(")
MARKS = {"passed": "[ok]", "failed": "[x]"}


@dataclass(frozen=True)
class Lesson:
    """What a submission is held against: number, title, exercises in order."""

    number: int
    title: str = ""
    stem: str = ""
    exercises: tuple = ()


@dataclass(frozen=True)
class Result:
    """One exercise of one submission; `status` is one of

    passed, failed, not attempted (the stub is still there), missing (no cell
    checks it), not reached (the run ended before) and not checked (its cell
    ran, but the check of the package was not called).
    """

    exercise: str
    status: str
    why: str = ""


@dataclass
class Report:
    """What came of one submission.

    `ended` is "finished", or says why there is less: "unread" (no notebook),
    "foreign" (not of the series), "time", "memory", "processes", "died". `reason`
    says it in words. `errors` are the cells that raised, at most five in full.
    """

    path: str
    lesson: int | None = None
    ended: str = "finished"
    reason: str = ""
    seconds: float = 0.0
    exercises: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    @property
    def passed(self):
        return sum(one.status == "passed" for one in self.exercises)

    def __str__(self):
        if self.lesson is None:
            return f"{plain(self.path)}: not graded: {self.reason}"
        of = f"{self.passed} of {len(self.exercises)} exercises pass"
        if not self.exercises:
            of = "no exercises"
        head = f"{plain(self.path)}: lesson {self.lesson:02}, {of}"
        lines = [f"{head}, {self.seconds:.1f} s"]
        width = max((len(one.exercise) for one in self.exercises), default=0)
        for one in self.exercises:
            mark = MARKS.get(one.status, "[ ]")
            why = one.why.removeprefix("[x] ") if one.status == "failed" else one.status
            why = "" if one.status == "passed" else plain(why)
            if one.why and one.status not in ("failed", "passed"):
                why += f": {plain(one.why)}"
            lines.append(f"  {mark:<4} {one.exercise:<{width}}  {why}".rstrip())
        lines += [f"  {plain(error)}" for error in self.errors]
        if self.reason:
            lines.append(f"  stopped: {plain(self.reason)}")
        return "\n".join(lines)


def report(paths, seconds=SECONDS, memory=MEMORY, lessons=LESSONS, jobs=1):
    """Yield the `Report` of every notebook in `paths`, files or folders, in order.

    `seconds` and `memory` (in MiB) are the limits of one notebook; `lessons` is
    the folder of the series, which says what belongs to a lesson; `jobs` is the
    number of notebooks that run at a time.
    """
    series = read_lessons(lessons)
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(
            lambda path: grade(path, series, seconds, memory), submissions(paths)
        )


def submissions(paths):
    """The notebooks meant: a folder stands for all those below it."""
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(path.rglob("*.ipynb"))
            hidden = [
                any(p.startswith(".") for p in one.relative_to(path).parts)
                for one in inside
            ]
            found += [one for one, out in zip(inside, hidden, strict=True) if not out]
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"no file or folder at {path}")
    return found


def system_limits():
    """How this system holds a notebook to its limits, in one sentence."""
    if sandbox.resource and sys.platform.startswith("linux"):
        return "time and processes are watched, memory is capped by the system"
    return (
        "time, memory and processes are watched from outside; this system has no "
        "cap on memory, so a sudden allocation may be seen late"
    )


# ---- reading ----------------------------------------------------------------


def read_cells(path):
    """The cells of the notebook at `path`; a ValueError says why there are none."""
    import nbformat
    import nbformat.reader

    size = path.stat().st_size
    if size == 0:
        raise ValueError("the file is empty")
    if size > LARGEST * 1_000_000:
        raise ValueError(f"{size / 1e6:.0f} MB, at most {LARGEST}; clear its outputs")
    text = path.read_bytes().decode("utf-8-sig")
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON in line {error.lineno}") from None
    if not isinstance(raw, dict) or "nbformat" not in raw:
        raise ValueError("JSON, but not a notebook")
    for cell in raw.get("cells", []):  # a slip in the form is no reason not to grade
        for key, value in (("metadata", {}), ("source", "")):
            cell.setdefault(key, value)
    return nbformat.convert(nbformat.reader.reads(json.dumps(raw)), 4).cells


def heading(cells):
    """The first heading of a notebook, or ""."""
    for cell in cells:
        found = re.match(r"#\s+(.*)", cell.source)
        if cell.cell_type == "markdown" and found:
            return found[1].strip()
    return ""


def calls(cell):
    """The names of the exercises that a code cell checks, in order."""
    known = {one.name for one in check.exercises()}
    return [name for name in CALL.findall(cell.source) if name in known]


def to_run(cells):
    """Pairs of number and code cell, without the cells of solutions."""
    return [
        (number, cell)
        for number, cell in enumerate(cells, 1)
        if cell.cell_type == "code"
        and "solution" not in cell.metadata.get("tags", [])
        and "solution" not in cell.get("id", "")
    ]


def read_lessons(folder):
    """The lessons in the folder of the series, by number."""
    series = {}
    for path in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb")):
        cells = read_cells(path)
        named = dict.fromkeys(n for _, cell in to_run(cells) for n in calls(cell))
        number = int(path.stem[:2])
        series[number] = Lesson(number, heading(cells), path.stem, tuple(named))
    return series


def which_lesson(path, cells, series):
    """The lesson that a submission belongs to, or None.

    Known by the exercises in it, else by its title, else by its file's name.
    """
    homes = {one.name: one.lesson for one in check.exercises()}
    named = [name for _, cell in to_run(cells) for name in calls(cell)]
    numbers = Counter(homes[name] for name in dict.fromkeys(named))
    for number, _ in numbers.most_common(1):
        return series.get(number, Lesson(number, exercises=tuple(dict.fromkeys(named))))
    for lesson in series.values():
        if lesson.title == heading(cells) or lesson.stem == path.stem:
            return lesson
    return None


# ---- grading ----------------------------------------------------------------


def grade(path, series, seconds=SECONDS, memory=MEMORY):
    """The `Report` on one submission. Raises nothing, whatever is in the file."""
    found = Report(str(path))
    try:
        cells = read_cells(path)
        code = to_run(cells)
        lesson = which_lesson(path, cells, series)
    except (Exception, RecursionError) as error:
        found.ended, found.reason = "unread", plain(str(error) or brief(error))
        return found
    if lesson is None:
        found.ended = "foreign"
        found.reason = "it checks no exercise and has the title of no lesson"
        return found
    found.lesson = lesson.number
    work = [(number, cell.source) for number, cell in code]
    said, found.seconds, found.ended, found.reason = run_apart(work, seconds, memory)
    names = {number: cell.get("id", number) for number, cell in code}
    found.errors = told_errors(code, said, names)
    found.exercises = results(lesson, code, said, found)
    return found


def run_apart(cells, seconds, memory):
    """`(record, seconds, ended, reason)` of the cells in a process of their own."""
    key = secrets.token_bytes(32)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder, "work")
        place.mkdir()
        record = Path(folder, "record")
        record.touch()
        arguments = (cells, str(place), str(record), key, memory * 2**20)
        process = nursery().Process(target=sandbox.run, args=arguments, daemon=True)
        process.start()
        start = time.monotonic()
        ended, reason = watch(process, seconds, memory)
        took = round(time.monotonic() - start, 1)
        said = sandbox.read_record(record, key)
    if not ended and not any(line.get("done") for line in said):
        ended = "died"
        reason = f"the process ended itself ({how_it_ended(process.exitcode)})"
    if ended and said:
        reason += f", in cell {[one['cell'] for one in said if 'cell' in one][-1]}"
    return said, took, ended or "finished", reason


def nursery():
    """Where processes come from: forked from one that has imported torch already."""
    if sys.platform.startswith("linux"):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(sandbox.PRELOAD))
        return context
    return multiprocessing.get_context("spawn")


def watch(process, seconds, memory):
    """`("", "")`, or which limit was broken and why, once the process has ended."""
    import psutil

    family, ended, start = {}, ("", ""), time.monotonic()
    while not ended[0]:
        process.join(LOOK_EVERY)
        if process.exitcode is not None:
            break
        with suppress(psutil.Error):
            one = psutil.Process(process.pid)
            family |= {p.pid: p for p in [one, *one.children(recursive=True)]}
        living = [p for p in family.values() if p.is_running()]
        held = 0
        for one in living:
            with suppress(psutil.Error):
                held += held_alone(one, one.pid != process.pid)
        if time.monotonic() - start > seconds:
            ended = "time", f"still running after {seconds:g} s"
        elif len(living) > 1 + PROCESSES:
            ended = "processes", f"more than {PROCESSES} processes started"
        elif held > memory * 2**20:
            ended = "memory", f"more than {memory:,} MiB of memory"
    end(process, family)
    return ended


def held_alone(process, forked):
    """Bytes that a process holds; of a forked one, those it does not share."""
    import psutil

    if forked:
        with suppress(psutil.AccessDenied):
            return process.memory_full_info().uss
    return process.memory_info().rss


def end(process, family):
    """End the process and whatever it has started."""
    import psutil

    with suppress(AttributeError, ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for one in family.values():
        with suppress(psutil.Error):
            one.kill()
    process.kill()
    process.join()


def how_it_ended(code):
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def results(lesson, code, said, found):
    """The `Result` of every exercise of the lesson, in its order."""
    checked = {}
    for line in said:
        if "exercise" in line:
            checked.setdefault(line["exercise"], []).append(line)
    homes = {}
    for number, cell in code:
        for name in calls(cell):
            homes.setdefault(name, number)
    begun = [line["cell"] for line in said if "cell" in line]
    raised = {line["cell"]: line["error"] for line in said if "error" in line}

    def result(name):
        if lines := checked.get(name):
            last = ([one for one in lines if one["attempted"]] or lines)[-1]
            if any(one["passed"] for one in lines):
                return Result(name, "passed")
            if last["attempted"]:
                return Result(name, "failed", last["why"])
            return Result(name, "not attempted")
        home = homes.get(name)
        if home is None:
            return Result(name, "missing", "no cell checks it")
        if home in raised:
            return Result(name, "failed", f"cell {home} raised {raised[home]}")
        if home not in begun:
            return Result(name, "not reached", "the run ended before its cell")
        if found.ended != "finished" and home == begun[-1]:
            return Result(name, "not reached", "the run ended in its cell")
        return Result(name, "not checked", "its cell ran without the package's check")

    return [result(name) for name in lesson.exercises]


def told_errors(code, said, names):
    """One line for every cell that raised, other than on purpose."""
    meant = {
        n for n, cell in code if "raises-exception" in cell.metadata.get("tags", [])
    }
    told = [
        f"cell {line['cell']} ({names[line['cell']]}) raised {line['error']}"
        for line in said
        if "error" in line and line["cell"] not in meant
    ]
    if len(told) > ERRORS:
        return [*told[:ERRORS], f"and {len(told) - ERRORS} cells more raised errors"]
    return told


# ---- telling ----------------------------------------------------------------


def plain(text, most=300):
    """The text on one line, without what could move a terminal's cursor."""
    text = "".join(c if c.isprintable() else " " for c in str(text))
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def as_json(reports, seconds, memory):
    """The reports as JSON text, with the limits that held."""
    limits = {"seconds": seconds, "memory_mib": memory, "how": system_limits()}
    graded = [{**asdict(one), "passed": one.passed} for one in reports]
    return json.dumps({"limits": limits, "submissions": graded}, indent=2) + "\n"


def summary(reports):
    """The last line: how many submissions, and what came of them."""
    ends = Counter(one.ended for one in reports)
    words = {
        "finished": "ran to the end",
        "time": "ran out of time",
        "memory": "took too much memory",
        "processes": "started too many processes",
        "died": "ended themselves",
        "unread": "could not be read",
        "foreign": "are not of the series",
    }
    parts = [f"{ends[key]} {words[key]}" for key in words if ends[key]]
    return f"{len(reports)} submissions: {', '.join(parts)}"
