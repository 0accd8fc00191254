"""The claims that are measured on networks here, for want of a cell that shows them."""

import torch
from measure import network, shows, traced, value, weights

import inception_edu as ie
from inception_edu import papers
from inception_edu.networks.googlenet import TABLE_1, InceptionModule, NaiveModule
from inception_edu.training import results


@shows("blog/choose-best", "wrong")
def test_nothing_is_chosen_every_branch_stays_and_learns():
    torch.manual_seed(0)  # ReLUs may all be dead in a few narrow draws
    module = NaiveModule(6, {"1x1": 13, "3x3": 14, "5x5": 15})
    output = module(torch.randn(2, 6, 8, 8))
    assert output.shape[1] == 13 + 14 + 15 + 6
    output.sum().backward()
    for name in ("1x1", "3x3", "5x5"):
        assert module[name].conv.weight.grad.abs().sum() > 0


@shows("blog/get-the-best-information", "unsettled")
def test_the_paper_gives_no_figure_for_a_single_kernel_network():
    tables = papers.figures().query("paper == 'going-deeper'")
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


@shows("blog/1x1-reduces-cost", "true", "387,072", "303.5", "163,328", "128.0")
@shows("blog/1x1-reduces-cost", "true", "3,881", "1,104")
def test_reduction_makes_modules_cheaper_each_on_its_input_of_table_1():
    channels, macs = 192, {NaiveModule: [], InceptionModule: []}
    for name, widths in TABLE_1.items():
        grid = int(value(f"going-deeper/table-1/{name}/grid"))
        for kind, costs in macs.items():
            module = kind(channels, widths)
            costs.append(ie.trace(module, (1, channels, grid, grid)).macs / 1e6)
        channels = int(value(f"going-deeper/table-1/{name}/output-channels"))
    assert [round(costs[0], 1) for costs in macs.values()] == [303.5, 128.0]
    assert [round(sum(costs)) for costs in macs.values()] == [3881, 1104]


@shows("going-deeper/faster", "unsettled", "9.8 times", "1.2 times", "28.4", "30.2")
def test_googlenet_has_fewer_macs_than_vgg_and_hardly_fewer_than_resnet_18():
    """How much faster it is, lesson 06 measures."""
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


@shows("batch-normalization/parameters", "wrong", "11.26")
@shows("batch-normalization/25-percent", "wrong", "61 %", "11.26", "6.98")
@shows("batch-normalization/30-percent", "true", "30.0 %")
def test_bn_inception_has_11_million_weights_and_costs_30_percent_more():
    """Than GoogLeNet with the separable first layer of its own table 1."""
    printed = {"pool_proj_4cd": 128, "separable_stem": True}
    literal = weights("bn_inception", **printed)
    assert literal == 11_257_496
    assert round(100 * (literal / (6_990_272 - 9_408 + 2_712) - 1)) == 61
    assert value("batch-normalization/section-4-2/bn-inception/parameters") == 13.6
    googlenet = traced("googlenet").macs - 118_013_952 + 34_019_328
    macs = traced("bn_inception", **printed).macs
    assert round(100 * (macs / googlenet - 1), 1) == 30.0


@shows("blog/v4-three-types", "true")
def test_a_b_and_c_follow_figures_5_6_and_7():
    def kernels(stage):
        module = network("inception_v4").get_submodule(stage)
        return {tuple(p.shape[2:]) for p in module.parameters() if p.dim() == 4}

    assert kernels("inception_a1") == {(1, 1), (3, 3)}
    assert kernels("inception_b1") == {(1, 1), (1, 7), (7, 1)}
    assert kernels("inception_c1") == {(1, 1), (1, 3), (3, 1)}


@shows("inception-v4/figure-18", "wrong", "288", "320", "256")
def test_figure_18_shows_the_reduction_of_v2():
    """Figure 18 prints 384, 288 and 320 filters at stride 2."""

    def strided(name, **options):
        stage = network(name, **options).get_submodule("reduction_b")
        return sorted(
            layer.out_channels
            for layer in stage.modules()
            if getattr(layer, "stride", None) == (2, 2)
        )

    assert strided("inception_resnet_v2", layout="paper") == [288, 320, 384]
    assert strided("inception_resnet_v1") == [256, 256, 384]


@shows("inception-v4/accelerates", "true")
def test_the_residual_mini_leads_after_one_epoch_and_is_level_after_three():
    def curves(name):
        runs = results("residual_scaling").query("network == @name").sort_values("seed")
        return runs["by_epoch"].str.split(expand=True).astype(float).to_numpy()

    residual, v4, plain = (curves(n) for n in ("residual", "v4", "no addition"))
    assert len(residual) == len(v4) == len(plain) == 5
    assert (residual[:, 0] > v4[:, 0]).all()
    assert (residual[:, 0] > plain[:, 0]).all()
    assert abs((residual - v4)[:, -1].mean()) < 0.01
