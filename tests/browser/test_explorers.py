"""Every explorer in a real JupyterLab, moved by keyboard to all its ends."""

import nbformat
import pytest

from inception_edu.explorers import NAMES

LATENCY_GOAL = 50  # milliseconds, on an idle machine
LATENCY_LIMIT = 400  # what a busy machine may make of it

# From the key to the frame after the picture changed.
TIMER = """root => {
  window.keyTimes = [];
  let pressed;
  root.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  const place = root.querySelector(".ie-picture-place");
  new MutationObserver(() => {
    const start = pressed;
    requestAnimationFrame(() => window.keyTimes.push(performance.now() - start));
  }).observe(place, { childList: true });
}"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """One cell for each explorer."""
    cells = [nbformat.v4.new_code_cell("import inception_edu as ie", id="import")]
    for name in NAMES:
        source = f"ie.explore.{name}()"
        cells.append(nbformat.v4.new_code_cell(source, id=name.replace("_", "-")))
    path = tmp_path_factory.mktemp("made") / "explorers.ipynb"
    book = nbformat.v4.new_notebook(cells=cells)
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, path)
    return path


def move_everything(explorer):
    """Every control to its ends and its middle; the picture follows or says why."""
    for control in explorer.controls:
        for place, keys in control.moves().items():
            value, picture = control.value, explorer.picture
            control.press(*keys)
            where = f"{explorer.name}: {control.control.name} at its {place}"
            summary, problem = explorer.expected()
            assert explorer.problem == problem, where
            if summary is not None:
                assert explorer.summary == summary, where
            if control.value != value:
                assert explorer.picture != picture or explorer.problem, where


def test_every_control_of_every_explorer_answers_to_the_keyboard(
    open_notebook, notebook
):
    lab_page = open_notebook(notebook)
    lab_page.run_all()
    explorers = lab_page.explorers()
    assert [explorer.name for explorer in explorers] == list(NAMES)
    for explorer in explorers:
        lab_page.picture_of(explorer.locator, f"{explorer.name}_light")
        first = explorer.values
        move_everything(explorer)
        reset = explorer.locator.get_by_role("button", name="Reset")
        reset.focus()
        reset.press("Enter")
        explorer.wait()
        assert explorer.values == first
    assert lab_page.errors == []
