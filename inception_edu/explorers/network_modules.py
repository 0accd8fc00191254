"""A network as runs of identical modules: what the network explorer draws.

Nothing is built or traced while a slider moves: networks.json.gz holds the modules
of every network at every input size, traced with one A, one B and one C
(`python -m experiments network_tables`). Modules of a grid are identical, so that a
count is a multiplication. `tests/explorers` hold both against traces.
"""

import gzip
import json
import re
from dataclasses import astuple, dataclass, replace
from functools import cache, lru_cache
from math import prod
from pathlib import Path

from inception_edu.figures.theme import kernel_name
from inception_edu.text import dims

TABLES = Path(__file__).with_name("networks.json.gz")

# How many A, B and C the published networks have; ours, of the minis.
COUNTS = {
    "inception_v4": (4, 7, 3),
    "inception_resnet_v1": (5, 10, 5),
    "inception_resnet_v2": (10, 20, 10),
    "inception_resnet_v2 as printed": (5, 10, 5),
    "mini_v4": (1, 2, 1),
    "mini_resnet": (1, 2, 1),
}
PRINTED = "inception_resnet_v2 as printed"  # its figures; the release differs
LETTERS = "abc"
SIZES = [32, 48, 64, 75, 96, 128, 160, 192, 224, 256, 299, 320, 384, 448, 512]


@dataclass(frozen=True)
class Layer:
    """An operation with what only follows it: its norm, its ReLU, its scale."""

    place: str  # its path in the module
    what: str
    kernel: str  # its color in the palette
    params: int
    macs: int
    memory: int
    channels: int  # of its output
    inputs: tuple  # numbers of the layers that it reads; -1 is the module's input

    @property
    def label(self):
        return f"{self.place}: {self.what}" if self.place else self.what


@dataclass(frozen=True)
class Module:
    """`count` identical modules in a row; amounts of `layers` are those of one."""

    name: str
    count: int
    channels: int
    grid: tuple
    field: tuple | None
    layers: tuple

    def total(self, amount):
        """What all `count` of them have: "macs", "params" or "memory"."""
        return self.count * self.each(amount)

    def each(self, amount):
        """What one of them has."""
        return sum(getattr(layer, amount) for layer in self.layers)

    @property
    def label(self):
        return f"{self.name} x{self.count}" if self.count > 1 else self.name


@cache
def stored():
    """`{name: {"input_size", "min_size", "sizes": {size: modules}}}`, as lists."""
    return json.loads(gzip.decompress(TABLES.read_bytes()))


def as_lists(modules):
    """Modules as `stored` holds them."""
    return json.loads(json.dumps([astuple(module) for module in modules]))


@lru_cache(maxsize=256)
def published(name, size):
    """The modules of a network of the family, one A, B and C; ValueError in words."""
    network = stored()[name]
    if size < network["min_size"]:
        raise ValueError(
            f"{size}x{size} is too small for {name}, whose last grid would be empty; "
            f"take an input of at least {network['min_size']}x{network['min_size']}"
        )
    if str(size) not in network["sizes"]:
        raise ValueError(
            f"{name} cannot halve the grids of {size}x{size}, since one is odd; take "
            f"an input of {', '.join(network['sizes'])}"
        )
    return [
        Module(
            name,
            count,
            channels,
            tuple(grid),
            field and tuple(field),
            tuple(Layer(*layer[:-1], tuple(layer[-1])) for layer in layers),
        )
        for name, count, channels, grid, field, layers in network["sizes"][str(size)]
    ]


NAMES = list(stored())


def counts_of(name):
    """How many A, B and C a network has as published; (0, 0, 0) without them."""
    return COUNTS.get(name, (0, 0, 0))


