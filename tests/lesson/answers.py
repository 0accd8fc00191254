# ruff: noqa: E501 (source texts of one line each)
"""Right and wrong answers to every exercise, as students write them.

A function is an expression or a `def`; a wrong one replaces a part of a right one.
A module is the body of `__init__` and of `forward`, with `s` for self and `C` for a
convolution that each of `STYLES` writes in another way.
"""

import math
from collections import namedtuple
from textwrap import indent

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

Wrong = namedtuple("Wrong", "name candidate hint")  # hint: a part of it, "" for any


# ---- ways to write a convolution


class Own(nn.Module):
    """Parameters of other names, and F.conv2d."""

    def __init__(self, i, o, k, stride=1, padding=0):
        super().__init__()
        k = (k, k) if isinstance(k, int) else k
        self.w, self.b = (
            nn.Parameter(torch.randn(o, i, *k)),
            nn.Parameter(torch.randn(o)),
        )
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


def normed(i, o, k, **options):
    conv = nn.Conv2d(i, o, k, bias=False, **options)
    return nn.Sequential(conv, nn.BatchNorm2d(o, eps=1e-3))


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
    "no bias": (no_bias, nn.ReLU(inplace=True)),
    "lazy": (lazy, nn.ReLU()),
    "weight norm": (weight_normed, lambda x: torch.maximum(x, torch.zeros(1))),
}


def builder(signature, layers, forward, style="nn.Conv2d", inner=None):
    """A module's class from the two bodies; `inner` are names that they use."""
    conv, relu = STYLES[style]
    names = {
        "nn": nn, "F": F, "torch": torch, "C": conv, "relu": relu, "cat": torch.cat,
        "BN": nn.BatchNorm2d, "P": nn.Conv2d,
        "CUT": lambda t: F.relu(t).detach(),
    } | (inner or {})  # fmt: skip
    lines = ["class Answer(nn.Module):", f" def __init__(s, {signature}):"]
    lines += ["  super().__init__()", indent(layers, "  ")]
    lines += [" def forward(s, x):", indent(forward, "  ")]
    exec("\n".join(lines), names)
    return names["Answer"]


NAIVE = (
    "i, w",
    "s.a=C(i,w['1x1'],1); s.b=C(i,w['3x3'],3,padding=1)\ns.c=C(i,w['5x5'],5,padding=2)",
    "a=relu(s.a(x)); b=relu(s.b(x)); c=relu(s.c(x)); p=F.max_pool2d(x,3,1,1)\n"
    "y=cat([a,b,c,p],1)\nreturn y",
)
INCEPTION = (
    "i, w",
    "s.a=C(i,w['1x1'],1); s.d=C(i,w['3x3 reduce'],1)\n"
    "s.b=C(w['3x3 reduce'],w['3x3'],3,padding=1); s.e=C(i,w['5x5 reduce'],1)\n"
    "s.c=C(w['5x5 reduce'],w['5x5'],5,padding=2); s.f=C(i,w['pool proj'],1)",
    "a=relu(s.a(x)); b=relu(s.b(relu(s.d(x)))); c=relu(s.c(relu(s.e(x))))\n"
    "p=relu(s.f(F.max_pool2d(x,3,1,1)))\ny=cat([a,b,c,p],1)\nreturn y",
)
STAGE = (
    "i, rows",
    "s.m=nn.ModuleList()\n"
    "for w in rows: s.m.append(Inner(i,w)); "
    "i=w['1x1']+w['3x3']+w['5x5']+w['pool proj']",
    "y=x\nfor m in s.m: y=m(y)\ny=F.max_pool2d(y,3,2,ceil_mode=True)\nreturn y",
)
FACTORIZED = (
    "i, o",
    "s.a=C(i,o,3,padding=1); s.b=C(o,o,3,padding=1)",
    "a=relu(s.a(x)); y=relu(s.b(a))\nreturn y",
)
ASYMMETRIC = (
    "i, o, n",
    "s.a=C(i,o,(1,n),padding=(0,n//2)); s.b=C(o,o,(n,1),padding=(n//2,0))",
    "a=relu(s.a(x)); y=relu(s.b(a))\nreturn y",
)
REDUCTION = (
    "i, o",
    "s.a=C(i,o,3,stride=2)",
    "a=relu(s.a(x)); p=F.max_pool2d(x,3,2); y=cat([a,p],1)\nreturn y",
)
HEAD = (
    "i, k",
    "s.a=C(i,128,1); s.n=BN(128); s.b=C(128,768,5); s.m=BN(768); s.l=nn.Linear(768,k)",
    "a=relu(s.n(s.a(F.avg_pool2d(x,5,3)))); b=relu(s.m(s.b(a)))\n"
    "y=s.l(b.flatten(1))\nreturn y",
)
INCEPTION_A = (
    "i, w",
    "s.a=C(i,w['1x1'],1); s.d=C(i,w['3x3 reduce'],1)\n"
    "s.b=C(w['3x3 reduce'],w['3x3'],3,padding=1); s.e=C(i,w['double reduce'],1)\n"
    "s.g=C(w['double reduce'],w['double 3x3 a'],3,padding=1)\n"
    "s.h=C(w['double 3x3 a'],w['double 3x3 b'],3,padding=1); s.f=C(i,w['pool proj'],1)",
    "a=relu(s.a(x)); b=relu(s.b(relu(s.d(x)))); c=relu(s.h(relu(s.g(relu(s.e(x))))))\n"
    "p=relu(s.f(F.avg_pool2d(x,3,1,1,count_include_pad=False)))\n"
    "y=cat([a,b,c,p],1)\nreturn y",
)
RESIDUAL = (
    "i, w, scale",
    "s.a=C(i,w['1x1'],1); s.d=C(i,w['3x3 reduce'],1)\n"
    "s.b=C(w['3x3 reduce'],w['3x3'],3,padding=1); s.u=P(w['1x1']+w['3x3'],i,1)\n"
    "s.s=scale",
    "a=relu(s.a(x)); b=relu(s.b(relu(s.d(x)))); u=s.u(cat([a,b],1))\n"
    "y=relu(x+s.s*u)\nreturn y",
)
MODULES = {
    "naive_module": NAIVE, "inception_module": INCEPTION, "googlenet_stage": STAGE,
    "factorize_5x5": FACTORIZED, "asymmetric": ASYMMETRIC, "grid_reduction": REDUCTION,
    "bn_auxiliary": HEAD, "inception_a": INCEPTION_A, "residual_block": RESIDUAL,
}  # fmt: skip
# Right answers of another build: fused 1x1 convolutions, matrices, other orders inside.
OTHERS = {
    "naive_module": {
        "one ReLU for all": (
            NAIVE[0],
            NAIVE[1] + "; s.pool=nn.MaxPool2d(3,1,1)",
            "y=torch.relu(cat([s.a(x),s.b(x),s.c(x)],1))\n"
            "return torch.hstack([y,s.pool(x)])",
        ),
        "a linear layer": (
            NAIVE[0],
            NAIVE[1].replace("C(i,w['1x1'],1)", "nn.Linear(i,w['1x1'])"),
            NAIVE[2].replace("s.a(x)", "s.a(x.permute(0,2,3,1)).permute(0,3,1,2)"),
        ),
        "einsum": (
            NAIVE[0],
            NAIVE[1].replace("C(i,w['1x1'],1)", "nn.Parameter(torch.rand(w['1x1'],i))"),
            NAIVE[2].replace("s.a(x)", "torch.einsum('kc,nchw->nkhw',s.a,x)"),
        ),
        "matmul": (
            NAIVE[0],
            NAIVE[1].replace("C(i,w['1x1'],1)", "nn.Parameter(torch.rand(i,w['1x1']))"),
            NAIVE[2].replace("s.a(x)", "(x.movedim(1,-1)@s.a).movedim(-1,1)"),
        ),
    },
    "inception_module": {
        "fused 1x1": (
            "i, w",
            "s.k=[w['3x3 reduce'],w['1x1'],w['5x5 reduce']]; s.r=C(i,sum(s.k),1)\n"
            "s.b=C(w['3x3 reduce'],w['3x3'],3,padding=1)\n"
            "s.c=C(w['5x5 reduce'],w['5x5'],5,padding=2); s.f=C(i,w['pool proj'],1)",
            "d,a,e=relu(s.r(x)).split(s.k,1)\n"
            "y=[a,relu(s.b(d)),relu(s.c(e)),relu(s.f(F.max_pool2d(x,3,1,1)))]\n"
            "return cat(y,1)",
        ),
        "ReLU once more after joining": (
            INCEPTION[0],
            INCEPTION[1],
            INCEPTION[2].replace("return y", "return relu(y)"),
        ),
    },
    "googlenet_stage": {
        "fused 1x1 in every module": (
            STAGE[0],
            STAGE[1].replace("Inner", "FUSED"),
            STAGE[2],
        ),
    },
    "factorize_5x5": {
        "unfolded patches": (
            FACTORIZED[0],
            FACTORIZED[1].replace(
                "s.b=C(o,o,3,padding=1)", "s.b=nn.Parameter(torch.rand(o,9*o))"
            ),
            FACTORIZED[2].replace(
                "s.b(a)", "(s.b@F.unfold(a,3,padding=1)).view(a.shape)"
            ),
        ),
        "1x1 grid of another memory format": (
            FACTORIZED[0],
            FACTORIZED[1],
            "x=x.to(memory_format=torch.channels_last)\n" + FACTORIZED[2],
        ),
    },
    "residual_block": {
        "conv1d and a fused reduction": (
            RESIDUAL[0],
            "s.k=[w['1x1'],w['3x3 reduce']]; s.r=C(i,sum(s.k),1); s.s=scale\n"
            "s.b=C(w['3x3 reduce'],w['3x3'],3,padding=1)\n"
            "s.u=nn.Conv1d(w['1x1']+w['3x3'],i,1)",
            "a,d=relu(s.r(x)).split(s.k,1); b=relu(s.b(d))\n"
            "u=s.u(cat([a,b],1).flatten(2)).view(x.shape)\nreturn relu(x+s.s*u)",
        ),
        "concatenated in another order": (
            RESIDUAL[0],
            RESIDUAL[1],
            RESIDUAL[2].replace("[a,b]", "[b,a]"),
        ),
        "torch.add": (
            RESIDUAL[0],
            RESIDUAL[1],
            RESIDUAL[2].replace("x+s.s*u", "torch.add(x,u,alpha=s.s)"),
        ),
    },
}

