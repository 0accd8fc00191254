"""Interrupted anywhere, and gone on with, everything ends as without the break.

The points are drawn at random from all the calls that a run makes, so that they fall
into the middle of a step, of an evaluation or of the writing of a file. A run is
broken by Ctrl-C in this process, or by `kill -9` in a child that is a fork of it, which
costs no import.
"""

import csv
import hashlib
import os
import random
import signal
import sys

import pytest

from experiments.runner import Experiment, run_all
from inception_edu.training.loop import fit
from inception_edu.training.recipes import Recipe

RECIPE = Recipe(name="test", learning_rate=0.05, batch_size=16, epochs=3, average=0.9)
POINTS = 6
KILLED = -signal.SIGKILL if hasattr(signal, "SIGKILL") else None

forks = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs fork, which is safe on Linux"
)


def counted(run, at=None, act=None):
    """`run()` and the calls it makes; at the `at`-th of them, `act()` happens."""
    calls = 0

    def note(frame, event, argument):
        nonlocal calls
        calls += 1
        if calls == at:
            sys.setprofile(None)
            act()

    sys.setprofile(note)
    try:
        return run(), calls
    finally:
        sys.setprofile(None)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_fork(run, at):
    """Whether `run()` came to its end in a child that dies at its `at`-th call."""
    child = os.fork()
    if not child:
        status = 1
        try:
            counted(run, at, die)
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED)
    return status == 0


def points(run, seed=0):
    """Some of the calls of a whole run, by number."""
    _, calls = counted(run)
    chooser = random.Random(seed)
    return [chooser.randrange(1, calls) for _ in range(POINTS)]


def digest(model):
    table = model.state_dict().values()
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in table)).hexdigest()


def ended(history):
    """What must be the same: every number but the seconds, and the weights."""
    return history.as_dict() | {"seconds": None}, digest(history.model)


def lengths(history):
    columns = ("epoch", "loss", "accuracy", "train_accuracy", "by_scale", "seconds")
    return {len(getattr(history, column)) for column in columns}


def test_a_training_interrupted_anywhere_ends_as_without_the_break(
    data, network, tmp_path
):
    path = tmp_path / "run.pt"

    def train():
        return fit(network(), data, RECIPE, progress=False, checkpoint=path)

    fit(network(), data, RECIPE, progress=False)  # what only a first run does
    straight = ended(fit(network(), data, RECIPE, progress=False))
    path.unlink(missing_ok=True)
    for at in points(lambda: fit(network(), data, RECIPE, progress=False)):
        try:
            broken, _ = counted(train, at, interrupt)
        except KeyboardInterrupt:  # before the first step, or after the last
            pass
        else:
            assert lengths(broken) == {len(broken.epoch)}, at
            assert broken.epoch == sorted(set(broken.epoch)), at
        assert ended(train()) == straight, at
        assert [p.name for p in tmp_path.iterdir()] in ([], ["run.pt"]), at
        path.unlink(missing_ok=True)


@forks
def test_a_training_killed_again_and_again_ends_as_without_the_break(
    data, network, tmp_path
):
    path = tmp_path / "run.pt"

    def train():
        return fit(network(), data, RECIPE, progress=False, checkpoint=path)

    straight = ended(train())
    path.unlink()
    for at in points(train):
        path.unlink(missing_ok=True)
        in_a_fork(train, at)
        in_a_fork(train, at // 2)  # and once more on the way
        assert ended(train()) == straight, at


PLAN = [{"model": name, "seed": seed} for seed in range(4) for name in "abc"]


def row(run):
    return {**run, "accuracy": 0.5 + run["seed"] / 100, "seconds": 1.0}


@forks
def test_a_ladder_killed_again_and_again_holds_every_run_once(tmp_path, capfd):
    path = tmp_path / "ladder.csv"

    experiment = Experiment(table=path, key=("model", "seed"), settings=[], measure=row)

    def climb():
        return run_all(experiment, PLAN, path)

    for at in points(climb):
        path.unlink(missing_ok=True)
        for part in (at, at // 2, at // 3):
            in_a_fork(climb, part)
        assert climb(), at
        with open(path, newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
        expected = [{k: str(v) for k, v in row(run).items()} for run in PLAN]
        assert found == expected, at
        assert climb()  # and nothing is left to do
    capfd.readouterr()
