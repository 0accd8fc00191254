"""Numbers as text, axes, bars, legends and labels that do not collide."""

from itertools import pairwise

import pytest

from inception_edu.figures.labels import spread
from inception_edu.figures.plot import Plot, clip, log_ticks, round_up, ticks
from inception_edu.figures.svg import Drawing
from inception_edu.text import dims, number, short, tick, times


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (number, 0.83449, "0.834"),
        (number, 36_393_800_000, "36.4 G"),
        (number, 1.6e12, "1.6 T"),
        (number, -2_500, "-2.5 k"),
        (number, float("nan"), "nan"),
        (tick, 150_000_000, "150 M"),
        (short, 5_330_000_000, "5.33 G"),
        (times, 2633.2, "2,633 times"),
        (dims, (192, 28, 28), "192x28x28"),
    ],
)
def test_a_number_or_shape_is_written_in_few_letters(write, value, text):
    assert write(value) == text


@pytest.mark.parametrize("low, high", [(0, 100), (-4, 16), (0, 0.3), (0, 3.6e10)])
def test_ticks_are_round_evenly_spaced_and_inside(low, high):
    found = ticks(low, high, 5)
    assert 3 <= len(found) <= 11
    assert low <= found[0] and found[-1] <= high
    steps = [b - a for a, b in pairwise(found)]
    assert max(steps) == pytest.approx(min(steps))
    assert f"{steps[0]:.0e}"[0] in "125"


def test_a_logarithmic_axis_has_powers_of_ten_and_steps_between_when_short():
    assert log_ticks(1, 100) == [1, 2, 5, 10, 20, 50, 100]
    assert log_ticks(1e-3, 1e3) == pytest.approx([10.0**p for p in range(-3, 4)])


@pytest.mark.parametrize(
    "value, end", [(0, 1), (1, 1), (1.2, 2), (36.4e9, 50e9), (0.07, 0.1), (700, 1000)]
)
def test_the_end_of_an_axis_is_the_next_round_number(value, end):
    assert round_up(value) == pytest.approx(end)


def test_a_curve_is_cut_where_it_leaves_the_box():
    drawing = Drawing(560, 300)
    plot = Plot(drawing, (50, 20, 400, 200), (1, 100), (0, 10))
    plot.curve([(1, 5), (50, 30), (99, 5)])
    pieces = [points for item in drawing.items for points in item.lines]
    assert len(pieces) == 2
    assert all(20 <= y <= 220 for piece in pieces for _, y in piece)
    assert clip([(0, 0), (10, 0)], (2, -1, 8, 1)) == [[(2, 0), (8, 0)]]
    assert clip([(0, 5), (10, 5)], (2, -1, 8, 1)) == []
    for x, y in ((2, -1), (8, 1)):  # along an edge
        assert clip([(0, y), (10, y)], (2, -1, 8, 1)) == [[(2, y), (8, y)]]
        assert clip([(x, -5), (x, 5)], (2, -1, 8, 1)) == [[(x, -1), (x, 1)]]


def test_spread_places_keep_order_and_distance_and_move_as_little_as_needed():
    assert spread([10, 50], 0, 100, 17) == [10, 50]
    moved = spread([52, 50, 51], 0, 100, 17)
    assert moved[1] < moved[2] < moved[0]
    assert all(b - a >= 17 - 1e-9 for a, b in pairwise(sorted(moved)))
    crowded = spread([99] * 12, 0, 100, 17)
    assert min(crowded) >= -1e-9 and max(crowded) <= 100
