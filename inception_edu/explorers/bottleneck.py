"""The bottleneck explorer: how narrow may the 1x1 be, and where does it stop paying?

A k x k convolution from `in` to `out` channels costs k^2 in out multiply-adds a
pixel; behind a 1x1 of width r it costs r (in + k^2 out). The second is smaller
while r < k^2 in out / (in + k^2 out). The price: behind the 1x1 a pixel is r
numbers, so the k x k reads at most r independent mixtures of the in channels.
"""

from inception_edu.explorers.controls import Choice, Picture, Range, Steps
from inception_edu.figures.plot import LABEL, NOTE, SHEET, Plot, short, times
from inception_edu.figures.svg import Drawing

# Close together where the question is decided, and neighbours on the slider.
WIDTHS = [1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 144, 152, 160]
WIDTHS += [176, 192, 224, 256, 320, 384, 448, 512]

QUESTION = "How narrow may the 1x1 be, and where does it stop paying?"
CONTROLS = [
    Steps("reduce", "1x1 width", WIDTHS, 16),
    Range("in_channels", "input channels", 16, 1024, 16, 192),
    Choice("kernel", "kernel", {3: "3x3", 5: "5x5", 7: "7x7"}, 5),
    Range("out_channels", "output channels", 8, 512, 8, 32),
    Range("grid", "grid (side)", 7, 56, 7, 28),
]
SWEEP = {"reduce": WIDTHS[:20], "kernel": [3, 5, 7]}


def direct_macs(state):
    """MACs of the k x k convolution straight on the input, at stride 1."""
    pixels, taps = state["grid"] ** 2, state["kernel"] ** 2
    return pixels * taps * state["in_channels"] * state["out_channels"]


def reduced_macs(state, width=None):
    """MACs of a 1x1 of `width` channels and the k x k behind it."""
    width = state["reduce"] if width is None else width
    pixels, taps = state["grid"] ** 2, state["kernel"] ** 2
    return pixels * width * (state["in_channels"] + taps * state["out_channels"])


def widest_that_pays(state):
    """The largest whole width at which the reduced pair costs less; 0 if none."""
    taps = state["kernel"] ** 2 * state["out_channels"]
    product = taps * state["in_channels"]
    return (product - 1) // (state["in_channels"] + taps)


def draw(state):
    """The picture of a state, with both costs in the summary."""
    direct, reduced = direct_macs(state), reduced_macs(state)
    width, channels = state["reduce"], state["in_channels"]
    pays = widest_that_pays(state)
    if reduced < direct:
        verdict = f"{times(direct / reduced)} less"
    elif reduced > direct:
        verdict = f"{times(reduced / direct)} more"
    else:
        verdict = "the same"
    summary = (
        f"{reduced:,} MACs through a 1x1 of {width}, {direct:,} without: {verdict}; "
        f"it pays up to width {pays}"
    )
    sheet = Drawing(SHEET, 436)
    draw_ways(sheet, state, direct, reduced)
    draw_curve(sheet, state, direct, reduced, pays)
    sheet.text(0, 430, what_passes(width, channels), NOTE)
    size = f"{state['kernel']}x{state['kernel']}"
    title = f"Cost of a {size} with and without a 1x1 before it: {summary}"
    return Picture(sheet.svg(title, what_passes(width, channels)), summary)


def what_passes(width, channels):
    """What a 1x1 of `width` lets through of `channels`, in words."""
    if width >= channels:
        return f"all {channels} directions of the input can pass: nothing is lost"
    share = width / channels
    return (
        f"at most {width} of {channels} independent directions pass at each pixel "
        f"({share:.0%})"
    )


def draw_ways(sheet, state, direct, reduced):
    """Both ways from left to right, heights to scale, each with its cost."""
    kernel = f"{state['kernel']}x{state['kernel']}"
    channels, out, width = state["in_channels"], state["out_channels"], state["reduce"]
    scale = 74 / max(channels, out, width)
    straight = [(channels, "ink", "in"), (out, kernel, kernel)]
    narrow = [(channels, "ink", "in"), (width, "1x1", "1x1"), (out, kernel, kernel)]
    half = SHEET / 2
    ways = ((0, "direct", direct, straight), (half + 14, "reduced", reduced, narrow))
    for left, name, macs, stages in ways:
        sheet.text(left, 16, name, LABEL, bold=True)
        sheet.text(left + half - 14, 16, f"{short(macs)} MACs", LABEL, anchor="end")
        before = None
        for i, (amount, fill, label) in enumerate(stages):
            x = left + 4 + i * 216 / (len(stages) - 1)
            arm = max(scale * amount, 1) / 2
            if before:
                corners = (
                    (before[0], 66 - before[1]),
                    (x, 66 - arm),
                    (x, 66 + arm),
                    (before[0], 66 + before[1]),
                )
                sheet.polygon(*corners, fill=fill, opacity=0.25)
            sheet.rect(x, 66 - arm, 16, 2 * arm, fill)
            middle = x + 8 if i else x
            anchor = "middle" if i else "start"
            sheet.text(middle, 122, f"{label}: {amount}", NOTE, anchor=anchor)
            before = (x + 16, arm)


def draw_curve(sheet, state, direct, reduced, pays):
    """Cost against the width of the 1x1, with the present width as a dot."""
    kernel = f"{state['kernel']}x{state['kernel']}"
    most = max(state["in_channels"], state["reduce"], pays * 1.25)
    top = max(direct * 1.25, reduced * 1.05)
    plot = Plot(sheet, (66, 172, SHEET - 84, 190), (0, most), (0, top))
    x, _ = plot.at(pays, 0)
    sheet.rect(66, 172, x - 66, 190, "panel")
    plot.axes("width of the 1x1", "MACs", format_x=str)
    end = min(most, top / reduced_macs(state, 1))
    plot.curve([(0, direct), (most, direct)], kernel, dash="7 5")
    plot.curve([(0, 0), (end, reduced_macs(state, end))], "1x1")
    low = pays < most / 2  # then the curve is high on the right, and room below
    place = (SHEET - 24, "end") if low else (70, "start")
    _, y = plot.at(0, direct)
    sheet.text(place[0], y - 8, f"{kernel} direct", NOTE, anchor=place[1])
    sheet.line((x, 166), (x, 362), stroke="accent", width=2, dash="2 3")
    anchor = "middle" if x < SHEET - 60 else "end"
    style = {"anchor": anchor, "fill": "accent", "bold": True}
    sheet.text(max(x, 130), 160, f"pays up to {pays}", NOTE, **style)
    plot.mark(state["reduce"], reduced)
