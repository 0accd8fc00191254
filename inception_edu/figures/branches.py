"""What runs one after the other and what side by side, from the edges alone."""

from dataclasses import dataclass, field

from inception_edu.figures.graph import common_path, readers_of


@dataclass(slots=True)
class Branch:
    """One branch of a split: a named series; empty for a shortcut."""

    name: str
    series: list  # of Node and Fork
    is_side_head: bool = False  # leads to no output of this series
    edges: list = ()  # of a shortcut: the `(source, reader)` that it stands for


@dataclass(slots=True)
class Fork:
    """Branches that run side by side."""

    branches: list
    tangled: list = field(default_factory=list)  # nodes that are no clean branches


def structure(nodes):
    """A series (list of `Node` and `Fork`) for nodes in the order they run.

    A node that every path to the last one passes is an element of the series;
    what lies between two such nodes is a `Fork` of its connected parts.
    """
    readers = readers_of(nodes)
    ends = {nodes[-1]}
    if nodes[-1].kind == "error":  # then whatever nobody reads was on its way
        ends = {node for node in nodes if not readers[node]}
    return _series(nodes, ends, readers)


def _series(nodes, ends, readers):
    """The series of `nodes`, whose results are those of `ends`."""
    leads = set()  # nodes with a path to an end
    for node in reversed(nodes):
        if node in ends or not leads.isdisjoint(readers[node]):
            leads.add(node)
    spine = _spine(nodes, leads, ends)

    sections = [[] for _ in range(len(spine) + 1)]  # before, between, after them
    section_of, passed = {}, 0
    for node in nodes:
        if node in spine:
            passed += 1
            section_of[node] = passed
            continue
        sources = (section_of.get(source, 0) for source in node.inputs)
        section_of[node] = passed if node in leads else max(sources, default=0)
        sections[section_of[node]].append(node)

    series = []
    for upper, members, lower in zip(
        [None, *spine], sections, [*spine, None], strict=True
    ):
        series += [upper] if upper else []
        parts = _connected(members)
        if len(parts) == 1 and not spine:
            series.append(Fork([], tangled=members))
        elif parts:
            found = [
                (part, _branch(part, members, ends, leads, readers)) for part in parts
            ]
            if lower:
                outside = [s for s in lower.inputs if s not in section_of]
                sources = {upper}.intersection(lower.inputs) if upper else outside
                edges = [(source, lower) for source in sources]
            else:  # None reads what the whole diagram gives
                later = [r for r in [*readers[upper], None] if r not in section_of]
                edges = [(upper, reader) for reader in later if upper in ends]
            if edges:
                found.append(([], Branch("shortcut", [], edges=edges)))
            series.append(Fork(_ordered(found, upper, lower)))
    return series


def _spine(nodes, leads, ends):
    """Nodes that no edge jumps over, among those that lead to an end."""
    place = {node: i for i, node in enumerate(nodes)}
    edges = [(place[node], len(nodes)) for node in ends]
    for node in leads:
        sources = node.inputs or [None] * (node.kind != "input")
        edges += [(place.get(source, -1), place[node]) for source in sources]
    return [
        node
        for node in nodes
        if node in leads and not any(a < place[node] < b for a, b in edges)
    ]


def _connected(nodes):
    """The connected parts of a set of nodes, each in the order they run."""
    parts = []
    for node in nodes:
        touched = [part for part in parts if not part.isdisjoint(node.inputs)]
        parts = [part for part in parts if part not in touched]
        parts.append({node}.union(*touched))
    lists = [[node for node in nodes if node in part] for part in parts]
    return sorted(lists, key=lambda part: nodes.index(part[0]))


def _branch(part, members, ends, leads, readers):
    """The `Branch` of a connected part, with the name that tells it apart."""
    own = set(part)
    own_ends = {n for n in part if n in ends or not own.issuperset(readers[n])}
    is_side_head = leads.isdisjoint(part)
    name = common_path([node.path for node in part])
    if not is_side_head:
        around = common_path([node.path for node in members])
        below = name[len(around) :].strip(".")
        # alone in its split, it has the end of its own path
        name = below.split(".")[0] or name.split(".")[-1]
    return Branch(name, _series(part, own_ends or {part[-1]}, readers), is_side_head)


def _ordered(found, upper, lower):
    """Branches from left to right: in the order they are joined, side heads last."""

    def rank(part_and_branch):
        part, branch = part_and_branch
        read = enumerate(lower.inputs if lower else ())
        places = [i for i, source in read if source in (part or [upper])]
        return branch.is_side_head, min(places, default=100 if part else -1)

    return [branch for _, branch in sorted(found, key=rank)]
