"""What runs one after the other and what side by side, from the edges alone."""

from dataclasses import dataclass, field

from inception_edu.figures.graph import common_path, readers_of


@dataclass(slots=True)
class Branch:
    """One branch of a split: a named series; empty for a shortcut."""

    name: str
    series: list  # of Node and Split
    is_side_head: bool = False  # leads to no output of this series


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
    readers = readers_of(nodes)
    if nodes[-1].kind == "error":  # then whatever nobody reads was on its way
        return _series(nodes, {node for node in nodes if not readers[node]}, readers)
    return _series(nodes, {nodes[-1]}, readers)


def _series(nodes, targets, readers):
    targets = targets or {nodes[-1]}
    leads = set()  # nodes with a path to a target
    for node in reversed(nodes):
        if node in targets or not leads.isdisjoint(readers[node]):
            leads.add(node)
    spine = _spine(nodes, leads, targets, readers)

    sections = [[] for _ in range(len(spine) + 1)]  # before, between, after them
    section_of, done = {}, 0
    for node in nodes:
        if node in spine:
            done = section_of[node] = done + 1
            continue
        section = max((section_of.get(source, 0) for source in node.inputs), default=0)
        section_of[node] = max(section, done) if node in leads else section
        sections[section_of[node]].append(node)

    series = []
    for upper, members, lower in zip(
        [None, *spine], sections, [*spine, None], strict=True
    ):
        if upper:
            series.append(upper)
        parts = _connected(members)
        if len(parts) == 1 and not spine:
            series.append(Split([], tangled=members))
        elif parts:
            branches = [
                _branch(part, members, targets, leads, readers) for part in parts
            ]
            if lower:
                outside = any(source not in section_of for source in lower.inputs)
                through = upper in lower.inputs if upper else outside
            else:
                through = upper in targets
            if through:
                branches.append((None, Branch("shortcut", [])))
            series.append(Split(_ordered(branches, lower, upper)))
    return series


def _spine(nodes, leads, targets, readers):
    """Nodes that no path jumps over, among those that lead to a target."""
    index = {node: i for i, node in enumerate(nodes)}
    spine, furthest = [], -1  # the last node that a path so far leads to
    chosen = [node for node in nodes if node in leads]
    for node in chosen:
        outside = not node.inputs or any(source not in index for source in node.inputs)
        if outside and not (node.kind == "input" and furthest < 0):
            furthest = max(furthest, index[node])
    for node in chosen:
        if furthest <= index[node]:
            spine.append(node)
        ends = [index[reader] for reader in readers[node] if reader in leads]
        if node in targets:
            ends.append(len(nodes))
        furthest = max([furthest, *ends])
    return spine


def _connected(nodes):
    """The connected parts of a set of nodes, each in the order they run."""
    component = {node: {node} for node in nodes}
    for node in nodes:
        for source in node.inputs:
            if source in component and component[source] is not component[node]:
                merged = component[source] | component[node]
                component |= dict.fromkeys(merged, merged)
    parts = {}
    for node in nodes:
        parts.setdefault(id(component[node]), []).append(node)
    return list(parts.values())


def _branch(part, members, targets, leads, readers):
    """`(part, Branch)` of a connected part, with the name that tells it apart."""
    own = set(part)
    goals = {n for n in part if n in targets or not own.issuperset(readers[n])}
    is_side_head = leads.isdisjoint(part)
    shared = name = common_path([node.path for node in part])
    if not is_side_head:
        around = common_path([node.path for node in members])
        below = shared[len(around) :].strip(".")
        # alone in its split, it has the end of its own path
        name = below.split(".")[0] or shared.split(".")[-1]
    return part, Branch(name, _series(part, goals, readers), is_side_head)


def _ordered(branches, lower, upper):
    """Branches from left to right: in the order they are joined, side heads last."""

    def rank(branch):
        part, found = branch
        sources = part or [upper]
        hits = [i for i, s in enumerate(lower.inputs if lower else ()) if s in sources]
        return found.is_side_head, hits[0] if hits else 100 if part else -1

    return [branch for _, branch in sorted(branches, key=rank)]
