"""The module explorer: what do I pay for each branch?

The numbers are a trace of the real module, built anew for every state on the
meta device, where weights have a shape and no memory.
"""

from dataclasses import dataclass

import torch

from inception_edu.cost import trace
from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.figures.plot import LABEL, NOTE, SHEET, bar_row, short, times
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.figures.theme import kernel_name, on_color
from inception_edu.networks.googlenet import (
    COLUMNS,
    TABLE_1,
    InceptionModule,
    NaiveModule,
)

VERSIONS = {"naive": NaiveModule, "reduced": InceptionModule}
OTHER = {"naive": "reduced", "reduced": "naive"}  # what each is compared with

# Table 1: what comes into each module, and the grid it works on at 224x224.
INPUTS = {
    "3a": (192, 28),
    "3b": (256, 28),
    "4a": (480, 14),
    "4b": (512, 14),
    "4c": (512, 14),
    "4d": (512, 14),
    "4e": (528, 14),
    "5a": (832, 7),
    "5b": (832, 7),
}
PRESETS = {
    name: {"in_channels": channels, "grid": grid} | TABLE_1[name]
    for name, (channels, grid) in INPUTS.items()
}
OWN = "own widths"

QUESTION = "What do I pay for each branch?"
CONTROLS = [
    Choice("version", "module", list(VERSIONS), "reduced"),
    Choice("preset", "widths of", [*PRESETS, OWN], "3a"),
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


@dataclass(frozen=True)
class Block:
    """One operation of a branch, as it is drawn."""

    name: str
    in_channels: int
    channels: int
    weights: int
    macs: int


def branches(state, version=None):
    """Every branch of the module as a list of `Block`, by name, from a trace."""
    channels, grid = state["in_channels"], state["grid"]
    widths = {column: state[column] for column in COLUMNS}
    with torch.device("meta"):
        module = VERSIONS[version or state["version"]](channels, widths)
    found = {name: [] for name in module}
    for op in trace(module, (1, channels, grid, grid)).ops:
        if op.kind == "conv" or op.kind.endswith("pool"):
            block = Block(
                kernel_name(op),
                op.in_shapes[0][1],
                op.out_shape[1],
                op.macs // grid**2,  # every weight works once a pixel
                op.macs,
            )
            found[op.path.split(".")[0]].append(block)
    return found


def total(table, amount):
    """The sum of "macs" or "weights" over all branches."""
    return sum(getattr(block, amount) for blocks in table.values() for block in blocks)


def adjust(values, changed, named):
    """A preset sets all widths; moving a width leaves the preset."""
    if "preset" in changed and values["preset"] in PRESETS:
        widths = PRESETS[values["preset"]]
        values |= {name: v for name, v in widths.items() if name not in named}
    fits = (
        name
        for name, preset in PRESETS.items()
        if all(values[control] == value for control, value in preset.items())
    )
    matching = list(fits)
    if values["preset"] not in matching:
        values["preset"] = matching[0] if matching else OWN
    return values


def draw(state):
    """The picture of a state, with its cost in the summary."""
    here = branches(state)
    other = branches(state, OTHER[state["version"]])
    macs, weights = total(here, "macs"), total(here, "weights")
    out_channels = sum(blocks[-1].channels for blocks in here.values())
    summary = f"{macs:,} MACs, {weights:,} weights, {out_channels} channels out; "
    if state["version"] == "naive":
        summary += f"{times(macs / total(other, 'macs'))} the reduced module"
    else:
        summary += f"the naive module costs {times(total(other, 'macs') / macs)} that"
    if state["budget"]:
        left = state["budget"] - macs / 1e6
        side = "within" if left >= 0 else "over"
        summary += f"; {abs(left):.1f} M {side} the budget"
    sheet = Drawing(SHEET, 436)
    bottom = draw_module(sheet, state, here)
    draw_costs(sheet, bottom + 34, state, here, total(other, state["show"]))
    rows = ", ".join(
        f"{name} {short(sum(getattr(b, state['show']) for b in blocks))}"
        for name, blocks in here.items()
    )
    title = f"{state['version']} Inception module: {summary}"
    return Picture(sheet.svg(title, f"{state['show']} by branch: {rows}"), summary)


def draw_module(sheet, state, table):
    """The branches side by side, every width to scale; returns the lower edge."""
    widest = [max(block.channels for block in blocks) for blocks in table.values()]
    gap, room = 4, 72  # between columns; for the text beside a block
    free = SHEET - len(table) * room - (len(table) - 1) * gap
    out_channels = sum(blocks[-1].channels for blocks in table.values())
    most = max(state["in_channels"], out_channels)
    scale = min(free / sum(widest), SHEET / most)
    columns, x = [], (SHEET - len(table) * (room + gap) + gap - scale * sum(widest)) / 2
    for width in widest:
        columns.append(x + scale * width / 2)
        x += room + scale * width + gap
    depth = max(2, *(len(blocks) for blocks in table.values()))
    high, pitch, top = 28, 54, 64
    end = top + depth * pitch

    grid = f"{state['grid']}x{state['grid']}"
    wide = scale * state["in_channels"]
    left, right = (SHEET - wide) / 2, (SHEET + wide) / 2
    sheet.text(
        SHEET / 2,
        16,
        f"in: {state['in_channels']} channels, {grid}",
        LABEL,
        anchor="middle",
    )
    sheet.rect(left, 24, wide, 12, "ink")
    segment = (SHEET - scale * out_channels) / 2
    for blocks, x in zip(table.values(), columns, strict=True):
        y = top + (depth - len(blocks)) * pitch / 2
        sheet.line((min(max(x, left + 2), right - 2), 36), (x, y), arrow=True)
        before = None
        for block in blocks:
            half = scale * block.channels / 2
            if before:
                funnel(sheet, before, (x - half, x + half, y), block.name)
            draw_block(sheet, block, x, y, half, high, room)
            before = (x - half, x + half, y + high)
            y += pitch
        part = scale * blocks[-1].channels
        funnel(sheet, before, (segment, segment + part, end), blocks[-1].name)
        sheet.rect(segment, end, part, 12, blocks[-1].name, stroke="paper")
        segment += part
    sheet.text(
        SHEET / 2,
        end + 28,
        f"out: {out_channels} channels, {grid}",
        LABEL,
        anchor="middle",
    )
    return end + 28


def draw_block(sheet, block, x, y, half, high, room):
    """A block to scale; its text inside if that fits, else on a plate beside it."""
    label = block.name if block.name == "pool" else f"{block.name}: {block.channels}"
    tip = f"{label} from {block.in_channels} channels: {block.macs:,} MACs"
    sheet.rect(x - half, y, max(2 * half, 1), high, block.name, tip=tip)
    if text_width(label, LABEL, bold=True) <= 2 * half - 4:
        ink = on_color(block.name)
        sheet.text(x, y + 20, label, LABEL, anchor="middle", fill=ink, bold=True)
    else:
        sheet.text(x + half + 4, y + 20, label, NOTE)


def funnel(sheet, above, below, fill):
    """The channels on their way from one bar `(left, right, y)` to the next."""
    (left, right, y), (low_left, low_right, low) = above, below
    corners = ((left, y), (right, y), (low_right, low), (low_left, low))
    sheet.polygon(*corners, fill=fill, opacity=0.25)


def draw_costs(sheet, y, state, table, other_total):
    """A bar for each branch, the sum below, and what the other version costs."""
    amount = state["show"]
    unit = "MACs" if amount == "macs" else "weights"
    whole = total(table, amount)
    budget = state["budget"] * 1e6 if amount == "macs" else 0
    left = 64
    scale = (SHEET - left - 110) / max(whole, other_total, budget)
    sheet.text(0, y, f"{unit} of each branch", LABEL, bold=True)
    y += 12
    everything = []
    for name, blocks in table.items():
        parts = [
            (getattr(b, amount), b.name, f"{b.name}: {getattr(b, amount):,} {unit}")
            for b in blocks
        ]
        cost = sum(part[0] for part in parts)
        bar_row(sheet, y, name, f"{short(cost)} ({cost / whole:.0%})", parts, scale)
        everything += parts
        y += 24
    y += 6
    bar_row(sheet, y, "sum", short(whole), everything, scale, bold=True)
    y += 26
    bar_row(sheet, y, OTHER[state["version"]], short(other_total), [], scale)
    sheet.rect(left, y, other_total * scale, 18, stroke="ink", dash="4 3")
    if budget:
        x = left + budget * scale
        sheet.line((x, y - 32), (x, y + 24), stroke="accent", width=3)
        anchor = "start" if x < SHEET - 120 else "end"
        label = f"budget {state['budget']} M"
        style = {"anchor": anchor, "fill": "accent", "bold": True}
        sheet.text(x, y + 38, label, NOTE, **style)
