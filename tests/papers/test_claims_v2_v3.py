"""The claims that lessons 3 and 4 judge, each measured on the networks."""

import math

import pytest
import torch
from measure import convolutions, longest_path, network, shows, traced, value, weights
from torch import nn
from torch.nn import functional as F

ASYMMETRIC = {(1, 3), (3, 1), (1, 7), (7, 1)}


@shows("blog/v2-5x5", "true", "28 %")
def test_two_3x3_for_one_5x5_save_28_percent():
    assert round(1 - 2 * 9 / 25, 9) == 0.28
    assert value("rethinking/section-3-1/factorization/5x5-as-two-3x3-saving") == 28
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 4] = 1
    ones = torch.ones(1, 1, 3, 3)
    seen = F.conv2d(F.conv2d(image, ones, padding=1), ones, padding=1) > 0
    assert int(seen.sum()) == 25


@shows("blog/v2-split-filters", "true", "33 %", "71 %")
def test_one_by_n_and_n_by_one_save_one_minus_two_over_n():
    for n, saved in ((3, 33.3), (5, 60.0), (7, 71.4)):
        square, pair = n * n, n + n
        assert round(100 * (1 - pair / square), 1) == saved
        assert 1 - pair / square == pytest.approx(1 - 2 / n)


@shows("blog/v2-try-out", "half", "grids of 12 to 20")
@shows("common/asymmetric-everywhere", "wrong", "grids of 12 to 20")
def test_asymmetric_modules_stand_on_the_middle_grid():
    grids = {
        op.out_shape[2]
        for op in convolutions("inception_v3")
        if op.kernel in ASYMMETRIC
    }
    assert grids == {17, 8}


@shows("blog/v2-concatenates", "half")
def test_side_by_side_is_not_a_factorization():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1
    row, column = torch.ones(1, 1, 1, 3), torch.ones(1, 1, 3, 1)

    def across(x):
        return F.conv2d(x, row, padding=(0, 1))

    def down(x):
        return F.conv2d(x, column, padding=(1, 0))

    assert int((down(across(image)) > 0).sum()) == 9
    side_by_side = torch.cat([across(image), down(image)], 1).sum(1)
    assert int((side_by_side > 0).sum()) == 5
    parallel = {
        op.out_shape[2]
        for op in convolutions("inception_v3")
        if op.kernel in {(1, 3), (3, 1)}
    }
    assert parallel == {8}


@shows("blog/v2-30-percent", "wrong", "28 %", "33 %", "71 %", "30 %")
def test_no_factorization_saves_30_percent():
    savings = {1 - 2 * 9 / 25, 1 - 2 / 3, 1 - 2 * 4 / 9, 1 - 2 / 5, 1 - 2 / 7}
    assert all(abs(saving - 0.30) > 0.015 for saving in savings)


@shows("blog/v2-bigger-operations", "wrong", "2.78")
def test_larger_kernels_cost_more():
    ratio = value("rethinking/section-3-1/factorization/5x5-against-3x3-cost")
    assert round(25 / 9, 2) == ratio == 2.78


@shows("blog/v2-larger-kernels", "half")
def test_v3_has_no_square_kernel_above_5x5():
    kernels = {op.kernel for op in convolutions("inception_v3")}
    assert max(h for h, w in kernels if h == w) == 5


@shows("common/v3-no-5x5", "wrong", "three, 48 to 64 channels", "35x35")
def test_the_released_v3_has_three_5x5():
    five = [op for op in convolutions("inception_v3") if op.kernel == (5, 5)]
    assert len(five) == 3
    assert {(op.in_shapes[0][1], op.out_shape[1]) for op in five} == {(48, 64)}
    assert {op.out_shape[2] for op in five} == {35}


@shows("blog/v3-no-one-hot", "true", "0.9", "0.1")
@shows("blog/v3-small-e", "half", "0.1", "0.9001", "0.0001", "1000")
@shows("common/smoothing-e", "half", "0.1", "0.0001", "1000")
def test_smoothing_gives_the_true_class_a_share_too():
    targets = 0.9 * F.one_hot(torch.tensor([3]), 1000).double() + 0.1 / 1000
    assert sorted(set(targets.flatten().tolist())) == pytest.approx([0.0001, 0.9001])
    logits = torch.randn(1, 1000, generator=torch.Generator().manual_seed(0)).double()
    ours = -(targets * logits.log_softmax(1)).sum()
    torchs = F.cross_entropy(logits, torch.tensor([3]), label_smoothing=0.1)
    assert ours.item() == pytest.approx(torchs.item(), abs=1e-9)
    floor = -(0.9001 * math.log(0.9001) + 999 * 0.0001 * math.log(0.0001))
    assert round(floor, 4) == 1.0148