# Replacements that make any module wrong: old, new, a part of the hint.
ANYWHERE = {
    "ReLU6": ("relu(", "F.relu6(", "is ReLU6"),
    "GELU": ("relu(", "F.gelu(", "is GELU"),
    "leaky": ("relu(", "F.leaky_relu(", "leaky ReLU"),
    "no ReLU": ("relu(", "(", "no ReLU"),
    "detached": ("a=relu(", "a=CUT(", "training needs"),
    "no_grad": ("return y", "with torch.no_grad(): return y*1", "training needs"),
    "frozen": (
        "#",
        "next(s.parameters()).requires_grad_(False)",
        "do not learn|leave out",
    ),
    "dropout": (
        "return y",
        "return F.dropout(y, .5, s.training)",
        "eval mode it is right",
    ),
    "noise": (
        "return y",
        "return y + s.training*torch.randn_like(y)",
        "eval mode it is right",
    ),
    "zero in training": (
        "return y",
        "return y*(not s.training)",
        "eval mode it is right",
    ),
    "half": ("return y", "return y.half()", "type of the input"),
    "double": ("return y", "return y.double()", "type of the input"),
    "no return": ("return y", "y", "add a `return`"),
    "a tuple": ("return y", "return y, y", "return one tensor"),
    "in place": ("a=relu(", "x.relu_(); a=relu(", "works in place"),
    "a plain list": (
        "#",
        "n,c=next(s.named_children()); s.l1=[c]; del s._modules[n]; s.__dict__[n]=c",
        "plain list",
    ),
    "unused layer": ("#", "s.z=P(i,3,1)", "does not call"),
}


def changed(source, old, new):
    """The source with one replacement everywhere, in both bodies."""
    signature, layers, forward = source
    if old == "#":
        return signature, f"{layers}\n{new}", forward
    assert old in layers or old in forward, old
    return signature, layers.replace(old, new), forward.replace(old, new)


