"""The picture of a diagram: boxes, wires, shapes; and the `Diagram` that it makes."""

from inception_edu.figures.figure import Figure
from inception_edu.figures.layout import arrange
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.figures.theme import PALETTE, SIZE, on_color
from inception_edu.text import printable

HEADER, NARROW_HEADER, BAR, PAD = 44, 30, 22, 20
WIDEST = 1080  # pixels; wider pictures shrink and their text with them


class Diagram(Figure):
    """A `Figure` of a network or module that a reader can walk into.

    `.boxes` and `.labels` are the rectangles `(x, y, width, height)` that may not
    overlap, `.wires` lists of points; `.nodes` has what each box shows, `.edges`
    for each wire the places of its two boxes.
    """

    def __init__(self, drawing, title, text, nodes, boxes, labels, edges, wires):
        super().__init__(drawing, title, text)
        self.nodes, self.boxes, self.labels = nodes, boxes, labels
        self.edges, self.wires = edges, wires

    @property
    def svg(self):
        zoom = min(1.25, 1000 / self.width, 660 / self.height)
        return self.drawing.svg(self.title, self.text, zoom=max(zoom, 1.0))

    @property
    def html(self):
        from inception_edu.figures.walk import walkable

        return walkable(self, super().html)


def draw(nodes, series, title, subtitle, text):
    """A `Diagram` of nodes; without a title it has no heading and no legend."""
    names = _short_names(nodes)
    header = HEADER if any(_small(node) for node in nodes) else NARROW_HEADER
    sheet = _arranged(nodes, series, names, header + BAR, 86 if title else 12)
    heading = _heading(nodes, title, subtitle) if title else []
    words = max((text_width(*writing[1:4]) for writing in heading), default=0)
    total = max(sheet.width, words) + 2 * PAD
    dx = (total - sheet.width) / 2
    drawing = Drawing(round(total), round(sheet.height + (40 if title else 12)))
    drawing.rect(0, 0, drawing.width, drawing.height, "paper")
    labels = []
    for base, words, size, bold, fill in heading:
        y = base if base > 0 else drawing.height + base
        drawing.text(PAD, y, words, size, bold=bold, fill=fill)
        labels.append((PAD, y - size, text_width(words, size, bold), size + 3))

    wires = [[(x + dx, y) for x, y in points] for _, _, points in sheet.wires]
    for points in wires:
        drawing.line(*points, arrow=True)
    placed = list(sheet.boxes.values())
    scale = min((box.width - 12) / max(box.node.channels, 1) for box in placed)
    boxes = []
    for box in placed:
        left = box.x + dx - box.width / 2
        boxes.append((left, box.y, box.width, box.height))
        _draw_box(drawing, box, left, names[id(box.node)], header, scale)
        size = text_width(box.node.shape, SIZE["note"])
        x, y = box.x + dx, box.bottom + 20
        # A ground the color of the paper, so that the wire passes behind.
        drawing.rect(x - size / 2 - 3, y - 14, size + 6, 18, "paper")
        drawing.text(x, y, box.node.shape, SIZE["note"], anchor="middle", fill="ink")
        labels.append((x - size / 2, y - 13, size, 16))
    place = {key: number for number, key in enumerate(sheet.boxes)}
    edges = [(place[id(a)], place[id(b)]) for a, b, _ in sheet.wires]
    shown = [box.node for box in placed]
    return Diagram(drawing, title, text, shown, boxes, labels, edges, wires)


def _arranged(nodes, series, names, height, top):
    """The sheet with the widest boxes that fits, or the narrowest one."""
    label, note = SIZE["label"], SIZE["note"]
    needed = 112.0
    for node in nodes:
        needed = max(
            needed,
            text_width(names[id(node)], label, bold=True) + 16,
            text_width(_small(node), note) + 16,
            text_width(node.shape, note) + 12,
        )
    needed = min(needed, 200)
    tries = {max(170.0, needed), max(145.0, needed), needed, min(needed, 145.0)}
    sheets = []
    for width in sorted(tries, reverse=True):
        sheets.append(arrange(series, nodes, width, height, widest=WIDEST, top=top))
        if sheets[-1].width <= WIDEST:
            break
    return min(sheets, key=lambda sheet: sheet.width)


def one_line(text, size, bold=False):
    """A text without line breaks, cut where it would widen the sheet."""
    text = " ".join(printable(text).split())[:300]
    while text_width(text, size, bold) > WIDEST:
        text = text.rstrip("…")[:-1] + "…"
    return text


def _heading(nodes, title, subtitle):
    """`(baseline, words, size, bold, fill)`; below 0 it counts from the lower edge."""
    note = SIZE["note"]
    legend = (_legend(nodes), note, False, "muted")
    if nodes[-1].kind == "error":
        words = one_line(f"Stops here: {nodes[-1].step}", note)
        legend = (words, note, False, "bad")
    return [
        (34, title, SIZE["title"], True, "ink"),
        (58, subtitle, note, False, "muted"),
        (-14, *legend),
    ]


def _legend(nodes):
    text = "Bar: output channels, to scale"
    if any(len(node.parts) > 1 for node in nodes):
        text += "; colored and hatched by the kernel that made them"
    return text + "."


def _short_names(nodes):
    """What each box is called: a folded module by the end of its path."""
    ends = [n.path.split(".")[-1] for n in nodes if n.kind == "module"]
    names = {}
    for node in nodes:
        name = node.label
        if node.kind == "module":
            parts = node.path.split(".")
            name = ".".join(parts[-2:] if ends.count(parts[-1]) > 1 else parts[-1:])
        names[id(node)] = name
    return names


def _small(node):
    if node.kind != "module":
        return node.note
    times = f"{node.times} of these: " if node.times > 1 else ""
    return times + " ".join(node.folded)


def _draw_box(drawing, box, left, name, header, scale):
    node, width = box.node, box.width
    plain = node.kernel == "none"
    fill, edge = ("panel", "line") if plain else (node.kernel, node.kernel)
    style = {"anchor": "middle", "fill": "ink" if plain else on_color(fill)}
    if node.kind == "error":
        fill = edge = "bad"
        style["fill"] = "paper"
    tip = f"{node.path or name}: {node.shape}"
    tip += f", {node.params:,} parameters, {node.macs:,} MACs"
    middle, room = left + width / 2, width - 10
    drawing.rect(left, box.y, width, box.height, "paper", radius=4, tip=tip)
    drawing.rect(left, box.y, width, header, fill, radius=4)
    small = _small(node)
    base = box.y + (19 if small and header == HEADER else header / 2 + 6)
    size = SIZE["label"]
    drawing.fitted_text(middle, base, name, room, size, bold=True, **style)
    if small:
        drawing.fitted_text(middle, box.y + 38, small, room, SIZE["note"], **style)
    x = middle - node.channels * scale / 2
    for channels, kernel in node.parts:
        part = max(channels * scale, 1.5)
        known = kernel in PALETTE
        drawing.rect(
            x,
            box.y + header + 4,
            part,
            BAR - 8,
            kernel if known else "muted",
            hatch=kernel if known and part > 6 else None,
        )
        x += channels * scale
    drawing.rect(left, box.y, width, box.height, stroke=edge, stroke_width=2, radius=4)
