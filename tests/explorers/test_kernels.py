"""The kernels explorer against gradients and traces of real networks."""

from math import floor
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inception_edu as ie
from inception_edu.explorers import kernels
from inception_edu.networks.layers import Branches
from inception_edu.text import short

SVG = "{http://www.w3.org/2000/svg}"
SIDE = 17
START = {control.name: control.value for control in kernels.CONTROLS}


def conv(channels, height, width, **options):
    options = {"padding": (height // 2, width // 2), "bias": False} | options
    return nn.Conv2d(channels, channels, (height, width), **options)


def even(channels, *padding):
    return nn.ZeroPad2d(padding), conv(channels, 2, 2, padding=0)


def network(plan, c):
    """The plan as torch has it, `c` channels wide."""
    n, k = int(plan[2]) if plan.startswith("1x") else 0, conv(c, 3, 3)
    if plan in ("3x3", "5x5", "7x7"):
        return conv(c, int(plan[0]), int(plan[0]))
    if "then" in plan:
        return nn.Sequential(conv(c, 1, n), conv(c, n, 1))
    if "beside" in plan:
        return Branches({"flat": conv(c, 1, n), "standing": conv(c, n, 1)})
    return {
        "two 2x2": nn.Sequential(*even(c, 0, 1, 0, 1), *even(c, 1, 0, 1, 0)),
        "two 3x3": nn.Sequential(conv(c, 3, 3), k),
        "three 3x3": nn.Sequential(conv(c, 3, 3), conv(c, 3, 3), k),
        "3x3 dilated": conv(c, 3, 3, padding=2, dilation=2),
    }[plan]


def of_ones(plan):
    net = network(plan, 1)
    for weight in net.parameters():
        nn.init.ones_(weight)
    return net


def gradient(net, channels, row, column, back=torch.ones_like):
    """`(channels, 17, 17)`: how each input pulls at one output pixel."""
    x = torch.ones(1, channels, SIDE, SIDE, requires_grad=True)
    at_pixel = net(x)[0, :, row, column]
    assert net(x).shape[2:] == (SIDE, SIDE)
    at_pixel.backward(back(at_pixel))
    return x.grad[0]


def drawn(svg):
    """Where pixels have the accent's color: `{(row, column): shade}` of each map."""
    pictures = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        paths = [path for path in group if "ink" not in path.get("fill", "ink")]
        if paths:
            pictures.append({})
        for path in paths:
            is_padding = "muted" in path.get("fill")
            for way in path.get("d").strip("M").split("M"):
                column, row = (floor(float(n)) for n in way.split("h")[0].split())
                shade = 0 if is_padding else float(path.get("opacity"))
                pictures[-1][row, column] = shade
    return pictures


@settings(max_examples=100)
@given(
    plan=st.sampled_from(list(kernels.PLANS)),
    row=st.integers(0, SIDE - 1),
    column=st.integers(0, SIDE - 1),
    weights=st.sampled_from(["equal", "random"]),
)
def test_paths_and_picture_are_the_gradient_of_a_network_of_ones(
    plan, row, column, weights
):
    pulls = gradient(of_ones(plan), 1, row, column)[0]
    alive = {tuple(p): int(pulls[tuple(p)]) for p in pulls.nonzero().tolist()}
    assert kernels.paths(plan, row, column) == alive
    state = START | {"plan": plan, "weights": weights}
    svg = kernels.draw(state | {"row": row + 1, "column": column + 1}).svg
    on_grid, theoretical, effective = drawn(svg)
    for enlarged in (theoretical, effective):
        assert all(0 <= y < 7 and 0 <= x < 7 for y, x in enlarged)
        moved = {(y + row - 3, x + column - 3): s for (y, x), s in enlarged.items()}
        assert {pixel for pixel, shade in moved.items() if shade} == set(alive)
    assert {pixel for pixel, shade in on_grid.items() if shade} == set(alive)
    outside = {pixel for pixel, shade in on_grid.items() if not shade}
    assert all(not (0 <= y < SIDE and 0 <= x < SIDE) for y, x in outside)


@pytest.mark.parametrize("plan", ["two 3x3", "1x5 beside 5x1", "two 2x2"])
def test_random_weights_pull_as_the_square_root_of_the_paths(plan):
    """Root mean square over 60 networks of 16 channels, independent weights."""
    torch.manual_seed(0)
    channels, total = 16, torch.zeros(SIDE, SIDE)
    for _ in range(60):
        net = network(plan, channels)
        for weight in net.parameters():
            nn.init.normal_(weight)
        total += gradient(net, channels, 8, 8, torch.randn_like).square().mean(0)
    counts = kernels.paths(plan, 8, 8)
    middle, most = total[8, 8].sqrt(), kernels.influence(counts[8, 8], "random")
    for pixel, count in counts.items():
        expected = kernels.influence(count, "random") / most
        assert total[pixel].sqrt() / middle == pytest.approx(expected, rel=0.2)
    assert kernels.influence(49, "random") == 7


@pytest.mark.parametrize("plan", kernels.PLANS)
def test_weights_macs_span_and_sums_are_those_of_the_network(plan):
    for channels in (8, 192):
        trace = ie.trace(network(plan, channels), (1, channels, SIDE, SIDE))
        assert trace.ops[-1].receptive_field == (kernels.PLANS[plan].side,) * 2
        summary = kernels.draw(START | {"plan": plan, "channels": channels}).summary
        assert f" {trace.params:,} weights, {short(trace.macs)} MACs" in summary
    x = torch.tensor(list(kernels.PIXELS.values()), dtype=torch.float32)
    maps = of_ones(plan)(x.reshape(1, 1, SIDE, SIDE))[0].int().flatten(1).tolist()
    assert [list(values.values()) for values in kernels.sums(plan)] == maps


# Rethinking, sections 3.1 and 3.2: 28 %, 11 %, 33 %, and 1 - 2/n by arithmetic.
@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("two 3x3", "28.0 % less than a 5x5"),
        ("1x3 then 3x1", "33.3 % less than a 3x3"),
        ("1x7 beside 7x1", "85.7 % less than a 7x7 with as many outputs"),
        ("5x5", "2.78 times a 3x3"),
    ],
)
def test_the_savings_are_the_papers(plan, words):
    for channels in (8, 512):
        summary = kernels.draw(START | {"plan": plan, "channels": channels}).summary
        assert summary.endswith(f"{words}.")


@pytest.mark.parametrize(
    ("plan", "place", "words", "remark"),
    [
        ("1x7 beside 7x1", 9, "sees a cross, 13 pixels of 7x7;", "Middle: 2 times"),
        ("3x3 dilated", 9, "sees 9 pixels of 5x5, with gaps;", "equal influence"),
        # Along one axis: 1 path to the pixel two away, 2 to its neighbor, 2 to
        # itself, as the way out through the padding is closed: 5 of 9.
        ("two 3x3", 1, "see 5x5 = 25 pixels, 16 of them padding;", "56 of 81 paths"),
    ],
)
def test_what_is_seen_and_lost_in_words(plan, place, words, remark):
    picture = kernels.draw(START | {"plan": plan, "row": place, "column": place})
    assert f" at ({place}, {place}) {words}" in picture.summary
    assert remark in picture.svg


def test_a_pixel_is_chosen_on_either_grid_and_the_output_is_filled_up_to_it():
    svg = kernels.draw(START | {"row": 2, "column": 3}).svg
    assert svg.count('data-grid="row;column;17"') == 2
    assert "position 20 of 289" in svg
    assert f">{kernels.sums('two 3x3')[0][1, 2]}</text>" in svg