# Replacements that make one module wrong: old, new, a part of the hint.
POOLED = {
    "average pool": ("F.max_pool2d(x,3,1,1)", "F.avg_pool2d(x,3,1,1)", "max pool"),
    "no pool": ("F.max_pool2d(x,3,1,1)", "x", "the max pool is missing"),
    "wide pool": ("F.max_pool2d(x,3,1,1)", "F.max_pool2d(x,5,1,2)", "3x3 window"),
}
JOINED = {
    "another order": ("[a,b,c,p]", "[a,c,b,p]", "another order"),
    "pool first": ("[a,b,c,p]", "[p,a,b,c]", "another order"),
    "a branch left out": ("[a,b,c,p]", "[a,b,p]", "missing from the concatenation"),
    "over the batch": ("c,p],1)", "c,p],0)", "dim=1"),
    "a list": ("y=cat([a,b,c,p],1)", "y=[a,b,c,p]", "return one tensor"),
}
REPLACED = {
    "naive_module": POOLED
    | JOINED
    | {
        "ReLU after joining": (
            "return y",
            "return relu(y)",
            "follows the convolutions only",
        ),
        "no ReLU on 3x3": ("b=relu(s.b(x))", "b=s.b(x)", "after `3x3` is missing"),
        "no ReLU on 1x1": ("a=relu(s.a(x))", "a=s.a(x)", "after `1x1` is missing"),
        "no padding": ("3,padding=1)", "3)", "different grids"),
        "3x3 for 5x5": ("5,padding=2)", "3,padding=1)", "has another kernel"),
        "projected": (
            "p=F.max_pool2d(x,3,1,1)",
            "p=relu(s.p(F.max_pool2d(x,3,1,1)))",
            "no convolution follows the pool",
        ),
        "norm after ReLU": (
            "b=relu(s.b(x))",
            "b=s.n(relu(s.b(x)))",
            "before the ReLU",
        ),
        "swapped widths": ("w['3x3'],3", "w['1x1'],3", "makes another number"),
        "detached branch": ("s.b(x)", "s.b(x.detach())", "training needs"),
    },
    "inception_module": POOLED
    | JOINED
    | {
        "linear reductions": (
            "relu(s.b(relu(s.d(x)))); c=relu(s.c(relu(s.e(x))))",
            "relu(s.b(s.d(x))); c=relu(s.c(s.e(x)))",
            "follows the 1x1 reductions too",
        ),
        "linear projection": ("p=relu(s.f(", "p=(s.f(", "after `pool proj`"),
        "1x1 before the pool": (
            "relu(s.f(F.max_pool2d(x,3,1,1)))",
            "F.max_pool2d(relu(s.f(x)),3,1,1)",
            "the pool comes first",
        ),
        "torchvision's 3x3": ("5,padding=2)", "3,padding=1)", "has another kernel"),
        "unprojected": (
            "relu(s.f(F.max_pool2d(x,3,1,1)))",
            "F.max_pool2d(x,3,1,1)",
            "does not call|projection follows the pool",
        ),
        "norm after ReLU": (
            "b=relu(s.b(relu(s.d(x))))",
            "b=s.n(relu(s.b(relu(s.d(x)))))",
            "before the ReLU",
        ),
        "reductions swapped": (
            "relu(s.b(relu(s.d(x))))",
            "relu(s.b(relu(s.e(x))))",
            "more or fewer channels|another number of channels",
        ),
        "detached reduction": (
            "relu(s.d(x))",
            "relu(s.d(x)).detach()",
            "training needs",
        ),
    },
    "googlenet_stage": {
        "no pool": (
            "F.max_pool2d(y,3,2,ceil_mode=True)",
            "y*1",
            "stage ends with a max pool",
        ),
        "rounds down": (",ceil_mode=True", "", "rounds down"),
        "2x2": ("y,3,2,ceil", "y,2,2,ceil", "3x3, not 2x2"),
        "padded": ("y,3,2,ceil_mode=True", "y,3,2,1", "`padding=0`"),
        "average": ("F.max_pool2d(y", "F.avg_pool2d(y", "is a max pool"),
        "stride 1": ("y,3,2,ceil_mode=True", "y,3,1,1", "stride 2"),
        "pool after each": (
            "y=m(y)",
            "y=F.max_pool2d(m(y),2,2)",
            "before the ReLU",
        ),
        "pool first": (
            "y=x",
            "y=F.max_pool2d(x,3,2,ceil_mode=True)",
            "the grid differs",
        ),
        "first module only": ("for m in s.m", "for m in s.m[:1]", "for every row"),
        "modules in reverse": (
            "in s.m:",
            "in s.m[::-1]:",
            "more or fewer channels|another number of channels",
        ),
        "wrong width": (
            "+w['pool proj']",
            "",
            "more or fewer channels|another number of channels",
        ),
        "last row only": ("for w in rows", "for w in rows[-1:]", ""),
        "detached between": ("y=m(y)", "y=m(y).detach()", "training needs"),
        "in place of a row": ("#", "rows.clear()", "copy them first"),
    },
    "factorize_5x5": {
        "no ReLU between": ("a=relu(s.a(x))", "a=s.a(x)", "after `first 3x3`"),
        "no ReLU at the end": ("y=relu(s.b(a))", "y=s.b(a)", "after `second 3x3`"),
        "narrow first": (
            "s.a=C(i,o,3,padding=1); s.b=C(o,o",
            "s.a=C(i,i,3,padding=1); s.b=C(i,o",
            "already makes out_channels",
        ),
        "one 5x5": (
            "s.a=C(i,o,3,padding=1); s.b=C(o,o,3,padding=1)",
            "s.a=C(i,o,5,padding=2); s.b=lambda t:t",
            "the 5x5 itself",
        ),
        "one 3x3": ("y=relu(s.b(a))", "y=a", "does not call|second one follows"),
        "no padding": ("3,padding=1", "3", "the grid differs"),
        "stride": (
            "s.a=C(i,o,3,padding=1)",
            "s.a=C(i,o,3,padding=1,stride=2)",
            "the grid differs",
        ),
        "5x5 first": (
            "s.a=C(i,o,3,padding=1)",
            "s.a=C(i,o,5,padding=2)",
            "has another kernel",
        ),
        "norm after ReLU": (
            "a=relu(s.a(x))",
            "a=s.n(relu(s.a(x)))",
            "before the ReLU",
        ),
        "added": ("y=relu(s.b(a))", "y=relu(s.b(a))+a", ""),
        "three": ("y=relu(s.b(a))", "y=relu(s.k(relu(s.b(a))))", "one too many"),
    },
    "asymmetric": {
        "no ReLU between": ("a=relu(s.a(x))", "a=s.a(x)", "after `1xn`"),
        "no ReLU at the end": ("y=relu(s.b(a))", "y=s.b(a)", "after `nx1`"),
        "narrow first": (
            "s.a=C(i,o,(1,n),padding=(0,n//2)); s.b=C(o,o",
            "s.a=C(i,i,(1,n),padding=(0,n//2)); s.b=C(i,o",
            "already makes out_channels",
        ),
        "turned": (
            "s.a=C(i,o,(1,n),padding=(0,n//2)); s.b=C(o,o,(n,1),padding=(n//2,0))",
            "s.a=C(i,o,(n,1),padding=(n//2,0)); s.b=C(o,o,(1,n),padding=(0,n//2))",
            "comes first here",
        ),
        "paddings swapped": (
            "s.a=C(i,o,(1,n),padding=(0,n//2)); s.b=C(o,o,(n,1),padding=(n//2,0))",
            "s.a=C(i,o,(1,n),padding=(n//2,0)); s.b=C(o,o,(n,1),padding=(0,n//2))",
            "paddings are swapped",
        ),
        "no padding": (",padding=(0,n//2)", "", "the grid differs"),
        "n x n": ("(1,n),padding=(0,n//2)", "n,padding=n//2", "has another kernel"),
        "both 1 x n": (
            "(n,1),padding=(n//2,0)",
            "(1,n),padding=(0,n//2)",
            "both are 1 x n",
        ),
        "fixed at 7": (
            "(1,n),padding=(0,n//2)",
            "(1,7),padding=(0,3)",
            "has another kernel",
        ),
        "one only": ("y=relu(s.b(a))", "y=a", "does not call|an n x 1 follows"),
        "norm after ReLU": (
            "a=relu(s.a(x))",
            "a=s.n(relu(s.a(x)))",
            "before the ReLU",
        ),
        "side by side": (
            "s.b=C(o,o,(n,1),padding=(n//2,0))",
            "s.b=C(i,o,(n,1),padding=(n//2,0))",
            "reads another number",
        ),
    },
    "grid_reduction": {
        "no ReLU": ("a=relu(s.a(x))", "a=s.a(x)", "no ReLU|after `3x3`"),
        "padded": ("stride=2)", "stride=2,padding=1)", "different grids|grids"),
        "both padded": ("stride=2)", "stride=2,padding=1); s.p=1", "grids"),
        "stride 1": ("stride=2)", "stride=1)", "grids"),
        "average": ("F.max_pool2d(x", "F.avg_pool2d(x", "is a max pool"),
        "2x2": (
            "F.max_pool2d(x,3,2)",
            "F.max_pool2d(x,2,2,ceil_mode=False)[:,:,:a.shape[2],:a.shape[3]]",
            "window is 3x3",
        ),
        "pool left out": ("cat([a,p],1)", "a", "missing from the concatenation"),
        "turned": ("[a,p]", "[p,a]", "another order"),
        "over the batch": ("[a,p],1", "[a,p],0", "dimension"),
        "a row": (
            "y=cat([a,p],1)",
            "y=F.max_pool2d(a,3,2)",
            "beside the convolution, not after",
        ),
        "ReLU after joining": (
            "return y",
            "return relu(y)",
            "follows the convolutions only",
        ),
        "sliced, not pooled": (
            "F.max_pool2d(x,3,2)",
            "x[:,:,1:-1:2,1:-1:2]",
            "max pool of the input",
        ),
        "norm after ReLU": (
            "a=relu(s.a(x))",
            "a=s.n(relu(s.a(x)))",
            "before the ReLU",
        ),
        "detached pool": (
            "F.max_pool2d(x,3,2)",
            "F.max_pool2d(x,3,2).detach()",
            "training needs",
        ),
    },
    "bn_auxiliary": {
        "max pool": ("F.avg_pool2d(x,5,3)", "F.max_pool2d(x,5,3)", "average pool"),
        "adaptive": ("F.avg_pool2d(x,5,3)", "F.adaptive_avg_pool2d(x,5)", "adaptive"),
        "small pool": ("F.avg_pool2d(x,5,3)", "F.avg_pool2d(x,3,3)", "5x5 window"),
        "no ReLU first": ("a=relu(s.n(", "a=(s.n(", "after `1x1`"),
        "no ReLU second": ("b=relu(s.m(", "b=(s.m(", "after `5x5`"),
        "no norm first": ("s.n(s.a(", "(s.a(", "batch norm stands directly"),
        "no norm second": ("s.m(s.b(a))", "s.b(a)", "batch norm stands directly"),
        "norm on the classifier": (
            "y=s.l(b.flatten(1))",
            "y=s.k(s.l(b.flatten(1)))",
            "leave the batch norm",
        ),
        "norm after ReLU": (
            "relu(s.m(s.b(a)))",
            "s.m(relu(s.b(a)))",
            "directly after the convolution",
        ),
        "ReLU on logits": ("return y", "return relu(y)", "logits may be negative"),
        "softmax": ("return y", "return y.softmax(1)", "part of the loss"),
        "log softmax": ("return y", "return y.log_softmax(1)", "part of the loss"),
        "256 wide": ("128", "256", "makes another number"),
        "another width": ("768", "512", "makes another number"),
        "3x3": ("128,768,5", "128,768,3", "has another kernel"),
        "grid kept": (
            "return y",
            "return y[:,:,None,None]",
            "flatten the grid",
        ),
    },
    "inception_a": JOINED
    | {
        "max pool": (
            "F.avg_pool2d(x,3,1,1,count_include_pad=False)",
            "F.max_pool2d(x,3,1,1)",
            "is an average pool",
        ),
        "padding counted": (",count_include_pad=False", "", "count_include_pad=False"),
        "no pool": (
            "F.avg_pool2d(x,3,1,1,count_include_pad=False)",
            "x",
            "pool comes before the projection",
        ),
        "1x1 before the pool": (
            "relu(s.f(F.avg_pool2d(x,3,1,1,count_include_pad=False)))",
            "F.avg_pool2d(relu(s.f(x)),3,1,1,count_include_pad=False)",
            "the pool comes first",
        ),
        "linear 3x3": ("b=relu(s.b(", "b=(s.b(", "after `3x3`"),
        "linear reductions": ("relu(s.d(x))", "s.d(x)", "after `3x3 reduce`"),
        "widths of the paper": ("C(i,w['1x1'],1)", "C(i,96,1)", "makes another number"),
        "5x5 in the third": (
            "w['double 3x3 a'],3,padding=1",
            "w['double 3x3 a'],5,padding=2",
            "has another kernel",
        ),
        "no padding": ("w['3x3'],3,padding=1", "w['3x3'],3", "different grids"),
        "order inside": ("relu(s.h(relu(s.g(", "relu(s.g(relu(s.h(", "more or fewer"),
        "norm after ReLU": (
            "b=relu(s.b(relu(s.d(x))))",
            "b=s.n(relu(s.b(relu(s.d(x)))))",
            "before the ReLU",
        ),
    },
    "residual_block": {
        "no scale": ("s.s*u", "u", "the scale is missing"),
        "fixed scale": ("s.s=scale", "s.s=0.1", "not a fixed number"),
        "ReLU on the branch": ("s.s*u", "s.s*relu(u)", "no ReLU before the addition"),
        "no ReLU at the end": (
            "y=relu(x+s.s*u)",
            "y=x+s.s*u",
            "ReLU follows the addition",
        ),
        "input scaled": ("x+s.s*u", "s.s*x+u", "to the branch, not to the input"),
        "sum scaled": ("x+s.s*u", "s.s*(x+u)", "scale the branch only"),
        "no input": ("x+s.s*u", "s.s*u", "it is missing"),
        "subtracted": ("x+s.s*u", "x-s.s*u", "do not subtract"),
        "concatenated": ("x+s.s*u", "cat([x,s.s*u],1)", "do not concatenate"),
        "ReLU on the input": ("x+s.s*u", "relu(x)+s.s*u", "without a ReLU"),
        "ReLU before": ("relu(x+s.s*u)", "x+relu(s.s*u)", "after the addition"),
        "linear 1x1": ("a=relu(s.a(x))", "a=s.a(x)", "after `1x1`"),
        "linear reduction": ("relu(s.d(x))", "s.d(x)", "after `3x3 reduce`"),
        "norm on the up-projection": (
            "s.u(cat([a,b],1))",
            "s.n2(s.u(cat([a,b],1)))",
            "leave the batch norm",
        ),
        "detached branch": ("s.s*u", "s.s*u.detach()", "training needs"),
        "detached input": ("x+s.s*u", "x.detach()+s.s*u", "training needs"),
        "divided": ("s.s*u", "u/s.s", "do not divide"),
    },
}
# What a replacement needs in __init__ besides.
BESIDES = {
    "norm after ReLU": {
        "naive_module": "s.n=BN(w['3x3'])",
        "inception_module": "s.n=BN(w['3x3'])",
        "inception_a": "s.n=BN(w['3x3'])",
        "factorize_5x5": "s.n=BN(o)",
        "asymmetric": "s.n=BN(o)",
        "grid_reduction": "s.n=BN(o)",
    },
    "projected": {"naive_module": "s.p=P(i,2,1)"},
    "three": {"factorize_5x5": "s.k=P(o,o,3,padding=1)"},
    "norm on the classifier": {"bn_auxiliary": "s.k=nn.BatchNorm1d(k)"},
    "norm on the up-projection": {"residual_block": "s.n2=BN(i)"},
}


