"""The network explorer: where do parameters, MACs and memory lie?

Every module is a block as wide as its cost; below, the network opens stage by stage
down to a convolution. `network_modules.py` has the numbers, `network_picture.py`
draws them.
"""

from typing import NamedTuple

from inception_edu.explorers.controls import Choice, Picture, Range, Steps
from inception_edu.explorers.network_modules import (
    COUNTS,
    LETTERS,
    NAMES,
    PRINTED,
    SIZES,
    counts_of,
    in_short,
    network_of,
    stored,
    total,
)
from inception_edu.explorers.network_picture import (
    EDGE,
    SHOWN,
    by_kernel,
    draw_blocks,
    draw_inside,
    draw_tables,
    places_of,
    words,
)
from inception_edu.figures.plot import SHEET, legend, round_up
from inception_edu.figures.svg import Drawing
from inception_edu.text import times

NOTHING = "nothing"
STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8)  # of an axis's end
QUESTION = "Where do parameters, MACs and memory lie, and how many A, B, C?"
LABELS = {name: name for name in NAMES}
LABELS |= {"inception_resnet_v2": "inception_resnet_v2 (release)"}
LABELS |= {PRINTED: "inception_resnet_v2 (paper)"}
SWEEP = {
    "network": [n for n in NAMES if not n.startswith("mini") and n != PRINTED],
    "show": list(SHOWN),
}
CONTROLS = [
    Choice("network", "network", LABELS, "inception_v4"),
    Range("a", "A modules", 0, 20, 1, 4),
    Range("b", "B modules", 0, 40, 1, 7),
    Range("c", "C modules", 0, 20, 1, 3),
    Steps("size", "input (side)", SIZES, 299, unit="px"),
    Choice("beside", "compare with", {NOTHING: NOTHING} | LABELS, NOTHING),
    Choice("show", "show", SHOWN, "macs"),
    Range("stage", "open stage", 0, 8, 1, 0),
    Range("module", "open module", 0, 6, 1, 0),
]


class Row(NamedTuple):
    """Modules under a long label and a short one, and what a click on them opens."""

    label: str
    brief: str
    modules: list
    pick: str | None = None


class Table(NamedTuple):
    """Rows of one network, their title, and the pixels that short labels need."""

    title: str
    room: int
    rows: list


def opened(network, stage, number):
    """The `Table` of all stages, of one stage's modules or of one module's layers.

    IndexError where there is no stage or module of that number.
    """
    if not stage:
        rows = []
        for place, run in enumerate(network.stages, 1):
            side = f"{run[0].side}x{run[0].side}"
            name = f"{side}: {in_short(run)}"
            rows.append(Row(name, side, run, f"stage={place};module=0"))
        return Table("by grid: pick one to open it", 76, rows)
    run = network.stages[stage - 1]
    if not number:
        side, rows = run[0].side, []
        for place, module in enumerate(run, 1):
            rows.append(Row(module.label, module.label, [module], f"module={place}"))
        return Table(f"on {side}x{side}, by module: pick one", 150, rows)
    module = run[number - 1]
    rows = [
        Row(layer.label, layer.what, [module._replace(times=1, layers=[layer])])
        for layer in module.layers
    ]
    return Table(f"of one {module.name}, by layer", 134, rows)


def networks(state):
    """The one or two `Network`s that a state shows.

    The second has its published counts, and its own input size unless the first was
    given another one than its own and the second can take it.
    """
    name, size, other = state["network"], state["size"], state["beside"]
    pair = [network_of(name, size, tuple(state[letter] for letter in LETTERS))]
    if other != NOTHING:
        theirs = stored()[other]
        if size == stored()[name]["input_size"] or str(size) not in theirs["sizes"]:
            size = theirs["input_size"]
        pair.append(network_of(other, size, counts_of(other)))
    return pair


def title_of(network):
    """Such as "inception_v4 at 299x299"."""
    return f"{LABELS[network.name]} at {network.size}x{network.size}"


def summary_of(pair):
    """The totals of the first network, and how many times that the second has."""
    first, *others = pair
    line = title_of(first)
    if first.name in COUNTS:
        counts = zip(first.counts, LETTERS.upper(), strict=True)
        line += " with " + ", ".join(f"{count} {letter}" for count, letter in counts)
    macs, params, memory = (words(total(first.modules, x), x) for x in SHOWN)
    line += f": {params} parameters, {macs} MACs, {memory} of activations"
    if first.receptive_field:
        line += f", receptive field {first.receptive_field:,} pixels"
    for other in others:
        more = (total(other.modules, x) / total(first.modules, x) for x in SHOWN)
        macs, params, _ = map(times, more)
        line += f"; {title_of(other)} has {params} the parameters and {macs} the MACs"
    return f"{line}."


