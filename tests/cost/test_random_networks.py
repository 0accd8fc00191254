"""Random networks: the trace, `Branches` and `fuse` against torch itself.

A network is drawn as plain data, a list of layers, so that a failure prints one
that can be read and built again: `build(layers)`.
"""

import copy
from math import prod

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import inception_edu as ie
from inception_edu.cost import ShapeError, trace
from inception_edu.networks.layers import Branches, ConvUnit

pytestmark = pytest.mark.usefixtures("one_thread")


KERNELS = st.tuples(st.integers(1, 5), st.integers(1, 5))
ODD = st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5]))
STEPS = st.tuples(st.integers(1, 2), st.integers(1, 2))


@st.composite
def conv(draw, channels, same=False, stride=None):
    """`("conv", in, out, kernel, stride, padding, dilation, groups, bias)`."""
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if channels % g == 0]))
    out = groups * draw(st.integers(1, 4))
    kernel, dilation = draw(ODD if same else KERNELS), draw(STEPS)
    padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    if not same:
        padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    stride = stride or draw(STEPS)
    return (
        "conv",
        channels,
        out,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        draw(st.booleans()),
    )


@st.composite
def pool(draw, same=False, stride=None):
    """`(kind, kernel, stride, padding, ceil_mode)`."""
    kernel = draw(ODD if same else KERNELS)
    padding = tuple(k // 2 for k in kernel)
    if not same:
        padding = tuple(draw(st.integers(0, p)) for p in padding)
    kind = draw(st.sampled_from(["max", "avg"]))
    return (
        kind,
        kernel,
        stride or draw(STEPS),
        padding,
        not same and draw(st.booleans()),
    )


@st.composite
def branches(draw, channels):
    """`("branches", [layers, ...])`, all of one stride, so that the grids agree."""
    stride, table = draw(STEPS), []
    for _ in range(draw(st.integers(2, 3))):
        width, layers = channels, []
        for _ in range(draw(st.integers(0, 1))):
            layers.append(draw(conv(width, same=True, stride=(1, 1))))
            width = layers[-1][2]
        last = draw(st.sampled_from(["conv", "pool"]))
        by = conv(width, True, stride) if last == "conv" else pool(True, stride)
        table.append([*layers, draw(by)])
    return "branches", table


def width_after(layer, channels):
    """Channels that come out of a layer."""
    if layer[0] == "conv":
        return layer[2]
    if layer[0] == "branches":
        ends = []
        for branch in layer[1]:
            width = channels
            for step in branch:
                width = width_after(step, width)
            ends.append(width)
        return sum(ends)
    return channels


@st.composite
def networks(draw, most=4):
    """A list of layers that takes `(N, 4, height, width)`."""
    channels, layers = 4, []
    for _ in range(draw(st.integers(1, most))):
        kinds = [
            conv(channels),
            pool(),
            branches(channels),
            st.just(("norm", channels)),
        ]
        layers.append(draw(st.one_of(kinds)))
        channels = width_after(layers[-1], channels)
    return layers


def build(layers):
    """The drawn layers as a torch module."""
    modules = []
    for kind, *given_ in layers:
        if kind == "conv":
            before, after, kernel, stride, padding, dilation, groups, bias = given_
            modules.append(
                nn.Conv2d(
                    before, after, kernel, stride, padding, dilation, groups, bias
                )
            )
        elif kind == "max":
            kernel, stride, padding, up = given_
            modules.append(nn.MaxPool2d(kernel, stride, padding, ceil_mode=up))
        elif kind == "avg":
            modules.append(nn.AvgPool2d(*given_))
        elif kind == "norm":
            modules.append(nn.BatchNorm2d(*given_))
        else:
            table = {f"branch {i}": build(one) for i, one in enumerate(given_[0])}
            modules.append(Branches(table))
    return nn.Sequential(*modules)


def watched(model, x):
    """`{path: output shape}` of a real forward pass, and the MACs by hand.

    A convolution weight works once for every output pixel of every image.
    """
    shapes, macs = {}, 0

    def note(path):
        def hook(layer, _, output):
            nonlocal macs
            shapes[path] = tuple(output.shape)
            if isinstance(layer, nn.Conv2d):
                macs += layer.weight.numel() * prod(output.shape[2:]) * len(output)

        return hook

    for path, layer in model.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(note(path))
    with torch.no_grad():
        answer = model.eval()(x)
    return answer, shapes, macs


SIZES = st.tuples(st.integers(1, 2), st.just(4), st.integers(3, 40), st.integers(3, 40))


@settings(max_examples=150)
@example(layers=[("max", (4, 1), (2, 1), (0, 0), True)], shape=(1, 4, 3, 3))
@given(layers=networks(), shape=SIZES)
def test_the_trace_agrees_with_a_forward_pass_and_a_count_by_hand(layers, shape):
    """And where torch refuses the shapes, so does the trace, and nowhere else."""
    model = build(layers)
    try:
        answer, shapes, macs = watched(model, torch.zeros(shape))
    except RuntimeError:
        with pytest.raises(ShapeError, match="does not fit"):
            trace(model, shape)
        return
    seen = trace(model, shape)
    assert seen.output_shape == tuple(answer.shape)
    assert {op.path: op.out_shape for op in seen.ops if op.path in shapes} == shapes
    assert seen.macs == macs
    assert seen.params == sum(p.numel() for p in model.parameters())
    assert not seen.unknown


@given(layers=networks(3))
def test_the_receptive_field_is_as_far_as_the_gradient_reaches(layers):
    """From an output pixel in the middle; positive weights, so nothing cancels."""
    layers = [step for step in layers if step[0] != "norm"]
    # The same windows, but an average reads every pixel that it sees.
    averaged = [("avg", *s[1:]) if s[0] == "max" else s for s in layers]
    averaged = [
        ("branches", [[("avg", *s[1:]) if s[0] == "max" else s for s in b] for b in d])
        if kind == "branches"
        else (kind, d, *rest)
        for kind, d, *rest in averaged
    ]
    model = build(averaged).double()
    for weight in model.parameters():
        nn.init.constant_(weight, 1.0)
    height, width = 150, 130
    field = trace(build(layers), (1, 4, height, width)).receptive_field or (1, 1)
    image = torch.ones(1, 4, height, width, dtype=torch.double, requires_grad=True)
    out = model(image)
    row, column = (n // 2 for n in out.shape[2:])
    out[0, :, row, column].sum().backward()
    rows, columns = image.grad.abs().sum((0, 1)).nonzero(as_tuple=True)
    reached = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    assert tuple(map(int, reached)) == field


@given(layers=branches(4), size=SIZES)
def test_branches_are_a_concatenation_written_by_hand(layers, size):
    module = build([layers])[0]
    x = torch.randn(size)
    found, start = module(x), 0
    for steps in module.values():
        part = x
        for step in steps:
            part = step(part)
        assert torch.equal(found[:, start : start + part.shape[1]], part)
        start += part.shape[1]
    assert start == found.shape[1]


# ---- fuse ----------------------------------------------------------------------


@st.composite
def unit(draw, channels, kernels=(1, 1, 1, 3, (1, 7))):
    """`(ConvUnit, (in, out, kernel), options)`: mostly plain 1x1, which are merged."""
    out = draw(st.sampled_from([2, 4, 6, 8]))
    norm = draw(st.sampled_from(["batch", "batch", "none"]))
    kernel = draw(st.sampled_from(kernels))
    return ConvUnit, (channels, out, kernel), {"norm": norm}


@st.composite
def inception_module(draw, channels):
    """A table of branches as the papers have them: `(class, arguments, options)`."""
    table = {}
    for name in "abcd"[: draw(st.integers(2, 4))]:
        steps, width = [], channels
        if draw(st.booleans()):
            pool = draw(st.sampled_from([nn.AvgPool2d, nn.MaxPool2d]))
            options = {}
            if pool is nn.AvgPool2d:
                options["count_include_pad"] = draw(st.booleans())
            steps.append((pool, (3, 1, 1), options))
        for _ in range(draw(st.integers(0 if steps else 1, 2))):
            steps.append(draw(unit(width)))
            width = steps[-1][1][1]
        table[name] = steps
    return table


def built(table):
    return {
        name: [kind(*given_, **options) for kind, given_, options in steps]
        for name, steps in table.items()
    }


def trained(model):
    """Statistics and scales as training leaves them, in eval mode."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, -1.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
    return model.double().eval()


@settings(max_examples=100)
@given(stem=unit(4, (1, 3)), data=st.data(), size=st.integers(3, 12))
def test_a_fused_network_gives_what_the_network_gives(stem, data, size):
    torch.manual_seed(0)
    table = data.draw(inception_module(stem[1][1]))
    model = nn.Sequential(stem[0](*stem[1], **stem[2]), Branches(built(table)))
    model = trained(model)
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(2, 4, size, size + 1, dtype=torch.double)
    expected = model(x)
    fused = ie.fuse(model)
    assert torch.allclose(fused(x), expected, rtol=1e-9, atol=1e-9)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
