"""The grid reduction explorer against traces of the three real networks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inception_edu as ie
from inception_edu.explorers import grid_reduction
from inception_edu.networks.layers import Branches


def conv(channels, out, kernel, stride):
    """A convolution that ends on the grid of a 3x3/2 pool, or keeps its own."""
    padding = kernel // 2 if stride == 1 else kernel // 2 - 1
    return nn.Conv2d(channels, out, kernel, stride, padding, bias=False)


def networks(state):
    """The three ways as torch has them."""
    channels, out = state["in_channels"], state["out_channels"]
    kernel, pool = state["kernel"], nn.MaxPool2d(3, stride=2)
    return (
        nn.Sequential(pool, conv(channels, out, kernel, 1)),
        nn.Sequential(conv(channels, out, kernel, 1), pool),
        Branches({"conv": conv(channels, out - channels, kernel, 2), "pool": pool}),
    )


states = st.fixed_dictionaries(
    {c.name: st.sampled_from(list(c.values)) for c in grid_reduction.CONTROLS}
)


@settings(max_examples=60)
@given(state=states)
def test_a_state_is_what_a_trace_says_or_is_refused(state):
    if state["out_channels"] <= state["in_channels"]:
        words = f"at most {state['out_channels'] - 16} input channels"
        with pytest.raises(ValueError, match=words):
            grid_reduction.draw(state)
        return
    assert grid_reduction.draw(state).svg.count("bottleneck") == 1
    shape = (1, state["in_channels"], state["grid"], state["grid"])
    ways = grid_reduction.ways(state)
    for way, net in zip(ways, networks(state), strict=True):
        trace = ie.trace(net, shape)
        assert way.macs == trace.macs
        shapes = [shape] + [op.out_shape for op in trace.ops[1:]]
        if way.name == "in parallel":
            shapes = [shape, trace.ops[-1].out_shape]
        assert [(1, k, d, d) for k, d in way.maps] == shapes
        assert way.sizes == [torch.Size(s).numel() for s in shapes]
        assert way.has_bottleneck == (way.name == "pool first")
    pool, convolve, parallel = ways
    assert parallel.macs < pool.macs < convolve.macs


def test_the_parallel_way_needs_channels_to_add():
    explorer = ie.explore.grid_reduction()
    with pytest.raises(ValueError, match="take at least 656 output channels"):
        explorer.values = {"in_channels": 640, "out_channels": 320}
    explorer.values = {"in_channels": 624}
    # 17^2 x 9 x 624 x 16; 16 of 640 channels
    assert explorer.summary.endswith("it is 26.0 M, 2.5 % of pooling first.")
    assert "conv 3x3/2: 16" in explorer.svg
