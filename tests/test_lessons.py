"""What every lesson keeps to: its core fits its time, terms are explained, and a
lecturer finds what a lecture needs, with the exams in the guide alone."""

import re
from pathlib import Path

import nbformat
import pytest

from inception_edu.explorers import NAMES

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELLS, WORDS, LINES, COLUMNS = 45, 2_600, 20, 78
CLOSED = {"solution", "lecturer"}  # not on a student's way through the lesson
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = dict(re.findall(r"^### (.+?)\n(.+?)(?=^### |\Z)", GLOSSARY, re.M | re.S))
LINK = re.compile(r"\]\(\.\./docs/glossary\.md#([^)]+)\)")
SPOKEN = (
    "The demonstration that always works",
    "When a prediction goes wrong",
    "On the board",
    "The misconception to draw out",
)
SECTIONS = ("Discussion 1", "Discussion 2", "Discussion 3", "Exam 1", "Exam 2")

# The lesson that introduces a file of networks/.
FIRST = {"layers": 1, "googlenet": 0, "bn_inception": 3, "inception_v3": 3}
FIRST |= {"inception_v4": 5, "inception_resnet": 7}

each_lesson = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path):
    return nbformat.read(path, 4).cells


def text_of(cells):
    return "\n".join(c.source for c in cells if c.cell_type == "markdown")


def core(path):
    """What a student meets before "Going further"."""
    found = []
    for cell in cells_of(path):
        if cell.source.startswith("## Going further"):
            break
        if not CLOSED & set(cell.metadata.get("tags", [])):
            found.append(cell)
    return found


def test_every_explorer_is_used_by_a_lesson():
    code = "".join(c.source for path in NOTEBOOKS for c in cells_of(path))
    assert set(NAMES) <= set(re.findall(r"ie\.explore\.(\w+)\(", code))


@each_lesson
def test_a_lesson_imports_only_networks_that_it_has_come_to(path):
    code = "".join(c.source for c in cells_of(path) if c.cell_type == "code")
    for name in re.findall(r"inception_edu\.networks\.(\w+) import", code):
        assert FIRST[name] <= int(path.stem[:2]), name


@each_lesson
def test_the_core_is_short(path):
    cells = core(path)
    assert len(cells) <= CELLS
    assert len(re.sub(r"<[^>]+>", " ", text_of(cells)).split()) <= WORDS


@each_lesson
def test_code_cells_hold_one_idea(path):
    for cell in core(path):
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
        if cell.cell_type == "code" and not hidden:
            assert len(cell.source.splitlines()) <= LINES, cell.id
            assert max(map(len, cell.source.splitlines())) <= COLUMNS, cell.id


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_every_extra_names_its_minutes(path):
    _, _, further = text_of(cells_of(path)).partition("\n## Going further")
    headings = re.findall(r"^### (.+)$", further, re.MULTILINE)
    assert headings
    assert [h for h in headings if not re.search(r"\(\d+ minutes?\)$", h)] == []


# ---- the glossary -----------------------------------------------------------------


def test_terms_are_sorted_and_name_their_lesson():
    assert list(TERMS) == sorted(TERMS, key=str.lower)
    assert len(TERMS) >= 60
    for term, text in TERMS.items():
        assert re.search(r"Lesson 0[0-7]\.$", text.strip()), term
        assert 30 < len(text) < 400, term


@each_lesson
def test_links_of_a_lesson_lead_to_a_term_and_stand_at_its_first_use(path):
    found = LINK.findall(text_of(cells_of(path)))
    assert set(found) <= {term.lower().replace(" ", "-") for term in TERMS}
    assert len(found) == len(set(found)), "a term is linked at its first use only"


# ---- what a lecturer needs --------------------------------------------------------


def note_cells(path):
    cells = cells_of(path)
    return [c.source for c in cells if "lecturer" in c.metadata.get("tags", [])]


@each_lesson
def test_notes_are_folded_and_complete(path):
    notes = note_cells(path)
    for note in notes:
        assert note.startswith("<details><summary>For lecturers</summary>")
        assert note.endswith("</details>")
        assert not re.search(r"\bExam \d", note), "exams belong into the guide"
    for part in SPOKEN:
        said = [re.search(rf"\*{part}[:.]?\*:?(.{{60,}})", n, re.DOTALL) for n in notes]
        assert any(said), part


@each_lesson
def test_the_first_note_holds_plans_whose_minutes_add_up(path):
    plan = r"\*Plan for ([^*]+) minutes\.\*(.+?)(?=\n\n|\Z)"
    plans = dict(re.findall(plan, note_cells(path)[0], re.DOTALL))
    lengths = ["5"] if path.stem.startswith("00") else ["2 x 45", "20"]
    assert list(plans) == lengths
    for length, text in plans.items():
        minutes = sum(int(n) for n in re.findall(r"\((\d+)\b[^)]*\)", text))
        assert minutes == (90 if length == "2 x 45" else int(length))


@each_lesson
def test_the_guide_has_discussions_and_exams_with_solutions(path):
    place = ROOT / "docs" / "lecturers" / f"{path.stem[:2]}.md"
    guide = place.read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## (\w+ \d)(.*?)(?=^## |\Z)", guide, re.M | re.S))
    assert list(parts) == list(SECTIONS)
    for name, text in parts.items():
        assert len(text) > 150, name
        assert ("*Solution:*" in text) == name.startswith("Exam"), name
