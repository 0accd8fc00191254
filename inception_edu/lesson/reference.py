"""Run a solution with the layers that a candidate's module was seen to use."""

from itertools import permutations
from math import prod

import torch
from torch.nn import functional as F

from inception_edu.lesson.errors import GROUPS, Problem
from inception_edu.lesson.recorder import by_channel, moments_of, text_of


class Convolutions:
    """The candidate's convolutions, as a solution calls them.

    `conv(x, label, out_channels, kernel_size)` is the one that reads `x`, then its norm
    if it has one, then ReLU; `out_channels` may be None for any number, `norm` says
    whether a batch norm is asked for. `conv.join` concatenates branches. Without a
    `recorder` of the candidate it returns zeros, and notes in `shapes` which layers the
    solution has. `act`, `linear` (labels without ReLU) and `join` make mistakes.
    """

    def __init__(
        self, recorder=None, shapes=None, fused=None, act=F.relu, linear=(), join=None
    ):
        self.layers = recorder and recorder.layers
        self.shapes, self.fused = shapes or {}, fused or {}
        self.act, self.linear, self.joined = act, linear, join or concatenated
        self.branches, self.used = {}, {layer for layer, _ in self.fused.values()}

    def __call__(
        self, x, label, out_channels, kernel_size, stride=1, padding="same", *,
        relu=True, norm=None,
    ):  # fmt: skip
        size = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
        wanted = out_channels, x.shape[1], *size
        if self.layers is None:
            self.shapes[label] = wanted
            y = F.conv2d(x[:, :1], x.new_zeros(1, 1, *size), None, stride, padding)
            return y.expand(-1, out_channels or 1, -1, -1)
        y = 0
        for layer, rows, columns in self.find(x, label, wanted, stride, padding):
            self.used.add(layer)
            check_norm(label, layer, norm)
            ours, bias = layer.weight.flatten(1)[rows], layer.bias[rows].to(x.dtype)
            weight = x.new_zeros(len(ours), x.shape[1] * prod(size))
            weight[:, columns] = ours
            y = y + F.conv2d(x, weight.unflatten(1, (-1, *size)), bias, stride, padding)
        if norm is not False and layer.steps:
            y = normed(y, layer, rows)
        return self.act(y) if relu and label not in self.linear else y

    def join(self, branches):
        """The branches (a dict of tensors) concatenated along the channels."""
        self.branches = branches
        return self.joined(branches)

    def find(self, x, label, wanted, stride, padding):
        """`(layer, rows, columns)` of each layer that is part of `label`.

        `rows` are its outputs that belong to `label`, not all in a fused layer;
        `columns` the weights that it has of a kernel on `x` (see `columns_read`). One
        layer has them all, or several, whose results are added, have some each.
        """
        if label in self.fused:
            layer, rows = self.fused[label]
            columns = columns_read(x, layer, wanted, stride, padding)
            return [(layer, rows, columns or slice(None))]
        free = [layer for layer in self.layers if layer not in self.used]
        parts, left = [], {*range(x.shape[1] * prod(wanted[2:]))}
        for layer in sorted(free, key=lambda one: -one.weight[0].numel()):
            if left and wanted[0] in (None, layer.shape[0]):
                columns = columns_read(x, layer, wanted, stride, padding)
                if columns and left.issuperset(columns):
                    parts.append((layer, slice(None), columns))
                    left -= {*columns}
        if not left:
            return parts
        for layer in free:  # its input differs, which the output shows
            if None not in wanted and matches(layer.shape, wanted):
                return [(layer, slice(None), slice(None))]
        raise Problem(
            f"the layer `{label}` was not found",
            near_miss([label], self.layers, self.shapes),
            expected=text_of(wanted),
            found=", ".join(map(str, self.layers)) or "no layers",
        )


def concatenated(branches):
    return torch.cat(list(branches.values()), 1)


def check_norm(label, layer, norm):
    """Raise a Problem for a layer with a batch norm too many, or without one."""
    if norm is False and "norm" in layer.steps:
        hint = "leave the batch norm of this layer out"
        raise Problem(f"`{label}`: batch norm is not wanted", hint)
    if norm and not layer.steps:
        hint = "batch norm stands directly after the convolution, before its ReLU"
        raise Problem(f"`{label}`: batch norm is missing", hint)


