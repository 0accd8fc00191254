"""A folder of submissions, some broken, odd or dishonest, is graded to its end."""

import csv
import json
import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from inception_edu.lesson.exercise import Case
from tools.grade import grade, main, without_setup
from tools.judge import borrowed
from tools.notebooks import ROOT, read
from tools.sandbox import limits, one_line, sandbox
from tools.submissions import EXERCISES, calls, code_cells, which_lesson

ORDER = ("conv_params", "conv_macs", "naive_width", "naive_module")
IMPORTS = "import torch\nfrom torch import nn\nimport inception_edu as ie\n"
GOOD = {
    "conv_params": "def conv_params(i, o, k, bias):\n    return i*o*k*k + o*bias",
    "conv_macs": "def conv_macs(i, o, k, h, w):\n    return i * o * k**2 * h * w",
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
    "naive_width": "def naive_width(i, w, n):\n    return i + n * sum(w.values())",
}
RIGHT = (ALL_RIGHT := ("passed",) * 4)[0]


def answer(name, source=None):
    return f"{GOOD[name] if source is None else source}\nie.check.{name}({name})"


def notebook(*sources, tags=()):
    cells = [new_markdown_cell("# 01 · The naive module", id="title")]
    for number, source in enumerate(sources):
        cells.append(new_code_cell(source, id=f"cell-{number}"))
        cells[-1].metadata.tags = list(tags) if number else []
    return new_notebook(cells=cells)


def lesson(before="", after=(), imports=IMPORTS, **answers):
    """A submission to lesson 1, all right but for what is given."""
    cells = [answer(name, source) for name, source in (GOOD | answers).items()]
    return notebook(imports, *filter(None, [before]), *cells, *after)


