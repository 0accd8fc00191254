"""What a module's layers read, which weights they use and what they give.

`Recorder` watches torch's basic operations while a module runs, so it sees every
convolution, matrix product with a weight, batch norm and added bias, however the
module is written.
"""

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from inception_edu.text import dims

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
ARITHMETIC = ("add", "sub", "mul", "div")
NORM = "input weight bias running_mean running_var training momentum eps"


@dataclass(eq=False)
class Layer:
    """One layer as it ran.

    `operand` is the weight with its history, `weight` the same as (out, in, height,
    width), or as (out, in) in a matrix product. `reads` describes what it read, a row
    for each channel or column of the matrix (see `moments_of`). `output` is the result,
    None if it failed; `bias` has a number for each channel. `steps` names what scales
    and shifts the channels after that: "norm", or "own" for the arithmetic of an own
    norm; `before` and `after` are the channels before and after these steps.
    """

    operand: torch.Tensor
    weight: torch.Tensor
    reads: torch.Tensor
    output: torch.Tensor | None = None
    bias: torch.Tensor | None = None
    before: torch.Tensor | None = None
    after: torch.Tensor | None = None
    steps: list = field(default_factory=list)

    def gives(self, output, without_bias, axis):
        """Note the result, whose channels are at `axis`."""
        self.output = output
        self.before = self.after = by_channel(output, axis)
        self.bias = (self.after - by_channel(without_bias, axis)).mean(1)
        return output

    def gave(self, rows):
        """Whether these channels are its result so far."""
        if self.after is None or self.after.shape != rows.shape:
            return False
        return moments_of(self.after).allclose(moments_of(rows))

    @property
    def shape(self):
        return (*self.weight.shape, 1, 1)[:4]

    @property
    def grouped(self):
        return len(self.reads) > self.weight.shape[1]

    def __str__(self):
        return text_of(self.shape)


def text_of(shape):
    """A layer's shape as a reader writes it: "3x3 96->128"."""
    outputs, inputs, *kernel = shape
    return f"{dims(kernel)} {inputs}->{outputs}"


class Recorder(TorchDispatchMode):
    """Records the layers of a forward pass inside its `with` block.

    `run_once` adds the `module`, its `output`, the `gradient` of the image, whether the
    gradient of a layer is `lost`, and whether a parameter is `unused`.
    """

    def __init__(self):
        super().__init__()
        self.layers, self.norms = [], []
        self.norm_misplaced = False  # a norm that does not follow a layer directly

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        run, name = partial(func, **kwargs or {}), func.overloadpacket.__name__
        if name == "convolution":
            return self.convolution(run, *args)
        if name in PRODUCTS:
            return self.product(run, *args)
        if name == "native_batch_norm":
            return self.norm(run, *args)
        if name.strip("_") in ARITHMETIC:
            return self.arithmetic(run, *args, is_sum=name.startswith("add"))
        return run(*args)

    def convolution(self, run, x, weight, bias, *options):
        fixed = weight.shape[1] == 1 and not learned(weight)  # a pool's own kernel
        if fixed or weight.dim() > 4 or options[3]:  # in 3-d, or transposed
            return run(x, weight, bias, *options)
        layer = self.add(weight, weight, x, 1)
        output, without_bias = (run(x, weight, b, *options) for b in (bias, None))
        return layer.gives(output, without_bias, 1)

    def product(self, run, *args):
        """Of two matrices or batches, with something added to it as by addmm."""
        *_, a, b = args
        for operand, weight, x, axis in ((b, b.mT, a, -1), (a, a, b, -2)):
            one = weight.reshape(-1, *weight.shape[-2:])[0]  # a batch may repeat it
            if learned(operand) and (weight == one).all():
                layer = self.add(operand, one, x, axis)
                return layer.gives(run(*args), a @ b, axis)
        return run(*args)

    def add(self, operand, weight, x, axis):
        """A new `Layer`, before it runs, so that one that fails is there too."""
        reads = moments_of(by_channel(x, axis))
        self.layers.append(Layer(operand, weight.detach(), reads))
        return self.layers[-1]

    def norm(self, run, x, *options):
        layers, axis = self.holders(x)
        results = run(x, *options)
        if len(x) > 1:  # torch computes an instance norm as one of a single image
            self.norms.append(dict(zip(NORM.split(), (x, *options), strict=True)))
            if layers and not layers[0].steps:
                went_through("norm", layers, by_channel(results[0], axis))
            else:
                self.norm_misplaced = True
        return results

    def arithmetic(self, run, x, other, is_sum):
        """Sums of layers; their bias, scale and shift: a number for each channel."""
        (ours, axis), (theirs, other_axis) = self.holders(x), self.holders(other)
        result = run(x, other)
        layers, summed = ours + theirs, ours and theirs
        if not ours:
            axis, x, other = other_axis, other, x
        if not layers or not (summed or one_for_each_channel(other, x, axis)):
            return result
        rows, normed = by_channel(result, axis), any(one.steps for one in layers)
        if is_sum and not normed and (summed or learned(other)):
            if not summed:
                layers[0].bias += (rows - layers[0].after).mean(1)
            for layer in layers:
                layer.before = layer.after = rows
        elif not summed:
            went_through("own", layers, rows)
        return result

    def drop_unread(self):
        """Forget a layer's runs whose result nothing reads, if another one is read."""
        read = [layer for layer in self.layers if layer.output.grad is not None]
        weights = {layer.weight.data_ptr() for layer in read}
        for layer in {*self.layers} - {*read}:
            if layer.weight.data_ptr() in weights:
                self.layers.remove(layer)

    def holders(self, x):
        """`(layers, axis)`: whose result `x` is so far, and where its channels are."""
        for axis in range(-x.dim(), 0) if torch.is_tensor(x) and self.layers else ():
            rows = by_channel(x, axis)
            if found := [layer for layer in self.layers if layer.gave(rows)]:
                return found, axis
        return [], -1


def went_through(step, layers, rows):
    for layer in layers:
        layer.steps.append(step)
        layer.after = rows


def one_for_each_channel(value, x, axis):
    """Whether `value` has one number for each channel of `x`, at its axis too."""
    if not torch.is_tensor(value) or value.dim() < -axis:
        return False
    return value.numel() == value.shape[axis] == x.shape[axis]


def learned(value):
    """True for a parameter, or a view or function of parameters alone."""
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


def by_channel(x, channel):
    """The values of each channel, a row each."""
    return x.detach().double().movedim(channel, 0).reshape(x.shape[channel], -1)


def moments_of(rows):
    """Sum, sum of squares and of cubes of each row: (rows, 3).

    They are the same for a padded input, a flattened one, and channels last.
    """
    return torch.stack([rows.sum(1), (rows**2).sum(1), (rows**3).sum(1)], 1)


def randomize(recorder):
    """Random numbers for every weight and norm that was recorded, in place.

    They are large enough for activations beyond 6, where ReLU6 ends.
    """
    sizes = {"running_mean": 3, "running_var": 4, "weight": 4, "bias": 3}
    with torch.no_grad():
        for index, layer in enumerate(recorder.layers):
            fan_in = layer.weight[0].numel()
            drawn = noise(100 + index, *layer.weight.shape)
            layer.weight.copy_(drawn * (2 / fan_in) ** 0.5)
        for index, norm in enumerate(recorder.norms):
            for number, (name, size) in enumerate(sizes.items()):
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
