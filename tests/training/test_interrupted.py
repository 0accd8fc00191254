"""Interrupted at any call, in a step, an evaluation or the writing of a file, and
resumed, a training ends as without the break."""

import os
import random
import signal
import sys

import pytest

from inception_edu.training.loop import fit
from inception_edu.training.recipes import Recipe

RECIPE = Recipe(name="test", learning_rate=0.05, batch_size=16, epochs=3, ema_decay=0.9)
COLUMNS = ("epoch", "loss", "accuracy", "train_accuracy", "by_scale", "seconds")


@pytest.fixture
def train(data, network, tmp_path):
    return lambda: fit(
        network(), data, RECIPE, progress=False, checkpoint=tmp_path / "run.pt"
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


def interrupted(run, at):
    """`run()` with Ctrl-C at its `at`-th call: whole rows, whatever comes back."""
    try:
        broken, _ = counted(run, at, lambda: signal.raise_signal(signal.SIGINT))
    except KeyboardInterrupt:  # before the first step, or after the last
        return
    rows = {len(getattr(broken, column)) for column in COLUMNS}
    assert rows == {len(broken.epoch)}
    assert broken.epoch == sorted(set(broken.epoch))


def killed(run, at):
    """`run()` in a fork, which costs no import, killed at its `at`-th call."""
    child = os.fork()
    if not child:
        try:
            counted(run, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def ended(history):
    """What must be the same: every number but the seconds, and the weights."""
    weights = history.model.state_dict().values()
    numbers = history.as_dict() | {"seconds": None}
    return numbers, b"".join(tensor.numpy().tobytes() for tensor in weights)


@pytest.mark.parametrize("stop", [interrupted, killed])
def test_a_training_stopped_anywhere_ends_as_without_the_break(train, tmp_path, stop):
    if stop is killed and not sys.platform.startswith("linux"):
        pytest.skip("needs a safe fork")
    path = tmp_path / "run.pt"
    (tmp_path / "run.123.part.pt").touch()  # a killed process left it
    straight, calls = counted(train)
    straight, chooser = ended(straight), random.Random(0)
    for at in [chooser.randrange(1, calls) for _ in range(6)]:
        path.unlink(missing_ok=True)
        stop(train, at)
        stop(train, at // 2)  # and once more on the way
        assert ended(train()) == straight, at
        assert [p.name for p in tmp_path.iterdir()] == ["run.pt"], at
