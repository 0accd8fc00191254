"""Exercises whose candidate builds a torch module: compared weight for weight.

The candidate's module gets random weights and a random image; the answer is
computed from the same weights by a reference in plain functions. So any way of
writing the module is right, and a module that only has the right shape is not.
"""

import itertools
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.lesson.checking import Exercise, Failed, Hopeless, NotAttempted
from inception_edu.lesson.values import shape, show, tensor_difference

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)


@dataclass(frozen=True)
class Build:
    """One case: the builder's arguments, the image shape, a name for sentences."""

    args: tuple
    input_shape: tuple
    label: str

    def named(self, name):
        return f"{name}({self.label})"


@dataclass(frozen=True)
class ModuleExercise(Exercise):
    """The candidate is a class or function that builds an `nn.Module`.

    `layers(*args)` names the convolutions, label -> (out, in, height, width),
    in the order they are to be written; `missing` has a hint for each label.
    `reference(x, conv, *args)` computes the answer, `conv(x, label, ...)` being
    the candidate's own convolution; `mistakes` maps hints to such functions.
    `inspect(module, *args)` may raise Failed for what values cannot show.
    """

    layers: object = None
    missing: dict = field(default_factory=dict)
    reference: object = None
    mistakes: dict = field(default_factory=dict)
    inspect: object = None
    cases: tuple = ()
    order: str = "check the order of the branches"
    tolerance: float = 1e-4

    def judge(self, trial, candidate):
        if isinstance(candidate, nn.Module):
            with trial.case(self.name):
                raise Hopeless(
                    f"this is {show(candidate)}",
                    f"pass the class or the function that builds it: "
                    f"ie.check.{self.name}({type(candidate).__name__})",
                )
        for case in self.cases:
            self.judge_case(trial, candidate, case)

    def judge_case(self, trial, candidate, case):
        name = case.named(self.name)
        with trial.case(name):
            module = build(trial, candidate, case)
            weights = Weights(module, self.layers(*case.args), self.missing)
            if self.inspect:
                self.inspect(module, *case.args)
        if trial.failures and trial.failures[-1][0] == name:
            return  # its values would only repeat the same news
        with trial.case(f"{name} on an image {case.input_shape}"), torch.no_grad():
            self.judge_values(trial, module, weights, case)

    def judge_values(self, trial, module, weights, case):
        settle(module)
        image = noise(7, *case.input_shape)
        given = image.clone()
        got = trial.call(module.eval(), given)
        if not torch.is_tensor(got):
            hint = "concatenate the branches: torch.cat(outputs, dim=1)"
            raise Failed(f"forward returned {show(got)}, not a tensor", hint)
        expected = self.reference(image, weights, *case.args)
        gap = tensor_difference(expected, got, self.tolerance)
        if gap:
            hint = self.diagnose(image, weights, got, expected, case)
            raise Failed(gap.text, hint or gap.hint or generic(expected, got))
        if not torch.equal(image, given):
            raise Failed(
                "forward changed its input",
                "a ReLU(inplace=True) writes into the image itself: the branches "
                "after it would read a changed input",
            )

    def diagnose(self, image, weights, got, expected, case):
        for hint, wrong in self.mistakes.items():
            try:
                answer = wrong(image, weights, *case.args)
            except (RuntimeError, ValueError, KeyError):
                continue  # a mistake that these widths cannot make
            if not tensor_difference(answer, got, self.tolerance):
                return hint
        return self.order if reordered(expected, got, self.tolerance) else ""


def build(trial, candidate, case):
    """The candidate's module for a case, or the Failed that says what is wrong."""
    module = trial.call(candidate, *case.args)
    if module is None:
        raise Hopeless("your function returned None", "is a `return` missing?")
    if module is Ellipsis:
        raise NotAttempted
    if isinstance(module, type):
        raise Hopeless(f"your function returned {show(module)}", "make one: call it")
    if not isinstance(module, nn.Module):
        raise Hopeless(
            f"this gives {show(module)}, not an nn.Module",
            "write a class that inherits from nn.Module, or return such a module",
        )
    return module


