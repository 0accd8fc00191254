"""Where every box of a diagram goes, and every wire: plain geometry.

A series is stacked from top to bottom, a split puts its branches side by side,
and a long series wraps into columns. All coordinates are pixels.
"""

from collections import namedtuple
from dataclasses import dataclass, field

from inception_edu.figures.branches import Fork
from inception_edu.figures.graph import Node

GAP = 46  # below a box: its shape, the bus, the arrow
BUS = 30  # how far below a box its wire turns
BRANCH_GAP = 18
COLUMN_GAP = 44
SHORTCUT = 36
WIDEST, TALLEST = 1080, 620  # a wider picture shrinks, and its text with it


@dataclass(slots=True)
class Box:
    """A node's box: centre `x`, top `y`."""

    node: Node
    x: float
    y: float
    width: float
    height: float

    @property
    def left(self):
        return self.x - self.width / 2

    @property
    def bottom(self):
        return self.y + self.height


@dataclass(slots=True)
class Shortcut:
    """An edge that runs beside the boxes of a split, at `x`, from `y` down."""

    edge: tuple
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class Block:
    """Boxes about an axis at x = 0, from y = 0 down."""

    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    boxes: list = field(default_factory=list)
    shortcuts: list = field(default_factory=list)
    exits: list = field(default_factory=lambda: [0.0])  # x of what leaves below

    def take(self, other, dx, dy):
        """Move the content of another block into this one."""
        for part in (*other.boxes, *other.shortcuts):
            part.x += dx
            part.y += dy
        self.boxes += other.boxes
        self.shortcuts += other.shortcuts
        self.left = max(self.left, other.left - dx)
        self.right = max(self.right, other.right + dx)


# A whole diagram: boxes, wires as `(source, target, points)`, size.
Placement = namedtuple("Placement", "boxes wires width height")


def place(nodes, series, width, height, top):
    """A `Placement` of `nodes`, from `top` down, in the columns that read best.

    Boxes are `width` x `height`; one that joins branches is as wide as they are.
    """
    groups = [[]]
    for element, block in zip(series, _blocks(series, width, height), strict=True):
        groups[-1].append(block)
        # A split stays with the box it feeds, since many wires cannot change
        # column; an input stays with what it feeds.
        if not isinstance(element, Fork) and element.kind != "input":
            groups.append([])
    groups = [group for group in groups if group]

    def cost(columns):
        gaps = len(columns) - 1
        wide = sum(map(_width, columns)) + COLUMN_GAP * gaps
        tall = max(map(_height, columns)) + (GAP - 10 if gaps else 0)
        shrinks = 3 * max(wide / WIDEST, 1) + max(tall / TALLEST, 1)
        return round(shrinks + 0.07 * gaps, 2)  # platforms add up differently

    counts = range(1, min(7, len(groups)) + 1)
    best = min((_in_columns(groups, count) for count in counts), key=cost)
    return _placed(nodes, best, top)


# ---- blocks ----


def _blocks(series, width, height):
    """A `Block` for every element of a series, all about one axis."""
    blocks, exits = [], None
    for element in series:
        if isinstance(element, Fork):
            if element.branches:
                block = _side_by_side(element.branches, width, height)
            else:
                block = _rows(element.tangled, width, height)
            exits = block.exits
        else:
            half = width / 2
            if exits and len(element.inputs) > 1:  # wide enough for all of them
                half = max([half, *(abs(x) + half for x in exits)])
            box = Box(element, 0.0, 0.0, 2 * half, height)
            block, exits = Block(half, half, height + GAP, [box]), None
        blocks.append(block)
    return blocks


def _side_by_side(branches, width, height):
    """Branches side by side, their exits about the axis."""
    parts, exits, x = [], [], 0.0
    for branch in branches:
        part = Block(SHORTCUT / 2, SHORTCUT / 2)
        part.shortcuts = [Shortcut(edge) for edge in branch.edges]
        if branch.series:
            part = _stacked(_blocks(branch.series, width, height))
        centre = x + part.left
        parts.append((part, centre))
        if not branch.is_side_head:
            exits += [centre + exit_x for exit_x in part.exits]
        x += part.left + part.right + BRANCH_GAP
    exits = exits or [(x - BRANCH_GAP) / 2]
    axis = (min(exits) + max(exits)) / 2
    block = Block(exits=[exit_x - axis for exit_x in exits])
    for part, centre in parts:
        block.take(part, centre - axis, 0)
        block.height = max(block.height, part.height)
    return block


