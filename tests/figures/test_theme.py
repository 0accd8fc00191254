"""The theme: contrast by the WCAG formula, one color per kernel size."""

from itertools import combinations
from math import dist
from types import SimpleNamespace

import pytest

from inception_edu.figures import theme

PAPERS = ("#ffffff", "#111111", "#1e1e1e")
# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
BLINDNESS = {
    "red": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "green": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
}


def channels(color):
    """Linear RGB, worked out here and not by the theme."""
    values = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def ratio(first, second):
    levels = []
    for color in (first, second):
        r, g, b = channels(color)
        levels.append(0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05)
    return max(levels) / min(levels)


@pytest.mark.parametrize("kernel", theme.PALETTE)
def test_every_kernel_stands_out_and_text_on_it_can_be_read(kernel):
    color = theme.PALETTE[kernel]
    assert all(ratio(color, paper) >= 3 for paper in PAPERS)
    assert ratio(theme.on_color(kernel), color) >= 4.5


@pytest.mark.parametrize("roles", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_words_can_be_read_on_paper_and_panel(roles):
    for ground in ("paper", "panel"):
        for ink in ("ink", "muted", "accent", "good", "bad"):
            assert ratio(roles[ink], roles[ground]) >= 4.5, (ink, ground)
        assert ratio(roles["line"], roles[ground]) >= 3


def product(row, values):
    return sum(m * v for m, v in zip(row, values, strict=True))


def perceived(color, matrix):
    """Oklab of a color as somebody with this color vision sees it."""
    rgb = [max(0, product(row, channels(color))) for row in matrix]
    to_lms = (
        (0.4122, 0.5363, 0.0514),
        (0.2119, 0.6807, 0.1074),
        (0.0883, 0.2817, 0.63),
    )
    lms = [product(row, rgb) ** (1 / 3) for row in to_lms]
    to_lab = (
        (0.2105, 0.7936, -0.0041),
        (1.978, -2.4286, 0.4506),
        (0.0259, 0.7828, -0.8087),
    )
    return [product(row, lms) for row in to_lab]


@pytest.mark.parametrize("vision", BLINDNESS)
def test_any_two_kernels_differ_for_the_color_blind(vision):
    seen = {k: perceived(c, BLINDNESS[vision]) for k, c in theme.PALETTE.items()}
    for first, second in combinations(seen, 2):
        # 0.02 is just noticeable
        assert dist(seen[first], seen[second]) > 0.05, (first, second)


def test_color_is_not_alone_in_telling_sizes_apart():
    shared = {"1x1", "other"}  # plain; both carry their name
    hatches = [h for k, h in theme.HATCH.items() if k not in shared]
    assert len(set(hatches)) == len(hatches) and all(hatches)
    assert set(theme.HATCH) == set(theme.PALETTE)


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("3x3", "3x3"), ("7x7", "7x7"), ("11x11", "7x7"), ("4x4", "other"),
        ("1x7", "1xn"), ("7x1", "nx1"), ("max_pool", "pool"), ("linear", "linear"),
        ("0", "other"), ("batch_norm", "other"),
        (SimpleNamespace(kind="conv", kernel=(3, 1)), "nx1"),
        (SimpleNamespace(kind="conv", kernel=(3,)), "1xn"),
        (SimpleNamespace(kind="conv", kernel=(3, 3, 3)), "3x3"),
        (SimpleNamespace(kind="conv_transpose2d", kernel=None), "other"),
        (SimpleNamespace(kind="max_pool", kernel=(3, 3)), "pool"),
        (SimpleNamespace(kind="cat", kernel=None), "other"),
    ],
)  # fmt: skip
def test_one_name_per_kernel(what, name):
    assert theme.kernel_name(what) == name
