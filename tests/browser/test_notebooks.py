"""Every lesson in a real JupyterLab: opened, run to the end, its explorers moved."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_and_its_explorers_answer(open_notebook, path):
    lab_page = open_notebook(path)
    lab_page.run_all()
    assert lab_page.mistakes() == []
    assert lab_page.still_loading() == []
    for explorer in lab_page.explorers():
        control = next(c for c in explorer.controls if c.input.is_enabled())
        explorer.move(control, *next(control.moves()))
    assert lab_page.errors == []