def _stacked(blocks):
    """The blocks as one, from top to bottom."""
    stack = Block()
    for block in blocks:
        stack.take(block, 0, stack.height)
        stack.height += block.height
        stack.exits = block.exits
    return stack


def _rows(nodes, width, height):
    """Rows by longest path, for a part that is not nested branches."""
    level, rows = {}, {}
    for node in nodes:
        above = (level[source] for source in node.inputs if source in level)
        level[node] = max(above, default=-1) + 1
        rows.setdefault(level[node], []).append(node)
    block, pitch = Block(height=len(rows) * (height + GAP)), width + BRANCH_GAP
    for number, row in rows.items():
        # Odd rows are shifted, so that a wire to a far row is seen beside a box.
        x = pitch * (number % 2 - len(row) + 1) / 2
        boxes = [
            Box(node, x + i * pitch, number * (height + GAP), width, height)
            for i, node in enumerate(row)
        ]
        block.boxes += boxes
        block.exits = [box.x for box in boxes]  # of the last row in the end
    block.left = max(-box.left for box in block.boxes)
    block.right = max(box.left + width for box in block.boxes)
    return block


def _width(blocks):
    return max(block.left for block in blocks) + max(block.right for block in blocks)


def _height(blocks):
    return sum(block.height for block in blocks)


def _in_columns(groups, count):
    """The groups of blocks in at most `count` columns, the tallest as low as can be."""
    heights = [_height(group) for group in groups]
    ends = range(len(groups) + 1)
    limits = {sum(heights[a:b]) for a in ends for b in ends[a + 1 :]}
    for limit in sorted(limit for limit in limits if limit >= max(heights)):
        columns, used = [[]], 0.0
        for group, height in zip(groups, heights, strict=True):
            if used + height > limit:
                columns.append([])
                used = 0.0
            columns[-1] += group
            used += height
        if len(columns) <= count:
            return columns


# ---- boxes and wires ----


def _placed(nodes, columns, top):
    """The `Placement` of columns of blocks, with a wire for every edge."""
    first = top + (GAP - 10 if len(columns) > 1 else 0.0)
    sheet, x = Block(), 0.0
    channel = {}  # of a node's column: where wires come into it, left of its boxes
    for column in columns:
        left, y = max(block.left for block in column), first
        for block in column:
            sheet.take(block, x + left, y)
            channel |= {box.node: x - COLUMN_GAP / 2 for box in block.boxes}
            y += block.height
        x += _width(column) + COLUMN_GAP
    boxes = {box.node: box for box in sheet.boxes}
    shortcuts = sorted(sheet.shortcuts, key=lambda shortcut: shortcut.y)
    wires = []
    for node in nodes:
        for source in node.inputs:
            is_across = channel[source] != channel[node]
            across = (channel[node], first - 16) if is_across else None
            passing = [s for s in shortcuts if s.edge == (source, node)]
            points = _wire(boxes[source], boxes[node], passing, across)
            wires.append((source, node, points))
    height = first + max(map(_height, columns)) - GAP + BUS
    return Placement(sheet.boxes, wires, x - COLUMN_GAP, height)


def _wire(source, target, shortcuts, across):
    """Points of a wire: down, along a bus, down; `across` changes column."""
    points = [(source.x, source.bottom)]

    def turn(level, x):
        before, _ = points[-1]
        if abs(x - before) > 0.5:
            points.extend([(before, level), (x, level)])

    bus = source.bottom + BUS
    if across:
        turn(bus, across[0])
        bus = across[1]
        if not shortcuts:
            turn(bus, target.x)
    for shortcut in shortcuts:
        turn(bus if across else shortcut.y - GAP + BUS, shortcut.x)
    x, _ = points[-1]
    joins = len(target.node.inputs) > 1
    if not joins or abs(target.x - x) > target.width / 2 - 8:
        turn(target.y - 16 if shortcuts else bus, target.x)
    points.append((points[-1][0], target.y))
    return points
