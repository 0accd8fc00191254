"""The network explorer's modules: of every network at every input size.

Each network is traced with one A, one B and one C.
"""

import json
import re
from contextlib import suppress
from itertools import groupby

import torch

from inception_edu.cost import trace
from inception_edu.explorers import network_modules as explorer
from inception_edu.figures.graph import window
from inception_edu.figures.theme import kernel_name
from inception_edu.networks import MODELS, create_model

NAMES = sorted([*MODELS, explorer.PRINTED], key=lambda name: name.startswith("mini"))


def contents():
    """`{name: {"input_size", "sizes": {size: modules}}}` as plain data."""
    found = {}
    for name in NAMES:
        options = dict.fromkeys(explorer.LETTERS, 1) if name in explorer.COUNTS else {}
        options |= {"layout": "paper"} if name == explorer.PRINTED else {}
        with torch.device("meta"):
            model = create_model(name.removesuffix(" as printed"), **options)
        sizes = {}
        for size in explorer.SIZES:
            with suppress(ValueError):  # its last grid would be empty, or one is odd
                sizes[str(size)] = modules_of(trace(model, (1, 3, size, size)))
        found[name] = {"input_size": model.input_size, "sizes": sizes}
    return json.loads(json.dumps(found))


def modules_of(trace):
    """The modules of a trace in the order they run, identical neighbors as one."""

    def kind(row):
        _, channels, side, *_ = (*row.out_shape, 1)
        return channels, side, layers_of(row)

    modules = []
    rows = [row for row in trace.by_module() if row.params or row.activation_bytes]
    for (channels, side, layers), same in groupby(rows, kind):
        first, *rest = same
        alone = re.sub(r"(?<![a-z])([abc])\d+$", r"\1", first.path)
        name = f"{first.path} to {rest[-1].path}" if rest else alone
        field = first.receptive_field and first.receptive_field[0]
        counted = name, 1 + len(rest), channels, side, field, layers
        modules.append(explorer.Module(*counted))
    return modules


def layers_of(row):
    """What a module runs; what only reads one layer of it is added to that one."""
    found, layer_of = [], {}
    for op in row.ops:
        follows = len(op.inputs) == 1 and op.inputs[0] in layer_of
        if follows and not op.macs and "pool" not in op.kind:
            index = layer_of[op.inputs[0]]
        else:
            index = len(found)
            path = op.path.removeprefix(row.path).strip(".")
            path = re.sub(r"(\.|^)(conv|pool)$", "", path)
            inputs = sorted({layer_of.get(source, -1) for source in op.inputs})
            what = path, layer_name(op), kernel_name(op)
            found.append([*what, 0, 0, 0, op.out_shape[1], inputs])
        layer_of[op.index] = index
        for column, value in enumerate((op.params, op.macs, op.activation_bytes), 3):
            found[index][column] += value
    return [explorer.Layer(*layer) for layer in found]


def layer_name(op):
    """What an operation does: "3x3/2, 64 to 96", "3x3 avg pool", "addition"."""
    if op.kind == "linear":
        return f"linear, {op.in_shapes[0][-1]} to {op.out_shape[-1]}"
    if op.kind != "conv" and not op.kind.endswith("pool"):
        return {"cat": "concatenation", "add": "addition"}.get(op.kind, op.kind)
    if op.kind == "conv":
        return f"{window(op)}, {op.in_shapes[0][1]} to {op.out_shape[1]}"
    return f"{window(op)} {op.kind.replace('_', ' ')}"


STORED = explorer.TABLES, contents
