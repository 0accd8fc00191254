"""The claims that lessons 0 to 2 judge, each measured on the networks."""

import pytest
import torch
from measure import convolutions, longest_path, network, shows, traced, value, weights
from torch import nn

from inception_edu import papers
from inception_edu.cost import latency
from inception_edu.networks.googlenet import TABLE_1, InceptionModule, NaiveModule
from inception_edu.networks.layers import Branches, ConvUnit

MODULES = tuple(TABLE_1)
COLUMNS = ("1x1", "3x3 reduce", "3x3", "5x5 reduce", "5x5", "pool proj")


def printed_row(module):
    """A module's six widths, grid and input channels from the paper's table."""

    def cell(name, column):
        key = f"going-deeper/table-1/{name}/{column}".replace(" ", "-")
        return int(value(key))

    before = MODULES[MODULES.index(module) - 1] if module != "3a" else None
    channels = cell(before, "output channels") if before else 192
    return [cell(module, column) for column in COLUMNS], cell(module, "grid"), channels


def weights_of(module):
    """A module's weights from the printed widths, by hand."""
    (one, reduce3, three, reduce5, five, pool), _, channels = printed_row(module)
    narrow = channels * (one + reduce3 + reduce5 + pool)
    return narrow + 9 * reduce3 * three + 25 * reduce5 * five


def naive_weights_of(module):
    """The same, without the reductions and the projection."""
    (one, _, three, _, five, _), _, channels = printed_row(module)
    return channels * (one + 9 * three + 25 * five)


def macs_of(module, count=weights_of):
    return count(module) * printed_row(module)[1] ** 2


@shows("blog/inception-wider", "half", "four branches", "22 layers")
def test_googlenet_is_wider_and_deeper():
    assert len(NaiveModule(192, TABLE_1["3a"])) == 4
    assert longest_path(traced("googlenet")) == 22
    assert value("going-deeper/section-5/googlenet/layers-with-parameters") == 22


@shows("blog/one-operation", "true")
@shows("blog/four-operations", "true")
def test_a_module_runs_four_operations_on_one_input():
    module = NaiveModule(192, TABLE_1["3a"])
    kernels = [child.conv.kernel_size for child in list(module.values())[:3]]
    assert kernels == [(1, 1), (3, 3), (5, 5)]
    pool = module["pool"]
    assert isinstance(pool, nn.MaxPool2d) and pool.kernel_size == 3
    image = torch.rand(1, 192, 7, 7)
    assert {branch(image).shape[2:] for branch in module.values()} == {(7, 7)}


@shows("blog/filter-concatenation", "true")
def test_the_concatenation_feeds_the_next_module():
    image = torch.rand(1, 192, 7, 7)
    module = InceptionModule(192, TABLE_1["3a"])
    branches = [branch(image) for branch in module.values()]
    assert torch.equal(module(image), torch.cat(branches, 1))
    assert module.out_channels == 256 == printed_row("3b")[2]
    assert InceptionModule(256, TABLE_1["3b"])(module(image)).shape[1] == 480


@shows("blog/choose-best", "wrong")
def test_nothing_is_chosen_every_branch_stays_and_learns():
    torch.manual_seed(0)  # ReLUs may all be dead in a few narrow draws
    module = NaiveModule(6, {"1x1": 13, "3x3": 14, "5x5": 15})
    image = torch.randn(2, 6, 8, 8, requires_grad=True)
    output = module(image)
    assert output.shape[1] == 13 + 14 + 15 + 6
    output.sum().backward()
    for name in ("1x1", "3x3", "5x5"):
        assert module[name].conv.weight.grad.abs().sum() > 0


@shows("blog/get-the-best-information", "unsettled")
def test_the_paper_gives_no_figure_for_a_single_kernel_network():
    tables = papers.figures(paper="going-deeper")
    networks = set(tables[tables["what"].str.contains("error")]["network"])
    assert networks == {
        "GoogLeNet",
        "GoogLeNet 2014",
        "VGG 2014",
        "MSRA 2014",
        "Clarifai 2013 (no ext)",
        "Clarifai 2013 (22k)",
        "SuperVision 2012 (no ext)",
        "SuperVision 2012 (ImageNet 22k)",
    }


