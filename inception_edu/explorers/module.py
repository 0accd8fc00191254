"""The module explorer: what do I pay for each branch?

Two modules side by side: the naive one and the one with 1x1 reductions, or two
modules of GoogLeNet (Szegedy et al., Going Deeper with Convolutions, arXiv
1409.4842, figure 2 and table 1). The numbers are closed forms, so the page can
compute them; a test holds them against a trace of the real modules.
"""

from typing import NamedTuple

from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.figures.plot import SHEET, Plot, round_up, stacked_bar
from inception_edu.figures.svg import Drawing
from inception_edu.figures.theme import LABEL
from inception_edu.text import compared, percent, short

VERSIONS = ("naive", "reduced")
COLUMNS = ("in_channels", "grid", "1x1", "3x3 reduce", "3x3", "5x5 reduce", "5x5")
COLUMNS += ("pool proj",)
# Table 1, here again since a page has no torch; a test compares it with the network's:
# the input of each module, its grid at 224x224, and its widths.
TABLE_1 = {
    "3a": (192, 28, 64, 96, 128, 16, 32, 32),
    "3b": (256, 28, 128, 128, 192, 32, 96, 64),
    "4a": (480, 14, 192, 96, 208, 16, 48, 64),
    "4b": (512, 14, 160, 112, 224, 24, 64, 64),
    "4c": (512, 14, 128, 128, 256, 24, 64, 64),
    "4d": (512, 14, 112, 144, 288, 32, 64, 64),
    "4e": (528, 14, 256, 160, 320, 32, 128, 128),
    "5a": (832, 7, 256, 160, 320, 32, 128, 128),
    "5b": (832, 7, 384, 192, 384, 48, 128, 128),
}
PRESETS = {name: dict(zip(COLUMNS, row, strict=True)) for name, row in TABLE_1.items()}
OWN, OTHER = "own widths", "the other version"

QUESTION = "What do I pay for each branch?"
CONTROLS = [
    Choice("version", "module", VERSIONS, "reduced"),
    Choice("preset", "widths of", [*PRESETS, OWN], "3a"),
    Choice("beside", "beside it", [OTHER, *PRESETS], OTHER),
    Range("in_channels", "input channels", 16, 1024, 16, 192),
    Range("1x1", "1x1", 8, 512, 8, 64),
    Range("3x3 reduce", "3x3 reduce", 8, 512, 8, 96),
    Range("3x3", "3x3", 8, 512, 8, 128),
    Range("5x5 reduce", "5x5 reduce", 8, 256, 8, 16),
    Range("5x5", "5x5", 8, 256, 8, 32),
    Range("pool proj", "pool proj", 8, 256, 8, 32),
    Range("grid", "grid (side)", 7, 56, 7, 28),
    Choice("show", "bars show", {"macs": "MACs", "weights": "weights"}, "macs"),
    Range("budget", "MAC budget", 0, 600, 10, 150, unit="M"),
]
SWEEP = {"version": list(VERSIONS), "preset": list(PRESETS)}


class Block(NamedTuple):
    """One operation of a branch."""

    name: str
    channels: int
    weights: int = 0


class Module(NamedTuple):
    """A module as it is drawn: branches by name, each a list of blocks."""

    version: str
    widths: str
    in_channels: int
    grid: int
    branches: dict

    @property
    def out_channels(self):
        return sum(blocks[-1].channels for blocks in self.branches.values())

    def blocks(self, branch):
        """Those of a branch, or of all: "sum"."""
        if branch != "sum":
            return self.branches[branch]
        return [block for blocks in self.branches.values() for block in blocks]

    def cost(self, metric, branch="sum"):
        """MACs or weights; each weight works once a position."""
        weights = sum(block.weights for block in self.blocks(branch))
        return weights * self.grid**2 if metric == "macs" else weights


def module_of(version, widths, values):
    """The `Module` with the channels, grid and widths in `values`."""

    def conv(k, in_channels, width):
        return Block(f"{k}x{k}", width, k * k * in_channels * width)

    channels = values["in_channels"]
    branches = {"1x1": [conv(1, channels, values["1x1"])]}
    for k in (3, 5):
        name, read, first = f"{k}x{k}", channels, []
        if version == "reduced":
            read = values[f"{name} reduce"]
            first = [conv(1, channels, read)]
        branches[name] = [*first, conv(k, read, values[name])]
    branches["pool"] = [Block("pool", channels)]
    if version == "reduced":
        branches["pool"].append(conv(1, channels, values["pool proj"]))
    return Module(version, widths, channels, values["grid"], branches)


def modules(state):
    """The module that a state describes, and that beside it."""
    version, preset, beside = state["version"], state["preset"], state["beside"]
    here = module_of(version, preset, state)
    if beside == OTHER:
        other = "naive" if version == "reduced" else "reduced"
        return [here, module_of(other, preset, state)]
    return [here, module_of(version, beside, PRESETS[beside])]


def adjust(values, changed, explicit):
    """A preset sets all widths; moving a width leaves the preset."""
    if "preset" in changed and values["preset"] in PRESETS:
        widths = PRESETS[values["preset"]]
        values |= {name: v for name, v in widths.items() if name not in explicit}
    matching = [p for p, widths in PRESETS.items() if widths.items() <= values.items()]
    if values["preset"] not in matching:
        values["preset"] = next(iter(matching), OWN)
    return values


def inactive(values):
    """The reduce sliders of a naive module alone, and the budget of weights."""
    found = {}
    if values["version"] == "naive" and values["beside"] != OTHER:
        reason = "the naive module has no 1x1 reduction"
        found = dict.fromkeys(("3x3 reduce", "5x5 reduce", "pool proj"), reason)
    if values["show"] == "weights":
        found["budget"] = "the budget is one of MACs"
    return found


