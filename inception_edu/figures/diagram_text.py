"""A diagram in words: one line a run of boxes, branches indented."""

from inception_edu.figures.branches import Fork


def twin_lines(nodes, series):
    """The diagram in words, one line a run of boxes, branches indented."""
    convolutions = [n for n in nodes if n.kind == "conv"]
    notes = {n.note for n in convolutions}
    common = notes.pop() if len(convolutions) > 1 and len(notes) == 1 else None
    lines = [f"  {line}" for line in _series_lines(series, common)]
    return [*lines, f"  every convolution: {common}"] if common else lines


def _series_lines(series, common):
    for run in _runs(series):
        if isinstance(run, Fork):
            yield from _split_lines(run, common)
        elif run[0].kind == "error":
            yield f"stops in {run[0].path or 'the model'}: {run[0].step}"
        else:
            yield _run_text(run, common)


def _runs(series):
    """Runs of at most six boxes; splits, modules and boxes that join on their own."""
    runs = []
    for element in series:
        before = runs[-1] if runs else None
        if isinstance(element, Fork):
            runs.append(element)
        elif element.kind == "input":
            continue
        elif isinstance(before, list) and not (
            len(before) > 5 or _is_alone(element) or _is_alone(before[-1])
        ):
            before.append(element)
        else:
            runs.append([element])
    return runs


def _is_alone(node):
    return node.kind in ("module", "error") or len(node.inputs) > 1


def _split_lines(split, common):
    for node in split.tangled:
        sources = ", ".join(s.path or s.label for s in node.inputs)
        yield f"{_run_text([node], common)} (from {sources})"
    for index, branch in enumerate(split.branches, 1):
        if not branch.series:
            yield "| shortcut: unchanged"
            continue
        kind = "side head" if branch.is_side_head else "branch"
        name = f"{branch.name} {kind}" if branch.name else f"{kind} {index}"
        lines = list(_series_lines(branch.series, common)) or ["an input"]
        if isinstance(branch.series[0], Fork):
            lines.insert(0, "")
        yield f"| {name}: {lines[0]}".rstrip()
        yield from (f"|   {line}" for line in lines[1:])


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
        tail = f" ({first.grid})" if first.grid else ""
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
