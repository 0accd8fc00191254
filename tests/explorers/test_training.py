"""The training explorer: its buttons, its runs, and what a pause leaves behind."""

import re
import sys
import time
from xml.etree import ElementTree

import pytest

from inception_edu.explorers import training as explorer
from inception_edu.explorers.training_runs import SETTINGS, Run
from inception_edu.text import percent
from inception_edu.training import digits_at_scale, fit, recipes
from inception_edu.training.history import History

SMALL = {"model": "mini_3x3", "epochs": 3, "images": 500}
PATIENCE = 300  # seconds


def invented(seed=0, done=3):
    """A run of three epochs that nobody trained."""
    history = History("mini_v2", recipes.quick, "digits", seed, 3)
    for epoch in range(1, done + 1):
        history.add(
            epoch=epoch,
            loss=2.0 / epoch,
            train_accuracy=0.3 * epoch,
            accuracy=0.2 * epoch + 0.1,
            by_scale={"10-15": 0.2, "16-23": 0.6, "24-31": 0.8, "32-40": 0.7},
            seconds=epoch,
        )
    values = ("mini_v2", "quick", 3, 500, seed)
    return Run(dict(zip(SETTINGS, values, strict=True)), history)


def until(true):
    """Wait for `true()`; the machine may be busy."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def run(one_thread):
    """A run that was paused after its first epoch and gone on with, to its end.

    In one thread, here and in its process: sums of several are other sums.
    """
    shown = explorer.training(start=SMALL)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        shown.press("train")
        trainer = shown.trainer
        assert trainer.active.status == "training"
        refusal = "mini_3x3 quick 0 is training; press Pause"
        with pytest.raises(ValueError, match=refusal):
            shown.press("train")
        until(lambda: trainer.runs[0].done >= 1)
        shown.press("pause")
        assert trainer.runs[0].status in ("paused", "done")
        trainer.thread.join(PATIENCE)
        shown.press("train") if trainer.runs[0].status == "paused" else None
        trainer.thread.join(PATIENCE)
    yield shown
    shown.press("clear")


def test_a_paused_run_ends_where_one_without_a_pause_does(run):
    straight = fit(
        "mini_3x3",
        digits_at_scale(SMALL["images"]),
        recipes.quick,
        SMALL["epochs"],
        seed=0,
        device="cpu",
        progress=False,
    )
    history = run.trainer.runs[0].history
    assert run.trainer.runs[0].status == "done"
    assert history.loss == pytest.approx(straight.loss, abs=1e-6)
    assert history.accuracy == straight.accuracy
    assert history.recipe == recipes.quick


def test_what_was_trained_is_told(run):
    accuracy = run.trainer.runs[0].history.accuracy[-1]
    assert run.summary.startswith(
        f"mini_3x3 quick 0 is done with {percent(accuracy, 1)} after epoch 3. Stored: "
    )


def test_nothing_starts_by_itself():
    shown = explorer.training()
    assert not shown.trainer.runs
    assert not shown.trainer.thread
    assert repr(shown).startswith("<Explorer training: No run yet. Stored: ")


def test_a_child_that_fails_says_why():
    shown = explorer.training(start=SMALL)
    shown.trainer.train(shown.values | {"recipe": "nonsense"})
    shown.trainer.thread.join(PATIENCE)
    assert shown.trainer.runs[0].status == "failed"
    assert "nonsense 0 failed (" in shown.summary


def test_a_child_that_dies_is_noticed(monkeypatch):
    command = (sys.executable, "-c", "raise SystemExit(3)")
    monkeypatch.setattr("inception_edu.explorers.training_runs.COMMAND", command)
    shown = explorer.training(start=SMALL)
    shown.press("train")
    shown.trainer.thread.join(PATIENCE)
    assert shown.trainer.runs[0].error == "it ended by itself (exit code 3)"
    assert "failed" in shown.summary


def test_runs_stand_beside_each_other_whatever_they_have():
    state = explorer.training().values
    runs = [invented(0), invented(1), invented(2, done=0)]
    for curve in explorer.CURVES:
        picture = explorer.draw(state | {"curve": curve, "epochs": 20}, runs)
        ElementTree.fromstring(picture.svg)
        assert "mini_v2 quick 1 70.0 %" in picture.svg
    assert picture.summary.startswith(
        "mini_v2 quick 0 is done with 70.0 % after epoch 3; "
        "mini_v2 quick 1 is done with 70.0 % after epoch 3; "
        "mini_v2 quick 2 is paused. Stored: "
    )


def test_seven_runs_are_too_many():
    shown = explorer.training()
    shown.trainer.runs += [invented(seed) for seed in range(6)]
    with pytest.raises(ValueError, match="6 runs fill the picture; press Clear"):
        shown.press("train")
    shown.press("clear")
    assert not shown.trainer.runs


def test_recipe_v3_and_mini_v3_move_together():
    shown = explorer.training()
    shown.values = {"recipe": "v3"}
    assert shown.values["model"] == "mini_v3"
    shown.values = {"model": "mini_5x5"}
    assert shown.values["recipe"] == "quick"


def test_stored_runs_are_grouped_by_what_they_differ_in(monkeypatch, tmp_path):
    columns = "model,matched,epochs,images,seed,accuracy,10-15,16-23,24-31,32-40"
    table = f"""{columns}
mini_v2,True,4,6000,0,0.90,0.9,0.9,0.9,0.9
mini_v2,True,4,6000,1,0.91,0.9,0.9,0.9,0.9
mini_3x3,True,4,6000,0,0.80,0.8,0.8,0.8,0.8
mini_3x3,True,4,6000,1,0.81,0.8,0.8,0.8,0.8
mini_3x3,False,4,6000,0,0.99,0.9,0.9,0.9,0.9
"""
    (tmp_path / "modules.csv").write_text(table, encoding="utf-8")
    monkeypatch.setattr(explorer, "FOLDER", tmp_path)
    monkeypatch.setattr(explorer, "stored", explorer.stored.__wrapped__)
    shown = explorer.training(start={"beside": "modules"})
    assert shown.summary == (
        "No run yet. Stored: mini_v2 is the best of 2 modules with "
        "90.5 %, the mean of 2 seeds."
    )
    assert "mini_3x3 80.5 %" in shown.svg


@pytest.mark.parametrize("stored", ["modules", "ladder"])
def test_the_bars_of_stored_runs_end_above_the_labels(stored):
    picture = ElementTree.fromstring(explorer.training(start={"beside": stored}).svg)
    bar = re.compile(r"M ([\d.]+) ([\d.]+) L \1 ([\d.]+)")  # straight up
    bars = [bar.fullmatch(at.attrib.get("d", "")) for at in picture.iter()]
    ends = [float(y) for found in bars if found for y in found.groups()[1:]]
    (label,) = (text for text in picture.iter() if text.text == "10-15")
    assert len(ends) >= 2 * 5 * 5  # of five rungs or modules, for five sizes
    assert max(ends) < float(label.attrib["y"]) - 14


def test_what_needs_a_notebook_is_inactive_in_a_page_alone():
    shown = explorer.training()
    assert shown.inactive == {"curve": "no run yet"}
    assert set(explorer.inactive({})) == set(shown.controls) - {"beside"}
