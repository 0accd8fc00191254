"""What a diagram opens into: every level right, equal ones drawn once."""

import gzip
import json
import re
from base64 import b64decode
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.figures import diagram
from inception_edu.figures.walk import levels
from inception_edu.networks.googlenet import TABLE_1, InceptionModule


def opened(found, *names):
    """The level that boxes of these names lead to, one after the other."""
    level = found[0]
    for name in names:
        (target, *_) = [box[6] for box in level["boxes"] if box[4] == name]
        level = found[target]
    return level


def words_in(level):
    return [text.text for text in ElementTree.fromstring(level["svg"]).iter()]


def test_a_stage_opens_into_its_branches_and_those_into_their_arithmetic():
    found = levels(diagram(ie.create_model("googlenet")))
    module = opened(found, "inception_3a")
    assert [box[4] for box in module["boxes"]] == [
        *("input", "1x1, 64", "1x1, 96", "3x3, 128", "1x1, 16", "5x5, 32"),
        *("max pool 3x3", "1x1, 32", "concat, 256"),
    ]
    words = words_in(opened(found, "inception_3a", "3x3, 128"))
    assert "3 x 3 x 96 x 128 x 28 x 28 = 86,704,128 MACs" in words
    assert "3 x 3 x 96 x 128 = 110,592 weights" in words
    assert "128 parameters of bias" in words
    assert "64 + 128 + 32 + 32 = 256 channels, side by side; 0 MACs" in words_in(
        opened(found, "inception_3a", "concat, 256")
    )


OPERATIONS = {
    "strided": (
        nn.Conv2d(3, 8, 7, stride=2, padding=3),
        (2, 3, 30, 30),
        ["2 x 7 x 7 x 3 x 8 x 15 x 15 = 529,200", "kernel 7x7, stride 2, padding 3"],
    ),
    "groups": (
        nn.Conv2d(8, 8, 3, groups=8, dilation=2, bias=False),
        (1, 8, 9, 9),
        ["3 x 3 x 1 x 8 x 5 x 5 = 1,800 MACs", "kernel 3x3, dilation 2, 8 groups"],
    ),
    "transposed": (
        nn.ConvTranspose2d(4, 6, 2, stride=2),
        (1, 4, 5, 5),
        ["2,400 MACs", "102 parameters"],
    ),
    "linear": (nn.Linear(12, 5), (1, 12), ["12 x 5 = 60 MACs", "5 parameters of bias"]),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_an_operation_shows_the_product_that_its_trace_counts(case):
    layer, shape, lines = OPERATIONS[case]
    trace = ie.trace(layer, shape)
    found = levels(diagram(trace))
    assert len(found) == 2
    words = "\n".join(filter(None, words_in(found[1])))
    for line in lines:
        assert line in words
    if case in ("strided", "groups"):
        assert f"= {trace.macs:,} MACs" in words


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "inception_resnet_v2"])
def test_every_convolution_can_be_reached_and_states_its_macs(name):
    size = 224 if name == "googlenet" else 299
    trace = ie.trace(ie.create_model(name), (1, 3, size, size))
    found = levels(diagram(trace))
    stated = set()
    for level in found:
        stated |= set(re.findall(r"= ([\d,]+) MACs", level["svg"]))
    counted = {f"{op.macs:,}" for op in trace.ops if op.kind in ("conv", "linear")}
    assert counted <= stated
    assert len(found) < 100


def test_equal_modules_lead_to_one_picture():
    found = levels(diagram(ie.create_model("inception_v4")))
    targets = {box[4]: box[6] for box in found[0]["boxes"]}
    assert targets["inception_b2"] == targets["inception_b7"]
    assert targets["inception_b2"] != targets["inception_c1"]


class Odd(nn.Module):
    """Modules in modules, a module used twice, two inputs, a functional part."""

    def __init__(self):
        super().__init__()
        self.deep = nn.ModuleDict({"er": nn.Sequential(nn.Sequential(nn.ReLU()))})
        self.twice = nn.Conv2d(3, 3, 1)

    def forward(self, x, y):
        x = self.deep["er"](self.twice(self.twice(x)))
        return torch.nn.functional.avg_pool2d(x * y, 2).mean((2, 3))


def test_any_module_can_be_walked_into():
    trace = ie.trace(Odd(), (1, 3, 8, 8), (1, 3, 8, 8))
    for level in levels(diagram(trace)):
        ElementTree.fromstring(level["svg"])
    diagram(nn.LSTM(5, 7), (2, 3, 5))._repr_mimebundle_()


def test_the_html_holds_the_still_picture_first_and_every_level():
    picture = diagram(InceptionModule(192, TABLE_1["3a"]), (1, 192, 28, 28))
    html = picture.html
    assert html == picture.html
    coded = re.search(r'data-levels="data:application/gzip;base64,([^"]+)"', html)[1]
    assert json.loads(gzip.decompress(b64decode(coded))) == levels(picture)
    assert html.index("<img alt=") < html.index("<script>")
    assert "</script" not in html[html.index("<script>") : -9]
