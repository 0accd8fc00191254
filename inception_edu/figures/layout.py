"""Where every box of a diagram goes, and every wire: plain geometry.

A series is stacked from top to bottom, a split lays its branches side by side,
and a long series wraps into columns. All coordinates are pixels.
"""

from dataclasses import dataclass, field

from inception_edu.figures.branches import Split
from inception_edu.figures.graph import Node

GAP = 46  # below a box: its shape, the bus, the arrow
BUS = 30  # how far below a box its wire turns
LANE_GAP = 18
COLUMN_GAP = 44
SHORTCUT = 36


@dataclass(slots=True)
class Box:
    """A node's place: centre `x`, top `y`."""

    node: Node
    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self):
        return self.y + self.height


@dataclass(slots=True)
class Block:
    """Boxes about an axis at x = 0, from y = 0 down."""

    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    boxes: list = field(default_factory=list)
    lanes: list = field(default_factory=list)  # (source, target, x, y) of shortcuts
    exits: list = field(default_factory=list)  # x of what leaves at the bottom
    breakable: bool = True

    def put(self, other, dx, dy):
        """Place another block's content in this one."""
        for box in other.boxes:
            self.boxes.append(
                Box(box.node, box.x + dx, box.y + dy, box.width, box.height)
            )
        for source, target, x, y in other.lanes:
            self.lanes.append((source, target, x + dx, y + dy))
        self.left = max(self.left, other.left - dx)
        self.right = max(self.right, other.right + dx)


def stack(series, width, height, readers, inside=None):
    """One `Block` for a series of nodes and splits, top to bottom."""
    block = Block()
    for element in pieces(series, width, height, readers, inside):
        block.put(element, 0, block.height)
        block.height += element.height
        block.exits = element.exits
    return block


def pieces(series, width, height, readers, inside=None):
    """A `Block` for every element of a series, all about one axis."""
    if inside is None:
        inside = {id(node) for node in members(series)}
    blocks = []
    for place, element in enumerate(series):
        before = series[place - 1] if place else None
        after = series[place + 1] if place + 1 < len(series) else None
        if isinstance(element, Split):
            blocks.append(
                _split(element, before, after, width, height, readers, inside)
            )
            continue
        reach = width / 2
        if isinstance(before, Split) and len(element.inputs) > 1:
            reach = max([reach, *(abs(x) + width / 2 for x in blocks[-1].exits)])
        box = Box(element, 0.0, 0.0, 2 * reach, height)
        block = Block(reach, reach, height + GAP, [box], exits=[0.0])
        block.breakable = element.kind != "input"
        blocks.append(block)
    return blocks


def members(series):
    """Every node of a series, nested ones too."""
    for element in series:
        if not isinstance(element, Split):
            yield element
            continue
        yield from element.tangled
        for branch in element.branches:
            yield from members(branch.series)


def _split(split, before, after, width, height, readers, inside):
    if split.tangled:
        return _layers(split.tangled, width, height)
    lanes, x = [], 0.0
    for branch in split.branches:
        if branch.series:
            lane = stack(branch.series, width, height, readers)
        else:
            lane = Block(SHORTCUT / 2, SHORTCUT / 2, exits=[0.0])
            lane.lanes = [
                (*ends, 0.0, 0.0) for ends in _through(before, after, readers, inside)
            ]
        lanes.append((branch, lane, x + lane.left))
        x += lane.left + lane.right + LANE_GAP
    exits = [
        centre + place
        for branch, lane, centre in lanes
        if not branch.ends
        for place in lane.exits
    ]
    exits = exits or [(x - LANE_GAP) / 2]
    axis = (min(exits) + max(exits)) / 2
    block = Block(exits=[place - axis for place in exits])
    for _, lane, centre in lanes:
        block.put(lane, centre - axis, 0)
        block.height = max(block.height, lane.height)
    return block


def _through(before, after, readers, inside):
    """The edges that a shortcut lane carries, as `(source, target)`."""
    if before is not None and after is not None:
        return [(before, after)]
    if after is not None:
        return [(s, after) for s in after.inputs if id(s) not in inside]
    return [(before, r) for r in readers[id(before)] if id(r) not in inside]


def _layers(nodes, width, height):
    """Rows by longest path, for a part that is no nest of branches."""
    inside = {id(node) for node in nodes}
    row, rows = {}, []
    for node in nodes:
        level = max((row[id(s)] + 1 for s in node.inputs if id(s) in inside), default=0)
        row[id(node)] = level
        while len(rows) <= level:
            rows.append([])
        rows[level].append(node)
    block = Block(height=len(rows) * (height + GAP))
    pitch = width + LANE_GAP
    for level, members_of_row in enumerate(rows):
        # Odd rows step aside, so that a wire to a far row is seen beside a box.
        start = -pitch * (len(members_of_row) - 1) / 2 + (level % 2) * pitch / 2
        for place, node in enumerate(members_of_row):
            x = start + place * pitch
            y = level * (height + GAP)
            block.boxes.append(Box(node, x, y, width, height))
            block.left = max(block.left, width / 2 - x)
            block.right = max(block.right, width / 2 + x)
    block.exits = [box.x for box in block.boxes if box.node in rows[-1]]
    return block