def compose(name, modules, counts):
    """`modules` with a, b, c of the letters, fields of vision moved accordingly."""
    if name not in COUNTS:
        if any(counts):
            raise ValueError(
                f"{name} has no A, B and C to count: leave all three at 0, or choose "
                f"one of {', '.join(COUNTS)}"
            )
        return modules
    composed, before, moved = [], (1, 1), (0, 0)
    for module in modules:
        letter = re.search(r"(?:^|_)([abc])$", module.name)
        count = 1
        if letter and not module.name.startswith("reduction"):
            count = counts[LETTERS.index(letter[1])]
        if module.field:  # every module of a grid sees equally much more
            gain = [
                here - last for here, last in zip(module.field, before, strict=True)
            ]
            before = module.field
            moved = tuple(m + (count - 1) * g for m, g in zip(moved, gain, strict=True))
            field = tuple(f + m for f, m in zip(module.field, moved, strict=True))
            module = replace(module, field=field)
        if count:
            composed.append(replace(module, count=count))
    return composed


def modules_of(trace):
    """The modules of a trace in the order they run, identical neighbors as one."""
    depth = 1
    while depth < 4 and len(trace.by_module(depth)) < 5:
        depth += 1  # such as a model that keeps everything in `features`
    groups = []
    for row in trace.by_module(depth):
        shape, layers = row.out_shape, layers_of(row)
        if not any(layer.params or layer.macs or layer.memory for layer in layers):
            continue
        is_map = len(shape) == 4
        channels = shape[1] if is_map else shape[-1]
        grid = tuple(shape[2:]) if is_map else tuple(shape[1:-1]) or (1, 1)
        same = (channels, grid, layers)
        if groups and groups[-1][0] == same:
            groups[-1][1].append(row.path)
        else:
            groups.append((same, [row.path], row.receptive_field))
    return [
        Module(common_name(paths), len(paths), channels, grid, field, layers)
        for (channels, grid, layers), paths, field in groups
    ]


def common_name(paths):
    """One name for a run: "inception_a" for a1 to a4, else the first and last."""
    names = {re.sub(r"(?<=_[abc])\d+$|(?<=^[abc])\d+$", "", path) for path in paths}
    if len(names) == 1:
        return names.pop()
    return f"{paths[0]} to {paths[-1]}" if len(paths) > 1 else paths[0]


def layers_of(row):
    """What a module runs; what only reads one layer of it is added to that one."""
    found, home = [], {}
    for op in row.ops:
        follows = len(op.inputs) == 1 and op.inputs[0] in home
        if follows and not op.macs and "pool" not in op.kind:
            place = home[op.inputs[0]]
        else:
            place = len(found)
            path = op.path.removeprefix(row.path).strip(".")
            path = re.sub(r"(\.|^)(conv|pool)$", "", path)
            inputs = tuple(sorted({home.get(source, -1) for source in op.inputs}))
            shape = op.out_shape
            channels = shape[1] if len(shape) == 4 else shape[-1] if shape else 0
            what = [path, layer_name(op), kernel_name(op)]
            found.append([*what, 0, 0, 0, channels, inputs])
        home[op.index] = place
        for column, amount in enumerate((op.params, op.macs, op.activation_bytes), 3):
            found[place][column] += amount
    return tuple(Layer(*layer) for layer in found)


def layer_name(op):
    """What an operation does: "3x3/2, 64 to 96", "3x3 avg pool", "addition"."""
    if op.kind == "linear":
        return f"linear, {op.in_shapes[0][-1]} to {op.out_shape[-1]}"
    if op.kind != "conv" and not op.kind.endswith("pool"):
        return {"cat": "concatenation", "add": "addition"}.get(op.kind, op.kind)
    what = dims(op.kernel) if op.kernel else "global"
    if op.stride and max(op.stride) > 1:
        what += f"/{max(op.stride)}"
    if op.kind == "conv":
        return f"{what}, {op.in_shapes[0][1]} to {op.out_shape[1]}"
    return f"{what} {op.kind.replace('_', ' ')}"


def stages(modules):
    """The modules in runs of one grid, as `(grid, modules)`."""
    runs = []
    for module in modules:
        if not runs or runs[-1][0] != module.grid:
            runs.append((module.grid, []))
        runs[-1][1].append(module)
    return runs


def grid_name(grid):
    return dims(grid)


def total(modules, amount):
    return sum(module.total(amount) for module in modules)


def receptive_field(modules):
    """Of the last grid before it is pooled away or left, or None."""
    fields = [m.field for m in modules if m.field and prod(m.grid) > 1]
    return fields[-1] if fields else None
