"""The network explorer: where do the parameters, the work and the memory lie?

The strip shows every module to scale; the rows below it open the network down to
a convolution. `network_modules.py` has the numbers.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from inception_edu.explorers import make
from inception_edu.explorers.controls import (
    Check,
    Choice,
    Picture,
    Range,
    Steps,
)
from inception_edu.explorers.network_modules import (
    COUNTS,
    FAMILY,
    LETTERS,
    NAMES,
    SIZES,
    Own,
    compose,
    grid_name,
    published,
    receptive_field,
    stages,
    stored,
    total,
)
from inception_edu.figures.plot import NOTE, SHEET, short, stacked_bar, times
from inception_edu.figures.svg import Drawing, Strokes, text_width
from inception_edu.figures.theme import PALETTE

OWN, NOTHING = "yours", "nothing"
SHOWN = {"macs": "MACs", "params": "parameters", "memory": "activation memory"}
LARGEST = "largest first"
MOST_ROWS = 24
ROW = 22  # pixels from row to row
SWEEP = {"network": FAMILY, "show": list(SHOWN)}

QUESTION = "Where do parameters, work and memory lie, and how many A, B, C?"
CONTROLS = [
    Choice("network", "network", NAMES, "inception_v4"),
    Range("a", "A modules", 0, 20, 1, 4),
    Range("b", "B modules", 0, 40, 1, 7),
    Range("c", "C modules", 0, 20, 1, 3),
    Steps("size", "input (side)", SIZES, 299),
    Choice("beside", "beside it", [NOTHING, *NAMES], NOTHING),
    Choice("show", "show", SHOWN, "macs"),
    Choice("order", "rows", ["as they run", LARGEST], "as they run"),
    Range("stage", "open stage", 0, 16, 1, 0),
    Range("module", "open module", 0, 24, 1, 0),
    Check("same_scale", "strips on one scale", True),
]


class Table(NamedTuple):
    """Rows of one network; a row is `(label, short label, modules, pick)`."""

    of: str
    room: int  # for the short labels
    rows: list


def opened(name, modules, state):
    """The `Table` of all stages, of one stage's modules or of one module's layers.

    ValueError in words where there is no stage or module of that number.
    """
    runs = stages(modules)
    if not state["stage"]:
        rows = []
        for number, (grid, run) in enumerate(runs, 1):
            side, names = grid_name(grid), ", ".join(module.label for module in run)
            rows.append((f"{side}: {names}", side, run, f"stage={number};module=0"))
        return Table("by grid: pick one to open it", 76, rows)
    if state["stage"] > len(runs):
        raise ValueError(
            f"{name} has {len(runs)} stages: open 1 to {len(runs)}, or 0 for all"
        )
    grid, run = runs[state["stage"] - 1]
    if not state["module"]:
        rows = [
            (module.label, module.label, [module], f"module={number}")
            for number, module in enumerate(run, 1)
        ]
        return Table(f"of {grid_name(grid)}, by module", 150, rows)
    if state["module"] > len(run):
        raise ValueError(
            f"the {grid_name(grid)} stage of {name} has {len(run)} kinds of module: "
            f"open 1 to {len(run)}, or 0 for all"
        )
    module = run[state["module"] - 1]
    rows = [
        (layer.label, layer.what, [replace(module, count=1, layers=(layer,))], None)
        for layer in module.layers
    ]
    return Table(f"of one {module.name}, by layer", 134, rows)


def networks(state, own=None):
    """`[(name, modules)]` of the one or two networks that a state shows."""
    counts = tuple(state[letter] for letter in LETTERS)
    asked = [(state["network"], counts)]
    if state["beside"] != NOTHING:
        asked.append((state["beside"], COUNTS.get(state["beside"], (0, 0, 0))))
    found = []
    for name, counts in asked:
        size = state["size"]
        modules = own.modules(size) if name == OWN else published(name, size)
        found.append((name, compose(name, modules, counts)))
    return found


def shown(number, amount):
    """An amount in few letters, with the B of bytes."""
    return short(number) + ("B" if amount == "memory" else "")


def summary_of(state, pair):
    """The headline: totals of the first, and how many times that is the second."""
    (name, modules), *others = pair
    params, macs = total(modules, "params"), total(modules, "macs")
    counts = "/".join(str(state[letter]) for letter in LETTERS)
    line = f"{name} {counts}" if name in COUNTS else name
    line += f" at {state['size']}: {params:,} parameters, {macs:,} MACs"
    line += f", {shown(total(modules, 'memory'), 'memory')} of activations"
    field = receptive_field(modules)
    if field:
        sees = field[0] if field[0] == field[1] else grid_name(field)
        line += f", receptive field {sees}"
    for other, its in others:
        ratios = [
            f"{times(total(its, amount) / total(modules, amount))} the {SHOWN[amount]}"
            for amount in ("params", "macs")
            if total(modules, amount)
        ]
        line += f"; {other} has {' and '.join(ratios)}"
    return line


def tables_of(state, pair):
    """The `Table` of each network; the second shows its stages if it has no such."""
    tables = []
    for name, modules in pair:
        try:
            table = opened(name, modules, state)
        except ValueError:
            if not tables:
                raise
            table = opened(name, modules, state | {"stage": 0})
        if state["order"] == LARGEST:
            table.rows.sort(key=lambda row: -total(row[2], state["show"]))
        tables.append(table)
    return tables


def draw(state, own=None):
    """The picture of a state, with its totals in the summary."""
    amount, pair = state["show"], networks(state, own)
    line, tables = summary_of(state, pair), tables_of(state, pair)
    strip, pitch = (92, 136) if len(pair) == 1 else (62, 102)
    under = 44 + len(pair) * pitch + 12
    longest = min(MOST_ROWS, max(len(table.rows) for table in tables))
    foot = under + (14 if len(pair) == 1 else 32) + longest * ROW
    sheet = Drawing(SHEET, max(430, foot + 24))
    scale = "" if state["same_scale"] else " (each strip its own scale)"
    words = f"A block is as high as its grid, as wide as its channels{scale},"
    sheet.text(0, 14, words, NOTE)
    words = f"and the stronger its shade, the more {SHOWN[amount]}."
    sheet.text(0, 31, words, NOTE)
    most = max(module.each(amount) for _, modules in pair for module in modules)
    wide = max(width_of(modules) for _, modules in pair)
    high = max(module.grid[0] for _, modules in pair for module in modules)
    for number, (name, modules) in enumerate(pair):
        if not state["same_scale"]:
            wide = width_of(modules)
        sheet.text(0, 54 + number * pitch, name, NOTE, bold=True)
        box = 62 + number * pitch, strip, (SHEET - 8) / wide, strip / high
        draw_strip(sheet, box, stages(modules), state["stage"], (amount, most))
    draw_tables(sheet, under, pair, tables, amount)
    draw_legend(sheet, foot + 16, tables, amount)
    words = "; ".join(
        f"{name}, {SHOWN[amount]} {table.of}: "
        + ", ".join(
            f"{row[0]} {shown(total(row[2], amount), amount)}" for row in table.rows
        )
        for (name, _), table in zip(pair, tables, strict=True)
    )
    return Picture(sheet.svg(f"Network to scale: {line}", words), line)


def width_of(modules):
    return sum(module.count * module.channels for module in modules)


def draw_strip(sheet, box, runs, chosen, strongest):
    """Every module as a block to scale; a stage can be picked.

    `box` is top, height, pixels a channel, pixels a grid cell; `strongest` the amount
    that shades a block, and what the module with most has of it.
    """
    (top, high, across, along), (amount, most) = box, strongest
    middle, x, free = top + high / 2, 0.0, 0.0
    for number, (grid, run) in enumerate(runs, 1):
        start = x
        for module in run:
            width = max(1.0, module.count * module.channels * across)
            tall = max(2.0, module.grid[0] * along)
            share = module.each(amount) / most if most else 0
            shade = round(0.3 + 0.7 * share, 2)
            sheet.rect(x, middle - tall / 2, width, tall, "muted", opacity=shade)
            if module.channels * across > 2:
                draw_cuts(sheet, x, middle, module, across, tall)
            x += width
        if number == chosen:
            tall = max(grid[0] * along, 2) + 6
            style = {"stroke": "accent", "stroke_width": 2}
            sheet.rect(start, middle - tall / 2, x - start, tall, **style)
        label = grid_name(grid)
        long, place = text_width(label, NOTE), (start + x) / 2
        if long <= min(x - start, 2 * (place - free)):
            style = {"anchor": "middle", "fill": "muted"}
            sheet.text(place, top + high + 16, label, NOTE, **style)
            free = place + long / 2
        pick(sheet, start, top, x - start, high, f"stage={number};module=0")


def draw_cuts(sheet, x, middle, module, across, tall):
    """Lines between the blocks of identical modules."""
    places = (x + i * module.channels * across for i in range(module.count))
    lines = tuple(((p, middle - tall / 2), (p, middle + tall / 2)) for p in places)
    sheet.add(Strokes(lines, "paper"))


def pick(sheet, x, y, width, height, what):
    """An unseen rectangle that sets controls when it is clicked."""
    sheet.raw(
        f'<rect x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{height:.0f}" '
        f'fill-opacity="0" data-pick="{what}"/>'
    )


def draw_tables(sheet, y, pair, tables, amount):
    """The rows of each network as bars on one scale, side by side."""
    alone, gap = len(pair) == 1, 16
    column = (SHEET - gap * (len(pair) - 1)) / len(pair)
    room = 268 if alone else max(table.room for table in tables)
    top = max(total(row[2], amount) for table in tables for row in table.rows)
    scale = (column - room - (118 if alone else 66)) / (top or 1)
    for number, ((name, modules), table) in enumerate(zip(pair, tables, strict=True)):
        left, above = number * (column + gap), y
        title = f"{SHOWN[amount]} {table.of}"
        if not alone:
            sheet.fitted_text(left, y, name, column, NOTE, bold=True)
            above += 18
        sheet.fitted_text(left, above, title, column, NOTE, bold=alone)
        whole = total(modules, amount) if alone else 0
        for label, brief, found, target in shortened(table.rows):
            cost, base = total(found, amount), above + 22
            text = label if alone else brief
            sheet.fitted_text(left, base, text, room - 8, NOTE)
            bars = parts(found, amount)
            stacked_bar(sheet, left + room, base - 14, 17, scale, bars)
            value = shown(cost, amount)
            if whole:
                value += f" ({cost / whole:.1%})"
            sheet.text(left + column, base, value, NOTE, anchor="end")
            if target:
                pick(sheet, left, base - 15, column, ROW - 2, target)
            above += ROW


def shortened(rows):
    """The rows, the last ones as one where there are more than `MOST_ROWS`."""
    if len(rows) <= MOST_ROWS:
        return rows
    rest = [module for row in rows[MOST_ROWS - 1 :] for module in row[2]]
    label = f"and {len(rows) - MOST_ROWS + 1} more"
    return [*rows[: MOST_ROWS - 1], (label, label, rest, None)]


def parts(modules, amount):
    """The amounts of `modules` by kernel, as the parts of a bar."""
    found = dict.fromkeys(PALETTE, 0)
    for module in modules:
        for layer in module.layers:
            found[layer.kernel] += module.count * getattr(layer, amount)
    return [(n, kernel, f"{kernel}: {n:,}") for kernel, n in found.items() if n]


def draw_legend(sheet, y, tables, amount):
    """The colours of the bars, in the palette's order."""
    rows = [row for table in tables for row in table.rows]
    used = {part[1] for row in rows for part in parts(row[2], amount)}
    x = 0
    for kernel in PALETTE:
        if kernel in used:
            sheet.rect(x, y - 11, 12, 12, kernel)
            sheet.text(x + 17, y, kernel, NOTE)
            x += 30 + text_width(kernel, NOTE)