@dataclass(slots=True)
class Sheet:
    """A whole diagram: boxes by node id, wires as lists of points, size."""

    boxes: dict
    wires: list  # (source, target, points)
    width: float
    height: float


def arrange(series, nodes, width, height, *, widest=1080, tallest=620, top=0):
    """A `Sheet` for a series, wrapped into the columns that read best."""
    readers = {id(node): [] for node in nodes}
    for node in nodes:
        for source in node.inputs:
            readers[id(source)].append(node)
    blocks = pieces(series, width, height, readers)
    heights = [block.height for block in blocks]
    # A split stays with the box it feeds, since many wires cannot change column;
    # an input stays with what it feeds.
    breaks = [
        place
        for place in range(1, len(series))
        if not isinstance(series[place - 1], Split) and blocks[place - 1].breakable
    ]
    best = None
    for columns in range(1, 8):
        plan = _columns(heights, breaks, columns)
        if len(plan) < columns:
            break
        total = sum(_wide(blocks, part) for part in plan) + COLUMN_GAP * (columns - 1)
        tall = max(sum(heights[i] for i in part) for part in plan)
        if columns > 1:
            tall += GAP - 10
        cost = 3 * max(total / widest, 1) + max(tall / tallest, 1) + 0.05 * columns
        if best is None or cost < best[0] - 0.02:
            best = (cost, plan)
    return _place(blocks, best[1], readers, nodes, top)


def _wide(blocks, part):
    left = max(blocks[i].left for i in part)
    return left + max(blocks[i].right for i in part)


def _columns(heights, breaks, columns):
    """Indices of the blocks in each column, with the tallest column lowest."""
    groups, start = [], 0
    for place in [*breaks, len(heights)]:
        groups.append((start, place))
        start = place
    low = max(sum(heights[a:b]) for a, b in groups)
    high = sum(heights)
    while high - low > 1:
        middle = (low + high) / 2
        if len(_fill(heights, groups, middle)) <= columns:
            high = middle
        else:
            low = middle
    return _fill(heights, groups, high + 1)


def _fill(heights, groups, limit):
    plan, used = [[]], 0.0
    for start, stop in groups:
        size = sum(heights[start:stop])
        if plan[-1] and used + size > limit:
            plan.append([])
            used = 0.0
        plan[-1] += range(start, stop)
        used += size
    return plan


def _place(blocks, plan, readers, nodes, top):
    sheet, column_of, channel = Block(), {}, {}
    x, height = 0.0, 0.0
    first_y = GAP - 10 if len(plan) > 1 else 0.0
    for number, part in enumerate(plan):
        left = max(blocks[i].left for i in part)
        channel[number] = x - COLUMN_GAP / 2
        y = first_y
        for i in part:
            sheet.put(blocks[i], x + left, y + top)
            for box in blocks[i].boxes:
                column_of[id(box.node)] = number
            y += blocks[i].height
        x += _wide(blocks, part) + COLUMN_GAP
        height = max(height, y)
    boxes = {id(box.node): box for box in sheet.boxes}
    lanes = {}
    for source, target, place, y in sorted(sheet.lanes, key=lambda lane: lane[3]):
        lanes.setdefault((id(source), id(target)), []).append((place, y))
    wires = []
    for node in nodes:
        for source in node.inputs:
            a, b = id(source), id(node)
            across = None
            if column_of[a] != column_of[b]:
                across = (channel[column_of[b]], top + first_y - 16)
            points = _wire(boxes[a], boxes[b], lanes.get((a, b), ()), across)
            wires.append((source, node, points))
    return Sheet(boxes, wires, x - COLUMN_GAP, height - GAP + BUS + top)


def _wire(source, target, lanes, across):
    """Points of a wire: down, along a bus, down; `across` changes column."""
    x, y = source.x, source.bottom
    points = [(x, y)]

    def turn(level, place):
        nonlocal x
        if abs(place - x) > 0.5:
            points.extend([(x, level), (place, level)])
            x = place

    bus = y + BUS
    if across:
        turn(bus, across[0])
        bus = across[1]
        if not lanes:
            turn(bus, target.x)
    for place, lane_y in lanes:
        turn(bus if across else lane_y - GAP + BUS, place)
    joins = len(target.node.inputs) > 1
    if not joins or abs(target.x - x) > target.width / 2 - 8:
        turn(target.y - 16 if lanes else bus, target.x)
    points.append((x, target.y))
    return points
