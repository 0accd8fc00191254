"""Totals of reference networks, on which three counters agree.

`reference_costs.csv`: torch's FlopCounterMode on the meta device, a dispatch mode
and plain arithmetic.
"""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.cost import trace

DATA = Path(__file__).parents[1] / "data"


with open(DATA / "reference_costs.csv", newline="", encoding="utf-8") as file:
    REFERENCES = list(csv.DictReader(file))


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
