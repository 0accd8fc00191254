"""The grid reduction explorer: pool first, convolve first, or both in parallel?

Three ways from in_channels x d x d to out_channels x d/2 x d/2: Szegedy et al.,
Rethinking the Inception Architecture for Computer Vision, arXiv 1512.00567,
section 5, figures 9 and 10. The pool is 3x3 at stride 2, as in the released
networks. In parallel the pool passes its in_channels on and a convolution at
stride 2 adds the rest; the released reductions add them in two branches.
"""

from dataclasses import dataclass

from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.figures.plot import LABEL, NOTE, SHEET, bar_row, short, times
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
        f"{short(pool.macs)} MACs pool first, through {pool.sizes[1]:,} values; "
        f"{short(convolve.macs)} convolve first, "
        f"{times(convolve.macs / pool.macs)} that; {short(both.macs)} in parallel"
    )
    sheet = Drawing(SHEET, 408)
    scale = WAY / max(size for way in three for size in way.sizes)
    kernel = f"{state['kernel']}x{state['kernel']}"
    for i, way in enumerate(three):
        draw_way(sheet, WAY / 2 + i * (SHEET - WAY) / 2, scale, way, kernel)
    before, narrow, after = pool.sizes
    remark = f"Pool first: {narrow:,} values stand between {before:,} and {after:,}."
    sheet.text(0, 304, "Every map is drawn as wide as it has values, d x d x k.", NOTE)
    sheet.text(0, 324, remark, NOTE)
    draw_costs(sheet, 340, three, kernel)
    title = f"Three ways to halve a {state['grid']}x{state['grid']} grid: {summary}"
    return Picture(sheet.svg(title, remark), summary)


def draw_way(sheet, middle, scale, way, kernel):
    """One way from top to bottom, the width of every map to scale."""
    sheet.text(middle, 16, way.name, LABEL, anchor="middle", bold=True)
    tops = (30, 140, 250) if len(way.maps) == 3 else (30, 250)
    places = [
        (middle - scale * size / 2, top, scale * size)
        for size, top in zip(way.sizes, tops, strict=True)
    ]
    left, top, wide = places[0]
    sheet.rect(left, top, wide, 12, "ink")
    for above, below, joined in zip(places, places[1:], way.joined, strict=False):
        draw_step(sheet, above, below, joined, kernel)
    for (depth, side), size, top in zip(way.maps, way.sizes, tops, strict=True):
        values = f"{side}x{side}x{depth}: {short(size)}"
        sheet.fitted_text(middle, top + 28, values, WAY, NOTE, anchor="middle")
    for top, below, joined in zip(tops, tops[1:], way.joined, strict=False):
        lines = in_words(joined, way, kernel)
        y = below - 10 if below - top < 200 else 172
        for i, line in enumerate(reversed(lines)):
            sheet.text(middle, y - 18 * i, line, NOTE, anchor="middle")
    if way.has_bottleneck:
        left, top, wide = places[1]
        sheet.rect(left - 3, top - 3, wide + 6, 18, stroke="bad", stroke_width=2)
        style = {"anchor": "middle", "fill": "bad", "bold": True}
        sheet.text(middle, top + 46, "bottleneck", NOTE, **style)


def draw_step(sheet, above, below, joined, kernel):
    """From one map `(left, top, width)` to the parts that make the next."""
    left, top, wide = above
    upper = ((left, top + 12), (left + wide, top + 12))
    start, top, wide = below
    total = sum(channels for channels, _ in joined)
    for channels, kind in joined:
        fill = kernel if kind == "conv" else kind
        part = wide * channels / total
        sheet.polygon(
            *upper, (start + part, top), (start, top), fill=fill, opacity=0.25
        )
        edge = "paper" if part > 4 else "none"
        sheet.rect(start, top, max(part, 0.5), 12, fill, stroke=edge)
        start += part


def in_words(joined, way, kernel):
    """The operations of a step with their channels, and the MACs if it has any."""
    stride = "/2" if len(joined) > 1 else ""
    names = {"pool": "pool 3x3/2", "conv": f"conv {kernel}{stride}"}
    lines = [f"{names[kind]}: {channels}" for channels, kind in joined]
    if any(kind == "conv" for _, kind in joined):
        lines.append(f"{short(way.macs)} MACs")
    return lines


def draw_costs(sheet, y, three, kernel):
    """The MACs of the three ways, and how they compare with pool first."""
    left, room = 116, 190
    scale = (SHEET - left - room) / max(way.macs for way in three)
    for i, way in enumerate(three):
        value = f"{short(way.macs)} MACs"
        if i:
            value += f", {times(way.macs / three[0].macs)}"
        parts = [(way.macs, kernel, f"{way.name}: {way.macs:,} MACs")]
        bar_row(sheet, y + 22 * i, way.name, value, parts, scale, left=left)
