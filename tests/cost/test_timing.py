"""Latency: honest about rounds, order, modes and devices."""

import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.cost import Latency
from inception_edu.cost.timing import wait_for


class Sleeper(nn.Module):
    """Takes `seconds`, and writes its name down each time."""

    def __init__(self, name, seconds, log):
        super().__init__()
        self.name, self.seconds, self.log = name, seconds, log
        self.modes = []

    def forward(self, x):
        self.log.append(self.name)
        gradients, threads = torch.is_grad_enabled(), torch.get_num_threads()
        self.modes.append((self.training, gradients, threads))
        time.sleep(self.seconds)
        return x


def test_the_slower_one_is_slower():
    log = []
    slow, quick = Sleeper("slow", 0.02, log), Sleeper("quick", 0.005, log)
    found = ie.latency({"slow": slow, "quick": quick}, (1, 3, 8, 8), rounds=5)
    assert found["slow"].median >= 0.02
    assert found["slow"].best > 1.5 * found["quick"].best
    assert "5 rounds" in str(found["slow"])
    assert found["slow"].device == "cpu"
    assert found["slow"].threads == torch.get_num_threads()


def test_rounds_are_interleaved_and_turn_after_the_warm_up():
    log = []
    models = {name: Sleeper(name, 0, log) for name in "abc"}
    ie.latency(models, (1, 3, 2, 2), rounds=3, warm_up=1)
    assert "".join(log) == "abc" + "abc" + "bca" + "cab"


def test_it_runs_in_eval_mode_without_gradients_and_leaves_no_trace():
    sleeper, before = Sleeper("one", 0, []), torch.get_num_threads()
    model = nn.Sequential(sleeper, nn.Dropout()).train()
    model[1].eval()
    one = ie.latency(model, (2, 3, 2, 2), rounds=2, threads=before + 1)
    assert isinstance(one, Latency)
    assert (len(one.times), one.threads) == (2, before + 1)
    assert set(sleeper.modes) == {(False, False, before + 1)}
    assert [m.training for m in model.modules()] == [True, True, False]
    assert torch.get_num_threads() == before


def test_the_median_and_the_middle_half():
    one = Latency("net", (0.1, 0.4, 0.2, 0.3, 9.0), "cpu", 2)
    assert one.median == pytest.approx(0.3)
    assert one.best == 0.1
    assert (one.low, one.high) == (pytest.approx(0.2), pytest.approx(0.4))
    assert str(one) == (
        "net: 300.0 ms (middle half of 5 rounds 200.0 to 400.0; "
        "cpu, float32, 2 threads)"
    )


def test_a_network_is_timed_at_its_own_size():
    assert ie.latency(ie.create_model("mini_v2"), rounds=1, warm_up=0).median > 0


def test_the_precision_is_that_of_the_weights():
    double = ie.latency(nn.Linear(3, 3).double(), (1, 3), rounds=1)
    assert "cpu, float64" in str(double)


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_every_accelerator_is_waited_for(kind, monkeypatch):
    waited = []
    note = SimpleNamespace(synchronize=lambda *device: waited.append(kind))
    monkeypatch.setattr(torch, kind, note)
    wait_for(torch.device(kind))
    wait_for(torch.device("cpu"))
    assert waited == [kind]
