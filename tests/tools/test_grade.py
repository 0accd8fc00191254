"""A folder of submissions, some broken or hostile, is graded to its end."""

import json
import os
import stat
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from inception_edu.lesson.checking import check
from tools import grade as reports
from tools import sandbox
from tools.grade_main import main

SECONDS = 8
MEMORY = 1500  # MiB
ORDER = ("conv_params", "conv_macs", "naive_module", "naive_width")
IMPORTS = "import torch\nfrom torch import nn\nimport inception_edu as ie"
TITLE = f"# {reports.read_lessons(reports.LESSONS)[1].title}"

GOOD = {
    "conv_params": """
def conv_params(i, o, k, bias):
    return i * o * k * k + o * bias
""",
    "conv_macs": """
def conv_macs(in_channels, out_channels, kernel_size, height, width):
    return in_channels * out_channels * kernel_size**2 * height * width
""",
    "naive_module": """
class Mine(nn.Module):
    def __init__(self, i, w):
        super().__init__()
        self.a = nn.Conv2d(i, w["1x1"], 1)
        self.b = nn.Conv2d(i, w["3x3"], 3, padding=1)
        self.c = nn.Conv2d(i, w["5x5"], 5, padding=2)
        self.d = nn.MaxPool2d(3, 1, 1)

    def forward(self, x):
        convs = [f(x).relu() for f in (self.a, self.b, self.c)]
        return torch.cat([*convs, self.d(x)], 1)


naive_module = Mine
""",
    "naive_width": """
def naive_width(in_channels, widths, modules):
    return in_channels + modules * sum(widths.values())
""",
}
STUB = "def {}(*args):\n    ..."
PASSED, FAILED, STUBBED = "passed", "failed", "not attempted"
ALL_PASSED = (PASSED,) * 4


def answer(name, source=None):
    return f"{GOOD[name] if source is None else source}\nie.check.{name}({name})"


def notebook(*sources, title=TITLE, tags=()):
    cells = [new_markdown_cell(title, id="title")]
    for number, source in enumerate(sources):
        cells.append(new_code_cell(source, id=f"cell-{number}"))
        cells[-1].metadata.tags = list(tags) if number else []
    return nbformat.writes(new_notebook(cells=cells))


def lesson(before="", after="", **answers):
    """A submission to lesson 1, all right but for what is given."""
    given = {**GOOD, **answers}
    cells = [answer(name, source) for name, source in given.items() if source]
    return notebook(IMPORTS, *filter(None, [before]), *cells, *filter(None, [after]))


def without(text, *keys, cells=True):
    """The notebook with these keys taken out of every cell, or without cells."""
    raw = json.loads(text)
    for cell in raw["cells"]:
        for key in keys:
            del cell[key]
    if not cells:
        del raw["cells"]
    return json.dumps(raw)


FORK = """
import ctypes
libc = ctypes.CDLL(None)  # past Python's own doors
children = 0
while children < 60 and libc.fork():
    children += 1
libc.sleep(60)
"""
FORGE = """
import inception_edu.lesson.checking as checking
checking.report = lambda exercise, trial, printed: checking.Feedback(
    exercise.name, ("[ok]",), passed=True)
"""
PRETEND = """
class Fake:
    def __getattr__(self, name):
        return lambda candidate: print(f"[ok] {name}: 5 checks passed")
ie.check = Fake()
"""
KNOWN = """
right = {one.name: one for one in ie.check.exercises()}["conv_params"].right
ie.check.conv_params(right)
"""
EVERYWHERE = """
import pathlib, subprocess
here = pathlib.Path("mine.txt")
here.write_text("fine")
def attempt(work):
    try:
        work()
    except PermissionError:
        return True
refused = [attempt(work) for work in (
    lambda: open("../record", "w"),
    lambda: pathlib.Path(OUTSIDE).write_text("changed"),
    lambda: pathlib.Path(OUTSIDE).unlink(),
    lambda: pathlib.Path(OUTSIDE).rename("stolen"),
    lambda: subprocess.run(["true"]),
    lambda: __import__("os").system("true"),
    lambda: __import__("os").kill(__import__("os").getppid(), 9),
    lambda: __import__("socket").create_connection(("127.0.0.1", 9)),
)]
assert all(refused), refused
"""
TWO = {"conv_macs": "", "naive_module": ""}  # these cells are deleted
GONE = "missing"
LATE = "not reached"