def tables_of(state, pair):
    """The `Table` of each network; the second shows its stages if it has no such."""
    tables = []
    for network in pair:
        try:
            tables.append(opened(network, state["stage"], state["module"]))
        except IndexError:
            tables.append(opened(network, 0, 0))
    return tables


def axis_end(groups, metric):
    """A round number that the metric of every group of modules is below."""
    return round_up(max(total(modules, metric) for modules in groups), STEPS)


HEIGHT, TALLEST = 460, 132  # of the sheet, of a network's blocks
OVERHEAD, ROW = 72, 22  # around the blocks; from row to row
NOTE = "A block is as wide as its cost, as high as its grid (log), its side above."


def draw(state):
    metric, pair = state["show"], networks(state)
    tables = tables_of(state, pair)
    line, sheet = summary_of(pair), Drawing(SHEET, HEIGHT)
    kernels = by_kernel([m for network in pair for m in network.modules], metric)
    top = 8 + legend(sheet, 0, 14, [(kernel, kernel, "box") for kernel in kernels])
    count, module = max(len(table.rows) for table in tables), None
    alone = len(pair) == 1
    if state["module"] and alone:
        module = pair[0].stages[state["stage"] - 1][state["module"] - 1]
    pitch = ROW if alone and count < 10 else 18
    low = places_of(module.layers, 0, 18)[1] if module else count * pitch
    free = HEIGHT - top - (40 if alone else 16) - low
    high = min(max(free / len(pair) - OVERHEAD, 36), TALLEST if alone else 56)
    # Every axis has room for the counts as published.
    usual = [network_of(name, size, counts_of(name)) for name, size, *_ in pair]
    end = axis_end([network.modules for network in pair + usual], metric)
    for network in pair:
        framed = draw_blocks(
            sheet, top, network, title_of(network), end, state["stage"], metric, high
        )
        top += high + OVERHEAD
    top += 10
    if alone and state["stage"]:  # what is open widens below its frame
        up, down = top - 18, top + low + 4
        corners = (SHEET, up), (SHEET, down), (0, down), (0, up)
        sheet.polygon(*framed, *corners, fill="accent", opacity=0.1)
    if module:
        place = pair[0].modules.index(module)
        entering = pair[0].modules[place - 1].channels if place else 3
        cost = f"{words(module.each(metric), metric)} {SHOWN[metric]}"
        many = f", one of {module.times}" if module.times > 1 else ""
        sheet.text(EDGE, top, f"inside {module.name}{many}: {cost}", bold=True)
        draw_inside(sheet, top + 18, module, entering, metric)
    else:
        known = tables_of(state, usual[:1])
        rows = [row.modules for table in tables + known for row in table.rows]
        draw_tables(sheet, top, pair, tables, metric, axis_end(rows, metric), pitch)
    sheet.height = max(HEIGHT, top + low + (30 if alone else 6))
    if alone:
        sheet.text(0, sheet.height - 6, NOTE, fill="muted")
    listed = []
    for network, table in zip(pair, tables, strict=True):
        costs = [(r.label, words(total(r.modules, metric), metric)) for r in table.rows]
        rows = ", ".join(map(" ".join, costs))
        listed.append(f"{network.name}, {SHOWN[metric]} {table.title}: {rows}")
    return Picture(sheet.svg(f"Network to scale: {line}", "; ".join(listed)), line)


def adjust(values, changed, explicit):
    """A network brings its own counts and size; another stage closes the module.

    A stage or module beyond the last is the last; a stage's only module is opened.
    """
    if "network" in changed:
        name = values["network"]
        fresh = dict(zip(LETTERS, counts_of(name), strict=True))
        fresh |= {"size": stored()[name]["input_size"], "stage": 0, "module": 0}
        values |= {key: value for key, value in fresh.items() if key not in explicit}
    try:
        network, *_ = networks(values)
    except ValueError:
        return values  # draw says why there is no such network
    values["stage"] = min(values["stage"], len(network.stages))
    kinds = [0, *map(len, network.stages)][values["stage"]]
    if "stage" in changed and "module" not in explicit:
        values["module"] = int(kinds == 1)
    values["module"] = min(values["module"], kinds)
    return values


def inactive(values):
    """The controls that change nothing in this state, each with the reason."""
    idle = {}
    if values["network"] not in COUNTS:
        idle = dict.fromkeys(LETTERS, f"{values['network']} has no A, B, C")
    if not values["stage"]:
        idle["module"] = "open a stage first"
    return idle
