"""What every lesson keeps to: its core fits its time, terms are explained, and a
lecturer finds what a lecture needs, with the exams in the guide alone."""

import re
import symtable
from itertools import combinations
from math import prod
from pathlib import Path

import nbformat
import pytest

from inception_edu.explorers import NAMES

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELLS, WORDS, LINES = 45, 2_600, 20
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
def test_the_core_is_short_and_a_code_cell_holds_one_idea(path):
    cells = core(path)
    assert len(cells) <= CELLS
    assert len(re.sub(r"<[^>]+>", " ", text_of(cells)).split()) <= WORDS
    for cell in cells:
        if cell.cell_type == "code" and "jupyter" not in cell.metadata:
            assert len(cell.source.splitlines()) <= LINES, cell.id


def names_of(cell):
    """`(names that its code assigns, names that it reads without assigning)`."""
    outer = symtable.symtable(cell.source, cell.id, "exec")
    tables = [outer]
    for table in tables:  # grows while it is walked
        tables += table.get_children()
    bound = {s.get_name() for s in outer.get_symbols() if s.is_assigned()}
    used = {s.get_name() for t in tables for s in t.get_symbols() if s.is_global()}
    return bound, used - bound


@each_lesson
def test_a_prediction_can_be_revealed_again_after_later_cells(path):
    """No later cell takes a name that it reads: whoever guesses again runs only it."""
    code = [cell for cell in cells_of(path) if cell.cell_type == "code"]
    for index, cell in enumerate(code):
        if ".reveal(" in cell.source:
            for later in code[index + 1 :]:
                assert not names_of(cell)[1] & names_of(later)[0], (cell.id, later.id)


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
def test_what_a_note_has_asked_before_is_shown_one_step_later(path):
    for cell in cells_of(path):
        kind = cell.metadata.slideshow.slide_type
        if kind in ("slide", "subslide"):
            step, at_once = False, []
        step |= kind == "fragment"
        at_once += [cell.id] * bool(cell.get("outputs") and not step)
        if re.search(r"before (you show|the table)", cell.source, re.IGNORECASE):
            assert kind != "notes" or (step and not at_once), cell.id


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


# Numbers of the prose, as "387,072", stand in an output, which nbval compares, in code
# or in a table, or are worked out beside them; a statistic, as "t = 3.71", stands in an
# output. These do not: what they count.
ELSEWHERE = {
    "1,583": "M MACs of GoogLeNet with its stem and classifier, 1.58 G in lesson 02",
    "5,857,280": "weights of the naive 5b, shown by the explorer",
    "3,345,408": "weights of the naive 4e, shown by the explorer",
    "6,144": "192 x 32 weights of 3a's pool projection",
    "15,872": "192 x 16 + 25 x 16 x 32",
    "19,200": "768 x 5 x 5 inputs",
    "1,597": "digits of 1,797 that are left for the test",
    "1,536": "scales and shifts of a norm of 768 channels in lesson 04",
    "1,537,000": "1,536 x 1,000 + 1,000 parameters of v4's classifier",
    "1,344": "pixels, 7 x 192",
    "3,359,464": "parameters of the auxiliary head in the release of v4",
    "11.0": "t of scale 0.1 against 1 at rate 0.3, of the runs of residual_scaling",
    "1.09": "t of the wide network with and without additions at rate 0.3",
    "5.98": "the same at rate 0.02",
}
LARGE = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,])")
STATISTIC = re.compile(r"\bt = -?(\d+\.\d+)")
PRODUCT = re.compile(r"\d+(?: [a-wyz]+)?(?: x \d+(?: [a-wyz]+)?)+")


def worked_out(text):
    """The products and sums of products that a text writes down, and powers of two."""
    products = [
        prod(map(int, re.findall(r"\d+", found))) for found in PRODUCT.findall(text)
    ]
    sums = {sum(pair) for pair in combinations(products, 2)}
    powers = {2 ** int(n) for n in re.findall(r"2\^\{(\d+)\}", text)}
    return {f"{number:,}" for number in {*products, *sums, *powers}}


def test_large_numbers_of_the_prose_are_computed_somewhere():
    cells = [cell for path in NOTEBOOKS for cell in cells_of(path)]
    tables = [*(ROOT / "inception_edu").rglob("*.csv"), *ROOT.glob("tests/data/*.csv")]
    known = " ".join(path.read_text(encoding="utf-8") for path in tables)
    known += " ".join(str(c.outputs) + c.source for c in cells if "outputs" in c)
    numbers = {number.replace(",", "") for number in re.findall(r"\d[\d,]*", known)}
    shown = " ".join(str(c.outputs) for c in cells if "outputs" in c)
    statistics = {f"{float(x):.2f}" for x in re.findall(r"\d+\.\d{2,4}\b", shown)}
    for cell in cells:
        if cell.cell_type == "markdown":
            here = worked_out(cell.source) | set(ELSEWHERE)
            for found in LARGE.findall(cell.source):
                assert found in here or found.replace(",", "") in numbers, cell.id
            for found in STATISTIC.findall(cell.source):
                assert found in here or f"{float(found):.2f}" in statistics, cell.id
