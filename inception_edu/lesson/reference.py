"""Run a reference in plain functions with the weights that a candidate uses."""

from itertools import chain, islice, permutations, product
from math import prod

from torch.nn import functional as F

from inception_edu.lesson.errors import Problem
from inception_edu.lesson.recorder import moments_of
from inception_edu.text import dims

MOST_ARRANGEMENTS = 48


class Missing(Problem):
    """The candidate has no layer of the shape that the reference needs."""


class Net:
    """The candidate's layers, to be called by the labels of the exercise.

    `net(x, label)` is the layer, its norm if it has one, and ReLU; `label` may also be
    a shape, (out, in, height, width), whose widths may be None for any. `linear` are
    labels without ReLU.
    """

    def __init__(self, exercise, case, passed, fused, act=F.relu, linear=()):
        self.exercise, self.passed, self.fused = exercise, passed, fused
        self.shapes = exercise.layers(*case.args)
        self.act, self.linear = act, linear
        self.labels, self.weights = {}, {}  # by the layer's index

    def __call__(self, x, label, stride=1, padding="same"):
        y = self.conv(x, label, stride, padding)
        return y if label in self.linear else self.act(y)

    def conv(self, x, label, stride=1, padding="same"):
        """The layer and its norm, without ReLU."""
        index, rows, columns = self.find(x, label)
        layer = self.passed.layers[index]
        wanted = self.exercise.norms.get(label)
        if wanted is not None and wanted != bool(layer.norm):
            raise Problem(
                f"`{label}`: batch norm is {'missing' if wanted else 'not wanted'}",
                "batch norm stands directly after the convolution, before its ReLU"
                if wanted
                else "leave the batch norm of this layer out",
            )
        weight = self.weights[index][rows][:, columns]
        kernel = weight.shape[2:]
        if padding == "same":
            padding = tuple(size // 2 for size in kernel)
        bias = None if layer.bias is None else layer.bias.detach()[rows]
        y = F.conv2d(x, weight, bias, stride, padding)
        return y if layer.norm is None else normalized(y, layer.norm, rows)

    def find(self, x, label):
        """`(index, rows, columns)` of the layer that reads `x` and has this shape."""
        wanted = self.shapes[label] if isinstance(label, str) else label
        if label in self.fused:
            index, rows = self.fused[label]
            order = channel_order(x, self.passed.layers[index])
        else:
            index, order = self.search(x, wanted, label)
            rows = slice(None)
        self.labels[index] = label
        if index not in self.weights:
            layer = self.passed.layers[index]
            weight = layer.weight.detach().reshape(-1, *wanted[1:]).clone()
            self.weights[index] = weight.requires_grad_()
        return index, rows, slice(None) if order is None else order

    def search(self, x, wanted, label):
        taken = set(self.labels) | {index for index, _ in self.fused.values()}
        fitting = [
            index
            for index, layer in enumerate(self.passed.layers)
            if index not in taken and matches(layer.shape, wanted)
        ]
        orders = [channel_order(x, self.passed.layers[index]) for index in fitting]
        for index, order in zip(fitting, orders, strict=True):
            if order is not None:
                return index, order
        if fitting and None not in wanted:  # its input differs, which the output shows
            return fitting[0], None
        raise missing(label, wanted, self.passed.layers, self.shapes)


def matches(found, wanted):
    """Whether a layer has this shape; a matrix for unfolded patches has it too."""
    if None not in wanted and found == (wanted[0], prod(wanted[1:]), 1, 1):
        return True
    return all(w in (None, f) for f, w in zip(found, wanted, strict=True))


def channel_order(x, layer):
    """For each channel of `x` the channel in which the layer read it; None if not."""
    ours, theirs = moments_of(x, 1), layer.moments
    if ours.shape != theirs.shape:
        return None
    scale = ours.abs().amax(0) + 1e-9
    if ((ours - theirs).abs() <= 1e-4 * scale).all():
        return list(range(len(ours)))
    same = ((ours[:, None] - theirs[None]).abs() <= 1e-4 * scale).all(-1)
    order = []
    for row in same:
        if not row.any():
            return None
        order.append(int(row.int().argmax()))
        same[:, order[-1]] = False
    return order


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
    for choice in islice(chain(alike, product(*options)), MOST_ARRANGEMENTS):
        yield {name: place for way in choice for name, place in way.items()}


def rows_of(index, names, widths):
    found, start = {}, 0
    for name in names:
        found[name] = index, slice(start, start + widths[name])
        start += widths[name]
    return found


def normalized(y, norm, rows):
    """Batch norm as the candidate has it, for these rows of its channels."""
    parts = {
        name: None if norm[name] is None else norm[name].detach()[rows].clone()
        for name in ("running_mean", "running_var", "weight", "bias")
    }
    return F.batch_norm(y, **parts, training=norm["training"], eps=norm["eps"])


def missing(label, wanted, layers, shapes):
    """The Problem that no layer has this shape."""
    return Missing(
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
        same = outputs == wanted[0], inputs == wanted[1], kernel == list(wanted[2:])
        if sum(same) == 2:
            what = (*names, "has another kernel")[same.index(False)]
            hints.append(f"`{label}` {what} than it should")
    return hints[0] if len(hints) == 1 else ""


def near_misses(shapes, layers):
    """The first such hint for layers of which some are missing."""
    left = surplus(layers, shapes)
    found = {layer.shape for layer in layers}
    hints = (near_miss(k, s, left) for k, s in shapes.items() if s not in found)
    return next(filter(None, hints), "")


def text_of(shape):
    outputs, inputs, *kernel = shape
    return f"{dims(kernel)} {inputs}->{outputs}"
