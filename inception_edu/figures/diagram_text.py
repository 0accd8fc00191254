"""A diagram in words: one line a run of boxes, branches indented."""

from inception_edu.figures.branches import Split


def twin_lines(nodes, series):
    """The diagram in words, one line a run of boxes, branches indented."""
    convolutions = [n for n in nodes if n.kind == "conv"]
    notes = {n.note for n in convolutions}
    common = notes.pop() if len(convolutions) > 1 and len(notes) == 1 else None
    lines = list(_series_lines(series, "  ", common))
    if common:
        lines.append(f"  every convolution: {common}")
    return lines


def _series_lines(series, indent, common):
    run = []
    for element in series:
        if getattr(element, "kind", "") == "error":
            if run:
                yield indent + _run_text(run, common)
                run = []
            yield f"{indent}stops in {element.path or 'the model'}: {element.step}"
            continue
        if not isinstance(element, Split):
            if element.kind == "input":
                continue
            if run and (_long(element) or _long(run[-1]) or len(run) > 5):
                yield indent + _run_text(run, common)
                run = []
            run.append(element)
            continue
        if run:
            yield indent + _run_text(run, common)
            run = []
        if element.tangled:
            for node in element.tangled:
                sources = ", ".join(s.path or s.label for s in node.inputs)
                yield f"{indent}{_run_text([node], common)} (from {sources})"
        for place, branch in enumerate(element.branches, 1):
            if not branch.series:
                yield f"{indent}| shortcut: unchanged"
                continue
            kind = "side head" if branch.ends else "branch"
            name = f"{branch.name} {kind}" if branch.name else f"{kind} {place}"
            inner = list(_series_lines(branch.series, "", common)) or ["an input"]
            if isinstance(branch.series[0], Split):
                inner.insert(0, "")
            yield f"{indent}| {name}: {inner[0]}".rstrip()
            yield from (f"{indent}|   {line}" for line in inner[1:])
    if run:
        yield indent + _run_text(run, common)


def _long(node):
    """Boxes that get a line of their own: folded modules and joins."""
    return node.kind == "module" or len(node.inputs) > 1


def _run_text(run, common):
    """ "192 -> 1x1 -> 96 -> 3x3 -> 128 (28x28)" for boxes in a row."""
    first, last = run[0], run[-1]
    if first.kind == "module":
        parts = ", ".join(f"{kernel} {width}" for width, kernel in first.parts)
        made = f" ({parts})" if len(first.parts) > 1 else ""
        times = f" and {first.times - 1} more like it" if first.times > 1 else ""
        return f"{first.path}{times}: {first.shape}{made}"
    if first.kind == "cat" and len(first.parts) > 1:
        widths = " + ".join(str(width) for width, _ in first.parts)
        grid = first.grid
        tail = f" ({grid})" if grid else ""
        return f"concat: {widths} = {first.channels}{tail}" + _bracket(first, common)
    words = []
    if len(first.inputs) == 1:
        words.append(str(first.inputs[0].channels))
    grid = first.inputs[0].grid if first.inputs else ""
    for node in run:
        words += [node.step + _bracket(node, common), str(node.channels)]
        now = node.grid
        if now and now != grid and node is not last:
            words[-1] += f" ({now})"
        grid = now
    if grid:
        words[-1] += f" ({grid})"
    return " -> ".join(words)


def _bracket(node, common):
    hide = not node.notes or (node.kind == "conv" and node.note == common)
    return "" if hide else f" [{node.note}]"
