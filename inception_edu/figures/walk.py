"""A diagram that a reader walks into: every module and operation as a picture.

`levels(diagram)` draws them all, equal ones once; `walkable` packs them into HTML
beside the still picture, which stays where scripts do not run. `diagram.js` opens
them; it needs neither a kernel nor a network.
"""

import gzip
import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

from inception_edu.figures.diagrams import Diagram, draw
from inception_edu.figures.graph import Node, common_path
from inception_edu.figures.operation import operation
from inception_edu.figures.svg import escape
from inception_edu.figures.theme import themed
from inception_edu.text import printable

MAX_LEVELS = 400  # levels of one diagram; what lies deeper stays closed


def walkable(diagram, still):
    """The HTML of a diagram: its still picture, and a script that opens it."""
    found = levels(diagram)
    if len(found) < 2:
        return still
    data = json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
    coded = b64encode(gzip.compress(data, 9, mtime=0)).decode()
    return (
        f'<div class="ie-diagram" data-title="{escape(diagram.title)}" '
        f'data-levels="data:application/gzip;base64,{coded}">{still}</div>'
        f"<script>{script()}</script>"
    )


def script():
    """The script that opens diagrams; it stands in every output."""
    here = Path(__file__).parent
    css = themed((here / "diagram.css").read_text(encoding="utf-8"))
    script = (here / "diagram.js").read_text(encoding="utf-8")
    return script.replace("`/*css*/`", json.dumps(css))


def levels(diagram):
    """Every picture that can be opened, the diagram itself first.

    A level is `{svg, boxes: [[x, y, width, height, name, words, level or None]],
    edges: [[from, to, points, shape]]}`; boxes and edges are counted from 0.
    """
    found, known = [], {}

    def add(picture, title, words=""):
        number, boxes = len(found), []
        found.append(None)
        for node, box in zip(picture.nodes, picture.boxes, strict=True):
            key = _key(node)
            if key is not None and key not in known and len(found) < MAX_LEVELS:
                known[key] = len(found)
                add(*_opened(node))
            name = printable(_name(node))
            boxes.append([*map(round, box), name, _words(node), known.get(key)])
        edges = [
            [a, b, [[round(x), round(y)] for x, y in points], picture.nodes[a].shape]
            for (a, b), points in zip(picture.edges, picture.wires, strict=True)
        ]
        svg = picture.drawing.svg(title, words)
        found[number] = {"svg": svg, "boxes": boxes, "edges": edges}

    add(diagram, diagram.text.splitlines()[0])
    return found


def _opened(node):
    """`(Diagram, title, words)` of what a box opens into."""
    if node.members:
        return _inside(node), _words(node)
    sheet, lines = operation(node)
    return Diagram(sheet, "", ""), _words(node), "; ".join([_words(node), *lines])


def _name(node):
    """What a reader calls a box: the end of a module's path, or its label."""
    return node.path.split(".")[-1] if node.kind == "module" else node.label


def _words(node):
    if node.kind == "error":
        return printable(f"stops in {node.path or 'the model'}: {node.step}")
    return printable(
        f"{_name(node)}: {node.shape}, {node.params:,} parameters, {node.macs:,} MACs"
    )


def _key(node):
    """What two boxes have in common that open into the same picture."""
    if node.members:
        index = {member: i for i, member in enumerate(node.members)}
        start = common_path([member.path for member in node.members])
        return tuple(
            (
                member.path[len(start) :],
                _key(member),
                tuple(index.get(source, source.out_shape) for source in member.inputs),
            )
            for member in node.members
        )
    if node.op is None or node.kind == "input":
        return None
    placeless = {"index": 0, "path": "", "inputs": (), "spans": None}
    op = node.op._replace(**placeless, params=0)  # a shared weight counts once
    return (node.label, node.note, node.params, node.macs, op)


def _inside(module):
    """The diagram of what a collapsed module holds, with an input for what it reads."""
    start = common_path([node.path for node in module.members])
    outside, copies = {}, {}
    for node in module.members:
        for source in node.inputs:
            if source not in copies and source not in outside:
                fresh = Node("", "input", "input", "none", source.out_shape)
                fresh.axis, fresh.parts = source.axis, [(source.channels, "none")]
                outside[source] = fresh
        inputs = [copies.get(source) or outside[source] for source in node.inputs]
        path = node.path[len(start) :].lstrip(".")
        copies[node] = replace(node, path=path, inputs=inputs)
    return draw([*outside.values(), *copies.values()])
