"""What runs one after the other and what side by side, from the edges alone."""

from dataclasses import dataclass, field

from inception_edu.figures.graph import common_path


@dataclass(slots=True)
class Lane:
    """One branch of a split: a named series; empty for a shortcut."""

    name: str
    series: list  # of Node and Split
    ends: bool = False  # leads to no output of this series (a side head)


@dataclass(slots=True)
class Split:
    """Branches that run side by side."""

    branches: list
    tangled: list = field(default_factory=list)  # nodes that are no clean branches


def structure(nodes):
    """A series (list of `Node` and `Split`) for nodes in the order they run.

    A node that every path to the last one passes is an element of the series;
    what lies between two such nodes is a `Split` of its connected parts.
    """
    readers = {id(node): [] for node in nodes}
    for node in nodes:
        for source in node.inputs:
            readers[id(source)].append(node)
    if nodes[-1].kind == "error":  # then whatever nobody reads was on its way
        return _series(
            nodes, {key for key, read in readers.items() if not read}, readers
        )
    return _series(nodes, {id(nodes[-1])}, readers)


def _series(nodes, targets, readers):
    inside = {id(node): place for place, node in enumerate(nodes)}
    if not targets:
        targets = {id(nodes[-1])}
    leads = set()  # nodes with a path to a target
    for node in reversed(nodes):
        if id(node) in targets or any(id(r) in leads for r in readers[id(node)]):
            leads.add(id(node))
    spine = _spine(nodes, inside, leads, targets, readers)
    spine_place = {id(node): i + 1 for i, node in enumerate(spine)}

    sections = [[] for _ in range(len(spine) + 1)]
    section_of, done = {}, 0
    for node in nodes:
        if id(node) in spine_place:
            done = section_of[id(node)] = spine_place[id(node)]
            continue
        place = max((section_of.get(id(s), 0) for s in node.inputs), default=0)
        section_of[id(node)] = max(place, done) if id(node) in leads else place
        sections[section_of[id(node)]].append(node)

    series = []
    for place, members in enumerate(sections):
        if place:
            series.append(spine[place - 1])
        if not members:
            continue
        upper = spine[place - 1] if place else None
        lower = spine[place] if place < len(spine) else None
        parts = _connected(members)
        if len(parts) == 1 and not spine:
            series.append(Split([], tangled=members))
            continue
        branches = []
        for part in parts:
            own = {id(node) for node in part}
            goals = {
                id(n)
                for n in part
                if id(n) in targets or any(id(r) not in own for r in readers[id(n)])
            }
            ends = not any(id(n) in leads for n in part)
            name = _branch_name(part, members, ends)
            branches.append((part, Lane(name, _series(part, goals, readers), ends)))
        through = (
            (lower is not None and upper is not None and upper in lower.inputs)
            or (
                lower is not None
                and upper is None
                and any(id(s) not in inside for s in lower.inputs)
            )
            or (lower is None and upper is not None and id(upper) in targets)
        )
        series.append(Split(_ordered(branches, lower, upper, through)))
    return series


def _spine(nodes, inside, leads, targets, readers):
    """Nodes that no path jumps over, among those that lead to a target."""
    spine, reach = [], -1
    chosen = [node for node in nodes if id(node) in leads]
    for node in chosen:
        outside = not node.inputs or any(id(s) not in inside for s in node.inputs)
        if outside and not (node.kind == "input" and reach < 0):
            reach = max(reach, inside[id(node)])
    for node in chosen:
        here = inside[id(node)]
        if reach <= here:
            spine.append(node)
        ends = [inside[id(r)] for r in readers[id(node)] if id(r) in leads]
        if id(node) in targets:
            ends.append(len(nodes))
        reach = max([reach, *ends])
    return spine


def _connected(nodes):
    """The connected parts of a set of nodes, each in the order they run."""
    home = {id(node): {id(node)} for node in nodes}
    for node in nodes:
        for source in node.inputs:
            if id(source) in home and home[id(source)] is not home[id(node)]:
                merged = home[id(source)] | home[id(node)]
                for member in merged:
                    home[member] = merged
    parts = {}
    for node in nodes:
        parts.setdefault(id(home[id(node)]), []).append(node)
    return list(parts.values())


def _branch_name(part, members, ends):
    """What the model calls this branch: the first name that tells it apart."""
    shared = common_path([node.path for node in part])
    if ends:
        return shared
    around = common_path([node.path for node in members])
    below = shared[len(around) :].strip(".")
    if not below:  # alone in its split
        return shared.split(".")[-1]
    return below.split(".")[0]


def _ordered(branches, lower, upper, through):
    """Branches from left to right: in the order they are joined, side heads last."""

    def place(part):
        if lower is not None:
            hits = [i for i, s in enumerate(lower.inputs) if s in part]
            if hits:
                return hits[0]
        return 100

    lanes = [(b.ends, place(part), b) for part, b in branches]
    if through:
        joins = lower is not None and upper in lower.inputs
        at = lower.inputs.index(upper) if joins else -1
        lanes.append((False, at, Lane("shortcut", [])))
    return [b for _, _, b in sorted(lanes, key=lambda lane: lane[:2])]