def matches(found, wanted):
    """Whether a layer has this shape, turned by 90 degrees or as a matrix too."""
    outputs, inputs, *size = wanted
    matrix = outputs, inputs * prod(size), 1, 1
    return found in (wanted, (outputs, inputs, *size[::-1]), matrix)


def columns_read(x, layer, wanted, stride, padding):
    """Which weights of a flattened kernel on `x` a layer has, in its own order.

    None if it reads something else than `x`. A convolution reads channels and has the
    weights of each, a matrix product reads one number of each patch of `x`.
    """
    _, inputs, *size = wanted
    columns = torch.arange(inputs * prod(size)).view(inputs, -1)
    if layer.weight.dim() == 2:
        pads = [side // 2 for side in size] if padding == "same" else padding
        x = F.unfold(x, size, padding=pads, stride=stride)
        columns = columns.view(-1, 1)
    elif sorted(layer.shape[2:]) != sorted(size) or layer.grouped:
        return None
    found = places_of(layer.reads, moments_of(by_channel(x, 1)))
    return found and columns[found].flatten().tolist()


def places_of(rows, table):
    """The place of each row in the table, a place of its own; None if one has none."""
    near = 1e-4 * table.abs().amax(0) + 1e-9
    if rows.shape == table.shape and ((rows - table).abs() <= near).all():
        return [*range(len(rows))]  # in order, as nearly always
    found, free = [], torch.ones(len(table), dtype=bool)
    for row in rows:
        same = ((table - row).abs() <= near).all(1) & free
        if not same.any():
            return None
        found.append(int(same.int().argmax()))
        free[found[-1]] = False
    return found


def arrangements(layers, shapes):
    """Ways to read fused layers: dicts from label to (layer, rows).

    A layer as wide as several of the solution's together holds them in some order, the
    same one in every such layer.
    """
    ways, ran = [], [layer.shape for layer in layers]
    for layer in layers:
        width, *rest = layer.shape
        free = [k for k, shape in shapes.items() if shape not in ran]
        alike = [label for label in free if [*shapes[label][1:]] == rest]
        orders = [
            {label: shapes[label][0] for label in order}
            for count in range(2, len(alike) + 1)
            for order in permutations(alike, count)
        ]
        fits = [order for order in orders if sum(order.values()) == width]
        if fits and layer.shape not in shapes.values():
            ways.append([shared(layer, order) for order in fits])
    for choice in zip(*ways, strict=False) if ways else [()]:
        yield dict(pair for fused in choice for pair in fused.items())


def shared(layer, widths):
    """`{label: (layer, rows)}` of a layer that holds labels of these widths in turn."""
    parts = torch.arange(layer.shape[0]).split([*widths.values()])
    return {label: (layer, rows) for label, rows in zip(widths, parts, strict=True)}


def normed(y, layer, rows):
    """A layer's output after the candidate's own norm, which scales and shifts it."""
    before, after = layer.before[rows], layer.after[rows]
    offset = before - before.mean(1, keepdim=True)
    scale = (offset * after).sum(1) / (offset**2).sum(1).clamp(min=1e-30)
    shift = after.mean(1) - scale * before.mean(1)
    scale, shift = (values[:, None, None].to(y.dtype) for values in (scale, shift))
    return y * scale + shift


def near_miss(labels, layers, shapes):
    """What is wrong with the one layer that nearly has the shape of a label, or ""."""
    faults = (
        "makes another number of channels",
        "reads another number of channels",
        "has another kernel",
    )
    if not labels:
        return ""
    wanted, left = [*shapes.values()], []
    for layer in {one.weight.data_ptr(): one for one in layers}.values():
        if layer.shape in wanted:
            wanted.remove(layer.shape)
        elif layer.grouped and layer.output is not None:
            return GROUPS
        else:
            left.append(layer.shape)
    for label in labels:
        outputs, inputs, *kernel = shapes[label]
        found = []
        for shape in left:
            differs = shape[0] != outputs, shape[1] != inputs, [*shape[2:]] != kernel
            if sum(differs) == 1:
                found.append(faults[differs.index(True)])
        if len(found) == 1:
            return f"`{label}` {found[0]} than it should"
    return ""
