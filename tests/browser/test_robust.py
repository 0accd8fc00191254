"""What readers do to an explorer: a kernel that restarts or stops, a cell run twice,
a notebook open twice, large type, dark paper, and no mouse."""

from itertools import pairwise
from pathlib import Path

import pytest

LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
SIZES = {"projector": (1280, 720), "zoomed": (640, 360)}
FAINT = ("--ie-paper", "--ie-panel", "--ie-grid")  # grounds, and lines behind a curve


# Looks and keys, of every explorer, on one page.


@pytest.fixture(scope="module")
def lab_page(share_explorers):
    lab_page = share_explorers()
    lab_page.page.evaluate(LOOK)
    return lab_page


def longest(explorer):
    """The longest number that each control can show beside it."""
    texts = []
    for control in explorer.controls:
        face = control.control.face()
        shown = face.get("labels") or map(str, getattr(control.control, "values", ()))
        ranged = control.kind in ("range", "steps")
        unit = face.get("unit", "")
        texts.append(max((f"{t} {unit}".strip() for t in shown), key=len) * ranged)
    return texts


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_covered_or_too_small(lab_page, size):
    width, height = SIZES[size]
    lab_page.page.set_viewport_size({"width": width, "height": height})
    faults = []
    for explorer in lab_page.explorers():
        lab_page.screenshot(explorer.locator, f"{explorer.name}_lab_{size}")
        found = explorer.locator.evaluate(
            "(root, longest) => look.layout(root, longest)", longest(explorer)
        )
        faults += [f"{explorer.name}: {fault}" for fault in found]
    lab_page.page.set_viewport_size({"width": 1280, "height": 720})
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_text_and_shapes_stand_out(lab_page, theme):
    lab_page.theme(theme)
    faults = []
    for explorer in lab_page.explorers():
        found = explorer.locator.evaluate(
            "(root, faint) => look.contrast(root, faint)", FAINT
        )
        faults += [f"{explorer.name}: {fault}" for fault in found]
    lab_page.theme("JupyterLab Light")
    assert not faults, "\n".join(faults)


def test_tab_goes_as_the_eye_does_and_back_out(lab_page):
    page, focus = lab_page.page, "() => look.focus()"
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        for explorer in lab_page.explorers():
            first = explorer.controls[0].input
            first.focus()
            page.keyboard.press("Tab")
            page.keyboard.press("Shift+Tab")  # now by keyboard
            seen = [page.evaluate(focus)]
            for _ in range(seen[0]["of"] - 1):
                page.keyboard.press("Tab")
                seen.append(page.evaluate(focus))
            where = f"{explorer.name}, {width} wide"
            assert [at["at"] for at in seen] == list(range(seen[0]["of"])), where
            assert [at["faults"] for at in seen] == [[] for _ in seen], where
            for one, two in pairwise(seen):  # on to the right, or below
                onward = two["left"] >= one["right"] or two["top"] >= one["bottom"]
                assert onward, f"{where}: {one} and {two}"
            page.keyboard.press("Tab")
            after = page.evaluate(focus)
            assert after is None or after["name"] != explorer.name, where
            first.focus()
            page.keyboard.press("Shift+Tab")
            before = page.evaluate(focus)
            assert before is None or before["name"] != explorer.name, where
    page.set_viewport_size({"width": 1280, "height": 720})


# Kernels and cells.

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
    first, last = training.explorers()
    answers(first)
    last.controls[0].press("End")
    assert last.look().problem == ""
    assert training.errors == []


def test_an_interrupted_training_keeps_its_history(training):
    training.do("notebook:interrupt-kernel")
    training.finish()
    assert training.mistakes() == []
    training.said("True True")
    first, last = training.explorers()
    answers(first)
    last.controls[0].press("End")
    assert last.look().problem == ""
    assert training.errors == []


COUNTED = """
from inception_edu.explorers import Explorer, Picture, Range

calls = []

def draw(state):
    calls.append(state["x"])
    svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'></svg>"
    return Picture(svg, f"{state['x']} after {len(calls)} drawings")

def make():
    return Explorer("counted", "How often?", [Range("x", "x", 0, 9, 1, 0)], draw)

kept = make()
""".strip()


def test_a_cell_that_runs_again_shows_one_explorer_that_listens(
    open_notebook, write_notebook, tmp_path
):
    sources = {"define": COUNTED, "anew": "make()", "same": "kept"}
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


def test_two_pages_on_a_notebook_show_the_same(
    open_notebook, open_beside, write_notebook, tmp_path
):
    sources = {"only": "import inception_edu as ie\nie.explore.module()"}
    first = open_notebook(write_notebook(tmp_path / "shared.ipynb", sources))
    first.run_all()
    first.do("docmanager:save")
    second = open_beside(first)
    pair = [page.explorers()[0] for page in (first, second)]
    for here, there in (pair, pair[::-1], pair):
        for control in here.controls[2:5]:
            here.move(control, *next(control.moves()))
            there.page.wait_for_function(
                "line => document.querySelector('.ie-summary').textContent === line",
                arg=here.look().summary,
            )
            assert there.look() == here.look()
    second.run_all()  # the first page keeps what it has
    for page in (first, second):
        answers(page.explorers()[0])
        assert page.mistakes() == page.errors == []