def wrong_modules(name):
    """Every wrong answer to a module exercise: `(what, class, part of the hint)`."""
    for what, (old, new, hint) in {**ANYWHERE, **REPLACED[name]}.items():
        source = MODULES[name]
        if (old, what) == ("a=relu(", "detached") and name == "googlenet_stage":
            continue
        if not any(old in part for part in source) and old != "#":
            continue
        source = changed(source, old, new)
        if besides := BESIDES.get(what, {}).get(name):
            source = changed(source, "#", besides)
        inner = builder(*INCEPTION) if name == "googlenet_stage" else None
        yield Wrong(what, builder(*source, inner={"Inner": inner}), hint)


# ---- functions: right answers, and wrong ones with a part of the hint

FUNCTIONS = {
    "conv_params": (
        [
            "lambda i, o, k, b: i * o * k * k + (o if b else 0)",
            "lambda i, o, k, b: o * (i * k**2 + bool(b))",
            "lambda i, o, k, b: sum(p.numel() for p in nn.Conv2d(i, o, k, bias=b).parameters())",
            "lambda *a: float(a[0] * a[1] * a[2] ** 2 + a[1] * a[3])",
            "lambda i, o, k, b: torch.tensor(i * o * k * k + o * b)",
            "lambda i, o, k, b: np.prod([i, o, k, k]) + np.int64(o * b)",
            "lambda in_channels, out_channels, kernel_size, bias: in_channels * out_channels * kernel_size * kernel_size + out_channels * int(bias)",
        ],
        {
            "lambda i, o, k, b: i * o * k * k + o": "bias=False",
            "lambda i, o, k, b: i * o * k * k": "bias=True",
            "lambda i, o, k, b: i * o * k * k + i * b": "not each input channel",
            "lambda i, o, k, b: i * o * k * k + b": "one bias is too few",
            "lambda i, o, k, b: i * o * k * k + (0 if b else o)": "other way round",
            "lambda i, o, k, b: i * o * k + o * b": "a kernel is a square",
            "lambda i, o, k, b: o * k * k + o * b": "multiply by in_channels",
            "lambda i, o, k, b: i * k * k + o * b": "multiply by out_channels",
            "lambda i, o, k, b: (i + o) * k * k + o * b": "do not add",
            "lambda i, o, k, b: i * o + o * b": "side",
            "lambda i, o, k, b: i * o * k + o": "a kernel is a square.*bias=False|bias=False.*square",
            "lambda i, o, k, b: i * o * k": "a kernel is a square.*bias=True|bias=True.*square",
            "lambda i, o, k, b: (i * o * k * k) * (1 + b)": "",
            "lambda i, o, k, b: 9408": "",
            "lambda i, o, k, b: str(i * o * k * k + o * b)": "not text",
            "lambda i, o, k, b: (i * o * k * k, o * b)": "one number, not several",
            "lambda i, o, k, b: print(i * o * k * k + o * b)": "`return`",
            "lambda i, o, k, b: i * o * 2 * k + o * b": "",
        },
    ),
    "conv_macs": (
        [
            "lambda i, o, k, h, w: i * o * k * k * h * w",
            "lambda i, o, k, h, w: math.prod([i, o, k, k, h, w])",
            "lambda i, o, k, h, w: (h * w) * (o * (i * k**2))",
            "lambda i, o, k, h, w: sum(i * k * k * o for _ in range(h)) * w",
            "lambda i, o, k, h, w: float(i) * o * k**2 * h * w",
            "lambda i, o, k, h, w: np.int64(i) * o * k * k * h * w",
        ],
        {
            "lambda i, o, k, h, w: 2 * i * o * k * k * h * w": "FLOPs",
            "lambda i, o, k, h, w: i * o * k * k": "output position",
            "lambda i, o, k, h, w: i * o * k * k * h": "out_height \\* out_width",
            "lambda i, o, k, h, w: i * o * k * k * h * h": "need not be square",
            "lambda i, o, k, h, w: i * o * k * k * w * w": "need not be square",
            "lambda i, o, k, h, w: i * o * k * k * (h + w)": "do not add",
            "lambda i, o, k, h, w: (i * o * k * k + o) * h * w": "bias costs no MACs",
            "lambda i, o, k, h, w: i * o * k * k * h * w + o": "bias costs no MACs",
            "lambda i, o, k, h, w: i * o * k * h * w": "kernel is a square",
            "lambda i, o, k, h, w: i * o * h * w": "kernel is missing",
            "lambda i, o, k, h, w: o * k * k * h * w": "by in_channels",
            "lambda i, o, k, h, w: i * k * k * h * w": "by out_channels",
            "lambda i, o, k, h, w: (i + o) * k * k * h * w": "do not add",
            "lambda i, o, k, h, w: i * o * k * k * h * w / 1e6": "not millions",
            "lambda i, o, k, h, w: i * o * k * k * h * w / 1e9": "not millions",
            "lambda i, o, k, h, w: 2 * i * o * k * h * w": "FLOPs.*square|square.*FLOPs",
            "lambda i, o, k, h, w: i * o * k * k * (h - k + 1) * (w - k + 1)": "",
        },
    ),
    "naive_width": (
        [
            "lambda i, w, n: i + n * sum(w.values())",
            "lambda i, w, n: i + n * (w['1x1'] + w['3x3'] + w['5x5'])",
            "def f(i, w, n):\n    for _ in range(n): i = i + sum(w.values())\n    return i",
            "def f(i, w, n):\n    return i if n == 0 else f(i + sum(w.values()), w, n - 1)",
            "lambda i, w, n: sum([i] + list(w.values()) * n)",
            "lambda i, w, n: int(i + np.sum(list(w.values())) * n)",
        ],
        {
            "lambda i, w, n: n * sum(w.values())": "start from in_channels",
            "lambda i, w, n: sum(w.values())": "start from in_channels",
            "lambda i, w, n: i + sum(w.values())": "multiply them by",
            "lambda i, w, n: n * (i + sum(w.values()))": "input counts once",
            "lambda i, w, n: i * 2**n": "does not double",
            "lambda i, w, n: i + n * max(w.values())": "does not take the largest",
            "lambda i, w, n: i + n * len(w)": "only counts them",
            "lambda i, w, n: i + n * (w['1x1'] + w['3x3'])": "all three widths",
            "lambda i, w, n: i + n * w['3x3']": "all three widths",
            "lambda i, w, n: i + (n - 1) * sum(w.values())": "too many or too few",
            "lambda i, w, n: i + (n + 1) * sum(w.values())": "too many or too few",
            "lambda i, w, n: i * sum(w.values()) ** n": "do not multiply",
            "lambda i, w, n: i + n * w['3x3 reduced']": "",
            "def f(i, w, n):\n    w['1x1'] += 1\n    return i": "make a new value",
            "def f(i, w, n):\n    for _ in range(n): i = i + sum(w.values()); return i": "",
            "lambda i, w, n: i + n * sum(w)": "",
        },
    ),
    "pointwise": (
        [
            "lambda x, w, b: torch.relu(torch.einsum('kc,nchw->nkhw', w, x) + b[:, None, None])",
            "lambda x, w, b: (x.permute(0, 2, 3, 1) @ w.T + b).relu().permute(0, 3, 1, 2)",
            "lambda x, w, b: F.relu(F.conv2d(x, w[:, :, None, None], b))",
            "lambda x, w, b: F.linear(x.movedim(1, -1), w, b).clamp(min=0).movedim(-1, 1)",
            "lambda x, w, b: ((w @ x.flatten(2)) + b[:, None]).relu().view(len(x), -1, *x.shape[2:])",
            "lambda x, w, b: (w[None, :, :, None, None] * x[:, None]).sum(2).add(b.view(1, -1, 1, 1)).relu()",
            "lambda x, w, b: torch.from_numpy(np.maximum(np.einsum('kc,nchw->nkhw', w.numpy(), x.numpy()) + b.numpy()[:, None, None], 0))",
        ],
        {
            "lambda x, w, b: torch.einsum('kc,nchw->nkhw', w, x) + b[:, None, None]": "ReLU is missing",
            "lambda x, w, b: F.relu6(torch.einsum('kc,nchw->nkhw', w, x) + b[:, None, None])": "ReLU6",
            "lambda x, w, b: F.relu(torch.einsum('kc,nchw->nkhw', w, x))": "bias is missing",
            "lambda x, w, b: F.relu(torch.einsum('kc,nchw->nkhw', w, x)) + b[:, None, None]": "bias before it",
            "lambda x, w, b: F.relu(torch.einsum('kc,nchw->nkhw', w, x) - b[:, None, None])": "not subtracted",
            "lambda x, w, b: F.relu(x.reshape(-1, x.shape[1]) @ w.T + b).reshape(len(x), -1, *x.shape[2:])": "before you reshape",
            "lambda x, w, b: (x.permute(0, 2, 3, 1) @ w.T + b).relu()": "permute it back",
            "lambda x, w, b: (x.permute(0, 2, 3, 1) @ w.T + b).relu().permute(0, 3, 2, 1)": "height and width",
            "lambda x, w, b: F.relu(torch.einsum('ck,nchw->nkhw', w, x) + b[:, None, None])": "transposed",
            "lambda x, w, b: F.relu(torch.einsum('kc,nchw->nkhw', w, x) + b)": "shape \\(K, 1, 1\\)",
            "lambda x, w, b: F.relu(w @ x + b)": "rows of the grid",
            "lambda x, w, b: F.relu(F.conv2d(x, w[:, :, None, None], b)).detach()": "training needs",
            "lambda x, w, b: F.relu(F.conv2d(x, w[:, :, None, None]))": "bias is missing",
            "lambda x, w, b: F.conv2d(x, w[:, :, None, None])": "ReLU is missing.*bias is missing|two things",
            "lambda x, w, b: F.gelu(F.conv2d(x, w[:, :, None, None], b))": "",
            "lambda x, w, b: F.relu(F.conv2d(x.relu_(), w[:, :, None, None], b))": "make a new value",
        },
    ),
    "reduced_cost": (
        [
            "lambda i, w, g: (p := cost(i, w), p * g * g)",
            "lambda i, w, g: [cost(i, w), cost(i, w) * g**2]",
            "lambda i, w, g: (cost(i, w), sum([cost(i, w) * g] * g))",
            "lambda i, w, g: (float(cost(i, w)), cost(i, w) * g * g)",
            "lambda i, w, g: tuple(np.array([1, g * g]) * cost(i, w))",
            "lambda i, w, g: torch.tensor([1, g * g]).mul(cost(i, w)).tolist()",
        ],
        {
            "lambda i, w, g: (cost(i, w), cost(i, w))": "at every position",
            "lambda i, w, g: (cost(i, w), cost(i, w) * g)": "grid \\* grid",
            "lambda i, w, g: (cost(i, w), 2 * cost(i, w) * g * g)": "FLOPs",
            "lambda i, w, g: (cost(i, w) * g * g, cost(i, w))": "first number",
            "lambda i, w, g: cost(i, w)": "return them together",
            "lambda i, w, g: (p := cost(i, w) - i * w['pool proj'], p * g * g)": "pool projection",
            "lambda i, w, g: (p := cost(i, w) - i * w['1x1'], p * g * g)": "1x1 branch",
            "lambda i, w, g: (p := cost(i, w) - i * (w['3x3 reduce'] + w['5x5 reduce']), p * g * g)": "reductions have weights",
            "lambda i, w, g: (p := cost(i, w) + (i - w['3x3 reduce']) * 9 * w['3x3'], p * g * g)": "the 3x3 reads",
            "lambda i, w, g: (p := cost(i, w) + (i - w['5x5 reduce']) * 25 * w['5x5'], p * g * g)": "the 5x5 reads",
            "lambda i, w, g: (p := cost(i, w) + sum(w.values()), p * g * g)": "biases do not count",
            "lambda i, w, g: (cost(i, w) + sum(w.values()), cost(i, w) * g * g)": "biases do not count",
            "lambda i, w, g: (p := cost(i, w) - 16 * w['5x5 reduce'] * w['5x5'], p * g * g)": "",
            "lambda i, w, g: (163328, 128049152)": "",
            "lambda i, w, g: (cost(i, w) / 1e6, cost(i, w) * g * g / 1e6)": "",
        },
    ),
    "receptive_field_of_stack": (
        [
            "def f(k, s):\n    r, j = 1, 1\n    for a, b in zip(k, s): r += (a - 1) * j; j *= b\n    return r",
            "lambda k, s: 1 + sum((a - 1) * math.prod(s[:n]) for n, a in enumerate(k))",
            "def f(k, s):\n    r = 1\n    for a, b in zip(k[::-1], s[::-1]): r = (r - 1) * b + a\n    return r",
            "def f(k, s):\n    return 1 if not k else k[0] + (f(k[1:], s[1:]) - 1) * s[0]",
            "lambda k, s: int(1 + np.dot(np.array(k, int) - 1, np.cumprod([1] + s)[:-1]))",
            "def f(k, s):\n    jump, size = 1, 1\n    while k: size, jump, k, s = size + (k[0] - 1) * jump, jump * s[0], k[1:], s[1:]\n    return size",
        ],
        {
            "lambda k, s: sum(k)": "not 6",
            "lambda k, s: sum(k) if k else 1": "not 6",
            "lambda k, s: math.prod(k)": "do not multiply",
            "lambda k, s: 1 + sum(a - 1 for a in k)": "strides are missing",
            "lambda k, s: sum((a - 1) * math.prod(s[:n]) for n, a in enumerate(k))": "start from 1",
            "lambda k, s: 1 + sum(a * math.prod(s[:n]) for n, a in enumerate(k))": "position of its window",
            "lambda k, s: 1 + sum((a - 1) * math.prod(s[: n + 1]) for n, a in enumerate(k))": "after it",
            "lambda k, s: 1 + sum((a - 1) * b for a, b in zip(k, [1, *s]))": "strides multiply",
            "lambda k, s: 1 + sum((a - 1) * math.prod(s[::-1][:n]) for n, a in enumerate(k[::-1]))": "not backwards",
            "lambda k, s: sum(a - 1 for a in k)": "",
            "lambda k, s: max(k, default=1)": "",
            "lambda k, s: 1 + sum((a - 1) * sum(s[:n]) for n, a in enumerate(k))": "",
            "def f(k, s):\n    r = 1\n    while k: r += k.pop() - 1\n    return r": "make a new value",
            "lambda k, s: 1 + sum((a + 1) * math.prod(s[:n]) for n, a in enumerate(k))": "",
            "lambda k, s: (k, s)": "not several",
            "lambda k, s: None": "`return`",
            "lambda k, s: str(k)": "not text",
            "lambda k, s: 1 + sum((a - 1) * math.prod(s) for a in k)": "",
            "lambda k: 1": "the exercise calls",
        },
    ),
    "saving": (
        [
            "lambda n: 1 - 2 / n",
            "lambda n: 1 - 2 * n / n**2",
            "lambda n: (n * n - 2 * n) / (n * n)",
            "lambda n: (n - 2) / n",
            "lambda n: float(np.float64(1) - 2 / np.float64(n))",
            "lambda n: torch.tensor(1 - 2 / n)",
        ],
        {
            "lambda n: 2 / n": "what is left",
            "lambda n: 100 * (1 - 2 / n)": "not per cent",
            "lambda n: 1 - 1 / n": "two convolutions",
            "lambda n: 1 - 2 / n**2": "n weights per pair",
            "lambda n: 1 - 1 / n**2": "n weights per pair",
            "lambda n: n / 2": "times cheaper",
            "lambda n: n * n - 2 * n": "number of weights saved",
            "lambda n: 2 / n - 1": "sign",
            "lambda n: (n * n - 2 * n) / (2 * n)": "divided by the n x n",
            "lambda n: round(1 - 2 / n, 2)": "do not round",
            "lambda n: 1 - 2 // n": "do not round",
            "lambda n: {3: 1 / 3, 5: 0.6, 7: 5 / 7}.get(n, 0)": "",
            "lambda n: 1 / 3": "",
            "lambda n: f'{1 - 2 / n:.0%}'": "not text",
            "lambda n: 1 - 3 / n": "",
        },
    ),
}
# Here a wrong answer may be "old => new": a replacement in the first right one.
FUNCTIONS |= {
    "batch_norm": (
        [
            "def f(x, g, b, m, v, training, p, eps):\n"
            "    mean, var = m, v\n"
            "    if training:\n"
            "        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)\n"
            "        big = x.var((0, 2, 3), unbiased=True)\n"
            "        m, v = (1 - p) * m + p * mean, (1 - p) * v + p * big\n"
            "    y = (x - mean[:, None, None]) / torch.sqrt(var[:, None, None] + eps)\n"
            "    return y * g[:, None, None] + b[:, None, None], m, v",
            "def f(x, g, b, m, v, training, p, eps):\n"
            "    m, v = m.clone(), v.clone()\n"
            "    return F.batch_norm(x, m, v, g, b, training, p, eps), m, v",
            "def f(x, g, b, m, v, training, p, eps):\n"
            "    n = nn.BatchNorm2d(len(g), eps, p).train(training)\n"
            "    n.weight.data, n.bias.data = g, b\n"
            "    n.running_mean, n.running_var = m.clone(), v.clone()\n"
            "    return n(x), n.running_mean, n.running_var",
            "def f(x, g, b, m, v, training, p, eps):\n"
            "    r = x.transpose(0, 1).flatten(1)\n"
            "    k = r.shape[1]\n"
            "    a, s = (r.mean(1), r.var(1, correction=0)) if training else (m, v)\n"
            "    y = ((x.transpose(1, 3) - a) * (s + eps) ** -0.5 * g + b).transpose(1, 3)\n"
            "    return (y, m.lerp(a, p), v.lerp(s * k / (k - 1), p)) if training else (y, m, v)",
            "def f(x, g, b, m, v, training, p, eps):\n"
            "    if not training:\n"
            "        s = g / (v + eps).sqrt()\n"
            "        return [x * s.view(1, -1, 1, 1) + (b - m * s).view(1, -1, 1, 1), m, v]\n"
            "    a = x.mean(dim=(0, 2, 3), keepdim=True)\n"
            "    d = ((x - a) ** 2).mean(dim=(0, 2, 3), keepdim=True)\n"
            "    n = x.numel() / x.shape[1]\n"
            "    y = g.view(1, -1, 1, 1) * (x - a) / (d + eps) ** 0.5 + b.view(1, -1, 1, 1)\n"
            "    return [y, m + p * (a.flatten() - m), v + p * (d.flatten() * n / (n - 1) - v)]",
            "def f(x, g, b, m, v, training, p, eps):\n"
            "    y = torch.empty_like(x); m, v = m.clone(), v.clone()\n"
            "    for c in range(x.shape[1]):\n"
            "        z = x[:, c]\n"
            "        a, s = (z.mean(), z.var(unbiased=False)) if training else (m[c], v[c])\n"
            "        y[:, c] = (z - a) / (s + eps).sqrt() * g[c] + b[c]\n"
            "        if training: m[c], v[c] = (1 - p) * m[c] + p * a, (1 - p) * v[c] + p * z.var()\n"
            "    return y, m, v",
        ],
        {
            "x.var((0, 2, 3), unbiased=False) => x.var((0, 2, 3))": "biased variance",
            "unbiased=True => unbiased=False": "running_var takes",
            "torch.sqrt(var[:, None, None] + eps) => (torch.sqrt(var[:, None, None]) + eps)": "inside the square root",
            "torch.sqrt(var[:, None, None] + eps) => (var[:, None, None] + eps)": "standard deviation",
            "(1 - p) * m + p * mean, (1 - p) * v + p * big => p * m + (1 - p) * mean, p * v + (1 - p) * big": "momentum is the share",
            "(1 - p) * m + p * mean, (1 - p) * v + p * big => mean, big": "average old and new",
            "m, v = (1 - p) * m + p * mean, (1 - p) * v + p * big => pass": "move too",
            "if training: => if True:": "two things",
            "y * g[:, None, None] + b[:, None, None] => y": "gamma and beta are missing",
            "y * g[:, None, None] + b[:, None, None] => y * g[:, None, None]": "beta is missing",
            "y * g[:, None, None] + b[:, None, None] => y + b[:, None, None]": "gamma is missing",
            "y * g[:, None, None] + b[:, None, None] => y * b[:, None, None] + g[:, None, None]": "swapped",
            " + eps) => )": "eps is missing",
            "return y * g[:, None, None] + b[:, None, None], m, v => return y * g[:, None, None] + b[:, None, None]": "return them together",
            "m, v = (1 - p) * m + p * mean, (1 - p) * v + p * big => m.mul_(1 - p).add_(p * mean); v = (1 - p) * v + p * big": "make a new value",
            "    y = (x =>     mean, var = m, v\n    y = (x": "",
            "(x - mean => (x + mean": "",
        },
    ),
    "rmsprop_step": (
        [
            "def f(w, g, s, lr, d, eps):\n    s = d * s + (1 - d) * g**2\n"
            "    return w - lr * g / (s.sqrt() + eps), s",
            "def f(w, g, s, lr, d, eps):\n    s = s.lerp(g * g, 1 - d)\n    return w.addcdiv(g, s.sqrt().add(eps), value=-lr), s",
            "def f(w, g, s, lr, d, eps):\n    new = s.mul(d).addcmul(g, g, value=1 - d)\n    return [w - lr * g * (new**0.5 + eps) ** -1, new]",
            "def f(w, g, s, lr, d, eps):\n    w, s = w.clone(), s.clone()\n    s.mul_(d).add_(g.square(), alpha=1 - d)\n    w -= lr * g / (torch.sqrt(s) + eps)\n    return w, s",
            "def f(w, g, s, lr, d, eps):\n    s = s + (1 - d) * (g.pow(2) - s)\n    return w - (lr / (s.sqrt() + eps)) * g, s",
            "def f(w, g, s, lr, d, eps):\n    out = torch.tensor([d * float(a) + (1 - d) * float(b) ** 2 for a, b in zip(s, g)])\n    return torch.stack([p - lr * q / (math.sqrt(r) + eps) for p, q, r in zip(w, g, out)]), out",
        ],
        {
            "s.sqrt() + eps => (s + eps).sqrt()": "TensorFlow's way",
            "s.sqrt() + eps => s + eps": "divide by the root",
            "s.sqrt() + eps => s.sqrt()": "eps is missing",
            "w - lr => w + lr": "downhill",
            "d * s + (1 - d) => (1 - d) * s + d": "share of the old",
            "g**2 => g.abs()": "squared gradient",
            "g**2 => g": "squared gradient",
            "d * s + (1 - d) * g**2 => s + g**2": "Adagrad",
            "d * s + (1 - d) * g**2 => d * s + g**2": "1 - decay",
            "d * s + (1 - d) * g**2 => s + (1 - d) * g**2": "old average",
            "d * s + (1 - d) * g**2 => g**2": "old average",
            "def f(w, g, s, lr, d, eps):\n    return w - lr * g / (s.sqrt() + eps), d * s + (1 - d) * g**2": "new one",
            "def f(w, g, s, lr, d, eps):\n    n = d * s + (1 - d) * g**2\n    return w - lr * g / (n.sqrt() + eps), s": "new square",
            "lr * g / (s.sqrt() + eps) => lr * g": "SGD",
            "lr * g => g": "learning rate",
            "eps), s => eps)": "return them together",
            "def f(w, g, s, lr, d, eps):\n    s.mul_(d).add_(g * g, alpha=1 - d)\n    return w - lr * g / (s.sqrt() + eps), s": "make a new value",
            "w - lr * g => lr * g": "",
        },
    ),
    "rmsprop_tf_step": (
        [
            "def f(w, g, s, b, lr, d, m, eps):\n    s = d * s + (1 - d) * g**2\n"
            "    b = m * b + lr * g / (s + eps).sqrt()\n    return w - b, s, b",
            "def f(w, g, s, b, lr, d, m, eps):\n    s = s.lerp(g * g, 1 - d)\n    b = b * m + lr * g * torch.rsqrt(s + eps)\n    return w - b, s, b",
            "def f(w, g, s, b, lr, d, m, eps):\n    s = s + (1 - d) * (g * g - s)\n    b = m * b + lr * g * (s + eps) ** -0.5\n    return [w.sub(b), s, b]",
            "def f(w, g, s, b, lr, d, m, eps):\n    s = s.clone().mul_(d).addcmul_(g, g, value=1 - d)\n    b = b.clone().mul_(m).addcdiv_(g, (s + eps).sqrt(), value=lr)\n    return w - b, s, b",
            "def f(w, g, s, b, lr, d, m, eps):\n    s = d * s + (1 - d) * g.square()\n    step = lr * (g / torch.sqrt(s + eps))\n    b = m * b + step\n    return w + -b, s, b",
            "def f(w, g, s, b, lr, d, m, eps):\n    new = torch.add(d * s, (1 - d) * g.pow(2))\n    return (w - (v := torch.add(m * b, lr * g / (new + eps).pow(0.5)))), new, v",
        ],
        {
            "(s + eps).sqrt() => (s.sqrt() + eps)": "inside the root",
            "(s + eps).sqrt() => s.sqrt()": "eps is missing",
            "(s + eps).sqrt() => (s + eps)": "divide by the root",
            "def f(w, g, s, b, lr, d, m, eps):\n    s = d * s + (1 - d) * g**2\n    b = m * b + g / (s + eps).sqrt()\n    return w - lr * b, s, b": "in the buffer",
            "def f(w, g, s, b, lr, d, m, eps):\n    s = d * s + (1 - d) * g**2\n    b = m * b + g / (s.sqrt() + eps)\n    return w - lr * b, s, b": "torch's step",
            "m * b + lr => m * b + (1 - m) * lr": "full step",
            "return w - b => return w - lr * g / (s + eps).sqrt()": "entire buffer",
            "return w - b => return w + b": "downhill",
            "m * b + lr => lr": "old buffer is missing",
            "m * b + lr => b + lr": "counts with momentum",
            "d * s + (1 - d) => (1 - d) * s + d": "share of the old",
            "d * s + (1 - d) * g**2 => d * s + g**2": "1 - decay",
            "d * s + (1 - d) * g**2 => s + g**2": "Adagrad",
            "g**2 => g.abs()": "squared gradient",
            "d * s + => d * (s + 1) +": "add no 1 to square",
            "(1 - d) * g**2 => (1 - d) * g**2 + 1": "new average",
            "d * s + => d +": "only once",
            "w - b, s, b => w - b": "return them together",
            "w - b, s, b => w - b, b, s": "",
        },
    ),
    "label_smoothing_loss": (
        [
            "def f(z, t, e):\n    k = z.shape[1]\n    q = (1 - e) * F.one_hot(t, k) + e / k\n"
            "    return -(q * z.log_softmax(1)).sum(1).mean()",
            "lambda z, t, e: F.cross_entropy(z, t, label_smoothing=e)",
            "lambda z, t, e: (1 - e) * F.cross_entropy(z, t) - e * z.log_softmax(1).mean()",
            "def f(z, t, e):\n    q = torch.full_like(z, e / z.shape[1])\n    q[torch.arange(len(t)), t] += 1 - e\n    return F.cross_entropy(z, q)",
            "def f(z, t, e):\n    p = torch.log(torch.exp(z) / torch.exp(z).sum(1, keepdim=True))\n    n = p.gather(1, t[:, None]).squeeze(1)\n    return (-(1 - e) * n - e * p.mean(dim=1)).mean()",
            "def f(z, t, e):\n    q = torch.zeros_like(z).scatter_(1, t.unsqueeze(1), 1.0)\n    q = q * (1 - e) + e / z.size(1)\n    return torch.mean(torch.sum(-q * F.log_softmax(z, dim=-1), dim=-1))",
            "def f(z, t, e):\n    total = 0\n    for row, c in zip(z, t):\n        p = F.log_softmax(row, 0)\n        total = total - (1 - e) * p[c] - e / len(row) * p.sum()\n    return total / len(z)",
        ],
        {
            "lambda z, t, e: F.cross_entropy(z, t)": "one-hot targets",
            "e / k => e": "not eps",
            "q = (1 - e) * F.one_hot(t, k) + e / k => h = F.one_hot(t, k); q = (1 - e) * h + (1 - h) * e / (k - 1)": "K - 1 others",
            "q = (1 - e) * F.one_hot(t, k) + e / k => h = F.one_hot(t, k); q = (1 - e) * h + (1 - h) * e / k": "add up to 1",
            "(1 - e) * F.one_hot(t, k) + e / k => F.one_hot(t, k) + e / k": "gives up eps",
            "(1 - e) * F.one_hot(t, k) + e / k => e * F.one_hot(t, k) + (1 - e) / k": "two shares are swapped",
            "(1 - e) * F.one_hot(t, k) + e / k => (1 - e) * F.one_hot(t, k)": "uniform part",
            "e / k => e / (k - 1)": "not eps / \\(K - 1\\)",
            "log_softmax(1) => log_softmax(0)": "dim=1",
            "z.log_softmax(1) => z": "log-softmax",
            "z.log_softmax(1) => z.softmax(1)": "logarithm",
            ".mean() => .sum()": "do not add them up",
            ".sum(1).mean() => .sum(1)": "one number",
            ".sum(1).mean() => .mean()": "average over the samples only",
            "return - => return ": "minus sign",
            "return -(q * z.log_softmax(1)).sum(1).mean() => return -(q * z.log_softmax(1)).sum(1).mean().detach()": "needs the gradient",
            "z.log_softmax(1) => torch.log2(z.softmax(1))": "natural logarithm",
            "lambda z, t, e: (1 - e) * F.cross_entropy(z, t) + e": "",
        },
    ),
    "smoothing_floor": (
        [
            "def f(k, e):\n    s = e / k\n    p = [1 - e + s] + [s] * (k - 1)\n"
            "    return -sum(q * math.log(q) for q in p if q)",
            "def f(k, e):\n    q = np.full(k, e / k); q[0] += 1 - e\n    q = q[q > 0]\n    return float(-(q * np.log(q)).sum())",
            "def f(k, e):\n    p = 1 - e + e / k\n    return -p * math.log(p) - (0 if e == 0 else (k - 1) * e / k * math.log(e / k))",
            "def f(k, e):\n    q = torch.full((k,), e / k, dtype=torch.float64); q[0] += 1 - e\n    return torch.special.entr(q).sum().item()",
            "def f(k, e):\n    q = torch.full((k,), e / k); q[0] += 1 - e\n    return torch.distributions.Categorical(probs=q).entropy()",
            "def f(k, e):\n    h = lambda q: 0.0 if q <= 0 else q * math.log(1 / q)\n    return h(1 - e + e / k) + (k - 1) * h(e / k)",
        ],
        {
            "lambda k, e: 0.0": "does not reach 0",
            "[1 - e + s] => [1 - e]": "eps / K as well",
            "lambda k, e: -(1 - e) * math.log(1 - e) - (e * math.log(e / (k - 1)) if e else 0)": "eps / K as well",
            "lambda k, e: -sum(p * math.log(p) for p in (1 - e, e) if p)": "spread over all K",
            "(k - 1) => k": "not K",
            "math.log => math.log2": "natural logarithm",
            "[s] * (k - 1) => []": "add to the entropy too",
            "[1 - e + s] + => []+": "the true class adds",
            "* (k - 1) => ": "not one",
            "lambda k, e: -math.log(1 - e + e / k)": "surprise",
            "lambda k, e: math.log(k)": "uniform",
            "return - => return ": "sign",
            "return -sum(q * math.log(q) for q in p if q) => return -sum(q * math.log(q) for q in p if q) / k": "do not average",
            "q * math.log(q) => math.log(q)": "weigh each",
            "s = e / k => s = e": "",
            "s = e / k => s = e / (k - 1)": "",
            "if q => if 1": "",
            "lambda k, e: 0.50029": "",
        },
    ),
    "ema_update": (
        [
            "lambda a, w, d: d * a + (1 - d) * w",
            "lambda a, w, d: a.lerp(w, 1 - d)",
            "lambda a, w, d: a + (1 - d) * (w - a)",
            "lambda a, w, d: w - d * (w - a)",
            "lambda a, w, d: a.clone().mul_(d).add_(w, alpha=1 - d)",
            "lambda a, w, d: torch.stack([a, w]).mul(torch.tensor([d, 1 - d]).view(2, *[1] * a.dim())).sum(0)",
        ],
        {
            "lambda a, w, d: (1 - d) * a + d * w": "share of the old",
            "lambda a, w, d: d * a + w": "add up to 1",
            "lambda a, w, d: a + (1 - d) * w": "add up to 1",
            "lambda a, w, d: a + d * w": "add up to 1",
            "lambda a, w, d: (a + w) / 2": "plain mean",
            "lambda a, w, d: d * a": "new weights are missing",
            "lambda a, w, d: (1 - d) * w": "old average is missing",
            "lambda a, w, d: a": "does not move",
            "lambda a, w, d: w": "not an average",
            "lambda a, w, d: a - (1 - d) * (w - a)": "away",
            "lambda a, w, d: a.mul_(d).add_(w, alpha=1 - d)": "make a new value",
            "lambda a, w, d: [d * p + (1 - d) * q for p, q in zip(a, w)]": "return one tensor",
            "lambda a, w, d: (d * a + (1 - d) * w).mean()": "",
            "lambda a, w, d: d * a - (1 - d) * w": "",
            "lambda a, w, d: d * (a + (1 - d) * w)": "",
        },
    ),
    "clip": (
        [
            "def f(gs, m):\n    n = sum((g**2).sum() for g in gs).sqrt()\n"
            "    return [g * (m / n) if n > m else g for g in gs]",
            "def f(gs, m):\n    n = torch.cat([g.flatten() for g in gs]).norm()\n    return [g * min(1.0, m / (float(n) + 1e-12)) for g in gs]",
            "def f(gs, m):\n    ps = [nn.Parameter(torch.zeros_like(g)) for g in gs]\n    for p, g in zip(ps, gs): p.grad = g.clone()\n    nn.utils.clip_grad_norm_(ps, m)\n    return [p.grad for p in ps]",
            "def f(gs, m):\n    n = math.sqrt(sum(float(g.square().sum()) for g in gs))\n    return tuple(g / max(1.0, n / m) for g in gs)",
            "def f(gs, m):\n    n = torch.stack([g.norm() for g in gs]).norm()\n    return [g * torch.clamp(m / (n + 1e-6), max=1.0) for g in gs]",
            "def f(gs, m):\n    n = torch.nn.utils.get_total_norm(gs) if hasattr(nn.utils, 'get_total_norm') else torch.stack([g.norm() for g in gs]).norm()\n    if n <= m: return gs\n    return [m * g / n for g in gs]",
        ],
        {
            "lambda gs, m: [g.clamp(-m, m) for g in gs]": "by itself",
            "lambda gs, m: [g * min(1, m / max(1e-12, float(g.norm()))) for g in gs]": "one norm over all",
            "(m / n) if n > m else g => (m / n)": "stay as they are",
            "(m / n) if => (1 / n) if": "not 1",
            ".sqrt() => ": "root of the sum",
            "sum((g**2).sum() for g in gs).sqrt() => sum(g.abs().sum() for g in gs)": "absolute values",
            "sum((g**2).sum() for g in gs).sqrt() => max(g.abs().max() for g in gs)": "largest value",
            "sum((g**2).sum() for g in gs).sqrt() => sum(g.norm() for g in gs)": "one norm over all",
            "sum((g**2).sum() for g in gs).sqrt() => max(g.norm() for g in gs)": "one norm over all",
            "lambda gs, m: gs": "nothing is clipped",
            "n > m => n < m": "",
            "def f(gs, m):\n    n = sum((g**2).sum() for g in gs).sqrt()\n    for g in gs: g.mul_(min(1, m / max(n, 1e-9)))\n    return gs": "make a new value",
            "[g * (m / n) if n > m else g for g in gs] => gs[0]": "return a tuple",
            "(m / n) => (m / (n + 0.01))": "",
            "sum((g**2) => sum((g**3)": "",
        },
    ),
    "stem_v4": (
        [
            "lambda i, a, b, c: (i + a, 2 * b, 2 * b + c)",
            "lambda i, a, b, c: [i + a, b + b, c + b + b]",
            "def f(i, a, b, c):\n    x = i + a; y = b * 2; z = y + c\n    return x, y, z",
            "lambda i, a, b, c: tuple(np.cumsum([i + a, 2 * b - i - a, c]).tolist())",
            "lambda i, a, b, c: (float(i + a), 2 * b, c + 2 * b)",
            "lambda i, a, b, c: tuple(torch.tensor([i + a, 2 * b, 2 * b + c]))",
        ],
        {
            "lambda i, a, b, c: (a, 2 * b, c)": "passes on its input",
            "lambda i, a, b, c: (a, 2 * b, 2 * b + c)": "passes on its input",
            "lambda i, a, b, c: (i + a, 2 * b, c)": "passes on its input",
            "lambda i, a, b, c: (i + a, b, b + c)": "both branches",
            "lambda i, a, b, c: (i + a, i + a + b, i + a + b + c)": "no pool",
            "lambda i, a, b, c: (i + a, i + a + 2 * b, i + a + 2 * b + c)": "nothing of step 4",
            "lambda i, a, b, c: (i + a, 2 * b, b + c)": "pooled output",
            "lambda i, a, b, c: (i + a, 2 * b, i + a + c)": "pooled output",
            "lambda i, a, b, c: (i + a, 2 * b, 2 * c)": "counts once",
            "lambda i, a, b, c: (i + a, 2 * b, 2 * b + 2 * c)": "counts once",
            "lambda i, a, b, c: (2 * a, 2 * b, 2 * b + c)": "step 4 has one",
            "lambda i, a, b, c: (160, 192, 384)": "use the arguments",
            "lambda i, a, b, c: i + a": "return them together",
            "lambda i, a, b, c: (i + a, 2 * b)": "return them together",
            "lambda i, a, b, c: (i * a, 2 * b, 2 * b * c)": "",
        },
    ),
    "compose_v4": (
        [
            "lambda a, b, c: 605_728 + 2_306_112 + 2_747_392 + 1_537_000"
            " + a * 317_632 + b * 2_936_256 + c * 4_553_088",
            "lambda a, b, c: 7_196_232 + sum(n * p for n, p in zip((a, b, c), (317632, 2936256, 4553088)))",
            "lambda a, b, c: int(np.dot([a, b, c, 1], [317632, 2936256, 4553088, 7196232]))",
            "def f(a, b, c):\n    t = 605728 + 2306112 + 2747392 + 1537000\n    for _ in range(a): t += 317632\n    for _ in range(b): t += 2936256\n    return t + 4553088 * c",
            "lambda a, b, c: float(7196232 + a * 317632 + b * 2936256 + c * 4553088)",
            "lambda a, b, c: torch.tensor([a, b, c, 1]).dot(torch.tensor([317632, 2936256, 4553088, 7196232]))",
        ],
        {
            "lambda a, b, c: a * 317_632 + b * 2_936_256 + c * 4_553_088": "count too",
            "605_728 => 0": "stem is missing",
            " + 1_537_000 => ": "classifier is missing",
            "2_306_112 => 0": "Reduction-A is missing",
            "2_747_392 => 0": "Reduction-B is missing",
            "2_306_112 + 2_747_392 => 0": "two reductions",
            "a * 317_632 => 317_632": "",
            "a * 317_632 => b * 317_632": "",
            " + c * 4_553_088 => ": "C modules are missing",
            "lambda a, b, c: 7_196_232 + b * 317_632 + a * 2_936_256 + c * 4_553_088": "A and B",
            "lambda a, b, c: 7_196_232 + c * 317_632 + b * 2_936_256 + a * 4_553_088": "A and C",
            "lambda a, b, c: 7_196_232 + a * 317_632 + c * 2_936_256 + b * 4_553_088": "B and C",
            "lambda a, b, c: 42_679_816": "whatever is asked",
            "lambda a, b, c: 7_196_232 + 317_632 + 2_936_256 + 4_553_088": "as often as it occurs",
            "lambda a, b, c: (605, 728) + a * 317": "write a large number",
            "lambda a, b, c: (7_196_232 + a * 317_632 + b * 2_936_256 + c * 4_553_088) / 1e6": "not millions",
        },
    ),
    "fold_batch_norm": (
        [
            "def f(w, b, m, v, g, s, eps):\n    k = g / (v + eps).sqrt()\n"
            "    b = torch.zeros_like(m) if b is None else b\n"
            "    return w * k[:, None, None, None], (b - m) * k + s",
            "def f(w, b, m, v, g, s, eps):\n    k = g * torch.rsqrt(v + eps)\n    return torch.einsum('o,oihw->oihw', k, w), ((0 if b is None else b) - m) * k + s",
            "lambda w, b, m, v, g, s, eps: nn.utils.fusion.fuse_conv_bn_weights(w, b, m, v, eps, g, s)",
            "def f(w, b, m, v, g, s, eps):\n    k = g / torch.sqrt(v + eps)\n    bias = s - m * k\n    if b is not None: bias = bias + b * k\n    return w * k.view(-1, 1, 1, 1), bias",
            "def f(w, b, m, v, g, s, eps):\n    d = (v + eps) ** 0.5\n    b = b if b is not None else m * 0\n    return (torch.diag(g / d) @ w.flatten(1)).view_as(w), g * (b - m) / d + s",
            "def f(w, b, m, v, g, s, eps):\n    k = (g / (v + eps).sqrt()).tolist()\n    return torch.stack([x * y for x, y in zip(w, k)]), torch.tensor(k) * ((0 if b is None else b) - m) + s",
        ],
        {
            "(v + eps) => v": "eps is missing",
            "(v + eps).sqrt() => (v.sqrt() + eps)": "under the root",
            "(v + eps).sqrt() => (v + eps)": "standard deviation",
            "g / (v => g * (v": "do not multiply",
            "g / (v => 1 / (v": "gamma is missing",
            "torch.zeros_like(m) if b is None else b => 0": "own bias",
            "(b - m) * k => b * k": "mean is missing",
            "(b - m) * k => (b - m)": "mean is scaled too",
            "(b - m) * k => b - m * k": "old bias is scaled",
            "(b - m) * k => b * k - m": "the mean is too",
            "(b - m) => (b + m)": "not added",
            " * k + s => * k": "beta is missing",
            "(b - m) * k + s => (b - m + s) * k": "beta is not scaled",
            "w * k[:, None, None, None] => w": "as well",
            "k[:, None, None, None] => k[None, :, None, None]": "output channels",
            "    b = torch.zeros_like(m) if b is None else b\n => ": "None",
            "(b - m) * k + s => s": "",
        },
    ),
    "merge_siblings": (
        [
            "lambda w, b: (torch.cat(w, 0), torch.cat(b, 0))",
            "lambda w, b: [torch.cat(w), torch.cat(b)]",
            "lambda w, b: (torch.vstack(w), torch.hstack(b))",
            "lambda w, b: tuple(torch.concat(list(p), dim=0) for p in (w, b))",
            "def f(w, b):\n    n = sum(len(x) for x in b)\n    o, p = torch.empty(n, *w[0].shape[1:]), torch.empty(n)\n    i = 0\n    for x, y in zip(w, b): o[i : i + len(y)] = x; p[i : i + len(y)] = y; i += len(y)\n    return o, p",
            "lambda w, b: (torch.stack([r for x in w for r in x]), torch.stack([r for x in b for r in x]))",
        ],
        {
            "cat(w, 0) => cat(w, 1)": "join along the output channels",
            "lambda w, b: (sum(w), sum(b))": "do not add",
            "torch.cat(w, 0) => sum(w)": "do not add",
            "torch.cat(b, 0) => sum(b)": "do not add",
            "torch.cat(w, 0) => torch.stack(w)": "torch.stack",
            "lambda w, b: (torch.stack(w), torch.stack(b))": "torch.stack",
            "lambda w, b: (torch.cat(b), torch.cat(w))": "weight comes first",
            "lambda w, b: (torch.cat(w[::-1]), torch.cat(b[::-1]))": "reverse order",
            "cat(b, 0) => cat(b[::-1], 0)": "same order",
            "lambda w, b: (torch.cat(w[:2]), torch.cat(b[:2]))": "first two",
            "lambda w, b: torch.cat(w)": "return them together",
            "torch.cat(w, 0) => w[0]": "",
            "lambda w, b: (torch.cat(w).flatten(1), torch.cat(b))": "",
            "lambda w, b: (torch.cat(w) * 2, torch.cat(b))": "",
            "lambda w, b: (w, b)": "return one tensor",
        },
    ),
}  # fmt: skip


