"""Train, pause, go on and clear in a real JupyterLab, by keyboard alone."""

import pytest

CELLS = {
    "live": (
        "import inception_edu as ie\n"
        "ie.explore.training(start={'model': 'mini_3x3', 'images': 500, "
        "'epochs': 8})"
    ),
    "other": "6 * 7",
}
PATIENCE = 300_000  # milliseconds; a training on a busy machine


@pytest.fixture
def page(open_notebook, write_notebook, tmp_path):
    page = open_notebook(write_notebook(tmp_path / "live.ipynb", CELLS))
    page.run_all()
    return page


def test_a_training_runs_beside_the_notebook(page):
    (explorer,) = page.explorers()
    place = explorer.locator
    says = place.locator(".ie-summary")

    def press(name):
        place.get_by_role("button", name=name).press("Enter")
        explorer.wait()

    press("Pause")
    assert "nothing is training; press Train first" in explorer.look().problem
    press("Train")
    says.filter(has_text="mini_3x3 quick 0 is training").wait_for(timeout=PATIENCE)
    # the kernel is free: a slider moves and a cell runs while the child trains
    seed = next(c for c in explorer.controls if c.name == "seed")
    seed.press("ArrowRight")
    assert explorer.values["seed"] == 1
    seed.press("ArrowLeft")
    assert "training" in explorer.look().summary
    says.filter(has_text="after epoch 1").wait_for(timeout=PATIENCE)
    press("Pause")
    says.filter(has_text="paused").wait_for(timeout=PATIENCE)
    press("Train")
    says.filter(has_text="done").wait_for(timeout=PATIENCE)
    press("Train")
    assert "choose another seed, or press Clear" in explorer.look().problem
    press("Clear")
    assert explorer.look().summary.startswith("No run yet. ")
    assert page.errors == []
