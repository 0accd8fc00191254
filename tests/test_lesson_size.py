"""A lesson's core fits the time that it promises."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
CELLS, WORDS, LINES, COLUMNS = 45, 2_600, 20, 78
CLOSED = {"solution", "lecturer"}  # not on a student's way through the lesson


def core(path):
    """What a student meets before "Going further"."""
    found = []
    for cell in nbformat.read(path, 4).cells:
        if cell.source.startswith("## Going further"):
            break
        if not CLOSED & set(cell.metadata.get("tags", [])):
            found.append(cell)
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_core_is_short(path):
    cells = core(path)
    words = sum(
        len(re.sub(r"<[^>]+>", " ", cell.source).split())
        for cell in cells
        if cell.cell_type == "markdown"
    )
    assert len(cells) <= CELLS
    assert words <= WORDS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_cells_hold_one_idea(path):
    for cell in core(path):
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
        if cell.cell_type == "code" and not hidden:
            assert len(cell.source.splitlines()) <= LINES, cell.id
            assert max(map(len, cell.source.splitlines())) <= COLUMNS, cell.id


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_every_extra_names_its_minutes(path):
    text = "\n".join(
        c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown"
    )
    _, _, further = text.partition("\n## Going further")
    headings = re.findall(r"^### (.+)$", further, re.MULTILINE)
    assert headings
    assert [h for h in headings if not re.search(r"\(\d+ minutes?\)$", h)] == []
