"""The grid reduction explorer: pool first, convolve first, or both in parallel?

Three ways from in_channels x d x d to out_channels x d/2 x d/2: Szegedy et al.,
Rethinking the Inception Architecture for Computer Vision, arXiv 1512.00567,
section 5, figures 9 and 10. The pool is 3x3 at stride 2, as in the released
networks. In parallel the pool passes its in_channels on and a convolution at
stride 2 adds the rest; the released reductions add them in two branches.
"""

from dataclasses import dataclass

from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.figures.plot import (
    LABEL,
    NOTE,
    SHEET,
    bar_plot,
    round_up,
    short,
    tick,
    times,
)
from inception_edu.figures.svg import Drawing

WAY = 178  # pixels for each way

QUESTION = "Pool first, convolve first, or both in parallel?"
CONTROLS = [
    Range("in_channels", "input channels", 16, 1280, 16, 320),
    Range("out_channels", "output channels", 32, 2048, 16, 640),
    Range("grid", "grid (side)", 7, 71, 2, 35),
    Choice("kernel", "kernel", {3: "3x3", 5: "5x5", 7: "7x7"}, 3),
]
SWEEP = {
    "in_channels": list(range(256, 449, 16)),
    "kernel": [3, 5, 7],
}


@dataclass(frozen=True)
class Way:
    """A way to halve the grid: its maps as `(channels, side)`, and its MACs."""

    name: str
    maps: tuple
    joined: tuple  # what makes each next map: `(channels, "pool" or "conv")`s
    macs: int

    @property
    def sizes(self):
        """The number of values in each map: d x d x k."""
        return [channels * side**2 for channels, side in self.maps]

    @property
    def has_bottleneck(self):
        """Whether a map on the way is smaller than what comes before and after."""
        return min(self.sizes[1:-1], default=self.sizes[0]) < min(
            self.sizes[0], self.sizes[-1]
        )


def halved(side):
    """The side of the grid after a 3x3 at stride 2 without padding."""
    return (side - 3) // 2 + 1


def ways(state):
    """The three ways, pool first, convolve first, in parallel."""
    channels, out = state["in_channels"], state["out_channels"]
    side, small = state["grid"], halved(state["grid"])
    per_pixel = state["kernel"] ** 2 * channels
    start, end = (channels, side), (out, small)
    return (
        Way(
            "pool first",
            (start, (channels, small), end),
            (((channels, "pool"),), ((out, "conv"),)),
            small**2 * per_pixel * out,
        ),
        Way(
            "convolve first",
            (start, (out, side), end),
            (((out, "conv"),), ((out, "pool"),)),
            side**2 * per_pixel * out,
        ),
        Way(
            "in parallel",
            (start, end),
            (((channels, "pool"), (out - channels, "conv")),),
            small**2 * per_pixel * (out - channels),
        ),
    )


def draw(state):
    """The picture of a state, with the three costs in the summary."""
    channels, out = state["in_channels"], state["out_channels"]
    if out <= channels:
        raise ValueError(
            f"from {channels} to {out} channels the parallel convolution has nothing "
            f"to add, since the pool alone passes {channels}; take at least "
            f"{channels + 16} output channels or at most {out - 16} input channels"
        )
    three = ways(state)
    pool, convolve, both = three
    summary = (
        f"Pooling first costs {short(pool.macs)} MACs and leaves {pool.sizes[1]:,} "
        f"values to the convolution; convolving first costs {short(convolve.macs)}, "
        f"{times(convolve.macs / pool.macs)} as much; in parallel it is "
        f"{short(both.macs)}, {100 * both.macs / pool.macs:.3g} % of pooling first."
    )
    sheet = Drawing(SHEET, 426)
    most = round_up(max(size for way in three for size in way.sizes))
    kernel = f"{state['kernel']}x{state['kernel']}"
    for i, way in enumerate(three):
        draw_way(sheet, WAY / 2 + i * (SHEET - WAY) / 2, WAY / most, way, kernel)
    sheet.line((0, 284), (WAY, 284), width=1, key=f"axis values 0 to {tick(most)}")
    for x in (0, WAY):
        sheet.line((x, 280), (x, 288), width=1)
    sheet.text(WAY + 10, 289, f"{tick(most)} values (d x d x channels)", NOTE)
    draw_costs(sheet, three, kernel)
    before, narrow, after = pool.sizes
    remark = f"Pool first: {narrow:,} values stand between {before:,} and {after:,}."
    return Picture(sheet.svg(summary, remark), summary)


