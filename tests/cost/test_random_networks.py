"""Random networks: the trace and `fuse` against torch itself.

A network is drawn as plain data, a list of layers, so that a failure prints one
that can be read and built again: `build(layers)`.
"""

from math import prod

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import inception_edu as ie
from inception_edu.cost import ShapeError, trace
from inception_edu.networks.layers import Branches

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
    stride, bias = stride or draw(STEPS), draw(st.booleans())
    return "conv", channels, out, kernel, stride, padding, dilation, groups, bias


@st.composite
def pool(draw, same=False, stride=None):
    """`(kind, kernel, stride, padding, ceil_mode)`."""
    kernel = draw(ODD if same else KERNELS)
    padding = tuple(k // 2 for k in kernel)
    if not same:
        padding = tuple(draw(st.integers(0, p)) for p in padding)
    kind, up = draw(st.sampled_from(["max", "avg"])), not same and draw(st.booleans())
    return kind, kernel, stride or draw(STEPS), padding, up


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


def width_after(layers, channels):
    """Channels that come out of a list of layers."""
    for kind, *given_ in layers:
        if kind == "conv":
            channels = given_[1]
        elif kind == "branches":
            channels = sum(width_after(branch, channels) for branch in given_[0])
    return channels


@st.composite
def networks(draw, most=4):
    """A list of layers that takes `(N, 4, height, width)`."""
    channels, layers = 4, []
    for _ in range(draw(st.integers(1, most))):
        kinds = conv(channels), pool(), branches(channels), st.just(("norm", channels))
        layers.append(draw(st.one_of(*kinds)))
        channels = width_after(layers[-1:], channels)
    return layers


LAYERS = {"conv": nn.Conv2d, "avg": nn.AvgPool2d, "norm": nn.BatchNorm2d}


def build(layers):
    """The drawn layers as a torch module."""
    modules = []
    for kind, *given_ in layers:
        if kind == "branches":
            table = {f"branch {i}": build(one) for i, one in enumerate(given_[0])}
            modules.append(Branches(table))
        elif kind == "max":
            modules.append(nn.MaxPool2d(*given_[:3], ceil_mode=given_[3]))
        else:
            modules.append(LAYERS[kind](*given_))
    return nn.Sequential(*modules)


def averaged(layers):
    """The same windows, but an average reads every pixel that it sees; no norms."""
    found = []
    for kind, *given_ in layers:
        if kind == "branches":
            found.append((kind, [averaged(branch) for branch in given_[0]]))
        elif kind != "norm":
            found.append(("avg" if kind == "max" else kind, *given_))
    return found


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
    model = build(averaged(layers)).double()
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


@settings(max_examples=100)
@given(layers=networks(), size=st.integers(8, 20))
def test_a_fused_network_gives_what_the_network_gives(layers, size):
    torch.manual_seed(0)
    model = build([*layers, ("norm", width_after(layers, 4))])
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):  # as training leaves it
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, -1.5, 1.5)
    model, x = model.double().eval(), torch.randn(2, 4, size, size + 1).double()
    try:
        expected = model(x)
    except RuntimeError:  # the grid is too small
        return
    assert torch.allclose(ie.fuse(model)(x), expected, rtol=1e-9, atol=1e-9)
