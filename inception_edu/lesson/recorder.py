"""What a module's layers read and which weights they use, recorded while it runs.

`Recorder` sees every convolution, linear layer, matrix product with a weight, batch
norm and added bias of a forward pass, however the module is written.
"""

import inspect
import re
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from inception_edu.text import dims

# Operations by name: they are functions, methods and torch.ops.
LAYERS = ("conv1d", "conv2d", "convolution", "linear")
PRODUCTS = ("matmul", "mm", "bmm", "addmm", "baddbmm")
REARRANGING = re.compile(
    "view|reshape|(un)?flatten|permute|transpose|swap(axes|dims)|move(dim|axis)|(un)?squeeze"
)
ARITHMETIC = "i?r?(add|sub|mul|(true)?div)"  # x + y, torch.add(x, y), x.add_(y), ...
NORM = inspect.signature(F.batch_norm)


@dataclass
class Layer:
    """One layer as it ran: `weight` is (out, in, height, width).

    `moments` describes what it read, a row per channel (see `moments_of`); `axis` is
    that of the channels in its output. `steps` are results: of the "layer" with its
    bias, and of what its channels went through one by one, "add" and "scale" (parts of
    an own norm), "norm". `last` is the module's copy of the last one.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    moments: torch.Tensor
    axis: int
    steps: list = field(default_factory=list)
    last: torch.Tensor = None

    def went(self, name, output):
        """Note a step; the module gets a copy, which it may change in place."""
        self.steps.append((name, output))
        self.last = output.clone()
        return self.last

    @property
    def normed(self):
        return any(name in ("scale", "norm") for name, _ in self.steps)

    @property
    def shape(self):
        return (*self.weight.shape, 1, 1)[:4]

    def __str__(self):
        return text_of(self.shape)


def text_of(shape):
    """A layer's shape as a reader writes it: "3x3 96->128"."""
    outputs, inputs, *kernel = shape
    return f"{dims(kernel)} {inputs}->{outputs}"


class Recorder(TorchFunctionMode):
    """Records the layers of a forward pass inside its `with` block.

    `run_once` adds the `module`, its `output`, the `gradients` of the image and of
    each layer's weight, and whether a parameter is `unused`.
    """

    def __init__(self):
        super().__init__()
        self.layers, self.norms = [], []
        self.norm_misplaced = False  # a norm that does not follow a layer directly

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, func.__name__.strip("_")
        if name in LAYERS:
            return self.layer(func, args, kwargs)
        if name in PRODUCTS and not kwargs:
            return self.product(func, *args)
        if func is torch.einsum and len(args) == 3:
            return self.einsum(*args)
        if func is torch.tensordot:
            return self.tensordot(*args, **kwargs)
        if func is F.batch_norm:
            return self.norm(func, args, kwargs)
        if REARRANGING.fullmatch(name) and torch.is_tensor(args[0]):
            return self.rearrange(func, args, kwargs)
        if len(args) == 2 and re.fullmatch(ARITHMETIC, name):
            return self.arithmetic(func, args, kwargs)
        return func(*args, **kwargs)

    def layer(self, func, args, kwargs):
        names = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
        x, axis = names["input"], -1 if func.__name__ == "linear" else 1
        if names["weight"].shape[1:2] == (1,) and not learned(names["weight"]):
            return func(*args, **kwargs)  # a pool, written with a kernel of its own
        layer = Layer(names["weight"], names.get("bias"), moments_of(x, axis), axis)
        self.layers.append(layer)  # first, so that one that fails is there too
        return layer.went("layer", func(*args, **kwargs))

    def product(self, func, *args):
        """Of two matrices or batches, with something added to it as by addmm."""
        output = func(*args)  # first, since an error is this function's own
        *added, a, b = args
        left, right = matrix(a), matrix(b)
        if right is not None:
            output = self.einsum("io,...i->...o", right, a)
        elif left is not None and b.dim() > 1:
            output = self.einsum("oi,...ip->...op", left, b)
        else:
            return output
        return self.arithmetic(torch.add, (output, *added), {}) if added else output

    def tensordot(self, a, b, dims=2, out=None):
        torch.tensordot(a, b, dims)  # an error is its own
        axes = (range(-dims, 0), range(dims)) if isinstance(dims, int) else dims
        names = list("abcdefgh"[: a.dim()]), list("stuvwxyz"[: b.dim()])
        for ours, theirs in zip(*axes, strict=True):
            names[1][theirs] = names[0][ours]
        given = ",".join(map("".join, names))
        result = [n for n in given if n != "," and given.count(n) == 1]
        return self.einsum(f"{given}->{''.join(result)}", a, b)

    def einsum(self, equation, *operands):
        given, _, result = equation.replace(" ", "").partition("->")
        letters = given.split(",")
        for i in (0, 1):
            weight, x = operands[i], operands[1 - i]
            names, others = letters[i], letters[1 - i]
            made = [n for n in names if n in result]
            shared = [n for n in names if n in others and n not in result]
            if len(made) == 1 and shared and learned(weight):
                channel = shared[0]
                turned = names == channel + made[0]
                weight = weight.T if turned else weight
                # used in place of the operand, so that the gradient passes through it
                used = [weight.T if turned else weight, x]
                output = torch.einsum(equation, *(used if i == 0 else used[::-1]))
                axis = others.index(channel)
                axis -= len(others) if "." in others[:axis] else 0
                after = result.index(made[0]) - len(result)
                self.layers.append(Layer(weight, None, moments_of(x, axis), after))
                return self.layers[-1].went("layer", output)
        return torch.einsum(equation, *operands)

    def norm(self, func, args, kwargs):
        given = NORM.bind(*args, **kwargs)
        given.apply_defaults()
        self.norms.append(given.arguments)
        layer = self.holder(given.arguments["input"])
        output = func(*args, **kwargs)
        if layer is None or layer.normed:
            self.norm_misplaced = True
            return output
        return layer.went("norm", output)

    def rearrange(self, func, args, kwargs):
        """A layer's output in another shape, if its channels still have an axis."""
        layer = self.holder(args[0])
        output = func(*args, **kwargs)
        if layer and len(layer.steps) == 1:
            wanted = moments_of(args[0], layer.axis)
            for axis, size in enumerate(output.shape):
                if size == len(wanted) and wanted.allclose(moments_of(output, axis)):
                    layer.axis, layer.steps = axis, []
                    return layer.went("layer", output)
        return output

    def arithmetic(self, func, args, kwargs):
        """A step of a layer, if the other value has one number for each channel."""
        layer, added = self.holder(args[0]), "add" in func.__name__
        if layer and added and self.holder(args[1]):  # a bias may be added to the sum
            layer.last = func(*args, **kwargs).clone()
            return layer.last
        layer = layer or self.holder(args[1])
        output = func(*args, **kwargs)
        if layer:
            held, other = args if args[0] is layer.last else args[::-1]
            width, axis = layer.shape[0], layer.axis % held.dim() - held.dim()
            one_each = torch.is_tensor(other) and other.numel() == width
            if one_each and (*[1] * held.dim(), *other.shape)[axis] == width:
                if added and len(layer.steps) == 1 and learned(other):
                    bias = other.flatten()
                    layer.bias = bias if layer.bias is None else layer.bias + bias
                    layer.steps = []
                    return layer.went("layer", output)
                return layer.went("add" if added else "scale", output)
        return output

    def drop_unread(self):
        """Forget a layer's runs whose result nothing reads, if another one is read."""

        def read(layer):
            return layer.steps[0][1].grad is not None

        used = {layer.weight.data_ptr() for layer in self.layers if read(layer)}
        self.layers = [
            layer
            for layer in self.layers
            if read(layer) or layer.weight.data_ptr() not in used
        ]

    def holder(self, x):
        """The layer whose output, after its steps, is `x`, unless changed in place."""
        held = [layer for layer in self.layers if layer.last is x]
        return held[0] if held and not x._version else None