PANEL, GAP = 266, 28  # pixels: of a module beside another, and between the two
TOP, ROW, ROWS = 50, 40, 4  # of the branches
# Steps of the axes: input channels from 192 to 416, as in lesson 01, cross none.
LENGTHS, HEIGHTS, COSTS = (1.1, 1.8, 4.5), (2.6, 7, 18), (1.5, 3, 8)


def draw(state):
    pair, metric = modules(state), state["show"]
    sheet = Drawing(SHEET, 452)
    widest = max(block.channels for module in pair for block in module.blocks("sum"))
    tallest = max(max(m.in_channels, m.out_channels) for m in pair)
    ends = round_up(widest, LENGTHS), round_up(tallest, HEIGHTS)
    for i, module in enumerate(pair):
        draw_module(sheet, module, i * (PANEL + GAP), *ends)
    draw_costs(sheet, state, pair)
    summary = in_words(state, *pair)
    rows = "; ".join(
        f"{module.version} {module.widths}: "
        + ", ".join(f"{b} {short(module.cost(metric, b))}" for b in module.branches)
        for module in pair
    )
    return Picture(sheet.svg(summary, f"{metric} by branch: {rows}"), summary)


def in_words(state, here, other):
    """The summary: cost, budget and comparison in a sentence."""
    macs, budget = here.cost("macs"), ""
    if state["budget"]:
        left = state["budget"] * 1e6 - macs
        side = "within" if left >= 0 else "over"
        budget = f" ({short(abs(left))} {side} the budget)"
    cost = other.cost("macs")
    return (
        f"{name_of(here).capitalize()} costs {short(macs)} MACs{budget}, with "
        f"{here.cost('weights'):,} weights and {here.out_channels} channels out; "
        f"{name_of(other)} costs {short(cost)}, {compared(cost, macs)}."
    )


def name_of(module):
    """A module in words: "the naive 3a", "the naive module"."""
    return f"the {module.version} {'module' if module.widths == OWN else module.widths}"


def draw_module(sheet, module, left, longest, highest):
    """A module from left to right; blocks and bars are to scale.

    `longest` and `highest` are the channels of a block and of a bar that fill theirs.
    """
    right, middle, slot = left + PANEL, TOP + ROWS * ROW / 2, PANEL / 2 - 47
    wide, high = slot / longest, ROWS * ROW / highest
    widths = "" if module.widths == OWN else f" {module.widths}"
    macs = f"{short(module.cost('macs'))} MACs"
    sheet.text(left, 16, f"{module.version}{widths}", LABEL, bold=True)
    sheet.text(right, 16, macs, LABEL, bold=True, anchor="end")
    sheet.text(left, 38, f"{module.in_channels} in, {module.grid}x{module.grid}")
    sheet.text(right, 38, f"{module.out_channels} out", anchor="end")
    tall = high * module.in_channels
    key = f"axis channels 0 to {longest:g} along, {highest:g} across"
    sheet.rect(left, middle - tall / 2, 10, tall, "ink", key=key)
    segment = middle - high * module.out_channels / 2
    for i, blocks in enumerate(module.branches.values()):
        x, y = left + 36, TOP + i * ROW
        start = min(max(y + 28, middle - tall / 2 + 1), middle + tall / 2 - 1)
        before = (left + 11, start)
        for block in blocks:
            sheet.line(before, (x - 2, y + 28), arrow=True, head=6, width=1)
            length = max(1, wide * block.channels)
            tip = f"{block.name}: {block.weights:,} weights"
            sheet.rect(x, y + 20, length, 16, block.name, tip=tip)
            sheet.text(x, y + 15, f"{block.name}: {block.channels}")
            before = (x + length + 2, y + 28)
            x += slot + 14
        part, start, turn = high * block.channels, before[0] - 2, left + 36 + 2 * slot
        upper = ((start, y + 20), (turn, y + 20), (right - 12, segment))
        lower = ((right - 12, segment + part), (turn, y + 36), (start, y + 36))
        sheet.polygon(*upper, *lower, fill=block.name, opacity=0.25)
        sheet.rect(right - 12, segment, 12, part, block.name, stroke="paper")
        segment += part


def draw_costs(sheet, state, pair):
    """The cost of every branch, one bar for each module, and the sums below."""
    metric, names = state["show"], [*pair[0].branches, "sum"]
    unit = "MACs" if metric == "macs" else "weights"
    budget = state["budget"] * 1e6 if metric == "macs" else 0
    top = round_up(max(*(module.cost(metric) for module in pair), budget), COSTS)
    box = (44, 240, SHEET - 44 - 188, 34 * len(names))
    plot = Plot(sheet, box, (0, top), (len(names), 0)).axes(unit, grid="x")
    for i, name in enumerate(names):
        bold, y = name == "sum", plot.y + i * 34 + 3
        sheet.text(0, y + 18, name, bold=bold)
        for module in pair:
            each = module.grid**2 if metric == "macs" else 1
            costs = [(b.name, b.weights * each) for b in module.blocks(name)]
            parts = [(n, kernel, f"{kernel}: {n:,} {unit}") for kernel, n in costs]
            stacked_bar(sheet, plot.x, y, 13, plot.width / top, parts)
            cost, tag = module.cost(metric, name), module.version
            share = "" if bold else f" ({percent(cost / module.cost(metric))})"
            if state["beside"] in PRESETS:
                tag = "own" if module.widths == OWN else module.widths
            sheet.text(plot.right + 14, y + 12, tag, fill="muted")
            sheet.text(SHEET, y + 12, short(cost) + share, anchor="end", bold=bold)
            y += 15
    if budget:
        plot.limit(budget, f"budget {state['budget']} M")
