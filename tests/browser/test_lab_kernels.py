"""What readers do to a kernel: it restarts or stops, a cell runs twice, a notebook
is open twice."""

import pytest

from tests.browser.front_end import COUNTED

# A training that ends by itself only where the file `{mark}` is there.
TRAINING = """
from pathlib import Path

history = ie.fit(
    "mini_3x3",
    ie.digits_at_scale(256, n_test=64),
    ie.recipes.quick,
    epochs=2 if Path({mark!r}).exists() else 10_000,
    callback=lambda history: print("epoch", len(history.loss), "ends"),
)
""".strip()


@pytest.fixture
def training(open_notebook, write_notebook, tmp_path):
    """A page on which a long training runs between two explorers; `.mark` shortens."""
    mark = tmp_path / "short"
    sources = {
        "first": "import inception_edu as ie\nie.explore.module()",
        "long": TRAINING.format(mark=str(mark)),
        "usable": "print(history.interrupted, len(history.loss) > 1)",
        "last": "ie.explore.training()",
    }
    lab_page = open_notebook(write_notebook(tmp_path / "long.ipynb", sources))
    lab_page.mark = mark
    lab_page.start_all()
    lab_page.said("epoch 2 ends")
    return lab_page


def answers(explorer):
    """That the first controls of an explorer answer as Python does."""
    for control in explorer.controls[:3]:
        explorer.move(control, *next(control.moves()))


def is_usable(training):
    """That both explorers of the page answer, and that nothing went wrong."""
    first, last = training.explorers()
    answers(first)
    last.controls[0].press("End")
    assert last.look().problem == ""
    assert training.errors == []


def test_a_restart_in_the_middle_leaves_a_notebook_that_runs(training):
    (old,) = training.explorers()
    alert = old.locator.get_by_role("alert")
    old.controls[2].press("ArrowRight")
    assert "wait while a cell runs" in alert.inner_text()
    training.restart()
    old.controls[2].press("ArrowRight")
    assert "run this cell" in alert.inner_text()
    assert training.outputs()[-1][1] == []
    training.mark.touch()
    training.run_all()
    assert training.mistakes() == []
    is_usable(training)


def test_an_interrupted_training_keeps_its_history(training):
    training.do("notebook:interrupt-kernel")
    training.finish()
    assert training.mistakes() == []
    training.said("True True")
    is_usable(training)


def test_a_cell_that_runs_again_shows_one_explorer_that_listens(
    open_notebook, write_notebook, tmp_path
):
    sources = {"define": COUNTED + "kept = make()", "anew": "make()", "same": "kept"}
    lab_page = open_notebook(write_notebook(tmp_path / "twice.ipynb", sources))
    lab_page.run_all()
    place = lab_page.page.locator(".ie-explorer")
    for index in (0, 1):  # of the explorer on the page, whose cell is the next
        place.nth(1).wait_for()
        old = place.nth(index).element_handle()
        old.evaluate("root => { window.old = root; }")
        for _ in range(2):
            lab_page.run_cell(index + 1)
        lab_page.page.wait_for_function("() => !window.old.isConnected")
        place.nth(1).wait_for()
        assert place.count() == 2
        before = old.inner_html()
        summary = place.nth(index).locator(".ie-summary")
        drawings = []
        for moved in (1, 2):
            place.nth(index).get_by_role("slider").press("ArrowRight")
            summary.filter(has_text=f"{moved} after").wait_for()
            drawings.append(int(summary.inner_text().split()[2]))
        assert drawings[1] == drawings[0] + 1, "a move was drawn twice"
        assert old.inner_html() == before, "what was taken away still listens"
    assert lab_page.mistakes() == lab_page.errors == []


def test_two_pages_on_a_notebook_show_the_same(open_notebook, write_notebook, tmp_path):
    sources = {"only": "import inception_edu as ie\nie.explore.module()"}
    first = open_notebook(write_notebook(tmp_path / "shared.ipynb", sources))
    first.run_all()
    first.do("docmanager:save")
    second = open_notebook(beside=first)
    pair = [page.explorers()[0] for page in (first, second)]
    for here, there in (pair, pair[::-1], pair):
        for control in here.controls[2:5]:
            here.move(control, *next(control.moves()))
            there.page.wait_for_function(
                "line => document.querySelector('.ie-summary').textContent === line",
                arg=here.locator.locator(".ie-summary").text_content(),
            )
            assert there.look() == here.look()
    second.run_all()  # the first page keeps what it has
    for page in (first, second):
        answers(page.explorers()[0])
        assert page.mistakes() == page.errors == []