@shows("blog/naive-cost-grows", "true", "97.5", "12.57")
def test_the_naive_stack_blows_up():
    trace = traced("googlenet_naive")
    assert trace.params == 97_526_008
    assert trace.macs == 12_568_061_056
    assert trace.macs > 7.9 * traced("googlenet").macs


@shows("blog/1x1-before-heavy", "half")
def test_1x1_convolutions_stand_before_3x3_and_5x5_and_after_the_pool():
    ops = traced("googlenet").ops
    modules = [op for op in ops if op.kind == "conv" and "inception" in op.path]
    assert {op.kernel for op in modules} == {(1, 1), (3, 3), (5, 5)}
    for op in modules:
        if op.kernel == (1, 1):
            continue
        relu = ops[op.inputs[0]]
        assert relu.kind == "relu" and ops[relu.inputs[0]].kernel == (1, 1)
    after_pool = [op for op in modules if ops[op.inputs[0]].kind == "max_pool"]
    projections = [op for op in after_pool if op.path.split(".")[1] == "pool"]
    assert len(projections) == 9 and all(op.kernel == (1, 1) for op in projections)


@shows("blog/1x1-reduces-network-inputs", "wrong")
def test_1x1_reduces_the_channels_of_a_module_not_the_image():
    first = convolutions("googlenet")[0]
    assert first.in_shapes[0][1] == 3 and first.kernel == (7, 7)
    reduce = [op for op in convolutions("googlenet") if ".reduce" in op.path]
    assert all(op.out_shape[1] < op.in_shapes[0][1] for op in reduce[1:])
    assert all(op.out_shape[2:] == op.in_shapes[0][2:] for op in reduce)


@shows(
    "blog/1x1-reduces-cost",
    "true",
    "387,072",
    "303.5",
    "163,328",
    "128.0",
    "3,881",
    "1,104",
)
@shows("blog/faster-and-better", "half")
def test_reduction_makes_module_3a_cheaper():
    assert (naive_weights_of("3a"), weights_of("3a")) == (387_072, 163_328)
    built = sum(
        parameter.numel()
        for parameter in NaiveModule(192, TABLE_1["3a"]).parameters()
        if parameter.dim() > 1
    )
    assert built == naive_weights_of("3a")
    assert round(macs_of("3a", naive_weights_of) / 1e6, 1) == 303.5
    assert round(macs_of("3a") / 1e6, 1) == 128.0
    naive = sum(macs_of(module, naive_weights_of) for module in MODULES)
    assert round(naive / 1e6) == 3881
    assert round(sum(macs_of(module) for module in MODULES) / 1e6) == 1104


@shows("blog/1x1-only-projects", "half")
@shows("common/linear-reductions", "wrong")
def test_every_1x1_is_followed_by_a_relu():
    ops = traced("googlenet").ops
    ones = [op for op in ops if op.kind == "conv" and op.kernel == (1, 1)]
    followed = {op.inputs[0] for op in ops if op.kind == "relu"}
    assert len(ones) == 9 * 4 + 1
    assert all(op.index in followed for op in ones)


@shows("common/equal-channels", "wrong")
def test_branches_need_equal_grids_not_equal_channels():
    assert len({TABLE_1["3a"][name] for name in ("1x1", "3x3", "5x5")}) == 3
    image = torch.rand(1, 4, 8, 8)
    assert Branches({"a": ConvUnit(4, 1, 1), "b": ConvUnit(4, 9, 3)})(image).shape == (
        (1, 10, 8, 8)
    )
    with pytest.raises(ValueError, match="different grids"):
        Branches({"a": ConvUnit(4, 1, 1), "b": ConvUnit(4, 1, 3, padding="valid")})(
            image
        )


@shows("common/googlenet-bn", "wrong")
def test_googlenet_has_lrn_and_no_batch_norm():
    kinds = [type(module) for module in network("googlenet").modules()]
    assert kinds.count(nn.LocalResponseNorm) == 2
    assert nn.BatchNorm2d not in kinds


@shows("common/googlenet-5m", "wrong", "6,990,272", "5.97", "6,998,552", "13.4")
def test_googlenet_has_seven_million_weights():
    assert weights("googlenet") == 6_990_272
    assert weights("googlenet") - 1024 * 1000 == 5_966_272
    assert traced("googlenet").params == 6_998_552
    assert value("rethinking/section-1/googlenet/parameters") == 5


