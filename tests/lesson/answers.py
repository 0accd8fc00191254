"""Right and wrong answers to every exercise, as students write them.

The texts are in tests/data/answers.toml. A function is an expression or a `def f`, and
may use torch, nn, F, np, math and cost; a wrong one may be "old => new", a replacement
in the first right one, and ends in a regular expression for its hint. A module is the
body of `__init__` and of `forward`, with `s` for self and `C` for a convolution that
each of `STYLES` writes in another way; a wrong one replaces a part of the right one.
"""

import math
import tomllib
from collections import namedtuple
from pathlib import Path
from textwrap import indent

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

Wrong = namedtuple("Wrong", "what candidate hint")  # hint: a part of it, "" for none
DATA = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "answers.toml").read_text(encoding="utf-8")
)
FUNCTIONS, MODULES = DATA["functions"], DATA["modules"]
REPLACED = DATA["replaced"]
GROUPS = {  # replacements that several modules share
    "naive_module": ("pooled", "joined"),
    "inception_module": ("pooled", "joined"),
    "inception_a": ("joined",),
    "bn_auxiliary": ("normed",),
}


# ---- ways to write a convolution


class Own(nn.Module):
    """Parameters of other names, and F.conv2d."""

    def __init__(self, i, o, k, stride=1, padding=0):
        super().__init__()
        k = (k, k) if isinstance(k, int) else k
        self.w = nn.Parameter(torch.randn(o, i, *k))
        self.b = nn.Parameter(torch.randn(o))
        self.options = stride, padding

    def forward(self, x):
        return F.conv2d(x, self.w, self.b, *self.options)


class AddedBias(Own):
    def forward(self, x):
        return F.conv2d(x, self.w, None, *self.options) + self.b.view(1, -1, 1, 1)


class Padded(Own):
    """Pads by hand, then convolves without padding."""

    def forward(self, x):
        stride, pad = self.options
        high, wide = (pad, pad) if isinstance(pad, int) else pad
        return F.conv2d(F.pad(x, (wide, wide, high, high)), self.w, self.b, stride)


class OwnNorm(nn.Module):
    """Batch norm in plain arithmetic."""

    def __init__(self, size):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        self.shift = nn.Parameter(torch.rand(size))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("var", torch.ones(size))

    def forward(self, x):
        mean, var = self.mean, self.var
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean, 0.1)
                self.var.lerp_(var, 0.1)
        scale = self.gain[:, None, None] / (var[:, None, None] + 1e-3).sqrt()
        return (x - mean[:, None, None]) * scale + self.shift[:, None, None]


def normed(i, o, k, norm=nn.BatchNorm2d, **options):
    return nn.Sequential(nn.Conv2d(i, o, k, bias=False, **options), norm(o))


def own_normed(i, o, k, **options):
    return normed(i, o, k, OwnNorm, **options)


def no_bias(i, o, k, **options):
    return nn.Conv2d(i, o, k, bias=False, **options)


def lazy(i, o, k, **options):
    return nn.LazyConv2d(o, k, **options)


def weight_normed(i, o, k, **options):
    return nn.utils.parametrizations.weight_norm(nn.Conv2d(i, o, k, **options))


def by_hand(x):
    return x * (x > 0)


STYLES = {
    "nn.Conv2d": (nn.Conv2d, F.relu),
    "own parameters": (Own, lambda x: x.clamp(min=0)),
    "bias added by hand": (AddedBias, torch.relu),
    "padded by hand": (Padded, by_hand),
    "batch norm": (normed, F.relu),
    "own batch norm": (own_normed, F.relu),
    "no bias": (no_bias, nn.ReLU(inplace=True)),
    "lazy": (lazy, nn.ReLU()),
    "weight norm": (weight_normed, lambda x: torch.maximum(x, torch.zeros(1))),
}


def detached(module):
    return ((name, value.detach()) for name, value in module.named_parameters())


def builder(signature, layers, forward, style="nn.Conv2d", inner=None):
    """A module's class from the two bodies; `inner` are names that they use."""
    conv, relu = STYLES[style]
    names = {
        "nn": nn, "F": F, "torch": torch, "C": conv, "relu": relu, "cat": torch.cat,
        "BN": OwnNorm if conv is own_normed else nn.BatchNorm2d, "P": nn.Conv2d,
        "CUT": lambda t: F.relu(t).detach(),
        "WEIGHT": lambda m: lambda x: functional_call(m, dict(detached(m)), x),
    } | (inner or {})  # fmt: skip
    lines = ["class Answer(nn.Module):", f" def __init__(s, {signature}):"]
    lines += ["  super().__init__()", indent(layers, "  ")]
    lines += [" def forward(s, x):", indent(forward, "  ")]
    exec("\n".join(lines), names)
    return names["Answer"]


def module(source, style="nn.Conv2d", **inner):
    """The class that a module's texts give; `inner` are names that they use."""
    inner = inner or {"Inner": inception(style)}
    return builder(*source.values(), style, inner)


def inception(style="nn.Conv2d"):
    return builder(*MODULES["inception_module"].values(), style)


def right_modules(name):
    """`(style, class)` of every right answer to a module exercise."""
    for style in STYLES:
        own = {"C": no_bias} if name == "bn_auxiliary" and "norm" in style else {}
        yield style, module(MODULES[name], style, **own)
    others = DATA["others"]
    fused = builder(*others["inception_module"]["fused 1x1"].values())
    for style, source in others.get(name, {}).items():
        yield style, module(source, FUSED=fused)


def wrong_modules(name):
    """Every wrong answer to a module exercise."""
    right = MODULES[name]
    large = name == "bn_auxiliary"  # 2.4 million weights: its own mistakes only
    groups = (*(() if large else ("anywhere",)), *GROUPS.get(name, ()), name)
    for what, (old, new, hint) in (
        (k, v) for g in groups for k, v in REPLACED[g].items()
    ):
        if old != "#" and not any(old in part for part in right.values()):
            continue  # "anywhere" is not everywhere
        source = {key: part.replace(old, new) for key, part in right.items()}
        besides = DATA["besides"].get(what, {}).get(name, "")
        source["layers"] += f"\n{new}" * (old == "#") + f"\n{besides}"
        yield Wrong(what, module(source), hint)


def right_answers(name):
    """`(style, candidate)` of every right answer to an exercise."""
    if name in MODULES:
        return right_modules(name)
    return ((source, function(source)) for source in FUNCTIONS[name]["right"])


def wrong_answers(name):
    return wrong_modules(name) if name in MODULES else wrong_functions(name)


def wrong_functions(name):
    """Every wrong answer to a function exercise."""
    base = FUNCTIONS[name]["right"][0]
    for source, hint in FUNCTIONS[name]["wrong"]:
        old, arrow, new = source.partition(" => ")
        assert not arrow or old in base, (name, source)
        yield Wrong(source, function(base.replace(old, new) if arrow else source), hint)


def function(source):
    """The function that an expression or a `def` gives."""
    names = {"torch": torch, "nn": nn, "F": F, "np": np, "math": math, "cost": cost}
    if source.startswith("lambda"):
        return eval(source, names)
    exec(source, names)
    return names["f"]


def cost(i, w):
    """The weights of a reduced module."""
    narrow = w["1x1"] + w["3x3 reduce"] + w["5x5 reduce"] + w["pool proj"]
    wide = 9 * w["3x3 reduce"] * w["3x3"] + 25 * w["5x5 reduce"] * w["5x5"]
    return i * narrow + wide
