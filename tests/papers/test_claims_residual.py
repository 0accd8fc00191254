"""The claims of lesson 7, on the networks, the papers' tables and stored trainings."""

import torch
from measure import network, shows, traced, value

from inception_edu.networks.inception_resnet import InceptionResNetA
from inception_edu.training import results

TOP_1 = "inception-v4/table-2/{}/top-1-error"


def stored(name, **where):
    """The stored runs of one network, at a scale and a learning rate."""
    runs = results("residual_scaling")
    runs = runs[runs["network"] == name]
    for column, wanted in where.items():
        runs = runs[runs[column] == wanted]
    assert len(runs) >= 3
    return runs


@shows("inception-v4/thin-margin", "half", "19.9", "20.0 %", "21.3", "21.2 %")
def test_the_margin_of_the_residual_networks_is_thin_and_once_negative():
    v3, v4, v1, v2 = (
        value(TOP_1.format(name))
        for name in (
            "inception-v3",
            "inception-v4",
            "inception-resnet-v1",
            "inception-resnet-v2",
        )
    )
    assert round(v4 - v2, 1) == 0.1
    assert round(v3 - v1, 1) == -0.1


@shows("inception-v4/v1-cost", "true", "6.21", "5.71", "9 %")
def test_inception_resnet_v1_costs_nearly_what_v3_costs():
    ratio = traced("inception_resnet_v1").macs / traced("inception_v3").macs
    assert round(100 * (ratio - 1)) == 9


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


@shows("common/scale-on-the-shortcut", "wrong")
def test_a_block_with_a_silent_branch_passes_its_input_on():
    torch.manual_seed(0)
    block = InceptionResNetA(16, (4, 6), scale=0.1).eval()
    torch.nn.init.zeros_(block.up.weight)
    torch.nn.init.zeros_(block.up.bias)
    x = torch.randn(1, 16, 5, 5).relu()
    assert torch.equal(block(x), x)


@shows("common/scaling-accuracy", "wrong", "0.02")
def test_scaling_decides_who_survives_more_than_who_is_better():
    """At the low rate all read well; at the high one the unscaled read nothing."""
    for scale in (1.0, 0.3, 0.2, 0.1):
        low = stored("wide", scale=scale, learning_rate=0.02)
        assert low["accuracy"].mean() > 0.96
    high = {
        scale: stored("wide", scale=scale, learning_rate=0.3)["accuracy"].mean()
        for scale in (1.0, 0.3, 0.2, 0.1)
    }
    assert min(high[scale] for scale in (0.3, 0.2, 0.1)) > 0.85
    assert high[1.0] < 0.5


@shows(
    "inception-v4/dies-above-1000", "unsettled", "0.3", "0.1", "96", "1056", "7 to 66 %"
)
@shows("inception-v4/scaling-stabilizes", "true", "0.3")
def test_unscaled_networks_fail_at_the_highest_rate_and_scaled_ones_do_not():
    right = []
    for name in ("wide", "narrow"):
        failed = stored(name, scale=1.0, learning_rate=0.3)
        right += [round(100 * share) for share in failed["accuracy"]]
        assert failed["accuracy"].mean() < 0.5
        assert failed["dead"].mean() > 0.9
        for rate in (0.02, 0.1):
            assert stored(name, scale=1.0, learning_rate=rate)["accuracy"].min() > 0.9
    assert (min(right), max(right)) == (7, 66)
    for scale in (0.3, 0.2, 0.1):
        scaled = stored("wide", scale=scale, learning_rate=0.3)["accuracy"]
        assert (
            scaled.min()
            > stored("wide", scale=1.0, learning_rate=0.3)["accuracy"].max()
        )


@shows("inception-v4/accelerates", "true")
def test_the_residual_mini_leads_after_one_epoch_and_is_level_after_three():
    def curves(name):
        table = stored(name).sort_values("seed")["by_epoch"].str.split(expand=True)
        return table.astype(float).to_numpy()

    residual, v4, plain = (curves(n) for n in ("residual", "v4", "no addition"))
    assert len(residual) == len(v4) == len(plain) == 5
    assert (residual[:, 0] > v4[:, 0]).all()
    assert (residual[:, 0] > plain[:, 0]).all()
    assert abs((residual - v4)[:, -1].mean()) < 0.01