COLAB = """%matplotlib inline
!pip install -q \\
    inception_edu
%pip install torch
from google.colab import drive
drive.mount("/content/drive")
"""
LIBRARY = "from inception_edu.networks.googlenet import NaiveModule"
FORGED = """
import inception_edu.lesson.checking as checking
checking.report = lambda exercise, *rest: checking.Card("right", "4 checks passed")
"""
PRETENDED = """
class Fake:
    def __getattr__(self, name):
        return lambda candidate: print(f"[ok] {name}: 5 checks passed")
ie.check = Fake()
"""
KNOWN = """
right = {one.name: one for one in ie.check.exercises()}["conv_params"].solution
def conv_params(*args):
    return right(*args)
"""
OUTSIDE = """
import pathlib, socket
pathlib.Path("mine.txt").write_text("in its own folder it may")
try:
    pathlib.Path(OUTSIDE).write_text("changed")
except OSError:
    pass
try:
    socket.create_connection(("127.0.0.1", PORT), 1)
except OSError:
    pass
else:
    raise RuntimeError("it has a network")
"""
HOSTILE = (
    "exit()",
    "import sys; sys.exit(3)",
    "for _ in range(20): print('x' * 2**20)",
    "x = []\nwhile True: x.append(torch.empty(2**24))",
    "await nothing\n%nomagic\n!ls",
    "input()",
    "get_ipython().display_pub.publish({'application/vnd.inception-edu.verdict+json':"
    " {'key': '', 'exercise': 'conv_params', 'status': 'flagged', 'why': ''}}, {})",
)
DIES = "import os\nfor n in range(3, 99):\n    os.write(n, b'{' * 99)"
# name: (notebook, how it ended, the statuses in the lesson's order, what is told)
WHOLE = {
    "mixed": (
        lesson(
            conv_params="def conv_params(i, o, k, bias):\n    return i * o * k",
            conv_macs="def conv_macs(:",
            naive_module="def naive_module(*args):\n    ...",
            after=["1 / 0"],
        ),
        *("finished", ("failed", "failed", "passed", "not attempted")),
        "conv_params(3, 64, 7, False): the value differs expected: 9,408; found: 1,344",
        "cell 4 raised SyntaxError",
        "cell 7 (cell-5) raised ZeroDivisionError",
    ),
    "renamed": (
        notebook(
            IMPORTS,
            f"{GOOD['conv_params']}\nf = conv_params\ndel conv_params",
            "from inception_edu import check as c\nc.conv_params(f)",
            answer("conv_macs"),
            answer("naive_module"),
        ),
        *("finished", ("passed", "passed", "missing", "passed")),
    ),
    "borrowed": (
        lesson(
            imports=f"{IMPORTS}{LIBRARY}",
            conv_params=KNOWN,
            conv_macs="print('[ok] conv_macs: 5 checks passed')",
            naive_module="import sys\ndef naive_module(i, w):\n    home = sys.modules"
            "['inception_edu.networks.googlenet']\n    return home.NaiveModule(i, w)",
        ),
        *("finished", ("failed", "failed", "passed", "failed")),
        "uses the package's own conv_params; write your own",
        "uses the package's own NaiveModule; write your own",
        "cell 4 raised NameError",
    ),
    "handed out": (
        notebook(
            f"{IMPORTS}\nfrom inception_edu.networks.googlenet import InceptionModule",
            "def googlenet_stage(inputs, rows):\n    layers = []\n"
            "    for row in rows:\n        layers += [InceptionModule(inputs, row)]\n"
            "        ends = ('1x1', '3x3', '5x5', 'pool proj')\n"
            "        inputs = sum(row[end] for end in ends)\n"
            "    return nn.Sequential(*layers, nn.MaxPool2d(3, 2, ceil_mode=True))",
            "ie.check.googlenet_stage(googlenet_stage)",
        ),
        *("finished", ("missing", "missing", "missing", "passed")),
    ),
    "forged": (
        lesson(before=FORGED),
        *("finished", ("flagged",) * 4),
        "inception_edu.lesson.checking.report of the package was changed",
    ),
    "pretended": (lesson(before=PRETENDED), "finished", ("not checked",) * 4),
    "solutions": (
        notebook(IMPORTS, *map(answer, ORDER), tags=["solution"]),
        *("finished", ("missing",) * 4),
    ),
    "hostile": (
        lesson(after=HOSTILE),
        *("finished", ALL_RIGHT),
        "raised SystemExit: the cell called exit()",
        "raised SystemExit: 3",
        "cell 10 (cell-8) raised RuntimeError",
    ),
    "endless": (
        lesson(after=["while True: pass"]),
        *("time", ALL_RIGHT, "still running after 40 s, in cell 7"),
    ),
    "endless answer": (
        lesson(conv_macs="def conv_macs(*a):\n    while True: pass"),
        *("finished", ("passed", "failed", "passed", "passed")),
        "is there a loop that never ends?",
    ),
    "garbled": (lesson(after=[DIES]), "finished died", ALL_RIGHT),
    "leaves": (
        lesson(before="import os; os._exit(0)"),
        *("died", ("not reached",) * 4, "the kernel ended, in cell 3"),
    ),
    "broken": ("{", "unread", (), "broken JSON in line 1"),
    "deep": ("[" * 100_000, "unread", ()),
    "of another course": (
        new_notebook(cells=[new_code_cell("1")]),
        *("foreign", (), "it checks no exercise"),
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The reports on `WHOLE`, every cell of which was run, by name."""
    place = tmp_path_factory.mktemp("class")
    (folder := place / "in").mkdir()
    before = {}
    for name, (made, *_) in WHOLE.items():
        path = folder / f"{name}.ipynb"
        path.write_text(
            made if isinstance(made, str) else nbformat.writes(made), encoding="utf-8"
        )
        before[path] = path.read_bytes()
    options = ["--whole", "--seconds", "40", "--memory", "1500", "--jobs", "2"]
    assert main([str(folder), "--json", str(place / "r.json"), *options]) == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    found = json.loads((place / "r.json").read_text(encoding="utf-8"))["submissions"]
    return {os.path.basename(one["path"])[: -len(".ipynb")]: one for one in found}


@pytest.mark.parametrize("name", WHOLE)
def test_submission_gets_what_it_deserves_and_is_told_why(whole, name):
    _, ended, statuses, *told = WHOLE[name]
    found = whole[name]
    assert found["ended"] in ended, found
    assert [one["status"] for one in found["exercises"]] == list(statuses), found
    assert found["points"] == statuses.count("passed")
    assert found["maximum"] == len(statuses)
    assert [words for words in told if words not in json.dumps(found)] == [], found


def test_a_right_answer_passes_in_every_shape_that_editors_and_consoles_give_it(
    tmp_path,
):
    """Only the cells that the exercises need run: the others would take for ever."""
    slow = "import time\ntime.sleep(1000)"
    (folder := tmp_path / "in" / "김철수").mkdir(parents=True)
    (deep := tmp_path / ("scratch-" + "x" * 90)).mkdir()
    colab = json.loads(nbformat.writes(lesson(imports=COLAB + IMPORTS, after=[slow])))
    colab["nbformat_minor"] = 0
    for cell in colab["cells"]:
        cell.update(id=None, metadata=None, outputs=None, execution_count=None)
    shown = {"output_type": "display_data", "data": {}, "metadata": None}
    colab["cells"][1]["outputs"] = [shown]
    (folder / "COLAB.IPYNB").write_text(json.dumps(colab), encoding="utf-16")
    marked = json.loads(nbformat.writes(lesson(before=slow)))
    marked["cells"][2]["metadata"] = {"tags": None, "vscode": {"languageId": "python"}}
    marked = b"\xef\xbb\xbf" + json.dumps(marked).encode()
    (folder / "windows.ipynb").write_bytes(marked)
    (folder / "other.ipynb").write_text(
        nbformat.writes(notebook(IMPORTS, "ie.check.saving(len)")), encoding="utf-8"
    )
    (folder / "answers.zip").write_bytes(b"PK")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "old-checkpoint.ipynb").touch()
    report, points = tmp_path / "r.json", tmp_path / "p.csv"
    run = subprocess.run(
        [
            *(sys.executable, "-m", "tools.grade", str(tmp_path / "in")),
            *("--lesson", "1", "--json", str(report), "--csv", str(points)),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "TMPDIR": str(deep)},
        capture_output=True,
    )
    assert run.returncode == 1, run.stderr  # one is of another lesson
    found = json.loads(report.read_text(encoding="utf-8"))
    one, other, two = found["submissions"]
    for good in (one, two):
        assert [r["status"] for r in good["exercises"]] == list(ALL_RIGHT), good
        assert good["errors"] == []
    assert [note.split("'")[1][:4] for note in one["notes"]] == ["%mat", "!pip", "%pip"]
    assert (other["ended"], other["points"], other["maximum"]) == ("other lesson", 0, 4)
    assert other["reason"] == "this is lesson 03, not 01"
    assert [n["reason"].split()[0] for n in found["not_graded"]] == ["hidden,", "not"]
    assert b"answers.zip: not graded: not a notebook" in run.stdout
    assert b"COLAB.IPYNB: lesson 01, 4 of 4 exercises pass, " in run.stdout
    assert b"\n  [ok] conv_params\n" in run.stdout.replace(b"\r", b"")
    with points.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["points"] for row in rows] == ["4", "0", "4"]
    assert rows[0]["naive_module"] == RIGHT


@pytest.mark.skipif(not sandbox()[0], reason="this system has no sandbox")
def test_in_the_sandbox_there_is_no_network_and_nothing_else_to_write(tmp_path):
    import socket

    outside = tmp_path / "outside.txt"
    outside.write_text("as it was", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = OUTSIDE.replace("OUTSIDE", repr(str(outside)))
        source = source.replace("PORT", str(server.getsockname()[1]))
        path = tmp_path / "a.ipynb"
        path.write_text(nbformat.writes(lesson(after=[source])), encoding="utf-8")
        report = grade(path, whole=True)
    assert report["errors"] == []
    if "bwrap" in sandbox()[0]:
        assert outside.read_text(encoding="utf-8") == "as it was"


def test_a_system_without_a_sandbox_says_so(monkeypatch):
    sandbox.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert "NO SANDBOX" in limits(1, 1)
    sandbox.cache_clear()


# ---- the parts


def test_every_exercise_of_a_lesson_has_its_cell_there():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        names = {
            name for cell in code_cells(read(path)).values() for name in calls(cell)
        }
        number = int(path.name[:2])
        assert names == {one for one, home in EXERCISES.items() if home == number}
        assert which_lesson(path, read(path)) == number


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("!pip install x", "pass"),
        ("if colab:\n    %pip install -q x\nx = 1", "if colab:\n    pass\nx = 1"),
        ("!python -m pip install x", "pass"),
        ("x = y\\\n    % 3\n%time z = 1", "x = y\\\n    % 3\n%time z = 1"),
        ("%matplotlib qt\nmatplotlib.use('TkAgg')", "pass\npass"),
        ("pip = 3", "pip = 3"),
    ],
)
def test_installing_is_left_out_and_noted(source, kept):
    notes = []
    assert without_setup(3, source, notes) == kept
    assert len(notes) == kept.count("pass")


CANDIDATES = {
    "def f(i, w): return Branches({'a': ConvUnit(i, 8, 1)})": "",
    "def f(i, w): return nn.Conv2d(i, 8, 1)": "",
    "class f(ConvUnit):\n    def __init__(self, i, w):\n"
    "        super().__init__(i, 8, 1)": "",
    "class f(NaiveModule): pass": "NaiveModule",
    "def f(i, w): return ie.create_model('googlenet')": "create_model",
    "def help(i, w): return NaiveModule(i, w)\nf = lambda i, w: help(i, w)": (
        "NaiveModule"
    ),
    f"def f(i, w):\n    {LIBRARY}\n    return NaiveModule(i, w)": "NaiveModule",
    "made = [NaiveModule(8, {'1x1': 1, '3x3': 1, '5x5': 1})]\n"
    "def f(i, w): return made[0]": "NaiveModule",
    "import sys\ndef f(i, w):\n"
    "    home = sys.modules['inception_edu.networks.googlenet']\n"
    "    return getattr(home, 'Naive' + 'Module')(i, w)": "NaiveModule",
    "right = vars(ie.check.naive_width)['exercise'].solution\n"
    "def f(i, w): return right(i, w, 1)": "naive_width",
}


@pytest.mark.parametrize("source", CANDIDATES)
def test_what_is_borrowed_from_the_package_is_named(source):
    space = {"__name__": "__main__"}
    exec(f"{IMPORTS}{LIBRARY}\nfrom inception_edu.networks import *\n{source}", space)
    case = Case((8, {"1x1": 1, "3x3": 2, "5x5": 3}), image=(1, 8, 4, 4))
    case = case if "right" not in source else Case(case.args)
    assert borrowed(space["f"], case) == CANDIDATES[source]


def test_text_of_a_submission_cannot_move_the_cursor():
    assert one_line("a\x1b[2J\nb\u202ec") == "a [2J b c"
    assert len(one_line("x" * 5_000)) == 300


def test_what_would_fail_after_the_work_is_refused_before_it(tmp_path):
    path = tmp_path / "anna.ipynb"
    path.write_text("{}", encoding="utf-8")
    for arguments, words in (
        ([str(tmp_path / "none.ipynb")], "no file or folder at"),
        ([str(path), "--json", str(tmp_path)], "must be a file .json in a folder"),
        ([str(path), "--csv", str(tmp_path / "no" / "r.csv")], "must be a file"),
        (["--json", str(path), str(path)], r"anna\.ipynb must be a file \.json"),
        ([str(path), "--lesson", "9"], "2"),
    ):
        with pytest.raises(SystemExit, match=words):
            main(arguments)
    assert path.read_text(encoding="utf-8") == "{}"
