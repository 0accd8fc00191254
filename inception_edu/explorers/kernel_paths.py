"""What configurations of kernels see and cost: paths, sums, influence, weights."""

from dataclasses import dataclass
from functools import cache
from math import sqrt

GRID = 17  # the grid on which v3 has its 1x7 and 7x1
# A handwritten 3 of scikit-learn's digits, enlarged, in steps of 0 to 9.
INPUT = """
00000000000000000 00012479986421000 00013578777642000 00024775557863100
00013554468963100 00000013689841000 00000015787520000 00000026884100000
00000014796310000 00000001588620000 00000000247741000 00000000016852000
00001122358963100 00002344689852100 00013666788631000 00013777777620000
00000000000000000
"""
PIXELS = [[int(value) for value in line] for line in INPUT.split()]


@dataclass(frozen=True)
class Layer:
    """A convolution that keeps the grid; `before` is its padding above and left."""

    height: int
    width: int
    dilation: int = 1
    before: int | None = None

    def taps(self, axis):
        """Where its weights read, relative to the output pixel: axis 0 is down."""
        size = (self.height, self.width)[axis]
        before = self.before
        if before is None or size == 1:
            before = (size - 1) * self.dilation // 2
        return [i * self.dilation - before for i in range(size)]

    @property
    def name(self):
        return f"{self.height}x{self.width}"

    @property
    def weights(self):
        return self.height * self.width


@dataclass(frozen=True)
class Plan:
    """Branches of layers; `side` is that of the k x k which spans as much."""

    side: int
    branches: tuple


def stack(*layers):
    return (layers,)


PLANS = {f"{k}x{k}": Plan(k, stack(Layer(k, k))) for k in (3, 5, 7)}
PLANS |= {
    # An even kernel has no middle: one pads below and right, one above and left.
    "two 2x2": Plan(3, stack(Layer(2, 2, before=0), Layer(2, 2, before=1))),
    "two 3x3": Plan(5, stack(Layer(3, 3), Layer(3, 3))),
    "three 3x3": Plan(7, stack(Layer(3, 3), Layer(3, 3), Layer(3, 3))),
}
for _n in (3, 5, 7):
    PLANS[f"1x{_n} then {_n}x1"] = Plan(_n, stack(Layer(1, _n), Layer(_n, 1)))
for _n in (3, 5, 7):
    PLANS[f"1x{_n} beside {_n}x1"] = Plan(_n, ((Layer(1, _n),), (Layer(_n, 1),)))
PLANS["3x3 dilated"] = Plan(5, stack(Layer(3, 3, dilation=2)))


def paths(plan, row, column, clip=True):
    """`{(row, column): paths}` from input pixels to an output pixel, from 0.

    Padding ends a path in whichever layer it meets it; `clip=False` counts on
    as if the grid went on.
    """
    found = {}
    for layers in PLANS[plan].branches:
        down, across = (
            line_paths(layers, axis, place, clip)
            for axis, place in enumerate((row, column))
        )
        for y, above in down.items():
            for x, beside in across.items():
                found[y, x] = found.get((y, x), 0) + above * beside
    return found


def line_paths(layers, axis, place, clip):
    """The same along one axis: kernels of ones are products of lines."""
    found = {place: 1}
    for layer in reversed(layers):
        earlier = {}
        for here, count in found.items():
            for tap in layer.taps(axis):
                if not clip or 0 <= here + tap < GRID:
                    earlier[here + tap] = earlier.get(here + tap, 0) + count
        found = earlier
    return found


@cache
def sums(plan):
    """The output for `PIXELS` with all weights 1: a map of rows for each branch."""
    maps = []
    for layers in PLANS[plan].branches:
        down, across = (
            [line_paths(layers, axis, place, True) for place in range(GRID)]
            for axis in (0, 1)
        )
        lines = [[weighted(line, paths) for paths in across] for line in PIXELS]
        columns = [list(column) for column in zip(*lines, strict=True)]
        maps.append([[weighted(c, paths) for c in columns] for paths in down])
    return maps


def weighted(values, paths):
    """The sum of values, each times its number of paths."""
    return sum(count * values[place] for place, count in paths.items())


def influence(count, weights):
    """The gradient of a pixel with `count` paths, that of a single path being 1."""
    return sqrt(count) if weights == "random" else count


def weights_of(plan, channels):
    """Weights, from `channels` to `channels` in every layer, biases not counted."""
    layers = [layer for layers in PLANS[plan].branches for layer in layers]
    return sum(layer.weights for layer in layers) * channels**2


def reference_weights(plan, channels):
    """Weights of the k x k that spans as much and gives as many outputs."""
    return PLANS[plan].side ** 2 * channels**2 * len(PLANS[plan].branches)


def saving(plan):
    """The share of weights saved against that k x k."""
    return 1 - weights_of(plan, 1) / reference_weights(plan, 1)
