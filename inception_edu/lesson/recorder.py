"""What a module's layers read and which weights they use, recorded while it runs.

`Recorder` sees every convolution, linear layer, matrix product with a weight, batch
norm and added bias of a forward pass, however the module is written.
"""

import inspect
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from inception_edu.text import dims

LAYERS = (torch.conv2d, torch.conv1d, F.linear)
PRODUCTS = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)
ADDITIONS = ("add", "add_", "__add__", "__iadd__", "__radd__")
SUMS = (torch.add, *(getattr(torch.Tensor, name) for name in ADDITIONS))
NORM = inspect.signature(F.batch_norm)


@dataclass
class Layer:
    """One layer as it ran: `weight` is (out, in, height, width).

    `moments` describes what it read, a row per channel (see `moments_of`); `norm`
    holds the arguments of a batch norm that reads its output, None without one.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    moments: torch.Tensor
    output: torch.Tensor
    norm: dict | None = None

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
        self.displaced = False  # a norm that does not follow a layer directly

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in LAYERS:
            return self.layer(func, args, kwargs)
        if func in PRODUCTS and len(args) == 2:
            return self.product(func, *args)
        if func is torch.einsum and len(args) == 3:
            return self.einsum(*args)
        if func is F.batch_norm:
            return self.norm(func, args, kwargs)
        output = func(*args, **kwargs)
        if func in SUMS and len(args) == 2:
            self.added(*args, output)
        return output

    def layer(self, func, args, kwargs):
        names = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
        x, weight = names["input"], names["weight"]
        moments = moments_of(x, -1 if func is F.linear else 1)
        layer = Layer(weight, names.get("bias"), moments, None)
        self.layers.append(layer)  # first, so that one that fails is there too
        layer.output = func(*args, **kwargs)
        return layer.output

    def product(self, func, a, b):
        if is_weight(b):
            return self.einsum("io,...i->...o", b, a)
        if is_weight(a) and b.dim() > 1:
            return self.einsum("oi,...ip->...op", a, b)
        return func(a, b)

    def einsum(self, equation, *operands):
        letters = equation.replace(" ", "").partition("->")[0].split(",")
        for place in (0, 1):
            weight, x = operands[place], operands[1 - place]
            names, others = letters[place], letters[1 - place]
            shared = set(names) & set(others) - {"."}
            if is_weight(weight) and len(shared) == 1:
                channel = shared.pop()
                turned = names[0] == channel
                weight = weight.T if turned else weight
                # used in place of the operand, so that the gradient passes through it
                used = [weight.T if turned else weight, x]
                output = torch.einsum(equation, *(used if place == 0 else used[::-1]))
                axis = others.index(channel)
                axis -= len(others) if "." in others[:axis] else 0
                moments = moments_of(x, axis)
                self.layers.append(Layer(weight, None, moments, output))
                return output
        return torch.einsum(equation, *operands)

    def norm(self, func, args, kwargs):
        given = NORM.bind(*args, **kwargs)
        given.apply_defaults()
        norm = dict(given.arguments)
        x = norm.pop("input")
        self.norms.append(dict(norm))
        for name in ("running_mean", "running_var"):  # training changes them in place
            norm[name] = None if norm[name] is None else norm[name].clone()
        output = func(*args, **kwargs)
        readers = [layer for layer in self.layers if layer.output is x]
        for layer in readers:
            layer.norm, layer.output = norm, output
        self.displaced |= not readers
        return output

    def added(self, a, b, output):
        """A bias that the module adds by hand belongs to the layer before it."""
        for layer in self.layers:
            width = layer.shape[0]
            for x, bias in ((a, b), (b, a)):
                if layer.output is x and torch.is_tensor(bias):
                    place = -3 if x.dim() == 4 else -1
                    if bias.numel() == width == (*[1] * 4, *bias.shape)[place]:
                        bias = bias.reshape(width)
                        layer.bias = bias if layer.bias is None else layer.bias + bias
                        layer.output = output
                        return


def is_weight(value):
    """True for a matrix that is a parameter, or a view or function of parameters."""
    if not torch.is_tensor(value) or value.dim() != 2:
        return False
    return all(isinstance(leaf, nn.Parameter) for leaf in leaves(value))


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


def noise(seed, *sizes):
    """Standard normal numbers, the same on every run."""
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))
