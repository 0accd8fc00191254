"""The bottleneck explorer: up to which width does a 1x1 bottleneck save computation?

A k x k convolution from `in` to `out` channels costs k^2 in out multiply-adds a
pixel; with a 1x1 of width r before it, the pair costs r (in + k^2 out). This is less
while r < k^2 in out / (in + k^2 out). The price: after the 1x1 a pixel is r numbers,
so the k x k reads at most r independent mixtures of the in channels.
"""

from inception_edu.explorers.controls import Choice, Picture, Range, Steps
from inception_edu.figures.plot import SHEET, Plot, round_up
from inception_edu.figures.svg import Drawing
from inception_edu.figures.theme import LABEL
from inception_edu.text import compared, percent, short

# Close together where the question is decided, and neighbors on the slider.
WIDTHS = [1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 144, 152, 160]
WIDTHS += [176, 192, 224, 256, 320, 384, 448, 512]

ENDS = (1.1, 2.6, 5.2)  # of an axis of channels: the input of 3a and 3b on one
QUESTION = "Up to which width does a 1x1 bottleneck save computation?"
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


def reduced_macs(state, width):
    """MACs of a 1x1 of `width` channels and the k x k after it."""
    pixels, taps = state["grid"] ** 2, state["kernel"] ** 2
    return pixels * width * (state["in_channels"] + taps * state["out_channels"])


def widest_that_pays(state):
    """The largest whole width at which the reduced pair costs less; 0 if none."""
    return (direct_macs(state) - 1) // reduced_macs(state, 1)


def draw(state):
    width, channels = state["reduce"], state["in_channels"]
    costs = direct, reduced = direct_macs(state), reduced_macs(state, width)
    kernel, pays = f"{state['kernel']}x{state['kernel']}", widest_that_pays(state)
    verdict = compared(reduced, direct)
    summary = (
        f"A 1x1 of width {width} and the {kernel} after it cost {short(reduced)} MACs, "
        f"{verdict} {'than' if verdict.endswith('less') else 'as'} the "
        f"{short(direct)} of the {kernel} alone; a 1x1 saves MACs up to width {pays}."
    )
    passing = f"All {channels} directions of the input can pass: nothing is lost."
    if width < channels:
        passing = (
            f"At most {width} of {channels} independent directions pass at each "
            f"position ({percent(width / channels)})."
        )
    sheet = Drawing(SHEET, 436)
    draw_ways(sheet, state, kernel, costs)
    draw_curve(sheet, state, kernel, costs)
    sheet.text(0, 430, passing)
    return Picture(sheet.svg(summary, passing), summary)


def draw_ways(sheet, state, kernel, costs):
    """Both ways from left to right, heights to scale, each with its cost."""
    channels, out, width = state["in_channels"], state["out_channels"], state["reduce"]
    most, middle, half = round_up(max(channels, out, width), ENDS), 68, SHEET / 2
    first, last = (channels, "ink", "in"), (out, kernel, kernel)
    ways = ("direct", [first, last]), ("reduced", [first, (width, "1x1", "1x1"), last])
    for left, (name, stages), macs in zip((0, half + 14), ways, costs, strict=True):
        sheet.text(left, 16, name, LABEL, bold=True)
        end = left + half - 14
        sheet.text(end, 16, f"{short(macs)} MACs", LABEL, anchor="end", bold=True)
        before = None
        for i, (amount, fill, label) in enumerate(stages):
            x = left + 4 + i * 216 / (len(stages) - 1)
            arm = max(40 * amount / most, 0.5)
            if before:
                edge, its = before
                upper = ((edge, middle - its), (x, middle - arm))
                lower = ((x, middle + arm), (edge, middle + its))
                sheet.polygon(*upper, *lower, fill=fill, opacity=0.25)
            key = None if left or i else f"axis channels 0 to {most:g}"
            sheet.rect(x, middle - arm, 16, 2 * arm, fill, key=key)
            place = (x + 8, "middle") if i else (x, "start")
            sheet.text(place[0], 126, f"{label}: {amount}", anchor=place[1])
            before = (x + 16, arm)


def draw_curve(sheet, state, kernel, costs):
    """Cost against the width of the 1x1, with the present width as a dot."""
    (direct, reduced), pays = costs, widest_that_pays(state)
    widest = round_up(max(state["in_channels"], state["reduce"]), ENDS)
    top = round_up(max(direct, reduced_macs(state, widest)), (1, 1.5, 2, 2.5, 4, 6))
    plot = Plot(sheet, (66, 176, SHEET - 200, 190), (0, widest), (0, top))
    x, _ = plot.at(min(pays, widest), direct)
    sheet.rect(plot.x, plot.y, x - plot.x, plot.height, "panel")
    plot.axes("width of the 1x1", "MACs")
    most = reduced_macs(state, widest)
    plot.curve([(0, direct), (widest, direct)], kernel, dash="7 5")
    plot.curve([(0, 0), (widest, most)], "1x1")
    ends = (direct, f"{kernel} direct"), (most, f"1x1, then {kernel}")
    plot.label_curves([(widest, cost, name, "ink") for cost, name in ends])
    plot.limit(min(pays, widest), f"saves up to {pays}")
    plot.mark(state["reduce"], reduced)