def learned(value):
    """True for a parameter, or a view or function of parameters alone."""
    return all(isinstance(leaf, nn.Parameter) for leaf in leaves(value))


def matrix(value):
    """A matrix that is learned, or the one that a batch repeats; else None."""
    if torch.is_tensor(value) and value.dim() in (2, 3) and learned(value):
        one = value.reshape(-1, *value.shape[-2:])[0]
        return one if (value == one).all() else None
    return None


def leaves(tensor):
    """The tensors that `tensor` was computed from, as far as autograd knows."""
    if tensor.is_leaf:
        return [tensor if tensor._base is None else tensor._base]
    found, steps, seen = [], [tensor.grad_fn], set()
    while steps:
        step = steps.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        if hasattr(step, "variable"):
            found.append(step.variable)
        steps += [before for before, _ in step.next_functions]
    return found


def moments_of(x, channel):
    """Sum, sum of squares and of cubes of each channel: (channels, 3).

    They are the same for a padded input, a flattened one, and channels last.
    """
    rows = x.detach().double().movedim(channel, 0).reshape(x.shape[channel], -1)
    return torch.stack([rows.sum(1), (rows**2).sum(1), (rows**3).sum(1)], 1)


def randomize(recorder):
    """Random numbers for every weight and norm that was recorded, in place.

    They are large enough for activations beyond 6, where ReLU6 ends.
    """
    with torch.no_grad():
        for index, layer in enumerate(recorder.layers):
            weight = layer.weight
            fan_in = weight[0].numel()
            weight.copy_(noise(100 + index, *weight.shape) * (2 / fan_in) ** 0.5)
        for index, norm in enumerate(recorder.norms):
            for number, (name, size) in enumerate(
                {"running_mean": 3, "running_var": 4, "weight": 4, "bias": 3}.items()
            ):
                if norm[name] is not None:
                    drawn = size * noise(10 * index + number, *norm[name].shape)
                    drawn = 1 + drawn**2 if name == "running_var" else drawn
                    norm[name].copy_(drawn)


class Leaving(TorchFunctionMode):
    """Notes whether values leave torch, as by `.numpy()`: no gradient comes back."""

    left = False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.left |= func.__name__ in ("numpy", "__array__", "tolist", "item")
        return func(*args, **(kwargs or {}))


def gradient(function, args):
    """The gradient of the first argument; None for a function that leaves torch."""
    x = args[0].requires_grad_()
    try:
        with torch.enable_grad(), Leaving() as way:
            y = function(*args)
    except RuntimeError:  # `.numpy()` of a tensor that needs a gradient
        return None
    y = y[0] if isinstance(y, tuple | list) else y
    if torch.is_tensor(y) and y.requires_grad:
        (y.flatten() * noise(8, y.numel())).sum().backward()
    elif way.left or not torch.is_tensor(y):
        return None
    return torch.zeros_like(x) if x.grad is None else x.grad


def noise(seed, *sizes):
    """Standard normal numbers, the same on every run."""
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))
