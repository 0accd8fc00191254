"""The claims that the papers' own tables settle, by arithmetic on what they print."""

from measure import shows, value

from inception_edu import papers


@shows("blog/resnet-deeper", "half", "6.3", "152 layers cost less than the 19")
def test_resnet_grows_deeper_and_dearer_and_stays_below_vgg():
    shallow, deep = (value(f"resnet/table-1/resnet-{n}/cost") for n in (18, 152))
    assert round(deep / shallow, 1) == 6.3
    counted = {
        name: value(f"torchvision/torchvision-models/{name}/macs-counted")
        for name in ("resnet-152", "vgg-19")
    }
    assert counted["resnet-152"] < counted["vgg-19"]


@shows("going-deeper/ensemble-delta", "wrong", "10.07", "6.67", "3.40")
def test_table_3_of_going_deeper_misprints_one_difference():
    base = value("going-deeper/table-3/1-model-1-crop")
    wrong = {}
    for models, crops in ((1, 10), (1, 144), (7, 1), (7, 10), (7, 144)):
        key = (
            f"going-deeper/table-3/{models}-model{'s' if models > 1 else ''}-"
            f"{crops}-crop{'s' if crops > 1 else ''}"
        )
        change = round(value(key) - base, 2)
        if change != value(f"{key}-change"):
            wrong[key] = (change, value(f"{key}-change"))
    assert wrong == {"going-deeper/table-3/7-models-144-crops": (-3.40, -3.45)}


@shows("rethinking/smoothing-gain", "half", "23.1", "22.8", "0.3", "6.3", "6.1", "0.2")
def test_label_smoothing_gains_0_3_and_0_2():
    for top, gain in ((1, 0.3), (5, 0.2)):
        before, after = (
            value(f"rethinking/table-3/inception-v2-{rung}/top-{top}-error")
            for rung in ("rmsprop", "label-smoothing")
        )
        assert round(before - after, 1) == gain
    assert value("rethinking/section-7/inception-v3/label-smoothing-gain") == 0.2


@shows("rethinking/2-5-times", "half", "3.8", "1.5", "4.8", "3.2", "3.6")
def test_2_5_times_googlenet_is_v2_not_v3():
    base = value("rethinking/table-3/googlenet/cost")
    assert round(value("rethinking/table-3/inception-v2/cost") / base, 1) == 2.5
    last = value("rethinking/table-3/inception-v2-bn-auxiliary/cost")
    assert round(last / base, 1) == 3.2


@shows("common/v2-v3-paper", "wrong")
def test_v2_and_v3_are_figures_of_rethinking():
    def named(paper):
        return set(papers.figures().query("paper == @paper")["network"])

    assert {"Inception-v2", "Inception-v3"} <= named("rethinking")
    assert not any("Inception-v" in name for name in named("going-deeper"))
    assert papers.source("going-deeper").where.startswith("arXiv 1409")
    assert papers.source("rethinking").where.startswith("arXiv 1512")


@shows("common/v3-single-3-6", "wrong", "3.58 %", "144", "5.6 %", "4.2 %")
def test_3_58_percent_is_an_ensemble():
    best = papers.figure("rethinking/table-5/inception-v3/top-5-error")
    assert (best.value, best.models, best.crops) == (3.58, 4, 144)
    single = papers.figure("rethinking/table-3/inception-v2-bn-auxiliary/top-5-error")
    assert (single.value, single.models, single.crops) == (5.6, 1, 1)
    assert value("rethinking/table-4/inception-v3-144-crops/top-5-error") == 4.2


@shows("common/9-2-single-crop", "wrong", "9.15 %", "10.07 %")
def test_9_2_percent_is_ten_crops():
    assert value("rethinking/table-3/googlenet/top-5-error") == 9.2
    ten = papers.figure("going-deeper/table-3/1-model-10-crops")
    assert (round(ten.value + 0.001, 1), ten.crops) == (9.2, 10)
    assert value("going-deeper/table-3/1-model-1-crop") == 10.07


@shows("blog/v2-bigger-operations", "wrong", "2.78")
def test_larger_kernels_cost_more():
    ratio = value("rethinking/section-3-1/factorization/5x5-against-3x3-cost")
    assert round(25 / 9, 2) == ratio == 2.78


@shows("rethinking/vgg-3-times", "wrong", "138", "2.3")
def test_vgg_has_2_3_times_the_parameters_of_alexnet():
    vgg = value("vgg/table-2/d-vgg-16/parameters")
    assert round(vgg / value("alexnet/abstract/alexnet/parameters"), 1) == 2.3


@shows("rethinking/vgg-6-8", "wrong", "7.1 %", "6.8 %")
def test_6_8_percent_is_two_vgg_nets():
    assert value("rethinking/table-4/vgg/top-5-error") == 6.8
    assert value("vgg/table-7/1-net-multi-crop-dense/top-5-error") == 7.1
    assert value("vgg/table-7/2-nets-multi-crop-dense/top-5-error") == 6.8


@shows("inception-v4/resnet-151", "wrong", "152")
def test_the_deepest_resnet_has_152_layers():
    assert value("resnet/table-1/resnet-152/cost") == 11.3
    networks = papers.figures().groupby("paper")["network"].agg(set)
    assert "ResNet-151" in networks["inception-v4"]
    assert "ResNet-152" not in networks["inception-v4"]
    assert "ResNet-151" not in networks["resnet"]


@shows("inception-v4/aaai-resnet", "wrong", "21.4", "5.7 %", "21.43", "5.71")
def test_the_aaai_row_of_resnet_is_bn_inceptions():
    aaai, arxiv = (
        [value(f"{paper}/{row}/top-{k}-error") for k in (1, 5)]
        for paper, row in (
            ("inception-v4-aaai", "table-2/resnet"),
            ("inception-v4", "table-3/resnet-151"),
        )
    )
    resnet = [value(f"resnet/table-3/resnet-152/top-{k}-error") for k in (1, 5)]
    assert aaai == [
        value(f"inception-v4/table-2/bn-inception/top-{k}-error") for k in (1, 5)
    ]
    assert [round(error, 1) for error in resnet] == arxiv