HIGH = 12  # pixels of a map


def draw_way(sheet, middle, scale, way, kernel):
    """One way from top to bottom, the length of every map to scale."""
    sheet.text(middle, 16, way.name, LABEL, anchor="middle", bold=True)
    sheet.text(middle, 36, f"{short(way.macs)} MACs", LABEL, anchor="middle")
    tops = (46, 141, 236) if len(way.maps) == 3 else (46, 236)
    widths = [scale * size for size in way.sizes]
    sheet.rect(middle - widths[0] / 2, tops[0], widths[0], HIGH, "ink")
    steps = zip(tops, tops[1:], widths, widths[1:], way.joined, strict=False)
    for i, (top, below, wide, narrow, joined) in enumerate(steps):
        lines = [in_words(part, kernel, len(joined)) for part in joined]
        is_narrow = way.has_bottleneck and i == 1
        ends = top + (52 if is_narrow else 36), below - 6 - 17 * len(lines)
        draw_step(sheet, middle, ends, (wide, narrow), below, joined, kernel)
        for line, text in enumerate(reversed(lines)):
            sheet.text(middle, below - 7 - 17 * line, text, NOTE, anchor="middle")
    for (depth, side), size, top in zip(way.maps, way.sizes, tops, strict=True):
        values = f"{side}x{side}x{depth}: {short(size)}"
        sheet.fitted_text(middle, top + 28, values, WAY, NOTE, anchor="middle")
    if way.has_bottleneck:
        place = (middle - widths[1] / 2 - 3, tops[1] - 3, widths[1] + 6, HIGH + 6)
        sheet.rect(*place, stroke="bad", stroke_width=2)
        style = {"anchor": "middle", "fill": "bad", "bold": True}
        sheet.text(middle, tops[1] + 45, "bottleneck", NOTE, **style)


def draw_step(sheet, middle, ends, widths, below, joined, kernel):
    """Bands between the labels of two maps, and the parts of the lower map.

    `ends` are the upper and lower edge of the bands, `widths` those of the maps.
    """
    (upper, lower), (wide, narrow) = ends, widths
    start, total = middle - narrow / 2, sum(channels for channels, _ in joined)
    for channels, kind in joined:
        fill, part = kernel if kind == "conv" else kind, narrow * channels / total
        corners = ((middle - wide / 2, upper), (middle + wide / 2, upper))
        corners += ((start + part, lower), (start, lower))
        sheet.polygon(*corners, fill=fill, opacity=0.25)
        edge = "paper" if part > 4 else "none"
        sheet.rect(start, below, max(part, 0.5), HIGH, fill, stroke=edge)
        start += part


def in_words(part, kernel, parts):
    """An operation with the channels it makes; in parallel both halve the grid."""
    channels, kind = part
    stride = "/2" if parts > 1 else ""
    return f"{'pool 3x3/2' if kind == 'pool' else f'conv {kernel}{stride}'}: {channels}"


def draw_costs(sheet, three, kernel):
    """The MACs of the three ways, and how they compare with pool first."""
    top = round_up(max(way.macs for way in three))
    plot = bar_plot(sheet, (116, 306), rows=3, top=top, right=170)
    plot.axes("MACs", grid="x")
    for i, way in enumerate(three):
        ratio = way.macs / three[0].macs
        compared = times(ratio) if ratio > 1 else f"{100 * ratio:.3g} %"
        value = f"{short(way.macs)}, {compared}" if i else short(way.macs)
        parts = [(way.macs, kernel, f"{way.name}: {way.macs:,} MACs")]
        plot.bar(i, parts, way.name, value)
