"""mini_reduced without torch; a page computes it by `forward.js`.

mini_reduced.json.gz holds its layers and weights and the pictures that it is shown
(`python -m experiments page_mini`); tests hold both against torch.
"""

import gzip
import json
from array import array
from base64 import b64decode
from functools import cache
from itertools import chain
from pathlib import Path

from inception_edu.figures.responses import (
    BranchResponse,
    LayerResponse,
    Responses,
    Term,
)

TABLE = Path(__file__).with_name("mini_reduced.json.gz")
SIDE = 48


@cache
def stored():
    """The contents of mini_reduced.json.gz."""
    return json.loads(gzip.decompress(TABLE.read_bytes()))


@cache
def weights():
    """All weights and biases, one layer's after the other's."""
    return array("f", b64decode(stored()["weights"]))


def stored_layers():
    """`{layer: (grid, branches)}` of what is shown."""
    sides = [layer.get("side") for layer in stored()["program"]]
    found = {}
    for path, branches in stored()["shown"].items():
        ((number, _), *_) = branches.values()
        found[path] = ((sides[number], sides[number]), list(branches))
    return found


def page_run():
    """`run(pixels)` of mini_reduced in a page: its `Responses` of 48 x 48 x 3 bytes."""
    from pyodide.code import run_js
    from pyodide.ffi import to_js

    source = Path(__file__).with_name("forward.js").read_text(encoding="utf-8")
    program = run_js("JSON.parse")(json.dumps(stored()["program"]))
    forward = run_js(source)(program, to_js(weights()))

    def run(pixels):
        outputs = forward(to_js(pixels))
        return recorded(lambda number: outputs[number].to_py())

    return run


def recorded(output):
    """The `Responses` of layers whose outputs `output(number)` returns, map by map."""
    layers, program = {}, stored()["program"]
    for path, (grid, _) in stored_layers().items():
        branches = {}
        for name, (number, kernel) in stored()["shown"][path].items():
            (source,) = program[number]["from"]
            read = channels_of(output(source), program[source]["side"])
            branches[name] = branch_of(output(number), grid[1], kernel, read)
        layers[path] = LayerResponse(grid, branches)
    return Responses(layers, [score for (score,) in output(len(program) - 1)])


def channels_of(maps, side):
    """Maps of `side` x `side` numbers, each as rows."""
    starts = range(0, side * side, side)
    return [[values[i : i + side].tolist() for i in starts] for values in maps]


def branch_of(maps, side, *others):
    """The `BranchResponse` of an output of `side` x `side` pixels, by channels."""
    channels = channels_of(maps, side)
    mean = [sum(map(sum, channel)) / side**2 for channel in channels]
    where = [
        [sum(pixel) / len(channels) for pixel in zip(*lines, strict=True)]
        for lines in zip(*channels, strict=True)
    ]
    return BranchResponse.of(mean, where, channels, *others)


def strongest_term(layer, name, branch):
    """The `Term` of a branch's strongest channel, by the input that gives it most."""
    number, _ = stored()["shown"][layer][name]
    program, inputs = stored()["program"][number], branch.inputs
    (channel,), side = branch.strongest(1), program["kernel"]
    area = side**2
    start = program["start"] + channel * len(inputs) * area
    places = [start + i * area for i in range(len(inputs))]
    kernels = channels_of([weights()[at : at + area] for at in places], side)
    pairs = zip(inputs, kernels, strict=True)
    gives = [sum(map(sum, rows)) * sum(map(sum, kernel)) for rows, kernel in pairs]
    source = gives.index(max(gives))
    rows = [list(map(float, row)) for row in inputs[source]]
    slid = slide(rows, kernels[source], program)
    return Term(channel, source, len(inputs), rows, kernels[source], slid)


def slide(rows, kernel, layer):
    """The products of a map and a kernel, added at every position."""
    stride, padding, places = layer["stride"], layer["padding"], range(layer["side"])

    def at(y, x):
        top, left = y * stride - padding, x * stride - padding
        return sum(
            weight * rows[top + i][left + j]
            for i, line in enumerate(kernel)
            for j, weight in enumerate(line)
            if 0 <= top + i < len(rows) and 0 <= left + j < len(rows)
        )

    return [[at(y, x) for x in places] for y in places]


# ---- pictures ----------------------------------------------------------------


def picture(state):
    """The state's picture as bytes, 48 x 48 x 3."""
    name, size = state["picture"], state["size"]
    if name in stored()["pictures"]:
        return b64decode(stored()["pictures"][name])
    if name == "digit":
        return painted(stored()["digits"][str(state["digit"])], size)
    ink = [2 * int(cell) for cell in state["drawing"]]
    return painted([ink[i : i + 8] for i in range(0, 64, 8)], size)


def painted(ink, size):
    """A digit `size` pixels tall, always in the middle of the same ground.

    The sums of `training.data.paint_digit`, without numpy: contrast 170 of 255,
    opacity 90 %, no tint.
    """
    pixels = bytearray(b64decode(stored()["ground"]))
    start = (SIDE - size) // 2
    places = range(start, start + size)
    window = [3 * (y * SIDE + x) for y in places for x in places]
    mean = sum(sum(pixels[i : i + 3]) for i in window) // (3 * len(window))
    color = min(mean + 170, 255) if mean < 128 else max(mean - 170, 0)
    rows = [enlarged(row, size) for row in ink]
    columns = [enlarged(column, size) for column in zip(*rows, strict=True)]
    shares = chain(*zip(*columns, strict=True))
    for place, share in zip(window, shares, strict=True):
        share = min(share * 3 // 2, 1 << 20) * 230 >> 12
        for i in range(place, place + 3):
            pixels[i] += (color - pixels[i]) * share >> 16
    return bytes(pixels)


def enlarged(values, size):
    """Eight values as `size`, linear between neighbors, times 256."""
    found = []
    for pixel in range(size):
        centre = min(max(((2 * pixel + 1) * 1024) // size - 128, 0), 7 * 256)
        left, share = divmod(centre, 256)
        right = min(left + 1, 7)
        found.append((256 - share) * values[left] + share * values[right])
    return found
