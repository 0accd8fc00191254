"""Charts: titles, units, labels, and numbers that come back from the figure."""

from functools import cache

import numpy
import pytest
import torch
from matplotlib.text import Text

from inception_edu.figures import charts
from inception_edu.figures.notebook import png_of
from inception_edu.figures.theme import PALETTE

RESULTS = {
    "3x3 only": {"10-15": (0.70, 0.03), "16-23": (0.92, 0.01)},
    "naive": {"10-15": (0.77, 0.02), "16-23": (0.93, 0.01)},
    "reduced": {"10-15": (0.79, 0.02), "16-23": (0.94, 0.01)},
}
IMAGES = numpy.random.default_rng(0).integers(0, 255, (12, 3, 48, 48), numpy.uint8)
NAMES = ["accuracy", "curve", "sheet"]


@cache
def chart(name):
    if name == "accuracy":
        return charts.accuracy_by_scale(RESULTS, chance=0.1)
    if name == "curve":
        return charts.learning_curve({"naive": [2, 1, 0.5], "reduced": [2, 0.9, 0.5]})
    return charts.sample_sheet(torch.tensor(IMAGES), torch.arange(12), range(10, 22))


@pytest.mark.parametrize("name", NAMES)
def test_every_chart_has_title_units_and_readable_type(name):
    figure = chart(name)
    figure.draw_without_rendering()
    assert figure.get_suptitle() or figure.axes[0].get_title("left")
    for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")):
        if text.get_visible() and text.get_text():
            assert text.get_fontsize() >= 12
    if name != "sheet":
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
        assert len(png_of(figure)) < 45_000


@pytest.mark.parametrize("name", NAMES)
def test_labels_neither_meet_nor_leave_the_picture(name):
    figure = chart(name)
    figure.draw_without_rendering()
    boxes = []
    for axes in figure.axes:
        for text in (*axes.texts, axes.title, axes._left_title):
            if text.get_text() and text.get_visible():
                # Not the extent of an annotation, which holds its leader line.
                text.get_window_extent()  # puts it in its place
                boxes.append((text.get_text(), Text.get_window_extent(text)))
    for place, (name, box) in enumerate(boxes):
        assert box.y1 <= figure.bbox.height + 1 and box.y0 >= -1, name
        assert box.x1 <= figure.bbox.width + 1, name
        for other, second in boxes[place + 1 :]:
            assert not box.overlaps(second), (name, other)


def test_lines_differ_in_color_and_marker_and_a_kernels_has_its_own():
    lines = chart("accuracy").axes[0].lines
    assert len({line.get_marker() for line in lines}) == len(lines) == 3
    assert len({line.get_color() for line in lines}) == 3
    assert lines[0].get_color() == PALETTE["3x3"]
    assert lines[1].get_color() not in PALETTE.values()


def test_a_line_that_diverged_has_its_name_where_it_ended():
    nan = float("nan")
    figure = charts.learning_curve(
        {"fast": [2.0, nan, nan], "slow": [2.0, 1.0, 0.5], "none": [nan]}
    )
    figure.canvas.draw()
    names = {text.get_text(): text.xy for text in figure.axes[0].texts}
    assert names == {"fast": (1, 2.0), "slow": (3, 0.5)}
