"""Run a reference in plain functions with the weights that a candidate uses."""

from itertools import chain, islice, permutations, product
from math import prod

import torch
from torch.nn import functional as F

from inception_edu.lesson.errors import GROUPS, Problem
from inception_edu.lesson.recorder import moments_of, text_of

MAX_ARRANGEMENTS = 48


class Net:
    """The candidate's layers, as a reference calls them.

    `net(x, label, out_channels, kernel_size)` is the layer that reads `x`, its norm
    if it has one, and ReLU; `out_channels` may be None for any number, `norm` says
    whether a batch norm is asked for. `net.join` concatenates branches. Made without
    a candidate, it notes in `shapes` which layers the reference has, and returns
    zeros. `act`, `linear` (labels without ReLU) and `join` make mistakes.
    """

    def __init__(
        self, passed=None, shapes=None, fused=None, act=F.relu, linear=(), join=None
    ):
        self.passed, self.fused = passed, fused or {}
        self.shapes = {} if shapes is None else shapes
        self.act, self.linear, self.joined = act, linear, join or concatenated
        self.branches, self.labels = {}, {}  # labels by the layer's index

    def __call__(
        self, x, label, out_channels, kernel_size, stride=1, padding="same", *,
        relu=True, norm=None,
    ):  # fmt: skip
        size = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
        wanted = out_channels, x.shape[1], *size
        if self.passed is None:
            self.shapes[label] = wanted
            y = F.conv2d(x[:, :1], x.new_zeros(1, 1, *size), None, stride, padding)
            return y.expand(-1, out_channels or 1, -1, -1)
        y = 0
        for index, rows, channels in self.find(x, label, wanted):
            self.labels[index] = label
            layer = self.passed.layers[index]
            check_norm(label, layer, norm)
            given = x[:, channels]
            weight = layer.weight.detach().reshape(-1, given.shape[1], *size)[rows]
            bias = None if layer.bias is None else layer.bias.detach()[rows]
            part = F.conv2d(given, weight, bias, stride, padding)
            if norm is not False and len(layer.steps) > 1:
                part = Finished.apply(part, layer, layer.steps[-1][1], rows)
            y = y + part
        return self.act(y) if relu and label not in self.linear else y

    def join(self, branches):
        """The branches (a dict of tensors) concatenated along the channels."""
        self.branches = branches
        return self.joined(branches)

    def find(self, x, label, wanted):
        """`(index, rows, channels)` of the layers that are `label` together.

        One that reads `x`, or several that each read some of its channels: their sum.
        """
        layers = self.passed.layers
        if label in self.fused:
            index, rows = self.fused[label]
            channels = channels_read(x, layers[index], range(x.shape[1]))
            return [(index, rows, channels or slice(None))]
        taken = set(self.labels) | {index for index, _ in self.fused.values()}
        free = [index for index in range(len(layers)) if index not in taken]
        parts, left = [], [*range(x.shape[1])]
        for index in sorted(free, key=lambda index: -len(layers[index].moments)):
            layer = layers[index]
            fits = matches(layer.shape, (wanted[0], len(layer.moments), *wanted[2:]))
            if left and fits and (channels := channels_read(x, layer, left)):
                parts.append((index, slice(None), channels))
                left = [channel for channel in left if channel not in channels]
        if not left:
            return parts
        fitting = [index for index in free if matches(layers[index].shape, wanted)]
        if fitting and None not in wanted:  # its input differs, which the output shows
            return [(fitting[0], slice(None), slice(None))]
        raise missing(label, wanted, layers, self.shapes)


def concatenated(branches):
    return torch.cat(list(branches.values()), 1)


def check_norm(label, layer, norm):
    """Raise a Problem for a layer with a batch norm too many, or without one."""
    has_norm = any(name == "norm" for name, _ in layer.steps)
    if norm is False and has_norm:
        what, hint = "not wanted", "leave the batch norm of this layer out"
    elif norm and not layer.normed:
        what = "missing"
        hint = "batch norm stands directly after the convolution, before its ReLU"
    else:
        return
    raise Problem(f"`{label}`: batch norm is {what}", hint)


