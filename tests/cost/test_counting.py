"""Totals against other people's: reference networks, and what other tools print.

`reference_costs.csv`: agreement of torch's FlopCounterMode on the meta device, a
dispatch mode and plain arithmetic. `tool_totals.csv`: printed by torchinfo 1.8.0,
fvcore 0.1.5, ptflops 0.7.5 and thop 0.1.1 on these networks.
"""

import csv
import gc
import pickle
import weakref
from itertools import groupby
from pathlib import Path

import pytest
import torch
import torchinfo
from torch import nn

import inception_edu as ie
from inception_edu.cost import CONVENTIONS, trace

DATA = Path(__file__).parents[1] / "data"


def rows(name):
    with open(DATA / name, newline="") as file:
        return list(csv.DictReader(file))


REFERENCES = rows("reference_costs.csv")
TOOLS = [
    (key, list(group))
    for key, group in groupby(
        rows("tool_totals.csv"), lambda row: (row["library"], row["network"])
    )
]


def build(library, network):
    if library == "inception_edu":
        with torch.device("meta"):
            return ie.create_model(network)
    peer = pytest.importorskip(library)
    if library == "timm":
        return peer.create_model(network)
    return peer.models.get_model(network)


def image(row):
    return 1, 3, int(row["size"]), int(row["size"])


@pytest.mark.parametrize("row", REFERENCES, ids=lambda row: row["network"])
def test_reference_network_costs_what_three_counters_agree_on(row):
    seen = trace(build(row["library"], row["network"]), image(row))
    assert (seen.params_built, seen.params, seen.macs) == (
        int(row["params_built"]),
        int(row["params_used"]),
        int(row["macs"]),
    )
    assert sum(op.macs for op in seen.ops) == seen.macs
    assert seen.unknown == []
    if row["field_before_pool"]:
        assert seen.receptive_field == (int(row["field_before_pool"]),) * 2


@pytest.mark.parametrize(("key", "group"), TOOLS, ids=["-".join(k) for k, _ in TOOLS])
def test_conventions_give_what_the_tools_print(key, group):
    seen = trace(build(*key), image(group[0]))
    for row in group:
        assert seen.count(row["tool"]) == int(row["total"]), row["tool"]


def test_torchinfo_here_prints_what_its_convention_says():
    model = ie.create_model("inception_v3")
    printed = torchinfo.summary(model, (1, 3, 75, 91), verbose=0, device="meta")
    assert trace(model, (1, 3, 75, 91)).count("torchinfo") == printed.total_mult_adds


def test_a_convention_is_chosen_by_name():
    seen = trace(nn.Conv2d(3, 4, 3), (1, 3, 8, 8))
    assert seen.count() == seen.count("macs") == seen.macs == 4 * 3 * 9 * 36
    assert seen.count("flops") == 2 * seen.macs
    assert seen.count("torchinfo") == seen.macs + 4 * 36  # the bias
    assert all(convention.says for convention in CONVENTIONS.values())
    with pytest.raises(ValueError, match=r"'calflops' is unknown.*fvcore"):
        seen.count("calflops")


class Bottleneck(nn.Module):
    """ResNet's (He et al. 2015, table 1), stride in the 3x3."""

    def __init__(self, channels, width, stride):
        super().__init__()
        out = 4 * width
        self.body = nn.Sequential(
            *self.unit(channels, width, 1, 1),
            nn.ReLU(),
            *self.unit(width, width, 3, stride),
            nn.ReLU(),
            *self.unit(width, out, 1, 1),
        )
        same = stride == 1 and channels == out
        self.skip = nn.Sequential(
            *([] if same else self.unit(channels, out, 1, stride))
        )

    def unit(self, before, after, kernel, stride):
        conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        return conv, nn.BatchNorm2d(after)

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


def resnet50():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, times in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for place in range(times):
            stride = 2 if place == 0 and width > 64 else 1
            layers.append(Bottleneck(channels, width, stride))
            channels = 4 * width
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)
    return nn.Sequential(*layers, *head)


def test_resnet_50_written_out():
    with torch.device("meta"):
        seen = trace(resnet50(), (1, 3, 224, 224))
    assert (seen.params, seen.macs) == (25_557_032, 4_089_184_256)
    assert seen.receptive_field == (427, 427)


# ---- another size, replayed --------------------------------------------------------


@pytest.mark.parametrize(
    "name", [n for n in ie.list_models() if not n.startswith("mini")] + ["mini_v4"]
)
def test_a_replay_is_the_trace_at_that_size(name, monkeypatch):
    with torch.device("meta"):
        model = ie.create_model(name)
    seen = trace(model, (1, 3, 320, 320))
    fresh = trace(model, (2, 3, 352, 288))
    monkeypatch.setattr("inception_edu.cost.tracer.trace", None)  # no second run
    replayed = seen.at((2, 3, 352, 288))
    assert replayed.ops == fresh.ops
    assert replayed.output_shapes == fresh.output_shapes
    assert replayed.count("ptflops") == fresh.count("ptflops")
    assert replayed.at((1, 3, 320, 320)).ops == seen.ops


class LooksAtItsSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        if x.shape[2] > 20:  # then it does more
            x = x[:, :, ::2, ::2]
        x = nn.functional.avg_pool2d(self.conv(x), x.shape[2:])
        return x.view(x.size(0), -1)


def test_a_model_that_looks_at_its_size_is_traced_anew():
    model = LooksAtItsSize()
    seen = trace(model, (1, 3, 16, 16))
    for shape in ((1, 3, 16, 16), (1, 3, 18, 14), (1, 3, 40, 16), (5, 3, 16, 16)):
        assert seen.at(shape).ops == trace(model, shape).ops
    del model
    with pytest.raises(ValueError, match="the model is gone"):
        seen.at((1, 3, 40, 16))


def test_a_replay_refuses_as_the_model_does():
    model = ie.create_model("mini_v3")
    seen = trace(model, (1, 3, 48, 48))
    with pytest.raises(ValueError, match="smaller than mini_v3"):
        seen.at((1, 3, 8, 8))
    with pytest.raises(ValueError, match="at least 1"):
        seen.at((1, 3, 0, 8))
    with pytest.raises(ValueError, match="colour images"):
        seen.at((1, 4, 48, 48))


def test_a_trace_keeps_no_weights_alive():
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), *head)
    seen = trace(model, (1, 3, 8, 8))
    gone = weakref.ref(model[0].weight)
    del model
    gc.collect()
    assert gone() is None
    assert seen.at((3, 3, 8, 8)).output_shape == (3, 4)


def test_a_trace_can_be_sent_to_another_process():
    seen = trace(nn.Conv2d(3, 4, 3), (1, 3, 8, 8))
    sent = pickle.loads(pickle.dumps(seen))
    assert sent.ops == seen.ops and sent.count("thop") == seen.macs
    with pytest.raises(ValueError, match="the model is gone"):
        sent.at((1, 3, 9, 9))
