"""Where every box of a diagram goes, and every wire: plain geometry.

A series is stacked from top to bottom, a split lays its branches side by side,
and a long series wraps into columns. All coordinates are pixels.
"""

from collections import namedtuple
from dataclasses import dataclass, field

from inception_edu.figures.branches import Split
from inception_edu.figures.graph import Node, readers_of

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
    exits: list = field(default_factory=list)  # x of what leaves at the bottom

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


class Layout:
    """Places the boxes of a diagram, each `width` x `height` unless it joins many."""

    def __init__(self, nodes, width, height):
        self.nodes, self.width, self.height = nodes, width, height
        self.readers = readers_of(nodes)

    def stack(self, series):
        """One `Block` for a series of nodes and splits, top to bottom."""
        block = Block()
        for element in self.blocks(series):
            block.take(element, 0, block.height)
            block.height += element.height
            block.exits = element.exits
        return block

    def blocks(self, series):
        """A `Block` for every element of a series, all about one axis."""
        inside, found = set(members(series)), []
        for before, element, after in zip(
            [None, *series], series, [*series[1:], None], strict=False
        ):
            if isinstance(element, Split) and element.tangled:
                found.append(self.rows(element.tangled))
            elif isinstance(element, Split):
                edges = self.passing(before, after, inside)
                found.append(self.side_by_side(element.branches, edges))
            else:
                half = self.width / 2
                if isinstance(before, Split) and len(element.inputs) > 1:
                    exits = found[-1].exits
                    half = max([half, *(abs(x) + self.width / 2 for x in exits)])
                box = Box(element, 0.0, 0.0, 2 * half, self.height)
                height = self.height + GAP
                found.append(Block(half, half, height, [box], exits=[0.0]))
        return found

    def passing(self, before, after, inside):
        """The edges past a split between two elements, as `(source, target)`."""
        if before and after:
            return [(before, after)]
        if after:
            return [(source, after) for source in after.inputs if source not in inside]
        readers = self.readers.get(before, ())
        return [(before, reader) for reader in readers if reader not in inside]

    def side_by_side(self, branches, edges):
        """Branches side by side, their exits about the axis."""
        parts, exits, x = [], [], 0.0
        for branch in branches:
            if branch.series:
                part = self.stack(branch.series)
            else:
                part = Block(SHORTCUT / 2, SHORTCUT / 2, exits=[0.0])
                part.shortcuts = [Shortcut(edge) for edge in edges]
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

    def rows(self, nodes):
        """Rows by longest path, for a part that is not nested branches."""
        row, rows = {}, []
        for node in nodes:
            row[node] = max((row[s] + 1 for s in node.inputs if s in row), default=0)
            rows += [[] for _ in range(row[node] + 1 - len(rows))]
            rows[row[node]].append(node)
        block = Block(height=len(rows) * (self.height + GAP))
        pitch = self.width + BRANCH_GAP
        for level, members_of_row in enumerate(rows):
            # Odd rows are shifted, so that a wire to a far row is seen beside a box.
            x = -pitch * (len(members_of_row) - 1) / 2 + (level % 2) * pitch / 2
            for i, node in enumerate(members_of_row):
                corner = x + i * pitch, level * (self.height + GAP)
                block.boxes.append(Box(node, *corner, self.width, self.height))
        block.left = max(self.width / 2 - box.x for box in block.boxes)
        block.right = max(self.width / 2 + box.x for box in block.boxes)
        block.exits = [box.x for box in block.boxes if box.node in rows[-1]]
        return block

    def sheet(self, series, top):
        """A `Placement` for a series, wrapped into the columns that read best."""
        blocks, groups = self.blocks(series), [[]]
        for block, element in zip(blocks, series, strict=True):
            groups[-1].append(block)
            # A split stays with the box it feeds, since many wires cannot change
            # column; an input stays with what it feeds.
            if not isinstance(element, Split) and element.kind != "input":
                groups.append([])
        groups = [group for group in groups if group]
        best = None
        for count in range(1, 8):
            columns = in_columns(groups, count)
            if len(columns) < count:
                break
            width = sum(map(total_width, columns)) + COLUMN_GAP * (count - 1)
            height = max(map(total_height, columns)) + (GAP - 10 if count > 1 else 0)
            cost = 3 * max(width / WIDEST, 1) + max(height / TALLEST, 1) + 0.05 * count
            if best is None or cost < best[0] - 0.02:
                best = (cost, columns)
        return self.placed(best[1], top)

    def placed(self, columns, top):
        first = top + (GAP - 10 if len(columns) > 1 else 0.0)
        sheet, x = Block(), 0.0
        channel = {}  # of a node's column: where wires come into it, left of its boxes
        for column in columns:
            left, y = max(block.left for block in column), first
            for block in column:
                sheet.take(block, x + left, y)
                channel |= {box.node: x - COLUMN_GAP / 2 for box in block.boxes}
                y += block.height
            x += total_width(column) + COLUMN_GAP
        boxes = {box.node: box for box in sheet.boxes}
        shortcuts = {}
        for shortcut in sorted(sheet.shortcuts, key=lambda shortcut: shortcut.y):
            shortcuts.setdefault(shortcut.edge, []).append(shortcut)
        wires = []
        for node in self.nodes:
            for source in node.inputs:
                is_across = channel[source] != channel[node]
                across = (channel[node], first - 16) if is_across else None
                passing = shortcuts.get((source, node), ())
                points = wire(boxes[source], boxes[node], passing, across)
                wires.append((source, node, points))
        height = first + max(map(total_height, columns)) - GAP + BUS
        return Placement(sheet.boxes, wires, x - COLUMN_GAP, height)


def members(series):
    """Every node of a series, nested ones too."""
    for element in series:
        if isinstance(element, Split):
            yield from element.tangled
            for branch in element.branches:
                yield from members(branch.series)
        else:
            yield element


def total_width(blocks):
    return max(block.left for block in blocks) + max(block.right for block in blocks)


def total_height(blocks):
    return sum(block.height for block in blocks)


def in_columns(groups, count):
    """The groups of blocks in at most `count` columns, the tallest as low as can be."""
    heights = [total_height(group) for group in groups]
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
            break
    return columns


def wire(source, target, shortcuts, across):
    """Points of a wire: down, along a bus, down; `across` changes column."""
    x, y = source.x, source.bottom
    points = [(x, y)]

    def turn(level, target_x):
        nonlocal x
        if abs(target_x - x) > 0.5:
            points.extend([(x, level), (target_x, level)])
            x = target_x

    bus = y + BUS
    if across:
        turn(bus, across[0])
        bus = across[1]
        if not shortcuts:
            turn(bus, target.x)
    for shortcut in shortcuts:
        turn(bus if across else shortcut.y - GAP + BUS, shortcut.x)
    joins = len(target.node.inputs) > 1
    if not joins or abs(target.x - x) > target.width / 2 - 8:
        turn(target.y - 16 if shortcuts else bus, target.x)
    points.append((x, target.y))
    return points