def adjust(values, changed, named, own=None):
    """A network brings its own counts and size; another stage closes the module.

    A stage or module beyond the last is the last.
    """
    if "network" in changed:
        name = values["network"]
        fresh = dict(zip(LETTERS, COUNTS.get(name, (0, 0, 0)), strict=True))
        fresh["size"] = own.start if name == OWN else stored()[name]["input_size"]
        fresh |= {"stage": 0, "module": 0}
        values |= {key: value for key, value in fresh.items() if key not in named}
    if "stage" in changed and "module" not in named:
        values["module"] = 0
    try:
        ((_, modules),) = networks(values | {"beside": NOTHING}, own)
    except ValueError:
        return values  # draw says why there is no such network
    runs = stages(modules)
    values["stage"] = min(values["stage"], len(runs))
    kinds = len(runs[values["stage"] - 1][1]) if values["stage"] else 0
    values["module"] = min(values["module"], kinds)
    return values


def controls_for(own):
    """The controls, with "yours" first and as many stages as it has."""
    runs = stages(own.modules(own.start))
    sizes = sorted({*SIZES, own.start})
    deep, many = max(16, len(runs)), max(24, *(len(run) for _, run in runs))
    fresh = {
        "network": Choice("network", "network", [OWN, *NAMES], OWN),
        "beside": Choice("beside", "beside it", [NOTHING, OWN, *NAMES], NOTHING),
        "size": Steps("size", "input (side)", sizes, own.start),
        "stage": Range("stage", "open stage", 0, deep, 1, 0),
        "module": Range("module", "open module", 0, many, 1, 0),
    }
    for control in CONTROLS:
        if control.name in LETTERS:
            fresh[control.name] = replace(control, value=0)
    return [fresh.get(control.name, control) for control in CONTROLS]


def network(model=None, input_shape=None, **options):
    """The network explorer; `start={"network": "googlenet"}` opens another network.

    `model`: a model or a `Trace` of your own, added to the networks as "yours" and
    shown first; `input_shape` is what the model takes, (1, 3, 224, 224) unless it
    knows better. `options` are those of `Explorer`: start, sweep, frames, compact.
    """
    own = None if model is None else Own(model, input_shape)
    if own is None:
        return make("network", **options)
    changed = {"draw": partial(draw, own=own), "adjust": partial(adjust, own=own)}
    return make("network", controls=controls_for(own), **changed, **options)
