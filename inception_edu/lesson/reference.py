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
        self.branches, self.used = {}, {index for index, _ in self.fused.values()}

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
        parts = self.find(x, label, wanted, stride, padding)
        y = 0
        for index, rows, columns in parts:
            self.used.add(index)
            layer = self.layers[index]
            check_norm(label, layer, norm)
            ours = layer.weight.flatten(1)[rows]
            weight = x.new_zeros(len(ours), x.shape[1] * prod(size))
            weight[:, columns] = ours
            weight = weight.unflatten(1, (-1, *size))
            y = y + F.conv2d(x, weight, None, stride, padding)
            y = y + per_channel(layer.bias[rows], y)
        if norm is not False and layer.steps:
            y = normed(y, layer, rows)
        return self.act(y) if relu and label not in self.linear else y

    def join(self, branches):
        """The branches (a dict of tensors) concatenated along the channels."""
        self.branches = branches
        return self.joined(branches)

    def find(self, x, label, wanted, stride, padding):
        """`(index, rows, columns)` of each layer that is part of `label`.

        `rows` are those of a fused layer, `columns` those of the kernels (see
        `columns_read`): one layer reads all of `x`, or several some channels each.
        """
        everything, left = slice(None), {*range(x.shape[1] * prod(wanted[2:]))}
        if label in self.fused:
            index, rows = self.fused[label]
            columns = columns_read(x, self.layers[index], wanted, stride, padding)
            return [(index, rows, columns or everything)]
        free = [index for index in range(len(self.layers)) if index not in self.used]
        parts = []
        for index in sorted(free, key=lambda i: -self.layers[i].weight[0].numel()):
            layer = self.layers[index]
            if left and wanted[0] in (None, layer.shape[0]):
                columns = columns_read(x, layer, wanted, stride, padding)
                if columns and left.issuperset(columns):
                    parts.append((index, everything, columns))
                    left -= {*columns}
        if not left:
            return parts
        for index in free:  # its input differs, which the output shows
            if None not in wanted and matches(self.layers[index].shape, wanted):
                return [(index, everything, everything)]
        raise missing(label, wanted, self.layers, self.shapes)


def concatenated(branches):
    return torch.cat(list(branches.values()), 1)


def check_norm(label, layer, norm):
    """Raise a Problem for a layer with a batch norm too many, or without one."""
    if norm is False and "norm" in layer.steps:
        what, hint = "not wanted", "leave the batch norm of this layer out"
    elif norm and not layer.steps:
        what = "missing"
        hint = "batch norm stands directly after the convolution, before its ReLU"
    else:
        return
    raise Problem(f"`{label}`: batch norm is {what}", hint)


def matches(found, wanted):
    """Whether a layer has this shape, turned by 90 degrees or as a matrix too."""
    outputs, inputs, *size = wanted
    matrix = outputs, inputs * prod(size), 1, 1
    return found in (wanted, (outputs, inputs, *size[::-1]), matrix)


def columns_read(x, layer, wanted, stride, padding):
    """Which columns of the kernels, as a matrix for patches of `x`, a layer has.

    In its order; None if it reads something else. A convolution reads channels and has
    all columns of each.
    """
    _, inputs, *size = wanted
    columns = torch.arange(inputs * prod(size)).view(inputs, -1)
    if layer.weight.dim() == 2:
        pads = [side // 2 for side in size] if padding == "same" else padding
        x = F.unfold(x, size, padding=pads, stride=stride)
        columns = columns.view(-1, 1)
    elif sorted(layer.shape[2:]) != sorted(size) or layer.grouped:
        return None
    ours, theirs = moments_of(by_channel(x, 1)), layer.reads
    near = 1e-4 * ours.abs().amax(0) + 1e-9
    if ours.shape == theirs.shape and ((ours - theirs).abs() <= near).all():
        return columns.flatten().tolist()
    found, free = [], torch.ones(len(ours), dtype=bool)
    for row in theirs:
        same = ((ours - row).abs() <= near).all(1) & free
        if not same.any():
            return None
        found.append(int(same.int().argmax()))
        free[found[-1]] = False
    return columns[found].flatten().tolist()


def arrangements(layers, shapes):
    """Ways to read fused layers: dicts from label to (index, rows).

    A layer as wide as several of the solution's together holds them in some order, the
    same one in every such layer.
    """
    options, ran = [], [layer.shape for layer in layers]
    for index, layer in enumerate(layers):
        outputs, *rest = layer.shape
        alike = {k: s for k, s in shapes.items() if s not in ran and [*s[1:]] == rest}
        widths = {name: shape[0] for name, shape in alike.items()}
        orders = [
            order
            for count in range(2, len(widths) + 1)
            for order in permutations(widths, count)
            if sum(widths[name] for name in order) == outputs
        ]
        if orders and layer.shape not in shapes.values():
            options.append([places(index, order, widths) for order in orders])
    for choice in zip(*options, strict=False) if options else [()]:
        yield {name: place for way in choice for name, place in way.items()}


def places(index, order, widths):
    rows = torch.arange(sum(widths[name] for name in order))
    parts = rows.split([widths[name] for name in order])
    return {name: (index, part) for name, part in zip(order, parts, strict=True)}


def normed(y, layer, rows):
    """A layer's output after the candidate's own norm, which scales and shifts it."""
    before, after = layer.before[rows], layer.after[rows]
    middle, target = before.mean(1, keepdim=True), after.mean(1, keepdim=True)
    offset = before - middle
    scale = (offset * (after - target)).sum(1) / (offset**2).sum(1).clamp(min=1e-30)
    shift = target[:, 0] - scale * middle[:, 0]
    return y * per_channel(scale, y) + per_channel(shift, y)


def per_channel(values, y):
    return values[:, None, None].to(y.dtype)


def missing(label, wanted, layers, shapes):
    """The Problem that no layer has this shape."""
    return Problem(
        f"the layer `{label}` was not found",
        near_miss(label, wanted, surplus(layers, shapes)),
        expected=text_of(wanted),
        found=", ".join(map(str, layers)) or "no layers",
    )


def surplus(layers, shapes):
    """The layers that are left when every label has taken one of its shape."""
    wanted = list(shapes.values())
    return [x for x in layers if x.shape not in wanted or wanted.remove(x.shape)]


def near_miss(label, wanted, layers):
    """What is wrong with the one layer that has nearly this shape, or ""."""
    names = ("makes another number of channels", "reads another number of channels")
    hints = []
    for layer in layers:
        outputs, inputs, *kernel = layer.shape
        if layer.output is not None and layer.grouped:
            return GROUPS
        same = outputs == wanted[0], inputs == wanted[1], kernel == list(wanted[2:])
        if sum(same) == 2:
            what = (*names, "has another kernel")[same.index(False)]
            hints.append(f"`{label}` {what} than it should")
    return hints[0] if len(hints) == 1 else ""


def near_misses(shapes, layers):
    """The first such hint for layers of which some are missing."""
    left = surplus({x.weight.data_ptr(): x for x in layers}.values(), shapes)
    found = {layer.shape for layer in layers}
    hints = (near_miss(k, s, left) for k, s in shapes.items() if s not in found)
    return next(filter(None, hints), "")
