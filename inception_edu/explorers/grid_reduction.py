"""The grid reduction explorer: pool first, convolve first, or both in parallel?

Three ways from in_channels x d x d to out_channels x d/2 x d/2: Szegedy et al.,
Rethinking the Inception Architecture for Computer Vision, arXiv 1512.00567,
section 5, figures 9 and 10. The pool is 3x3 at stride 2, as in the released
networks. In parallel the pool passes its in_channels on and a convolution at
stride 2 adds the rest; the released reductions add them in two branches.
"""

from itertools import pairwise
from typing import NamedTuple

from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.figures.plot import SHEET, Plot, round_up, stacked_bar
from inception_edu.figures.svg import Drawing
from inception_edu.figures.theme import LABEL
from inception_edu.text import short, tick, times

QUESTION = "Pool first, convolve first, or both in parallel?"
CONTROLS = [
    Range("in_channels", "input channels", 16, 1280, 16, 320),
    Range("out_channels", "output channels", 32, 2048, 16, 640),
    Range("grid", "grid (side)", 7, 71, 2, 35),
    Choice("kernel", "kernel", {3: "3x3", 5: "5x5", 7: "7x7"}, 3),
]
SWEEP = {"in_channels": list(range(256, 449, 16)), "kernel": [3, 5, 7]}


class Way(NamedTuple):
    """A way to halve the grid."""

    name: str
    macs: int
    maps: tuple  # `(channels, side)` each
    steps: tuple  # what makes each next map: `{"pool" or kernel: its channels}`

    @property
    def sizes(self):
        """The number of values in each map: d x d x k."""
        return [channels * side**2 for channels, side in self.maps]

    @property
    def has_bottleneck(self):
        """Whether a map on the way is smaller than what comes before and after."""
        first, *between, last = self.sizes
        return any(size < min(first, last) for size in between)


def ways(state):
    """The three ways, pool first, convolve first, in parallel."""
    channels, out, side, k = (state[control.name] for control in CONTROLS)
    small = (side - 3) // 2 + 1  # after a 3x3 at stride 2 without padding
    start, narrow = (channels, side), (channels, small)
    wide, end, each = (out, side), (out, small), k**2 * channels
    pool, conv, last = {"pool": channels}, {f"{k}x{k}": out}, {"pool": out}
    both = pool | {f"{k}x{k}": out - channels}
    return (
        Way("pool first", small**2 * each * out, (start, narrow, end), (pool, conv)),
        Way("convolve first", side**2 * each * out, (start, wide, end), (conv, last)),
        Way("in parallel", small**2 * each * (out - channels), (start, end), (both,)),
    )


WAY, HIGH = 178, 12  # pixels for each way, and of a map


def draw(state):
    channels, out = state["in_channels"], state["out_channels"]
    if out <= channels:
        raise ValueError(
            f"from {channels} to {out} channels the parallel convolution has nothing "
            f"to add, since the pool alone passes {channels}; take at least "
            f"{channels + 16} output channels or at most {out - 16} input channels"
        )
    pool, convolve, parallel = three = ways(state)
    before, narrow, after = pool.sizes
    summary = (
        f"Pooling first costs {short(pool.macs)} MACs and leaves {narrow:,} "
        f"values to the convolution; convolving first costs {short(convolve.macs)}, "
        f"{times(convolve.macs / pool.macs)} as much; in parallel it is "
        f"{short(parallel.macs)}, {100 * parallel.macs / pool.macs:.3g} % of pooling "
        "first."
    )
    sheet = Drawing(SHEET, 426)
    most = round_up(max(size for way in three for size in way.sizes))
    for i, way in enumerate(three):
        draw_way(sheet, WAY / 2 + i * (SHEET - WAY) / 2, WAY / most, way)
    sheet.line((0, 284), (WAY, 284), width=1, key=f"axis values 0 to {tick(most)}")
    for x in (0, WAY):
        sheet.line((x, 280), (x, 288), width=1)
    sheet.text(WAY + 10, 289, f"{tick(most)} values (d x d x channels)")
    draw_costs(sheet, three, f"{state['kernel']}x{state['kernel']}")
    remark = f"Pool first: {narrow:,} values stand between {before:,} and {after:,}."
    return Picture(sheet.svg(summary, remark), summary)


def draw_way(sheet, middle, scale, way):
    """One way from top to bottom, the length of every map to scale."""
    sheet.text(middle, 16, way.name, LABEL, anchor="middle", bold=True)
    sheet.text(middle, 36, f"{short(way.macs)} MACs", LABEL, anchor="middle")
    tops = (46, 141, 236) if len(way.maps) == 3 else (46, 236)
    widths = [scale * size for size in way.sizes]
    sheet.rect(middle - widths[0] / 2, tops[0], widths[0], HIGH, "ink")
    steps = zip(pairwise(tops), pairwise(widths), way.steps, strict=True)
    for i, ((top, below), (wide, narrow), step) in enumerate(steps):
        # bands between the labels of two maps, and the parts of the lower map
        upper = top + (52 if way.has_bottleneck and i else 36)
        lower, start = below - 6 - 17 * len(step), middle - narrow / 2
        for name, channels in step.items():
            part = narrow * channels / sum(step.values())
            corners = ((middle - wide / 2, upper), (middle + wide / 2, upper))
            corners += ((start + part, lower), (start, lower))
            sheet.polygon(*corners, fill=name, opacity=0.25)
            start = stacked_bar(sheet, start, below, HIGH, 1, [(part, name, None)])
        for line, (name, channels) in enumerate(reversed(step.items())):
            stride = "/2" if len(step) > 1 else ""  # in parallel both halve the grid
            what = "pool 3x3/2" if name == "pool" else f"conv {name}{stride}"
            y = below - 7 - 17 * line
            sheet.text(middle, y, f"{what}: {channels}", anchor="middle")
    for (depth, side), size, top in zip(way.maps, way.sizes, tops, strict=True):
        values = f"{side}x{side}x{depth}: {short(size)}"
        sheet.fitted_text(middle, top + 28, values, WAY, anchor="middle")
    if way.has_bottleneck:
        place = (middle - widths[1] / 2 - 3, tops[1] - 3, widths[1] + 6, HIGH + 6)
        sheet.rect(*place, stroke="bad", stroke_width=2)
        y = tops[1] + 45
        sheet.text(middle, y, "bottleneck", anchor="middle", fill="bad", bold=True)


def draw_costs(sheet, three, kernel):
    """The MACs of the three ways, and how they compare with pool first."""
    top = round_up(max(way.macs for way in three))
    plot = Plot(sheet, (116, 306, SHEET - 116 - 170, 72), (0, top), (3, 0))
    plot.axes("MACs", grid="x")
    for i, way in enumerate(three):
        ratio = way.macs / three[0].macs
        compared = times(ratio) if ratio > 1 else f"{100 * ratio:.3g} %"
        value = f"{short(way.macs)}, {compared}" if i else short(way.macs)
        parts = [(way.macs, kernel, f"{way.name}: {way.macs:,} MACs")]
        y = plot.y + 24 * i
        sheet.text(0, y + 17, way.name)
        stacked_bar(sheet, plot.x, y + 3, 18, plot.width / top, parts)
        sheet.text(SHEET, y + 17, value, anchor="end")
