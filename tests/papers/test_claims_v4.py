"""The claims that lessons 5 to 7 judge, each measured on the networks."""

from measure import convolutions, longest_path, network, shows, traced, value

from inception_edu.networks.layers import Branches

ASYMMETRIC = {(1, 3), (3, 1), (1, 7), (7, 1)}


def stages(name, part):
    """The stages whose names hold `part`, in order."""
    return [stage for key, stage in network(name).stages() if part in key]


def shapes(module):
    """The weight shapes of a module: equal for identical modules."""
    return [tuple(p.shape) for p in module.parameters()]


def before_first_module(name):
    """The convolutions of the stem, by the grid they end on: above 35."""
    return [op for op in convolutions(name) if op.out_shape[2] > 35]


@shows("blog/v4-premise", "true")
@shows("blog/v4-same-filters", "wrong", "128", "384")
def test_uniform_means_identical_modules_on_a_grid():
    for letter, count in (("a", 4), ("b", 7), ("c", 3)):
        modules = stages("inception_v4", f"inception_{letter}")
        assert len(modules) == count
        assert all(shapes(module) == shapes(modules[0]) for module in modules)
    widths = {shape[0] for shape in shapes(modules[0]) if len(shape) == 4}
    assert len(widths) > 1


@shows("blog/v4-v1-to-v3-too-complicated", "half")
def test_modules_of_v3_differ_on_a_grid():
    modules = stages("inception_v3", "mixed_5")
    assert len({str(shapes(module)) for module in modules}) == 3


@shows("blog/v4-more-modules", "half", "12.25", "5.71", "21.2", "20.0 %")
def test_v4_has_14_modules_where_v3_has_9():
    assert len(stages("inception_v4", "inception_")) == 14
    v3 = stages("inception_v3", "mixed_")
    reductions = stages("inception_v3", "mixed_6a") + stages("inception_v3", "mixed_7a")
    assert len(v3) - len(reductions) == 9


@shows("blog/v4-simple-and-more", "half", "1.2", "2.1")
def test_v4_is_better_and_twice_as_dear():
    error = {
        name: value(f"inception-v4/table-2/{name}/top-1-error")
        for name in ("inception-v3", "inception-v4")
    }
    assert round(error["inception-v3"] - error["inception-v4"], 1) == 1.2
    ratio = traced("inception_v4").macs / traced("inception_v3").macs
    assert round(ratio, 1) == 2.1


@shows("blog/v4-stem-changed", "true", "384", "192")
@shows("blog/v4-stem-is", "true", "299", "384")
@shows("blog/v4-stem-2", "half", "192")
def test_the_stem_of_v4_branches_three_times():
    def concatenations(name):
        return [
            op.out_shape[1:]
            for op in traced(name).ops
            if op.kind == "cat" and op.out_shape[2] >= 35
        ]

    assert concatenations("inception_v4")[:3] == [
        (160, 73, 73),
        (192, 71, 71),
        (384, 35, 35),
    ]
    # In v3 the first concatenation is the first module's.
    assert concatenations("inception_v3")[0] == (256, 35, 35)
    first = next(iter(network("inception_v3").stages()))[1]
    assert not isinstance(first, Branches)


@shows("blog/v4-three-types", "true")
def test_a_b_and_c_follow_figures_5_6_and_7():
    def kernels(part):
        module = stages("inception_v4", part)[0]
        return {shape[2:] for shape in shapes(module) if len(shape) == 4}

    assert kernels("inception_a") == {(1, 1), (3, 3)}
    assert kernels("inception_b") == {(1, 1), (1, 7), (7, 1)}
    assert kernels("inception_c") == {(1, 1), (1, 3), (3, 1)}


@shows("blog/v4-stem-1", "half")
def test_the_first_three_convolutions_are_those_of_one_v2_only():
    def first_three(name):
        return [
            (op.kernel, op.stride, op.out_shape[1]) for op in convolutions(name)[:3]
        ]

    ours = [((3, 3), (2, 2), 32), ((3, 3), (1, 1), 32), ((3, 3), (1, 1), 64)]
    for name in ("inception_v4", "inception_v3", "inception_resnet_v1"):
        assert first_three(name) == ours
    assert first_three("bn_inception")[0] == ((7, 7), (2, 2), 64)


@shows("blog/v4-stem-3", "wrong")
def test_only_v4_has_asymmetric_convolutions_in_its_stem():
    def kernels(name):
        return {op.kernel for op in before_first_module(name)}

    assert kernels("inception_v4") & ASYMMETRIC == {(1, 7), (7, 1)}
    assert not kernels("inception_v3") & ASYMMETRIC
    assert not kernels("bn_inception") & ASYMMETRIC


@shows("inception-v4/stem-stride", "wrong")
def test_the_last_stem_convolution_has_stride_2():
    ends = [op for op in convolutions("inception_v4") if op.in_shapes[0][2] == 71]
    assert [(op.stride, op.out_shape[1:]) for op in ends] == [((2, 2), (192, 35, 35))]


@shows("common/v4-has-residuals", "wrong")
def test_v4_has_no_residual_connection():
    assert not [op for op in traced("inception_v4").ops if op.kind == "add"]
    assert longest_path(traced("inception_v4")) == 76
    assert [op for op in traced("inception_resnet_v1").ops if op.kind == "add"]


@shows("common/irv2-paper", "wrong", "55.8", "32.4")
def test_the_released_inception_resnet_v2_is_not_the_papers():
    released = traced("inception_resnet_v2").params
    paper = traced("inception_resnet_v2", layout="paper").params
    assert (released, paper) == (55_843_464, 32_433_928)


@shows("inception-v4/1154", "wrong", "384", "1152", "1088")
@shows("inception-v4/2048", "wrong", "1152", "2144", "2080")
def test_printed_widths_of_inception_resnet_v2_are_no_sums():
    _, _, m, n = (
        int(value(f"inception-v4/table-1/inception-resnet-v2/{letter}"))
        for letter in "klmn"
    )
    assert 384 + m + n == 1152 != 1154
    assert 1152 + 384 + 288 + 320 == 2144 != 2048
    widths = {
        op.out_shape[1]
        for op in traced("inception_resnet_v2", layout="paper").ops
        if op.kind == "add"
    }
    assert widths == {384, 1152, 2144}


@shows("inception-v4/same-cost", "half", "13.16", "12.25", "7 %", "9.26", "24 %")
def test_cost_of_inception_resnet_v2_beside_v4():
    v4 = traced("inception_v4").macs
    released = traced("inception_resnet_v2").macs
    paper = traced("inception_resnet_v2", layout="paper").macs
    assert round(100 * (released / v4 - 1)) == 7
    assert round(100 * (paper / v4 - 1)) == -24