class Weights:
    """The candidate's convolutions by the labels of the exercise.

    A convolution is known by its weight shape, so that names and order are
    free; cases use widths that are all different.
    """

    def __init__(self, module, wanted, hints):
        own = {
            name: parameter.reshape(*parameter.shape, *(1,) * (4 - parameter.dim()))
            for name, parameter in module.named_parameters()
            if parameter.dim() in (2, 4)
        }
        parameters = dict(module.named_parameters())
        left, self.found = dict(own), {}
        for label, weight_shape in wanted.items():
            names = [n for n, weight in left.items() if weight.shape == weight_shape]
            if not names:
                raise Failed(
                    f"no {layer_text(weight_shape)} ({label}); {seen(own)}",
                    hints.get(label, "") or loose(module, own),
                )
            bias = parameters.get(names[0].removesuffix("weight") + "bias")
            self.found[label] = (parameters[names[0]], bias)
            del left[names[0]]
        if left:
            extra = layer_text(next(iter(left.values())).shape)
            raise Failed(
                f"one layer too many: {extra}; {seen(own)}",
                hints.get("too many", "the exercise has no such layer"),
            )

    def __call__(self, x, label, stride=1, padding="same"):
        weight, bias = self.found[label]
        if weight.dim() == 2 and x.dim() == 2:
            return F.linear(x, weight, bias)
        weight = weight.reshape(*weight.shape, *(1,) * (4 - weight.dim()))
        if padding == "same":
            padding = tuple(size // 2 for size in weight.shape[2:])
        return F.conv2d(x, weight, bias, stride, padding)


def layer_text(weight_shape):
    outputs, inputs, height, width = weight_shape
    return f"{height}x{width} convolution from {inputs} to {outputs} channels"


def seen(own):
    """What the module has, in its own order."""
    if not own:
        return "your module has none"
    texts = [
        f"{height}x{width} {inputs}->{outputs}"
        for outputs, inputs, height, width in (w.shape for w in own.values())
    ]
    more = f" and {len(texts) - 8} more" if len(texts) > 8 else ""
    return f"your module has {', '.join(texts[:8])}{more}"


def loose(module, own):
    """The hint for layers that torch cannot see."""
    for value in vars(module).values():
        if isinstance(value, list | tuple | dict):
            items = value.values() if isinstance(value, dict) else value
            if any(isinstance(item, nn.Module) for item in items):
                return (
                    "layers in a plain list or dict are not registered: use "
                    "nn.ModuleList, nn.ModuleDict or attributes"
                )
    return "make the layers in __init__, as attributes" if not own else ""


def settle(module):
    """Random weights everywhere, and batch norms that do nothing."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, NORMS):
                setattr(parent, name, nn.Identity())
    for index, parameter in enumerate(module.parameters()):
        fan_in = max(1, parameter[0].numel())
        parameter.copy_(noise(100 + index, *parameter.shape) / fan_in**0.5)


def noise(seed, *sizes):
    """Standard normal numbers, the same on every run."""
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


def reordered(expected, got, tolerance):
    """True when `got` holds the channels of `expected` in another order."""
    if expected.shape != got.shape or expected.dim() < 2:
        return False
    ours, theirs = (t.transpose(0, 1).flatten(1).double() for t in (expected, got))
    gaps = (ours[:, None] - theirs[None]).abs().amax(-1)
    return bool((gaps.amin(1) < tolerance * 10).all())


def generic(expected, got):
    """What a wrong shape, or a right one with wrong values, usually means."""
    if got.dim() != expected.dim():
        return f"the output should have {expected.dim()} dimensions, (N, C, H, W)"
    if got.shape == expected.shape:
        return (
            "the shapes fit but the values do not: a ReLU after every convolution? "
            "does each branch read the right tensor?"
        )
    if got.shape[0] != expected.shape[0]:
        return "the batch size changed: concatenate along dimension 1, the channels"
    if got.shape[2:] != expected.shape[2:] and got.dim() == 4:
        return (
            "the grid is not the right one: check padding and stride of every "
            f"layer; expected a grid {shape(expected[0, 0])}"
        )
    return "the grid is right, the channels are not: add up the branches' widths"


def relu(x):
    return F.relu(x)


def same_pool(x):
    """Max pool 3x3, stride 1: the grid stays."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def orders(branches):
    """Every order of some tensors but the given one, concatenated."""
    for order in itertools.islice(itertools.permutations(branches), 1, None):
        yield torch.cat(order, 1)
