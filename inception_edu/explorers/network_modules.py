"""A network as runs of identical modules: what the network explorer draws.

Nothing is built or traced while a slider moves: networks.json.gz holds the modules
of every network at every input size, traced with one module A, B and C
(`python -m experiments network_tables`). Modules of a grid are identical, so that a
count is a multiplication. `tests/explorers` hold both against traces.
"""

import gzip
import json
import re
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

TABLES = Path(__file__).with_name("networks.json.gz")
PRINTED = "inception_resnet_v2 as printed"  # its figures; the release differs
# How many A, B and C: as published; of the minis, our own numbers.
COUNTS = {
    "inception_v4": (4, 7, 3),
    "inception_resnet_v1": (5, 10, 5),
    "inception_resnet_v2": (10, 20, 10),
    PRINTED: (5, 10, 5),
    "mini_v4": (1, 2, 1),
    "mini_resnet": (1, 2, 1),
}
LETTERS = "abc"
SIZES = [32, 48, 64, 75, 96, 128, 160, 192, 224, 256, 299, 320, 384, 448, 512]


class Layer(NamedTuple):
    """An operation with what only follows it: its norm, its ReLU, its scale."""

    place: str  # its path in the module
    what: str
    kernel: str  # its color in the palette
    params: int
    macs: int
    memory: int
    channels: int  # of its output
    inputs: list  # numbers of the layers that it reads; -1 is the module's input

    @property
    def label(self):
        return f"{self.place}: {self.what}" if self.place else self.what

    @property
    def joins(self):
        """Whether it is a concatenation or an addition."""
        return len(self.inputs) > 1


class Module(NamedTuple):
    """`times` identical modules in a row; amounts of `layers` are those of one."""

    name: str
    times: int
    channels: int
    side: int  # of its grid
    field: int | None  # side of the receptive field, None where every pixel is seen
    layers: list

    def each(self, metric):
        """What one of them has: "macs", "params" or "memory"."""
        return sum(getattr(layer, metric) for layer in self.layers)

    @property
    def label(self):
        return f"{self.name} x{self.times}" if self.times > 1 else self.name


class Network(NamedTuple):
    """A network on an input of `size` pixels, with this many A, B and C."""

    name: str
    size: int
    counts: tuple
    modules: list

    @property
    def stages(self):
        """The modules in runs of one grid."""
        runs = groupby(self.modules, key=lambda module: module.side)
        return [list(run) for _, run in runs]

    @property
    def receptive_field(self):
        """Of the last grid before it is pooled away or left, or None."""
        fields = [m.field for m in self.modules if m.field and m.side > 1]
        return fields[-1] if fields else None


def in_short(run):
    """The names of modules that multiply, shared beginnings once: "conv_2a, 2b"."""
    words, last = [], ""
    named = [module.label for module in run if module.each("macs")] or [run[0].label]
    for word in ", ".join(named).split(" "):
        start, _, end = word.rpartition("_")
        words.append(end if start and start == last else word)
        last = start or last
    return " ".join(words)


def total(modules, metric):
    """What some modules have together."""
    return sum(module.times * module.each(metric) for module in modules)


@cache
def stored():
    """`{name: {"input_size", "sizes": {size: modules}}}`, as lists."""
    return json.loads(gzip.decompress(TABLES.read_bytes()))


NAMES = list(stored())


def counts_of(name):
    """How many A, B and C a network has as published; (0, 0, 0) without them."""
    return COUNTS.get(name, (0, 0, 0))


@lru_cache(maxsize=256)
def network_of(name, size, counts):
    """The `Network` with this many A, B and C; ValueError in words."""
    table = stored()[name]
    if str(size) not in table["sizes"]:
        raise ValueError(
            f"{name} cannot take {size}x{size}, where a grid would be empty or is odd "
            f"and cannot be halved; take an input of {', '.join(table['sizes'])}"
        )
    modules, before, more = [], 1, 0
    for *known, layers in table["sizes"][str(size)]:
        module = Module(*known, [Layer(*layer) for layer in layers])
        letter = re.search(r"(?:^|(?<!reduction)_)([abc])$", module.name)
        times = module.times
        if letter and name in COUNTS:
            times = counts[LETTERS.index(letter[1])]
        if module.field:  # every module of a grid sees equally much more
            more += (times - module.times) * (module.field - before)
            before = module.field
            module = module._replace(field=module.field + more)
        if times:
            modules.append(module._replace(times=times))
    return Network(name, size, counts, modules)
