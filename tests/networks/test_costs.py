"""Every network, every module: parameters, MACs and shapes, to the last digit.

`tests/data/module_costs.csv` was computed by plain arithmetic from the channel
counts in the papers and in tf-slim's sources (the `source` column), and checked
there against torchvision, timm and tf-slim's own parameter counts.
"""

from pathlib import Path

import pytest

import inception_edu as ie
from inception_edu.files import read_rows
from tests.models import on_meta

DATA = Path(__file__).parents[1] / "data" / "module_costs.csv"
FREE = ("lrn1", "lrn2", "flatten", "dropout")  # stages the table does not list


def golden(network):
    """`(shape, parameters, MACs)` of its modules and of its heads, and two totals."""
    modules, heads, totals = [], [], []
    for row in read_rows(DATA):
        if row["network"] != network:
            continue
        costs = int(row["params"]), int(row["macs"])
        if row["module"].startswith("TOTAL"):
            totals.append(costs)
            continue
        sizes = ("out_channels",) + ("out_h", "out_w") * (row["module"] != "fc")
        kind = heads if row["is_aux"] == "1" else modules
        kind.append((tuple(int(row[size]) for size in sizes), *costs))
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


@pytest.mark.parametrize("row_name", NETWORKS)
def test_each_module_costs_what_its_channels_say(row_name):
    name, options = NETWORKS[row_name]
    modules, heads, totals = golden(row_name)
    model = on_meta(name, **options)
    shape = 1, 3, model.input_size, model.input_size
    stages = [module for stage, module in model.stages() if stage not in FREE]
    assert [parameters(module) for module in stages] == [row[1] for row in modules]
    trace = ie.trace(model, shape)
    rows = [row for row in trace.by_module() if row.path not in FREE]
    found = [(tuple(row.out_shape[1:4]), row.params, row.macs) for row in rows]
    assert found == modules
    assert (trace.params, trace.macs) == totals[0]
    assert parameters(model) == totals[0][0]
    assert trace.unknown == []
    if heads:
        model = on_meta(name, **options, aux=True)
        params = [parameters(head) for head in model.aux_heads.values()]
        assert params == [row[1] for row in heads]
        costs = [ie.trace(model, shape, aux=aux).macs for aux in (False, True)]
        assert costs == [macs for _, macs in totals]
        assert parameters(model) == totals[1][0]


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
    model = on_meta(name)
    trace = ie.trace(model, (1, 3, model.input_size, model.input_size))
    rows = {row.path: row.receptive_field for row in trace.by_module()}
    assert rows[stage] == (field, field)
