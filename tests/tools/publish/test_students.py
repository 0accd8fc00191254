"""Student copies hold no solution, run as they are, and come as one zip."""

import builtins
import os
import re
import shutil
import subprocess
import sys
from zipfile import ZipFile

import pytest

from tools.dependencies import names
from tools.notebooks import ROOT, read, tags
from tools.publish import violations
from tools.publish.handout import exercises, for_paper, homework, weeks
from tools.publish.students import NAME, students, without

LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
# One copy is run under strict nbval here: of those with exercises the quickest.
RUN = "01_v1_naive.ipynb"
PRESENT = set(dir(builtins)) | {"__name__", "display", "get_ipython"}


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    students(LESSONS, folder)
    return folder


def lines(cells):
    return {line.strip() for cell in cells for line in cell.source.splitlines()}


@each_lesson
def test_no_line_of_a_solution_or_a_note_is_in_a_copy(handed_out, lesson):
    original = read(lesson).cells
    copy = read(handed_out / NAME / "notebooks" / lesson.name).cells
    # A hint may give a line away; nothing else may.
    kept = lines(cell for cell in copy if "hint" not in tags(cell))
    for tag in ("solution", "lecturer"):
        tagged = [cell for cell in original if tag in tags(cell)]
        assert tagged or (tag == "solution" and lesson.name.startswith("00"))
        assert not {cell.id for cell in tagged} & {cell.id for cell in copy}
        secret = lines(tagged) - lines(c for c in original if tag not in tags(c))
        assert not {line for line in secret & kept if len(line) > 12}
    assert not any(re.match(r"#+\s*solution", line, re.IGNORECASE) for line in kept)
    assert not any("_solution(" in line for line in kept)


def undefined(cells):
    """`{cell id: names}` that a cell reads and no cell before it makes."""
    made, found = set(PRESENT), {}
    for cell in cells:
        if cell.cell_type == "code":
            reads, makes = names(cell.source)
            found |= {cell.id: reads - made} if reads - made else {}
            made |= makes
    return found


@each_lesson
def test_a_copy_is_in_form_and_needs_nothing_that_was_left_out(lesson):
    copy = without(read(lesson))
    assert list(violations(copy)) == []
    assert undefined(copy.cells) == {}


def test_the_zip_holds_what_it_takes_to_run(handed_out):
    with ZipFile(handed_out / f"{NAME}.zip") as archive:
        packed = set(archive.namelist())
        modes = {entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes == {0o100644}  # readable by all
    for name in (
        "notebooks/01_v1_naive.ipynb",
        "inception_edu/__init__.py",
        "inception_edu/explorers/frame.js",
        "requirements.lock",
        "Makefile",
        "README.md",
        "conftest.py",
    ):
        assert f"{NAME}/{name}" in packed
    assert not any("__pycache__" in name for name in packed)


def run_in(folder, *command):
    """What `command` prints in `folder`, without this checkout on the path."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout


@pytest.mark.skipif(not shutil.which("make"), reason="make is missing")
def test_every_target_of_the_students_makefile_finds_its_files(handed_out):
    unpacked = handed_out / NAME
    makefile = (unpacked / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE).group(1).split()
    readme = (unpacked / "README.md").read_text(encoding="utf-8")
    assert targets == re.findall(r"^make (\w+)", readme, re.MULTILINE)
    for target in targets:
        steps = run_in(unpacked, "make", "-n", target)
        named = re.findall(r"[\w./]+\.(?:lock|ipynb)|notebooks(?=\s)", steps)
        assert named and all((unpacked / name).exists() for name in named), steps


def test_a_copy_passes_strict_nbval_in_its_own_folder(handed_out):
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    options = ("--nbval", "-n", "0", f"notebooks/{RUN}")
    passed = run_in(handed_out / NAME, *command, *options)
    code = [c for c in without(read(ROOT / "notebooks" / RUN)).cells if "outputs" in c]
    assert f"{len(code)} passed" in passed


def test_copies_of_before_outlast_a_broken_notebook(tmp_path):
    students(LESSONS[:1], tmp_path)
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.ipynb cannot be read as a notebook"):
        students([LESSONS[0], broken], tmp_path)
    assert (tmp_path / NAME / "notebooks" / LESSONS[0].name).is_file()


@pytest.mark.parametrize("answers", [False, True], ids=["homework", "key"])
def test_two_weeks_of_homework_hold_every_exercise(answers):
    parts = weeks(LESSONS)
    assert len(parts) == 2
    for week, lessons in enumerate(parts, 1):
        made = homework(lessons, week, answers)
        ids = {cell.id for cell in made.cells}
        assert list(violations(made)) == []
        for lesson in lessons:
            number = lesson.stem.partition("_")[0]
            for cell in read(lesson).cells:
                inside = f"lesson-{number}-{cell.id}" in ids
                assert not (inside and {"lecturer", "in-class"} & set(tags(cell)))
                if "solution" in tags(cell):
                    assert inside == answers, cell.id
                elif cell.cell_type == "code" and "ie.check." in cell.source:
                    assert inside, cell.id


def test_paper_answers_the_quiz_at_its_end():
    made = for_paper(read(LESSONS[1]))
    assert made.cells[-1].source.count("**") == 2 * 5, "five letters"


@each_lesson
def test_homework_needs_no_cell_that_it_does_not_hold(lesson):
    assert undefined(c for c, _ in exercises(read(lesson), answers=True)) == {}


def test_a_copy_is_made_anew_beside_what_others_put_there(tmp_path):
    students(LESSONS[:1], tmp_path)
    grades = tmp_path / NAME / "grades.txt"
    grades.write_text("anna 1", encoding="utf-8")
    (tmp_path / NAME / "README.md").write_text("changed", encoding="utf-8")
    students(LESSONS[:1], tmp_path)
    assert grades.read_text(encoding="utf-8") == "anna 1"
    assert "make lab" in (tmp_path / NAME / "README.md").read_text(encoding="utf-8")
