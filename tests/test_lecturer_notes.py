"""Every lesson carries what a lecturer needs; exams stand in the guide alone."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
GUIDES = ROOT / "docs" / "lecturers"
SPOKEN = (
    "The demonstration that always works",
    "When a prediction goes wrong",
    "On the board",
    "The misconception to draw out",
)
SECTIONS = ("Discussion 1", "Discussion 2", "Discussion 3", "Exam 1", "Exam 2")


def note_cells(path):
    cells = nbformat.read(path, 4).cells
    return [c.source for c in cells if "lecturer" in c.metadata.get("tags", [])]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notes_are_folded_and_complete(path):
    notes = note_cells(path)
    for note in notes:
        assert note.startswith("<details><summary>For lecturers</summary>")
        assert note.endswith("</details>")
        assert not re.search(r"\bExam \d", note), "exams belong into the guide"
    for part in SPOKEN:
        said = [re.search(rf"\*{part}[:.]?\*:?(.{{60,}})", n, re.DOTALL) for n in notes]
        assert any(said), part


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_note_holds_plans_whose_minutes_add_up(path):
    plans = re.findall(
        r"\*Plan for ([^*]+) minutes\.\*(.+?)(?=\n\n|\Z)",
        note_cells(path)[0],
        re.DOTALL,
    )
    lengths = [length for length, _ in plans]
    assert lengths == (["5"] if path.stem.startswith("00") else ["2 x 45", "20"])
    for length, text in plans:
        minutes = sum(int(n) for n in re.findall(r"\((\d+)\b[^)]*\)", text))
        assert minutes == (90 if length == "2 x 45" else int(length))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_guide_has_discussions_and_exams_with_solutions(path):
    guide = (GUIDES / f"{path.stem[:2]}.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## (\w+ \d)(.*?)(?=^## |\Z)", guide, re.M | re.S))
    assert list(parts) == list(SECTIONS)
    for name, text in parts.items():
        assert len(text) > 150, name
        assert ("*Solution:*" in text) == name.startswith("Exam"), name
