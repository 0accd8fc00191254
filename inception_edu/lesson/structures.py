"""Exercises whose candidate builds a torch module: compared weight for weight.

The candidate's module gets random weights and a random image; the answer is
computed from the same weights by a reference in plain functions. So any way of
writing the module is right, and a module that only has the right shape is not.
"""

from dataclasses import dataclass, field
from math import prod

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.lesson.checking import Exercise, Failed, Hopeless, NotAttempted
from inception_edu.lesson.values import shape, show, spare, tensor_difference

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
    in the order they are to be written; `missing` has a hint for each label, and
    `plans` maps better hints to `(shapes, *args) -> bool`, true of the weight
    shapes that a known wrong plan has.
    `reference(x, conv, *args)` computes the answer, `conv(x, label, ...)` being
    the candidate's own convolution; `mistakes` maps hints to such functions.
    `inspect(module, *args)` may raise Failed for what values cannot show.
    """

    layers: object = None
    missing: dict = field(default_factory=dict)
    plans: dict = field(default_factory=dict)
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
            weights = self.weights_of(module, case)
            if self.inspect:
                self.inspect(module, *case.args)
        if trial.failures and trial.failures[-1][0] == name:
            return  # its values would only repeat the same news
        with trial.case(f"{name} on an image {case.input_shape}"), torch.no_grad():
            self.judge_values(trial, module, weights, case)

    def weights_of(self, module, case):
        if any(map(nn.parameter.is_lazy, module.parameters())):
            raise Failed(
                "a layer of yours has no weights until it sees an image",
                "say how many channels it reads: nn.Conv2d, not nn.LazyConv2d",
            )
        try:
            return Weights(module, self.layers(*case.args), self.missing)
        except Failed as failed:
            shapes = [tuple(p.shape) for p in module.parameters() if p.dim() == 4]
            hints = (
                hint for hint, is_it in self.plans.items() if is_it(shapes, *case.args)
            )
            raise Failed(failed.what, next(hints, failed.hint)) from None

    def judge_values(self, trial, module, weights, case):
        settle(module)
        image = noise(7, *case.input_shape)
        given = image.clone()
        got = trial.call(module.eval(), given)
        if not torch.equal(image, given):
            raise Failed(
                "forward changed its input",
                "something writes into it, such as a ReLU(inplace=True) in front: "
                "the other branches then read a changed input",
            )
        if not torch.is_tensor(got):
            hint = "concatenate the branches: torch.cat(outputs, dim=1)"
            raise Failed(f"forward returned {show(got)}, not a tensor", hint)
        expected = self.reference(image, weights, *case.args)
        gap = tensor_difference(expected, got, self.tolerance)
        if gap:
            hint = self.diagnose(image, weights, got, expected, case)
            raise Failed(gap.text, hint or gap.hint or generic(expected, got))

    def diagnose(self, image, weights, got, expected, case):
        for hint, wrong in self.mistakes.items():
            try:
                answer = wrong(image, weights, *case.args)
            except (RuntimeError, ValueError):
                continue  # a mistake that these widths cannot make
            if not tensor_difference(answer, got, self.tolerance):
                return hint
        return self.order if reordered(expected, got, self.tolerance) else ""


def build(trial, candidate, case):
    """The candidate's module for a case, or the Failed that says what is wrong."""
    module = trial.call(candidate, *spare(case.args))
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
        parameters = dict(module.named_parameters())
        left = {name: p for name, p in parameters.items() if p.dim() in (2, 4)}
        has, self.found = seen(left.values()), {}
        for label, weight_shape in wanted.items():
            names = [name for name in left if fits(left[name], weight_shape)]
            if not names:
                hint = hints.get(label, "") or loose(module, self.found or left)
                raise Failed(f"no {layer_text(weight_shape)} ({label}); {has}", hint)
            weight = left.pop(names[0])
            bias = parameters.get(names[0].removesuffix("weight") + "bias")
            self.found[label] = (weight, weight_shape, bias)
        if left:
            extra = layer_text(next(iter(left.values())).shape)
            hint = hints.get("too many", "the exercise has no such layer")
            raise Failed(f"one layer too many: {extra}; {has}", hint)

    def __call__(self, x, label, stride=1, padding="same"):
        weight, weight_shape, bias = self.found[label]
        if padding == "same":
            padding = tuple(size // 2 for size in weight_shape[2:])
        return F.conv2d(x, weight.reshape(weight_shape), bias, stride, padding)


def fits(parameter, weight_shape):
    """True for that convolution, and for a linear layer that is the same one."""
    outputs, *rest = weight_shape
    return tuple(parameter.shape) in (weight_shape, (outputs, prod(rest)))


def layer_text(weight_shape):
    if len(weight_shape) == 2:
        return f"linear layer from {weight_shape[1]} to {weight_shape[0]}"
    outputs, inputs, height, width = weight_shape
    return f"{height}x{width} convolution from {inputs} to {outputs} channels"


def seen(weights, most=8):
    """What the module has, in its own order."""
    texts = []
    for weight in weights:
        outputs, inputs, *kernel = weight.shape
        kind = "x".join(map(str, kernel)) or "linear"
        texts.append(f"{kind} {inputs}->{outputs}")
    if not texts:
        return "your module has none"
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"your module has {', '.join(texts[:most])}{more}"


def loose(module, own):
    """The hint for a missing layer: torch cannot see it, or it is not there."""
    for part in module.modules():
        for name, value in vars(part).items():
            if name == "_modules" or not isinstance(value, list | tuple | dict):
                continue  # _modules holds what is registered
            items = value.values() if isinstance(value, dict) else value
            if any(isinstance(item, nn.Module) for item in items):
                return (
                    "layers in a plain list or dict are not registered: use "
                    "nn.ModuleList, nn.ModuleDict or attributes"
                )
    if not own:
        return "make the layers in __init__, as attributes"
    return (
        "compare this list with the layers that are asked for: is one missing, or "
        "is a width not the right one?"
    )


def settle(module):
    """Random weights everywhere, and batch norms that do nothing."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, NORMS):
                setattr(parent, name, nn.Identity())
    for index, parameter in enumerate(module.parameters()):
        if parameter.dim():  # a single number, such as a learned scale, stays
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
    # Three random sums tell channels apart as well as all their values do.
    sums = noise(5, ours.shape[1], 3).double() / ours.shape[1] ** 0.5
    gaps = (ours @ sums)[:, None] - (theirs @ sums)[None]
    return bool((gaps.abs().amax(-1).amin(1) < tolerance * 10).all())


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
