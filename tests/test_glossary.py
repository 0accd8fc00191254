"""The glossary: every link of a lesson leads to a term, every term to a lesson."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXT = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = dict(re.findall(r"^### (.+?)\n(.+?)(?=^### |\Z)", TEXT, re.M | re.S))
LINK = re.compile(r"\]\(\.\./docs/glossary\.md#([^)]+)\)")


def anchor(term):
    return term.lower().replace(" ", "-")


def links(path):
    cells = nbformat.read(path, 4).cells
    markdown = (cell.source for cell in cells if cell.cell_type == "markdown")
    return [name for text in markdown for name in LINK.findall(text)]


def test_terms_are_sorted_and_name_their_lesson():
    assert list(TERMS) == sorted(TERMS, key=str.lower)
    assert len(TERMS) >= 60
    for term, text in TERMS.items():
        assert re.search(r"Lesson 0[0-7]\.$", text.strip()), term
        assert 30 < len(text) < 400, term


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_a_lesson_lead_to_a_term_and_stand_at_its_first_use(path):
    found = links(path)
    assert set(found) <= {anchor(term) for term in TERMS}
    assert len(found) == len(set(found)), "a term is linked at its first use only"