# name: (the file, how it ended, the statuses in the lesson's order)
CASES = {
    "all right": (lesson(), "finished", ALL_PASSED),
    "untouched": (
        lesson(**{name: STUB.format(name) for name in ORDER}),
        "finished",
        (STUBBED,) * 4,
    ),
    "one wrong": (
        lesson(conv_params="def conv_params(i, o, k, bias):\n    return i * o * k"),
        "finished",
        (FAILED, *ALL_PASSED[1:]),
    ),
    "cells deleted": (lesson(**TWO), "finished", (PASSED, GONE, GONE, PASSED)),
    "cells out of form": (
        without(lesson(), "id", "metadata"),
        "finished",
        ALL_PASSED,
    ),
    "cells of the old format": (
        nbformat.writes(nbformat.reads(lesson(), 4), 3),
        "finished",
        ALL_PASSED,
    ),
    "no cells": (without(lesson(), cells=False), "unread", ()),
    "all exercises deleted": (notebook(IMPORTS), "finished", (GONE,) * 4),
    "renamed function": (
        notebook(
            IMPORTS,
            GOOD["conv_params"] + "f = conv_params\ndel conv_params",
            "from inception_edu import check as c\nc.conv_params(f)",
            *(answer(name) for name in ORDER[1:]),
        ),
        "finished",
        ALL_PASSED,
    ),
    "syntax error": (
        lesson(conv_macs="def conv_macs(:"),
        "finished",
        (PASSED, FAILED, PASSED, PASSED),
    ),
    "error in a later cell": (lesson(after="1 / 0"), "finished", ALL_PASSED),
    "late cell of another kind": (
        lesson(after="await nothing\n%nomagic\n!ls"),
        "finished",
        ALL_PASSED,
    ),
    "only prints ok": (
        lesson(conv_params="print('[ok] conv_params: 5 checks passed')", **TWO),
        "finished",
        (FAILED, GONE, GONE, PASSED),
    ),
    "prints ok in the function": (
        lesson(conv_params="def conv_params(*a):\n    print('[ok] conv_params')"),
        "finished",
        (FAILED, *ALL_PASSED[1:]),
    ),
    "a check of its own": (
        lesson(before=PRETEND),
        "finished",
        ("not checked",) * 4,
    ),
    "the checker changed": (lesson(before=FORGE), "finished", (FAILED,) * 4),
    "the package's own answer": (
        lesson(conv_params=f"{KNOWN}def conv_params(*args): ..."),
        "finished",
        (FAILED, *ALL_PASSED[1:]),
    ),
    "solutions only": (
        notebook(IMPORTS, *map(answer, ORDER), tags=["solution"]),
        "finished",
        (GONE,) * 4,
    ),
    "endless loop": (
        lesson(after="while True: pass"),
        "time",
        ALL_PASSED,
    ),
    "endless loop in an answer": (
        lesson(conv_macs="def conv_macs(*a):\n    while True: pass"),
        "finished",
        (PASSED, FAILED, PASSED, PASSED),
    ),
    "endless sleep first": (
        lesson(before="import time; time.sleep(1000)"),
        "time",
        (LATE,) * 4,
    ),
    "fork bomb": (lesson(after=FORK), "processes", ALL_PASSED),
    "ten gigabytes": (
        lesson(after="x = torch.ones(10 * 2**28); y = bytearray(10 * 2**30)"),
        "finished",
        ALL_PASSED,
    ),
    "more and more memory": (
        lesson(after="x = []\nwhile True: x.append(torch.empty(2**24))"),
        "finished",
        ALL_PASSED,
    ),
    "leaves": (lesson(before="import os; os._exit(0)"), "died", (LATE,) * 4),
    "kills itself": (
        lesson(after="import os; os.kill(os.getpid(), 9)"),
        "died",
        ALL_PASSED,
    ),
    "exit": (
        lesson(before="exit()", after="import sys; sys.exit(3)"),
        "finished",
        ALL_PASSED,
    ),
    "huge output": (
        lesson(before="for _ in range(300): print('x' * 2**20)"),
        "finished",
        ALL_PASSED,
    ),
    "writes everywhere": (lesson(after=EVERYWHERE), "finished", ALL_PASSED),
    "garbles the record": (
        lesson(
            after="import os\nfor n in range(3, 30):\n    try: os.write(n, b'{' * 99)\n"
            "    except OSError: pass"
        ),
        "finished",
        ALL_PASSED,
    ),
    "broken JSON": (lesson()[:-200], "unread", ()),
    "empty": ("", "unread", ()),
    "not a notebook": ("[1, 2]", "unread", ()),
    "too deep": ("[" * 100_000, "unread", ()),
    "not of the series": (
        notebook("print('hello')", title="# My homework"),
        "foreign",
        (),
    ),
}
LINUX = sys.platform.startswith("linux")
if not LINUX:  # no cap on memory, no fork
    for case in ("fork bomb", "more and more memory"):
        del CASES[case]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The reports on a read-only folder of submissions, by name, and the JSON."""
    place = tmp_path_factory.mktemp("class")
    folder, outside = place / "submissions", place / "outside.txt"
    folder.mkdir()
    outside.write_text("as it was")
    before = {}
    for name, (text, *_) in CASES.items():
        path = folder / f"{name}.ipynb"
        path.write_text(text.replace("OUTSIDE", repr(str(outside))[1:-1].join("''")))
        path.chmod(stat.S_IRUSR)
        before[path] = path.read_bytes(), path.stat().st_mtime_ns
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "old.ipynb").write_text("")
    limits = ["--seconds", str(SECONDS), "--memory", str(MEMORY), "--jobs", "3"]
    status = main(["report", str(folder), "--json", str(place / "r.json"), *limits])
    assert status == 1
    for path, (text, changed) in before.items():
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (text, changed)
    assert outside.read_text() == "as it was"
    answer = json.loads((place / "r.json").read_text())
    return answer, {
        os.path.basename(one["path"])[: -len(".ipynb")]: one
        for one in answer["submissions"]
    }


def test_every_submission_is_in_the_report(graded):
    assert sorted(graded[1]) == sorted(CASES)
    assert len(CASES) >= 30 or not LINUX
    assert graded[0]["limits"]["seconds"] == SECONDS


@pytest.mark.parametrize("name", CASES)
def test_submission_gets_what_it_deserves(graded, name):
    _, ended, statuses = CASES[name]
    found = graded[1][name]
    assert (found["ended"], [one["status"] for one in found["exercises"]]) == (
        ended,
        list(statuses),
    ), found
    assert found["passed"] == statuses.count(PASSED)
    assert found["seconds"] < SECONDS + 10
    if ended == "time":
        assert found["seconds"] >= SECONDS


WORDS = {
    "one wrong": "[x] conv_params(3, 64, 7, False): expected 9,408, got 1,344",
    "prints ok in the function": "your function returned None -> is a `return` missing",
    "syntax error": "cell 4 raised SyntaxError",
    "error in a later cell": "cell 7 (cell-5) raised ZeroDivisionError",
    "the checker changed": "the checker was changed",
    "the package's own answer": "this is the package's own code; write your own",
    "endless loop": "still running after 8 s, in cell 7",
    "endless loop in an answer": "is there a loop that never ends?",
    "fork bomb": "more than 4 processes started, in cell 7",
    "ten gigabytes": "raised RuntimeError",
    "more and more memory": "cell 7 (cell-5) raised RuntimeError",
    "kills itself": "the process ended itself (SIGKILL), in cell 7",
    "leaves": "the process ended itself (exit code 0), in cell 3",
    "exit": "raised SystemExit",
    "broken JSON": "broken JSON in line",
    "empty": "the file is empty",
    "not a notebook": "JSON, but not a notebook",
    "not of the series": "it checks no exercise",
}


@pytest.mark.skipif(not LINUX, reason="signals and limits of Linux")
@pytest.mark.parametrize("name", WORDS)
def test_report_says_why(graded, name):
    assert WORDS[name] in json.dumps(graded[1][name])


def test_what_a_notebook_may_not_do_is_no_error_of_the_grader(graded):
    assert graded[1]["writes everywhere"]["errors"] == []


# ---- the parts


def test_lessons_hold_their_exercises():
    series = reports.read_lessons(reports.LESSONS)
    assert series[1].exercises == ORDER
    known = {one.name: one.lesson for one in check.exercises()}
    for number, one in series.items():
        assert {known[name] for name in one.exercises} <= {number}


def test_only_signed_lines_are_read(tmp_path):
    record = tmp_path / "record"
    sandbox.writer(record, b"key")(exercise="conv_params", passed=False)
    line = record.read_text().strip()
    forged = '{"line": 2, "exercise": "conv_macs", "passed": true}'
    with record.open("a") as file:
        file.write(f"{forged}\nx {forged}\n{line[:64]} {forged}\n\n\x00 \xff\n{line}\n")
    said = sandbox.read_record(record, b"key")
    assert [one["exercise"] for one in said] == ["conv_params"]
    assert sandbox.read_record(record, b"another key") == []


def test_memory_is_watched_where_the_system_has_no_cap():
    process = reports.nursery().Process(target=time.sleep, args=(60,), daemon=True)
    process.start()
    assert reports.watch(process, seconds=60, memory=1) == (
        "memory",
        "more than 1 MiB of memory",
    )
    assert not process.is_alive()


def test_text_of_a_submission_cannot_move_the_cursor():
    assert reports.plain("a\x1b[2J\nb\u202ec") == "a [2J b c"
    assert len(reports.plain("x" * 5_000)) == 300


def test_a_report_prints_itself():
    one = reports.Report("a.ipynb", 1, "time", "still running after 5 s", 5.04)
    one.exercises = [
        reports.Result("conv_params", "passed"),
        reports.Result("conv_macs", "failed", "[x] conv_macs: expected 1, got 2"),
        reports.Result("naive_width", "not reached", "the run ended before"),
    ]
    assert str(one).splitlines() == [
        "a.ipynb: lesson 01, 1 of 3 exercises pass, 5.0 s",
        "  [ok] conv_params",
        "  [x]  conv_macs    conv_macs: expected 1, got 2",
        "  [ ]  naive_width  not reached: the run ended before",
        "  stopped: still running after 5 s",
    ]
    assert str(reports.Report("b.ipynb", reason="the file is empty")) == (
        "b.ipynb: not graded: the file is empty"
    )


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(SystemExit, match="no file or folder at"):
        main(["report", str(tmp_path / "none.ipynb")])
    with pytest.raises(SystemExit, match="no notebook in"):
        main(["report", str(tmp_path)])


def test_a_report_that_could_not_be_written_is_refused_before_the_work(tmp_path):
    path = tmp_path / "a.ipynb"
    path.touch()
    for place in (tmp_path, tmp_path / "none" / "report.json"):
        with pytest.raises(SystemExit, match="must be a file in a folder that is"):
            main(["report", str(path), "--json", str(place)])


def test_a_submission_is_never_overwritten_by_the_report(tmp_path):
    names = [tmp_path / "anna.ipynb", tmp_path / "ben.ipynb"]
    for path in names:
        path.write_text("{}")
    with pytest.raises(SystemExit, match=r"anna\.ipynb would be overwritten"):
        main(["report", "--json", *map(str, names)])  # its file name is forgotten
    assert all(path.read_text() == "{}" for path in names)


def test_lessons_that_are_not_there_are_not_taken_for_lessons_without_exercises(
    tmp_path,
):
    path = tmp_path / "a.ipynb"
    path.touch()
    with pytest.raises(SystemExit, match="no folder of lessons at"):
        main(["report", str(path), "--lessons", str(tmp_path / "none")])


def test_a_system_without_a_cap_on_memory_says_so(monkeypatch):
    monkeypatch.setattr(sandbox, "resource", None)
    assert "this system has no cap on memory" in reports.system_limits()