@shows("blog/v3-bn-auxiliary", "wrong")
def test_bn_auxiliary_is_on_the_head_and_on_no_classifier():
    model = network("inception_v3", aux=True)
    (head,) = model.aux_heads.values()
    norms = [m for m in head.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [norm.num_features for norm in norms] == [128, 768]
    for classifier in (head.fc, model.fc):
        assert isinstance(classifier, nn.Linear)
    assert not any(isinstance(m, nn.BatchNorm1d) for m in model.modules())
    without = network("inception_v3", aux=True, bn_aux=False)
    (head,) = without.aux_heads.values()
    norms = [m for m in head.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [norm.num_features for norm in norms] == [128]


@shows("common/factorized-7x7", "wrong")
@shows("common/two-3x3-for-7x7", "wrong", "7x7", "11x11")
def test_factorized_7x7_is_the_stem():
    released, seven = (
        convolutions("inception_v3"),
        convolutions("inception_v3", stem="7x7"),
    )
    assert [op.kernel for op in released[:3]] == [(3, 3)] * 3
    assert seven[0].kernel == (7, 7)
    # Everything behind the first pool is the same: 1x7 and 7x1 are in both.
    assert [op.kernel for op in released[3:]] == [op.kernel for op in seven[1:]]
    # At stride 1 it takes three 3x3 to see seven pixels; here the first has 2.
    assert 1 + 3 * (3 - 1) == 7
    assert [op.stride for op in released[:3]] == [(2, 2), (1, 1), (1, 1)]
    assert released[2].receptive_field == (1 + 2 + 2 * 2 + 2 * 2,) * 2 == (11, 11)


@shows("common/slim-v2", "wrong", "224")
def test_bn_inception_has_no_asymmetric_convolution():
    convs = convolutions("bn_inception")
    assert convs[0].kernel == (7, 7)
    assert not ASYMMETRIC & {op.kernel for op in convs}


@shows("batch-normalization/parameters", "wrong", "11.26")
@shows("batch-normalization/25-percent", "wrong", "61 %", "11.26", "6.98")
def test_bn_inception_has_11_million_weights():
    literal = weights("bn_inception", pool_proj_4cd=128, separable_stem=True)
    googlenet = 6_990_272 - 9_408 + 2_712  # with the first layer of its table 1
    assert literal == 11_257_496
    assert round(100 * (literal / googlenet - 1)) == 61
    assert value("batch-normalization/section-4-2/bn-inception/parameters") == 13.6


@shows("batch-normalization/30-percent", "true", "30.0 %")
def test_bn_inception_costs_30_percent_more():
    literal = traced("bn_inception", pool_proj_4cd=128, separable_stem=True).macs
    googlenet = traced("googlenet").macs - 118_013_952 + 34_019_328
    assert round(100 * (literal / googlenet - 1), 1) == 30.0


@shows("batch-normalization/576", "wrong", "608", "576")
def test_figure_5_prints_widths_that_do_not_add_up():
    for module in ("4c", "4d"):
        key = f"batch-normalization/figure-5/{module}"
        columns = ("1x1", "3x3", "double-3x3", "pool-proj")
        assert sum(value(f"{key}/{column}") for column in columns) == 608
        assert value(f"{key}/output-channels") == 576


@shows("rethinking/cost", "wrong", "5.71", "6.30", "4.8")
def test_v3_costs_5_7_not_4_8():
    assert traced("inception_v3").macs == 5_713_216_096
    assert round(traced("inception_v3", layout="table1").macs / 1e9, 2) == 6.30
    assert value("rethinking/table-3/inception-v2-bn-auxiliary/cost") == 4.8


@shows("common/pool-first", "half")
@shows("rethinking/3-times", "half", "4.24", "four times")
def test_grid_reduction_in_parallel_costs_half():
    k, n, d = 320, 640, 35
    small = (d - 1) // 2
    pool_first = 9 * k * n * small**2
    convolve_first = 9 * k * n * d**2
    parallel = 9 * k * (n - k) * small**2  # the other channels come from the pool
    assert parallel * 2 == pool_first
    assert round(convolve_first / pool_first, 2) == 4.24
    assert round(d**2 / (d / 2) ** 2) == 4


@shows("common/v3-48-layers", "half")
def test_the_longest_path_of_v3_has_48_layers():
    assert longest_path(traced("inception_v3")) == 48
    assert value("rethinking/section-6/inception-v2/depth") == 42
