"""A history is plain data that prints itself."""

import json

import pytest

from inception_edu.training import recipes
from inception_edu.training.history import History


@pytest.fixture
def history():
    history = History("mini_v3", recipes.v3, "digits_at_scale", seed=3, epochs=2)
    for epoch in (1, 2):
        history.add(
            epoch=epoch,
            loss=2.0 / epoch,
            train_accuracy=0.4 * epoch,
            accuracy=0.44 * epoch,
            by_scale={"10-15": 0.3 * epoch, "16-23": 0.49 * epoch},
            seconds=1.5 * epoch,
        )
    return history


def test_the_summary_is_one_line_of_whole_per_cents(history):
    assert history.summary == (
        "mini_v3, recipe v3, seed 3: 2 of 2 epochs, test accuracy 88 % "
        "(10-15 px: 60 %, 16-23 px: 98 %)"
    )
    history.notes.append("out of memory in epoch 1: each batch is computed in 2 parts")
    assert repr(history) == f"<History {history.summary}; {history.notes[0]}>"


def test_an_interrupted_part_of_an_epoch_shows(history):
    history.epoch[-1], history.interrupted = 1.4375, True
    assert "1.44 of 2 epochs (interrupted)" in history.summary
    assert "before the first step" in History("x").summary


def test_plain_data_brings_everything_back(history):
    plain = json.loads(json.dumps(history.as_dict()))
    assert History(**plain, recipe=history.recipe) == history
