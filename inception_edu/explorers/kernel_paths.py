"""What configurations of kernels see and cost: paths, sums, influence, weights."""

from collections import Counter
from functools import cache
from itertools import product
from typing import NamedTuple

GRID = 17  # the grid on which v3 has its 1x7 and 7x1
# A handwritten 3 of scikit-learn's digits, enlarged, in steps of 0 to 9.
INPUT = """
00000000000000000 00012479986421000 00013578777642000 00024775557863100
00013554468963100 00000013689841000 00000015787520000 00000026884100000
00000014796310000 00000001588620000 00000000247741000 00000000016852000
00001122358963100 00002344689852100 00013666788631000 00013777777620000
00000000000000000
"""
PIXELS = {  # (row, column), row by row
    (y, x): int(value)
    for y, line in enumerate(INPUT.split())
    for x, value in enumerate(line)
}


class Layer(NamedTuple):
    """A convolution that keeps the grid; `before` is its padding above and left."""

    height: int
    width: int
    dilation: int = 1
    before: int | None = None

    @property
    def taps(self):
        """Where its weights read, `(down, across)` from the output pixel."""
        offsets = []
        for size in (self.height, self.width):
            before = self.before
            if before is None:
                before = (size - 1) * self.dilation // 2
            offsets.append([i * self.dilation - before for i in range(size)])
        return list(product(*offsets))

    @property
    def name(self):
        return f"{self.height}x{self.width}"

    @property
    def weights(self):
        return self.height * self.width


class Plan(NamedTuple):
    """Branches, each a tuple of layers; `side` of the k x k that spans as much."""

    side: int
    branches: tuple

    @property
    def layers(self):
        return [layer for layers in self.branches for layer in layers]

    @property
    def weights(self):
        """From one channel to one in every layer, biases not counted."""
        return sum(layer.weights for layer in self.layers)


def in_turn(side, *layers):
    return Plan(side, (layers,))


PLANS = {f"{k}x{k}": in_turn(k, Layer(k, k)) for k in (3, 5, 7)}
PLANS |= {
    # An even kernel has no middle: one pads below and right, one above and left.
    "two 2x2": in_turn(3, Layer(2, 2, before=0), Layer(2, 2, before=1)),
    "two 3x3": in_turn(5, Layer(3, 3), Layer(3, 3)),
    "three 3x3": in_turn(7, Layer(3, 3), Layer(3, 3), Layer(3, 3)),
}
PLANS |= {f"1x{n} then {n}x1": in_turn(n, Layer(1, n), Layer(n, 1)) for n in (3, 5, 7)}
PLANS |= {
    f"1x{n} beside {n}x1": Plan(n, ((Layer(1, n),), (Layer(n, 1),))) for n in (3, 5, 7)
}
PLANS["3x3 dilated"] = in_turn(5, Layer(3, 3, dilation=2))


def paths(plan, row, column, clip=True):
    """`{(row, column): paths}` from input pixels to an output pixel, from 0.

    Padding ends a path in whichever layer it meets it; `clip=False` counts on
    as if the grid went on.
    """
    found = Counter()
    for layers in PLANS[plan].branches:
        ends = {(row, column): 1}
        for layer in reversed(layers):
            earlier = Counter()
            for ((y, x), count), (down, across) in product(ends.items(), layer.taps):
                pixel = y + down, x + across
                if not clip or pixel in PIXELS:
                    earlier[pixel] += count
            ends = earlier
        found.update(dict(sorted(ends.items())))
    return found


@cache
def sums(plan):
    """The output for `PIXELS` with all weights 1: `{(row, column): sum}` a branch."""
    maps = []
    for layers in PLANS[plan].branches:
        values = PIXELS
        for taps in [layer.taps for layer in layers]:
            values = {
                (y, x): sum(values.get((y + i, x + j), 0) for i, j in taps)
                for y, x in PIXELS
            }
        maps.append(values)
    return maps
