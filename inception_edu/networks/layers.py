"""The two words every network here is written in, and the frame that holds them.

`ConvUnit` is a convolution with what follows it; `Branches` is the papers'
"filter concatenation". A module of any version is then a table of branches,
and a `Network` is a named sequence of such modules.
"""

from collections.abc import Mapping
from numbers import Integral
from typing import NamedTuple

import torch
from torch import nn


class Outputs(NamedTuple):
    """What a network with auxiliary heads returns in train mode.

    `logits` is `(N, num_classes)`; `aux` holds one such tensor per head, from
    the input side to the output side. In eval mode a network returns the
    plain tensor `logits`, since the heads are thrown away at inference.
    """

    logits: torch.Tensor
    aux: tuple[torch.Tensor, ...]


def pair(size):
    """A kernel, stride or padding as `(height, width)`."""
    both = (size, size) if isinstance(size, Integral) else size
    if not isinstance(both, tuple | list) or len(both) != 2:
        raise TypeError(
            f"kernel_size={size!r} must be a whole number, or two: (height, width)"
        )
    return tuple(both)


class ConvUnit(nn.Sequential):
    """Convolution, normalisation, ReLU: `(N, in, H, W) -> (N, out, H', W')`.

    `padding="same"` keeps the grid at stride 1 (half of an odd kernel on every
    side), `"valid"` pads nothing, a number or pair is taken as it is.
    `norm="batch"` is convolution without bias, then batch normalisation with
    eps 1e-3 (the released networks from BN-Inception on); `norm="none"` is a
    convolution with bias, as in GoogLeNet (Going deeper, section 5).
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding="same",
        *,
        groups=1,
        norm="batch",
    ):
        if norm not in ("batch", "none"):
            raise ValueError(f"norm={norm!r} is unknown; choose 'batch' or 'none'")
        kernel = pair(kernel_size)
        if padding == "same":
            if any(k % 2 == 0 for k in kernel):
                raise ValueError(
                    f"padding='same' needs an odd kernel, got {kernel}; "
                    "give the padding as a number"
                )
            padding = tuple(k // 2 for k in kernel)
        elif padding == "valid":
            padding = 0
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            groups=groups,
            bias=norm == "none",
        )
        if norm == "batch":
            self.norm = nn.BatchNorm2d(out_channels, eps=1e-3)
        self.relu = nn.ReLU(inplace=True)


def chain(steps):
    """One module from a module, a list of modules, or a table of named ones."""
    if isinstance(steps, nn.Module):
        return steps
    if isinstance(steps, Mapping):
        sequence = nn.Sequential()
        for name, step in steps.items():
            sequence.add_module(name, chain(step))
        return sequence
    if not isinstance(steps, list | tuple):
        hint = "; call the class first" if isinstance(steps, type) else ""
        raise TypeError(
            f"{steps!r} is no layer; expected a module, a list of modules, or a "
            f"table of them by name{hint}"
        )
    return nn.Sequential(*steps)


class Branches(nn.ModuleDict):
    """Run every named branch on the same input, concatenate along channels.

    The papers' "filter concatenation" (Going deeper, figure 2): `(N, in, H, W)`
    goes into each branch, `(N, sum of branch outputs, H', W')` comes out, in
    the order of the table. A branch is a module, a list of modules run one
    after the other, or a table of named ones; `module["3x3"]` is that branch.
    """

    def __init__(self, branches):
        super().__init__()
        if not isinstance(branches, Mapping):
            raise TypeError(
                f"branches are a table by name, such as {{'1x1': module}}, not a "
                f"{type(branches).__name__}"
            )
        for name, steps in branches.items():
            if hasattr(self, name) or "." in name or not name:
                raise ValueError(
                    f"a branch cannot be called {name!r}: torch needs that name for "
                    "itself; choose another, such as 'double 3x3'"
                )
            self[name] = chain(steps)

    def forward(self, x):
        outputs = [branch(x) for branch in self.values()]
        grids = [output.shape[2:] for output in outputs]
        if any(grid != grids[0] for grid in grids):
            seen = ", ".join(
                f"{name}: {'x'.join(map(str, grid))}"
                for name, grid in zip(self, grids, strict=True)
            )
            raise ValueError(
                f"branches end on different grids ({seen}) and cannot be "
                "concatenated; check each branch's padding and stride"
            )
        return torch.cat(outputs, 1)


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
        self.check_input(x)
        aux = []
        try:
            for name, stage in self.stages():
                x = stage(x)
                if self.training and self.aux_heads and name in self.aux_heads:
                    aux.append(self.aux_heads[name](x))
        except ValueError as problem:
            if "more than 1 value per channel" not in str(problem):
                raise
            raise ValueError(
                f"one image in train mode: {self.name} normalises a 1x1 grid over the "
                "batch, and one value has no variance; pass two images or more, or "
                "call eval()"
            ) from None
        return Outputs(x, tuple(aux)) if aux else x

    def check_input(self, x):
        """Refuse what cannot be an image batch for this network, in words."""
        if not isinstance(x, torch.Tensor):
            raise TypeError(
                f"input of type {type(x).__name__}: {self.name} takes a tensor of "
                "images, (N, 3, height, width)"
            )
        shape = tuple(x.shape)
        if len(shape) != 4 or shape[1] != 3:
            raise ValueError(
                f"input of shape {shape}: {self.name} takes a batch of colour "
                "images, (N, 3, height, width)"
            )
        if not x.is_floating_point():
            raise TypeError(
                f"input of type {x.dtype}: {self.name} takes floats around zero; "
                "training.data.as_input makes them of bytes"
            )
        if any(size < self.min_size for size in shape[2:]):
            raise ValueError(
                f"input {shape[2]}x{shape[3]} is smaller than {self.name} can "
                f"take ({self.min_size}x{self.min_size}); pass a larger image "
                "or use a mini network"
            )
        weights = next(self.parameters(), x).dtype
        if type(x) is torch.Tensor and x.dtype != weights and not under_autocast(x):
            raise TypeError(
                f"input of type {x.dtype} for weights of type {weights}: pass "
                f"x.to({weights}), or convert the network"
            )


def under_autocast(x):
    """Whether torch chooses the type of every layer on this device itself."""
    return torch.is_autocast_enabled(x.device.type)
