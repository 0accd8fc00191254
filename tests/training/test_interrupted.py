"""Interrupted anywhere, and gone on with, everything ends as without the break.

The points are drawn at random from all the calls that a run makes, so that they fall
into the middle of a step, of an evaluation or of the writing of a file. A run is
broken by Ctrl-C in this process, or by `kill -9` in a child that is a fork of it, which
costs no import.
"""

import asyncio
import csv
import hashlib
import os
import random
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

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
    return (
        history.epoch,
        history.loss,
        history.accuracy,
        history.train_accuracy,
        history.by_scale,
        history.interrupted,
        digest(history.model),
    )


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

    experiment = Experiment(table=path, runs=None, key=("model", "seed"), measure=row)

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


def in_a_thread(talk):
    """`talk()` in a loop of its own: another test's may run in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(talk())).result()


def test_the_stop_button_of_a_notebook_keeps_what_was_learned(tmp_path):
    """A real kernel, interrupted between two epochs, then run again."""
    from tools.notebooks import own_kernel

    code = f"""
import torch, inception_edu as ie
torch.set_num_threads(1)
data = ie.digits_at_scale(256, n_test=64)
def train(checkpoint=None):
    return ie.fit("mini_3x3", data, ie.recipes.quick, epochs=4, progress=False,
                  checkpoint=checkpoint, callback=lambda h: print("epoch", len(h.loss)))
path = {str(tmp_path / "run.pt")!r}
"""

    async def talk():
        manager = own_kernel()
        await manager.start_kernel(extra_arguments=["--log-level=CRITICAL"])
        client = manager.client()
        client.start_channels()
        heard = []
        try:
            await client.wait_for_ready(timeout=120)

            def listen(message):
                heard.append(message["content"].get("text", ""))
                if "epoch 2" in heard[-1] and "stopped" not in heard:
                    heard.append("stopped")
                    os.kill(manager.provisioner.pid, signal.SIGINT)

            async def run(text):
                reply = await client.execute_interactive(
                    text, output_hook=listen, timeout=120
                )
                assert reply["content"]["status"] == "ok", reply["content"]

            await run(code)
            await run("broken = train(path); print(broken.interrupted)")
            await run("resumed = train(path); straight = train()")
            await run("print('same:', resumed.loss == straight.loss)")
        finally:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)
        return "".join(heard)

    said = in_a_thread(talk)
    assert "stopped" in said and "True" in said.split("stopped")[1]
    assert said.endswith("same: True\n")