@shows("common/12x-fewer", "wrong", "60 million", "6.99", "8.6")
def test_alexnet_has_8_6_times_the_parameters():
    alexnet = value("alexnet/abstract/alexnet/parameters") * 1e6
    assert alexnet == 60e6
    claimed = value("going-deeper/section-1/googlenet/parameters-against-alexnet")
    assert round(alexnet / weights("googlenet"), 1) == 8.6
    assert claimed == 12


@shows("common/torchvision-googlenet", "wrong", "0.2", "6,624,904")
def test_torchvision_has_3x3_where_the_paper_has_5x5():
    def kernels(**options):
        return {op.kernel for op in convolutions("googlenet", **options)}

    assert (5, 5) in kernels()
    assert (5, 5) not in kernels(layout="torchvision")
    assert traced("googlenet", layout="torchvision").params == 6_624_904


@shows("going-deeper/first-layer", "half", "9,408", "118.0", "2,712", "34.0")
def test_table_1_prints_a_separable_first_layer():
    full, separable = 7 * 7 * 3 * 64, 7 * 7 * 3 * 8 + 24 * 64
    printed = value("going-deeper/table-1/conv1/params")
    assert round(separable / 1000, 1) == printed == 2.7
    assert round(separable * 112**2 / 1e6) == value("going-deeper/table-1/conv1/ops")
    first = convolutions("googlenet")[0]
    assert first.macs == full * 112**2 == 118_013_952


@shows("going-deeper/4c-params", "wrong", "509,440", "497.5", "7 %", "100")
@shows("going-deeper/4d-params", "wrong", "604,672", "590.5", "1.8 %")
@shows("going-deeper/5a-row", "wrong", "1,042,432", "1018", "51.1")
@shows("going-deeper/5b-params", "wrong", "1,442,816", "1409", "1.5 %")
def test_table_1_misprints_4c_4d_5a_and_5b():
    def printed(module, column):
        return value(f"going-deeper/table-1/{module}/{column}")

    # Everything that is 1 % or more off its own printed widths.
    params = {
        module: round(weights_of(module) / 1024)
        for module in MODULES
        if abs(weights_of(module) / 1024 / printed(module, "params") - 1) > 0.01
    }
    ops = {
        module: round(macs_of(module) / 1e6, 1)
        for module in MODULES
        if abs(macs_of(module) / 1e6 / printed(module, "ops") - 1) > 0.01
    }
    assert params == {"4c": 498, "4d": 590, "5a": 1018, "5b": 1409}
    assert ops == {"5a": 51.1}
    assert [printed(m, "params") for m in params] == [463, 580, 1072, 1388]


@shows("going-deeper/budget", "half", "1.58", "1.50")
def test_the_budget_holds_with_a_separable_first_layer():
    full = traced("googlenet").macs
    separable = full - 118_013_952 + 34_019_328
    assert round(full / 1e9, 2) == 1.58
    assert round(separable / 1e9, 2) == 1.50
    assert value("going-deeper/section-1/googlenet/computational-budget") == 1.5


def vgg_convolutions():
    """VGG-16 up to its linear layers (configuration D)."""
    steps, inputs = [], 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            steps += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        steps.append(nn.MaxPool2d(2))
    return nn.Sequential(*steps)


@shows("going-deeper/faster", "unsettled", "9.8 times", "1.2 times", "28.4", "30.2")
def test_googlenet_is_faster_than_vgg_by_less_than_its_macs():
    macs = "torchvision/torchvision-models/{}/macs-counted"
    errors = {
        name: 100 - value(f"torchvision/imagenet1k-v1/{name}/top-1-accuracy")
        for name in ("googlenet", "vgg-16", "resnet-18")
    }
    assert round(errors["vgg-16"], 1) == 28.4
    assert round(errors["googlenet"], 1) == 30.2
    assert abs(errors["resnet-18"] - errors["googlenet"]) < 0.05
    ours = traced("googlenet", layout="torchvision").macs
    assert round(value(macs.format("resnet-18")) / ours, 1) == 1.2
    fewer = value(macs.format("vgg-16")) / traced("googlenet").macs
    assert round(fewer, 1) == 9.8

    models = {"vgg": vgg_convolutions(), "googlenet": network("googlenet")}
    shape = (1, 3, 224, 224)
    times = latency(models, shape, rounds=2, warm_up=1, threads=1)
    assert 1.2 < times["vgg"].best / times["googlenet"].best < fewer