def cost(i, w):
    """The weights of a reduced module."""
    narrow = w["1x1"] + w["3x3 reduce"] + w["5x5 reduce"] + w["pool proj"]
    wide = 9 * w["3x3 reduce"] * w["3x3"] + 25 * w["5x5 reduce"] * w["5x5"]
    return i * narrow + wide


def function(source):
    """The function that an expression or a `def` gives."""
    names = {"torch": torch, "nn": nn, "F": F, "np": np, "math": math, "cost": cost}
    if source.startswith("lambda"):
        return eval(source, names)
    exec(source, names)
    return names["f"]


def wrong_functions(name):
    """Every wrong answer to a function exercise."""
    (base, *_), wrong = FUNCTIONS[name]
    for source, hint in wrong.items():
        old, arrow, new = source.partition(" => ")
        assert not arrow or old in base, (name, source)
        yield Wrong(source, function(base.replace(old, new) if arrow else source), hint)


def right_modules(name):
    """`(style, class)` of every right answer to a module exercise."""
    for style in STYLES:
        if name == "bn_auxiliary" and style == "batch norm":  # it has its own
            continue
        inner = {"Inner": builder(*INCEPTION, style)}
        yield style, builder(*MODULES[name], style, inner)
    for style, source in OTHERS.get(name, {}).items():
        fused = builder(*OTHERS["inception_module"]["fused 1x1"])
        yield style, builder(*source, inner={"FUSED": fused})
