"""Charts: titles, units, labels, and numbers that come back from the figure."""

from functools import cache
from types import SimpleNamespace

import numpy
import pytest
import torch
from matplotlib.text import Text

from inception_edu.figures import charts
from inception_edu.figures.notebook import describe, png_of

RESULTS = {
    "3x3 only": {10: (0.70, 0.03), 24: (0.92, 0.01), 40: (0.95, 0.01)},
    "naive": {10: (0.77, 0.02), 24: (0.93, 0.01), 40: (0.951, 0.01)},
    "reduced": {10: (0.79, 0.02), 24: (0.94, 0.01), 40: (0.952, 0.01)},
}


def images(n=12):
    return numpy.random.default_rng(0).integers(0, 255, (n, 3, 48, 48), numpy.uint8)


@cache
def all_charts():
    sheet = charts.sample_sheet(images(), range(12), range(10, 22))
    return {
        "accuracy": charts.accuracy_by_scale(RESULTS, chance=0.1),
        "curve": charts.learning_curve(
            {"naive": [2, 1, 0.5], "reduced": [2, 0.9, 0.5]}
        ),
        "sheet": sheet,
    }


@pytest.mark.parametrize("name", ["accuracy", "curve", "sheet"])
def test_every_chart_has_title_and_readable_type(name):
    figure = all_charts()[name]
    figure.draw_without_rendering()
    titles = [axes.get_title("left") for axes in figure.axes]
    assert figure.get_suptitle() or all(titles)
    for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")):
        if text.get_visible() and text.get_text():
            assert text.get_fontsize() >= 12
    if name != "sheet":
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)


@pytest.mark.parametrize("name", ["accuracy", "curve", "sheet"])
def test_labels_neither_meet_nor_leave_the_picture(name):
    figure = all_charts()[name]
    figure.draw_without_rendering()
    boxes = []
    for axes in figure.axes:
        for text in (*axes.texts, axes.title, axes._left_title):
            if text.get_text() and text.get_visible():
                # Not the extent of an annotation, which holds its leader line.
                text.get_window_extent()  # puts it in its place
                extent = Text.get_window_extent(text)
                boxes.append((text.get_text(), extent))
        if axes.get_legend():
            boxes.append(("legend", axes.get_legend().get_window_extent()))
    for place, (name, box) in enumerate(boxes):
        assert box.y1 <= figure.bbox.height + 1 and box.y0 >= -1, name
        assert box.x1 <= figure.bbox.width + 1, name
        for other, second in boxes[place + 1 :]:
            assert not box.overlaps(second), (name, other)


def test_color_has_a_marker_beside_it():
    lines = charts.accuracy_by_scale(RESULTS).axes[0].lines
    assert len({line.get_marker() for line in lines}) == len(lines) == 3
    assert len({line.get_color() for line in lines}) == 3


def test_a_series_named_after_a_kernel_has_its_color():
    from inception_edu.figures.theme import PALETTE

    lines = charts.accuracy_by_scale(RESULTS).axes[0].lines
    assert lines[0].get_color() == PALETTE["3x3"]
    assert lines[1].get_color() not in PALETTE.values()


def test_histories_and_lists_make_a_curve():
    history = SimpleNamespace(loss=[2.0, 1.0], accuracy=[0.5, 0.75])
    figure = charts.learning_curve(history, twin_digits=2)
    assert len(figure.axes) == 2
    assert "line accuracy: n=2, values 50, 75" in describe(figure)
    assert "values" not in describe(charts.learning_curve([2.0, 1.0]))


def test_a_line_that_diverged_has_its_name_where_it_ended():
    nan = float("nan")
    figure = charts.learning_curve(
        {0.1: [2.0, nan, nan], 0.2: [2.0, 1.0, 0.5], " ": [nan]}
    )
    figure.canvas.draw()
    names = {text.get_text(): text.xy for text in figure.axes[0].texts}
    assert names == {"0.1": (1, 2.0), "0.2": (3, 0.5)}


def test_a_sheet_takes_tensors_and_says_label_and_size():
    figure = charts.sample_sheet(
        torch.rand(3, 3, 48, 48), torch.tensor([1, 2, 3]), torch.tensor([10, 20, 30])
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["1, 10 px", "2, 20 px", "3, 30 px"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: charts.accuracy_by_scale({}), "nothing to show"),
        (lambda: charts.learning_curve([]), "history is empty"),
        (lambda: charts.sample_sheet(images(3), [1, 2]), "3 images, but 2 labels"),
        (lambda: charts.sample_sheet(numpy.zeros((4, 4)), []), "shape (4, 4)"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(call, words):
    with pytest.raises(ValueError) as problem:
        call()
    assert words in str(problem.value)


def test_pictures_stay_small():
    for name, figure in all_charts().items():
        if name != "sheet":  # noise, which no real sheet is
            assert len(png_of(figure)) * 4 / 3 < 60_000, name
