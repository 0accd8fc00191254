"""The kernels explorer against gradients and traces of real networks."""

from math import floor, sqrt
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
    padding = options.pop("padding", (height // 2, width // 2))
    return nn.Conv2d(
        channels, channels, (height, width), padding=padding, bias=False, **options
    )


def below_and_right(channels):
    return [nn.ZeroPad2d((0, 1, 0, 1)), conv(channels, 2, 2, padding=0)]


def above_and_left(channels):
    return [nn.ZeroPad2d((1, 0, 1, 0)), conv(channels, 2, 2, padding=0)]


def network(plan, c):
    """The plan as torch has it, `c` channels wide."""
    for n in (3, 5, 7):
        if plan == f"{n}x{n}":
            return conv(c, n, n)
        if plan == f"1x{n} then {n}x1":
            return nn.Sequential(conv(c, 1, n), conv(c, n, 1))
        if plan == f"1x{n} beside {n}x1":
            return Branches({"flat": conv(c, 1, n), "standing": conv(c, n, 1)})
    return {
        "two 2x2": lambda: nn.Sequential(*below_and_right(c), *above_and_left(c)),
        "two 3x3": lambda: nn.Sequential(conv(c, 3, 3), conv(c, 3, 3)),
        "three 3x3": lambda: nn.Sequential(*(conv(c, 3, 3) for _ in range(3))),
        "3x3 dilated": lambda: conv(c, 3, 3, padding=2, dilation=2),
    }[plan]()


def gradient(net, channels, row, column, back=None):
    """`(channels, 17, 17)`: how each input pulls at one output pixel."""
    x = torch.ones(1, channels, SIDE, SIDE, requires_grad=True)
    at_pixel = net(x)[0, :, row, column]
    assert net(x).shape[2:] == (SIDE, SIDE)
    at_pixel.backward(torch.ones_like(at_pixel) if back is None else back(at_pixel))
    return x.grad[0]


plans = st.sampled_from(list(kernels.PLANS))
places = st.integers(0, SIDE - 1)


@settings(max_examples=150, deadline=None)
@given(plan=plans, row=places, column=places)
def test_paths_are_the_gradient_of_a_network_of_ones(plan, row, column):
    net = network(plan, 1)
    for weight in net.parameters():
        nn.init.ones_(weight)
    measured = gradient(net, 1, row, column)[0]
    counted = torch.zeros(SIDE, SIDE)
    for pixel, count in kernels.paths(plan, row, column).items():
        counted[pixel] = count
    assert torch.equal(measured, counted)


@pytest.mark.parametrize("plan", ["two 3x3", "three 3x3", "1x5 beside 5x1", "two 2x2"])
def test_random_weights_pull_as_the_square_root_of_the_paths(plan):
    """Root mean square over 60 networks of 16 channels, independent weights."""
    torch.manual_seed(0)
    channels, total = 16, torch.zeros(SIDE, SIDE)
    for _ in range(60):
        net = network(plan, channels)
        for weight in net.parameters():
            nn.init.normal_(weight)
        total += gradient(net, channels, 8, 8, torch.randn_like).square().mean(0)
    middle = total[8, 8].sqrt()
    counts = kernels.paths(plan, 8, 8)
    most = kernels.influence(counts[8, 8], "random")
    assert {tuple(pixel) for pixel in total.nonzero().tolist()} == set(counts)
    for pixel, count in counts.items():
        expected = kernels.influence(count, "random") / most
        assert total[pixel].sqrt() / middle == pytest.approx(expected, rel=0.2)
    assert kernels.influence(49, "random") == sqrt(49)


@pytest.mark.parametrize("plan", kernels.PLANS)
@pytest.mark.parametrize("channels", [8, 192])
def test_weights_macs_and_span_are_those_of_a_trace(plan, channels):
    with torch.device("meta"):
        trace = ie.trace(network(plan, channels), (1, channels, SIDE, SIDE))
    assert kernels.weights_of(plan, channels) == trace.params
    assert trace.ops[-1].receptive_field == (kernels.PLANS[plan].side,) * 2
    summary = kernels.draw(START | {"plan": plan, "channels": channels}).summary
    assert f" {trace.params:,} weights, {short(trace.macs)} MACs" in summary


# Rethinking, sections 3.1 and 3.2: 28 %, 11 %, 33 %, and 1 - 2/n by arithmetic.
@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("two 3x3", "28.0 % less than a 5x5"),
        ("two 2x2", "11.1 % less than a 3x3"),
        ("1x3 then 3x1", "33.3 % less than a 3x3"),
        ("1x5 then 5x1", "60.0 % less than a 5x5"),
        ("1x7 then 7x1", "71.4 % less than a 7x7"),
        ("1x7 beside 7x1", "85.7 % less than a 7x7 with as many outputs"),
        ("three 3x3", "44.9 % less than a 7x7"),
        ("5x5", "2.78 times a 3x3"),
        ("7x7", "5.44 times a 3x3"),
    ],
)
def test_the_savings_are_the_papers(plan, words):
    for channels in (8, 512):
        summary = kernels.draw(START | {"plan": plan, "channels": channels}).summary
        assert summary.endswith(f"{words}.")


