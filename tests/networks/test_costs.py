"""Every network, every module: parameters, MACs and shapes, to the last digit.

`tests/data/module_costs.csv` was computed by plain arithmetic from the channel
counts in the papers and in tf-slim's sources (the `source` column), and checked
there against torchvision, timm and tf-slim's own parameter counts.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import inception_edu as ie
from inception_edu.files import read_rows

DATA = Path(__file__).parents[1] / "data" / "module_costs.csv"
FREE = ("lrn1", "lrn2", "flatten", "dropout")  # stages the table does not list


class Golden(NamedTuple):
    module: str
    out_shape: tuple
    params: int
    macs: int


def golden(network):
    """The rows of `network`: modules in order, auxiliary heads, the two totals."""
    modules, heads, totals = [], [], []
    for row in read_rows(DATA):
        if row["network"] != network:
            continue
        costs = int(row["params"]), int(row["macs"])
        if row["module"].startswith("TOTAL"):
            totals.append(costs)
            continue
        shape = tuple(int(row[key]) for key in ("out_channels", "out_h", "out_w"))
        kind = heads if row["is_aux"] == "1" else modules
        kind.append(Golden(row["module"], shape, *costs))
    assert modules, f"no network {network!r} in module_costs.csv"
    return modules, heads, totals


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


# The row names in module_costs.csv, and what builds that network here.
NETWORKS = {
    "googlenet_naive_stack": ("googlenet_naive", {}),
    "googlenet_paper": ("googlenet", {}),
    "googlenet_bn_5x5": ("googlenet", {"norm": "batch"}),
    "googlenet_torchvision": ("googlenet", {"layout": "torchvision"}),
    "bninception_slim_fullconv1": ("bn_inception", {}),
    "bninception_paper_literal": (
        "bn_inception",
        {"pool_proj_4cd": 128, "separable_stem": True},
    ),
    "inception_v3": ("inception_v3", {}),
    "inception_v3_fig5_variant": ("inception_v3", {"five_by_five": False}),
    "rethinking_table1_literal_table1": ("inception_v3", {"layout": "table1"}),
    "rethinking_table1_literal_7x7": (
        "inception_v3",
        {"layout": "table1", "stem": "7x7"},
    ),
    "inception_v4": ("inception_v4", {}),
    "inception_resnet_v1_paper": ("inception_resnet_v1", {}),
    "inception_resnet_v2": ("inception_resnet_v2", {}),
    "inception_resnet_v2_paper": ("inception_resnet_v2", {"layout": "paper"}),
}
SIZE = {"googlenet_naive": 224, "googlenet": 224, "bn_inception": 224}


def build(name, options, **more):
    with torch.device("meta"):  # shapes without memory: costs need no weights
        return ie.create_model(name, **options, **more)


@pytest.mark.parametrize("row_name", NETWORKS)
def test_each_module_costs_what_its_channels_say(row_name):
    name, options = NETWORKS[row_name]
    modules, _, totals = golden(row_name)
    model = build(name, options)
    stages = [module for stage, module in model.stages() if stage not in FREE]
    assert [parameters(module) for module in stages] == [m.params for m in modules]
    size = SIZE.get(name, 299)
    trace = ie.trace(model, (1, 3, size, size))
    rows = [row for row in trace.by_module() if row.path not in FREE]
    found = [(row.out_shape[1:4], row.params, row.macs) for row in rows]
    wanted = [
        (row.out_shape if row.module != "fc" else (1000,), row.params, row.macs)
        for row in modules
    ]
    assert found == wanted
    assert (trace.params, trace.macs) == totals[0]
    assert parameters(model) == totals[0][0]
    assert trace.unknown == []


@pytest.mark.parametrize(
    "row_name",
    [
        "googlenet_paper",
        "googlenet_torchvision",
        "inception_v3",
        "inception_v4",
        "inception_resnet_v2",
    ],
)
def test_auxiliary_heads_cost_what_the_release_has(row_name):
    name, options = NETWORKS[row_name]
    _, heads, totals = golden(row_name)
    model = build(name, options, aux=True)
    size = SIZE.get(name, 299)
    assert [parameters(head) for head in model.aux_heads.values()] == [
        head.params for head in heads
    ]
    assert parameters(model) == totals[1][0]
    without, with_heads = (
        ie.trace(model, (1, 3, size, size), aux=aux).macs for aux in (False, True)
    )
    assert without == totals[0][1]
    assert with_heads == totals[1][1]


# Araujo et al., Computing receptive fields of convolutional neural networks,
# Distill 2019, and the table of google-research/receptive_field, which calls
# BN-Inception inception_v2 and its last module Mixed_5c.
@pytest.mark.parametrize(
    ("name", "stage", "field"),
    [
        ("bn_inception", "inception_5b", 699),
        ("inception_v3", "mixed_7c", 1311),
        ("inception_v4", "inception_c3", 2071),
        ("inception_resnet_v2", "conv_7b", 3039),
    ],
)
def test_receptive_field_is_the_published_one(name, stage, field):
    size = SIZE.get(name, 299)
    trace = ie.trace(build(name, {}), (1, 3, size, size))
    rows = {row.path: row.receptive_field for row in trace.by_module()}
    assert rows[stage] == (field, field)
