"""The building blocks of every network here, and what holds them.

`ConvUnit` is a convolution with what follows it. `Branches` is the papers' "filter
concatenation". A module of any version is a dict of branches, and a `Network` is a
named sequence of such modules.
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import nn

from inception_edu.networks.refusals import check_grids, check_images
from inception_edu.options import check_choice, whole_number


class Outputs(NamedTuple):
    """What a network with auxiliary heads returns in train mode.

    `logits` is `(N, num_classes)`; `aux` has one such tensor per head, from input to
    output. In eval mode a network returns `logits` alone, as a plain tensor.
    """

    logits: torch.Tensor
    aux: tuple[torch.Tensor, ...]


class ConvUnit(nn.Sequential):
    """Convolution, normalization, ReLU: `(N, in, H, W) -> (N, out, H', W')`.

    `padding="same"` is half of an odd kernel on every side, `"valid"` is none, a
    number or pair is taken as it is. `norm="batch"` is a convolution without bias,
    then batch normalization with eps 1e-3 (the releases from BN-Inception on);
    `norm="none"` is a convolution with bias (Going deeper, section 5).
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding="same",
        *,
        norm="batch",
    ):
        check_choice("norm", norm, ("batch", "none"))
        kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
        if padding == "same":
            if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
                raise ValueError(f"padding='same' needs an odd kernel, got {kernel}")
            padding = (kernel[0] // 2, kernel[1] // 2)
        elif padding == "valid":
            padding = 0
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding, bias=norm == "none"
        )
        if norm == "batch":
            self.norm = nn.BatchNorm2d(out_channels, eps=1e-3)
        self.relu = nn.ReLU(inplace=True)


def chain(steps):
    """One module from a module, a list of modules, or a dict of named ones."""
    if isinstance(steps, nn.Module):
        return steps
    if isinstance(steps, dict):
        steps = {name: chain(step) for name, step in steps.items()}
        return nn.Sequential(OrderedDict(steps))
    return nn.Sequential(*steps)


class Branches(nn.ModuleDict):
    """Run every named branch on the same input, concatenate along channels.

    The papers' "filter concatenation" (Going deeper, figure 2): `(N, in, H, W)`
    goes into each branch, `(N, sum of branch outputs, H', W')` comes out. A branch
    is a module, a list of modules run one after the other, or a dict of named ones.
    """

    def __init__(self, branches):
        super().__init__({name: chain(steps) for name, steps in branches.items()})

    def forward(self, x):
        outputs = {name: branch(x) for name, branch in self.items()}
        check_grids(outputs)
        return torch.cat(list(outputs.values()), 1)


def numbered(name, count, build, *args, **options):
    """`count` stages called `name1`, `name2`, ..., each built with these arguments."""
    count = whole_number(f"the number of {name}", count, 0, 100)
    return {f"{name}{n + 1}": build(*args, **options) for n in range(count)}


class Network(nn.Module):
    """A named sequence of stages, with auxiliary heads where asked for.

    `stages` maps a name to a module, in order; `aux_heads` maps the name of a
    stage to the head that reads its output. `(N, 3, H, W) -> (N, classes)`;
    in train mode with heads, `Outputs(logits, aux)`.
    """

    def __init__(self, stages, aux_heads=None, *, name, input_size, min_size):
        super().__init__()
        for stage_name, stage in stages.items():
            self.add_module(stage_name, chain(stage))
        self.stage_names = tuple(stages)
        self.aux_heads = nn.ModuleDict(aux_heads) if aux_heads else None
        self.name, self.input_size, self.min_size = name, input_size, min_size

    def stages(self):
        """`(name, module)` of every stage, in the order they run."""
        return [(name, getattr(self, name)) for name in self.stage_names]

    def forward(self, x):
        check_images(x, self)
        aux = []
        for name, stage in self.stages():
            x = stage(x)
            if self.training and self.aux_heads and name in self.aux_heads:
                aux.append(self.aux_heads[name](x))
        return Outputs(x, tuple(aux)) if aux else x