def test_side_by_side_sees_a_cross_and_no_square():
    for n in (3, 5, 7):
        cross = kernels.draw(START | {"plan": f"1x{n} beside {n}x1"})
        assert f"sees a cross, {2 * n - 1} pixels of {n}x{n};" in cross.summary
        assert cross.summary.endswith("with as many outputs.")
        square = kernels.draw(START | {"plan": f"1x{n} then {n}x1"})
        assert f"sees {n}x{n} = {n * n} pixels;" in square.summary


def test_the_field_is_cut_at_the_border_and_the_lost_paths_are_counted():
    corner = START | {"row": 1, "column": 1}
    single = kernels.draw(corner | {"plan": "3x3"})
    assert "3x3 at (1, 1) sees 3x3 = 9 pixels, 5 of them padding;" in single.summary
    assert "5 of 9 paths are lost in the padding." in single.svg
    # Two 3x3 in a corner, along one axis: 1 path to the pixel two away, 2 to its
    # neighbor, 2 to itself, as the way out through the padding is closed: 5 of 9.
    stacked = kernels.draw(corner)
    assert (
        "Two 3x3 at (1, 1) see 5x5 = 25 pixels, 16 of them padding;" in stacked.summary
    )
    assert "56 of 81 paths are lost in the padding." in stacked.svg


def test_a_pixel_is_chosen_on_the_input_or_on_the_output():
    root = ElementTree.fromstring(kernels.draw(START).svg)
    grids = [e.get("data-grid") for e in root.iter() if e.get("data-grid")]
    assert grids == 2 * ["row;column;17"]


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


@settings(max_examples=60, deadline=None)
@given(
    plan=plans, row=places, column=places, weights=st.sampled_from(["equal", "random"])
)
def test_the_picture_shows_every_pixel_that_counts(plan, row, column, weights):
    state = START | {"plan": plan, "weights": weights}
    state |= {"row": row + 1, "column": column + 1}
    net = network(plan, 1)
    for weight in net.parameters():
        nn.init.ones_(weight)
    alive = {tuple(p) for p in gradient(net, 1, row, column)[0].nonzero().tolist()}
    on_grid, theoretical, effective = drawn(kernels.draw(state).svg)
    assert {pixel for pixel, shade in on_grid.items() if shade} == alive
    for enlarged in (theoretical, effective):
        assert all(0 <= y < 7 and 0 <= x < 7 for y, x in enlarged)
        moved = {(y + row - 3, x + column - 3): s for (y, x), s in enlarged.items()}
        assert {pixel for pixel, shade in moved.items() if shade} == alive
    outside = {pixel for pixel, shade in on_grid.items() if not shade}
    assert all(not (0 <= y < SIDE and 0 <= x < SIDE) for y, x in outside)


@pytest.mark.parametrize("plan", kernels.PLANS)
def test_the_sum_is_what_a_network_of_ones_makes_of_the_input(plan):
    net = network(plan, 1)
    for weight in net.parameters():
        nn.init.ones_(weight)
    x = torch.tensor(kernels.PIXELS, dtype=torch.float32)
    assert kernels.sums(plan) == net(x[None, None])[0].int().tolist()


def test_the_output_is_filled_up_to_the_position():
    svg = kernels.draw(START | {"row": 2, "column": 3}).svg
    assert "position 20 of 289" in svg
    assert f">{kernels.sums('two 3x3')[0][1][2]}</text>" in svg