def matches(found, wanted):
    """Whether a layer has this shape; a matrix for unfolded patches has it too."""
    if None not in wanted:
        turned = *wanted[:2], *wanted[:1:-1]  # on a transposed grid, or a conv1d
        if found in ((wanted[0], prod(wanted[1:]), 1, 1), turned):
            return True
    return all(w in (None, f) for f, w in zip(found, wanted, strict=True))


def channels_read(x, layer, among):
    """For each channel that the layer read the one of `x`; None if one is no such.

    Each of the channels `among` which they are is read once.
    """
    among, found = list(among), []
    ours, theirs = moments_of(x, 1)[among], layer.moments
    scale = ours.abs().amax(0) + 1e-9
    same = ((ours - theirs[:, None]).abs() <= 1e-4 * scale).all(-1)
    if len(ours) == len(theirs) and same.diagonal().all():
        return among
    for row in same:
        if not row.any():
            return None
        found.append(int(row.int().argmax()))
        same[:, found[-1]] = False
    return [among[number] for number in found]


def arrangements(layers, shapes):
    """Ways to read fused layers: dicts from label to (index, rows).

    A layer as wide as several of the exercise together holds them in some order.
    """
    options, found = [], {layer.shape for layer in layers}
    for index, layer in enumerate(layers):
        outputs, *rest = layer.shape
        if layer.shape in shapes.values():
            continue
        unmet = {name: s for name, s in shapes.items() if s not in found}
        same = {name: s[0] for name, s in unmet.items() if list(s[1:]) == rest}
        ways = []
        for count in range(2, len(same) + 1):
            for names in permutations(same, count):
                if sum(same[name] for name in names) == outputs:
                    ways.append(rows_of(index, names, same))
        if ways:
            options.append(ways)
    # The same order in every fused layer comes first; with many layers, no other.
    alike = zip(*options, strict=False) if options else [()]
    for choice in islice(chain(alike, product(*options)), MAX_ARRANGEMENTS):
        yield {name: place for way in choice for name, place in way.items()}


def rows_of(index, names, widths):
    found, start = {}, 0
    for name in names:
        found[name] = index, slice(start, start + widths[name])
        start += widths[name]
    return found


class Finished(torch.autograd.Function):
    """A layer's output after the candidate's own bias and norm, for these rows.

    Channel by channel they scale and shift; the gradient is the candidate's own.
    """

    @staticmethod
    def forward(context, y, layer, finished, rows):
        raw, done = (
            t.detach().double().movedim(layer.axis, 0).flatten(1)[rows]
            for t in (layer.steps[0][1], finished)
        )
        middle, target = raw.mean(1, keepdim=True), done.mean(1, keepdim=True)
        raw, done = raw - middle, done - target
        scale = (raw * done).sum(1) / (raw * raw).sum(1).clamp(min=1e-30)
        shift = target[:, 0] - scale * middle[:, 0]
        context.parts = layer, finished, rows, scale[:, None, None].to(y.dtype)
        return (y.double() * scale[:, None, None] + shift[:, None, None]).to(y.dtype)

    @staticmethod
    def backward(context, gradient):
        layer, finished, rows, scale = context.parts
        alike = finished[:, rows].shape in (gradient.shape, gradient.shape[:2])
        if not alike or not finished.requires_grad:
            return gradient * scale, None, None, None
        whole = torch.zeros_like(finished)
        whole[:, rows] = gradient.reshape_as(whole[:, rows])
        (found,) = torch.autograd.grad(
            finished, layer.steps[0][1], whole, retain_graph=True
        )
        return found[:, rows].reshape_as(gradient), None, None, None


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
        if layer.steps and len(layer.moments) > inputs:
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
