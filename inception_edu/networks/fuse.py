"""An inference copy of a network: the same outputs from fewer operations.

Four steps, exact in real numbers, each available separately: `fuse` names them.
"""

import copy
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from inception_edu.modules import independent_copy, is_bare, unwrapped
from inception_edu.networks.layers import Branches, ConvUnit, Network
from inception_edu.networks.memory_format import (
    device_of,
    preferred_memory_format,
    reads_no_strides,
    set_memory_format,
)

STEPS = ("fold", "exchange", "merge", "channels_last")


def fuse(model: nn.Module, steps: Iterable[str] = STEPS) -> nn.Module:
    """A copy of `model` for inference, in eval mode; `model` stays as it is.

    `steps` are those of `STEPS` to take: "fold" puts every batch normalization
    into its convolution, "exchange" moves an average pool after its 1x1, where it reads
    fewer channels, "merge" makes one of sibling 1x1 convolutions in every `Branches`,
    "channels_last" sets the memory format where the device has it right. Auxiliary
    heads are dropped, weights frozen in any case. Fuse on the device that will run it.

    Outputs differ from `model.eval()` by rounding only; what it does not recognize
    it leaves alone. A network that reads elsewhere, too, what a convolution before a
    norm outputs has to leave out "fold". A module of your own may read strides, as
    `x.view(len(x), -1)` does: no `Branches` with one in it is merged, and a model with
    one keeps its memory format. Torch's pruning reads them, too: leave "channels_last"
    out, or prune before you fuse, and `prune.remove`, so that norms can be folded.
    `.refused` tells, by path, which pools were not exchanged, and why. Raises
    ValueError for a step that it does not know and for lazy layers without weights.
    """
    model = unwrapped(model)
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            f"fuse takes an nn.Module in Python, not {type(model).__name__}"
        )
    steps = {steps} if isinstance(steps, str) else set(steps)
    if unknown := steps - set(STEPS):
        raise ValueError(f"no step is called {unknown.pop()!r}; choose from {STEPS}")
    device, fused = device_of(model), independent_copy(model)
    steps = steps_on(device, steps, preferred_memory_format(device))
    fused.eval()  # a method of the reader's own, which may return nothing
    fused.requires_grad_(False)
    if isinstance(fused, Network):
        fused.aux_heads = None
    if "fold" in steps:
        for module in list(fused.modules()):
            fold_norms(module)
    refused = {}
    if "exchange" in steps:
        for path, module in list(fused.named_modules()):
            refused |= exchange_pools(module, path)
    if "merge" in steps:
        fused = merge_siblings(fused)
    if "channels_last" in steps and reads_no_strides(model):  # see memory_format.py
        set_memory_format(fused, torch.channels_last)
    fused.refused = refused
    return fused


def steps_on(device, steps, memory_format):
    """The steps that are right on `device`, where images should have `memory_format`.

    Apple's MPS gets slices of channels wrong in pools and norms (pytorch#174345), and
    "merge" makes them.
    """
    steps = steps - {"merge"} if device.type == "mps" else steps
    return steps if memory_format is torch.channels_last else steps - {"channels_last"}


def is_chain(module):
    """Whether `module` runs its children one after the other, and nothing more."""
    is_sequence = isinstance(module, nn.Sequential) and is_bare(module)
    return is_sequence and type(module).forward is nn.Sequential.forward


def links(module):
    """`(name, following)` of a chain's neighbors, past what an `Identity` replaced."""
    children = module._modules.items() if is_chain(module) else ()
    steps = [n for n, m in children if type(m) is not nn.Identity]
    return list(pairwise(steps))


# Step 1: fold.


def fold_norms(module):
    """Fold each batch normalization of a chain into the convolution just before it.

    In eval mode it is `gamma * (x - mean) / sqrt(variance + eps) + beta`, a scale
    and a shift per channel: the scale goes into the weights, the shift is a bias.
    """
    for name, following in links(module):
        conv, norm = map(module._modules.get, (name, following))
        if is_plain(nn.Conv2d, conv) and has_constants(norm):
            module._modules[name] = folded(conv, norm)
            module._modules[following] = nn.Identity()  # the others keep their numbers


def is_plain(kind, module):
    """Whether `module` is torch's own `kind`, of no subclass and without a hook."""
    return type(module) is kind and is_bare(module)


def has_constants(norm):
    """Whether a batch norm scales by constants, not by the batch's own statistics."""
    return is_plain(nn.BatchNorm2d, norm) and norm.running_mean is not None


def folded(conv, norm):
    """`conv` with `norm` in it, worked out in float64 and rounded once."""
    values = fuse_conv_bn_weights(
        *(conv.weight, conv.bias),
        *(norm.running_mean.double(), norm.running_var.double()),
        *(norm.eps, norm.weight, norm.bias),
    )
    return with_weights(conv, *values)


def with_weights(conv, *values):
    """A convolution like `conv`, with this weight and bias, frozen."""
    other = copy.copy(conv)
    other.out_channels = len(values[0])
    other._parameters = {
        name: nn.Parameter(value, requires_grad=False)
        for name, value in zip(("weight", "bias"), values, strict=True)
    }
    return other


# Step 2: exchange.


def exchange_obstacle(pool, conv):
    """Why the 1x1 `conv` must not run before `pool`, which it follows; "" if it may.

    An average and a 1x1 convolution are both linear, so their order is free as long
    as the pool keeps a constant a constant: the bias.
    """
    if isinstance(pool, nn.MaxPool2d):
        return (
            "a maximum is not linear: the largest input need not give the largest sum"
        )
    if not is_plain(nn.AvgPool2d, pool) or pool.divisor_override is not None:
        return "the pool is not an average over a window and nothing more"
    if pool.count_include_pad and pool.padding not in (0, (0, 0)):
        return "the zeros of the padding are averaged too, which shrinks the bias there"
    if pool.stride not in (1, (1, 1)):
        return "the pool thins the grid: the convolution would read more, not less"
    if conv.out_channels > conv.in_channels:
        return f"more expensive: the pool reads {conv.out_channels} channels, not fewer"
    return ""


def is_pointwise(conv):
    """Whether `conv` mixes the channels of each pixel and does nothing else."""
    return (
        is_plain(nn.Conv2d, conv)
        and (conv.kernel_size, conv.stride, conv.groups) == ((1, 1), (1, 1), 1)
        and conv.padding in ((0, 0), "valid", "same")
    )


def exchange_pools(module, path):
    """Pool, 1x1, ReLU becomes 1x1, pool, ReLU; `{path: reason}` of what may not."""
    refused = {}
    for name, following in links(module):
        pool, unit = module._modules[name], module._modules[following]
        is_unit = isinstance(unit, ConvUnit) and is_chain(unit)
        is_pool = "Pool" in type(pool).__name__
        if not (is_pool and is_unit and is_pointwise(unit[0])):
            continue
        conv, *rest = unit
        if reason := exchange_obstacle(pool, conv):
            refused[f"{path}.{name}".strip(".")] = reason
        else:
            module._modules[name] = conv
            module._modules[following] = nn.Sequential(pool, *rest)
    return refused


# Step 3: merge.


class MergedBranches(nn.Module):
    """`Branches` whose first 1x1 convolutions run as one, which is then split.

    `leading`: the convolutions to merge, by branch. `tails`: every branch from
    there on; one without a convolution to merge reads the input, as before.
    """

    def __init__(self, leading, tails):
        super().__init__()
        convs, self.names = list(leading.values()), list(leading)
        self.widths = [conv.out_channels for conv in convs]
        biases = [
            c.weight.new_zeros(c.out_channels) if c.bias is None else c.bias
            for c in convs
        ]
        weight = torch.cat([conv.weight for conv in convs])
        self.conv = with_weights(convs[0], weight, torch.cat(biases))
        self.tails = nn.ModuleDict(tails)

    def forward(self, x):
        pieces = torch.split(self.conv(x), self.widths, 1)
        starts = dict(zip(self.names, pieces, strict=True))
        ends = [tail(starts.get(name, x)) for name, tail in self.tails.items()]
        return torch.cat(ends, 1)


def flat(module):
    """The steps of a branch one after the other, sequences opened."""
    if is_chain(module):
        return [step for child in module for step in flat(child)]
    return [] if is_plain(nn.Identity, module) else [module]


def merge_siblings(module):
    """`module` with the leading 1x1 convolutions of every `Branches` in it as one."""
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = merge_siblings(child)
    is_ours = isinstance(module, Branches) and type(module).forward is Branches.forward
    if not is_ours or not reads_no_strides(module):
        return module
    leading, tails = {}, dict(module.items())
    for name, branch in module.items():
        first, *rest = flat(branch) or [None]
        if getattr(first, "inplace", False):
            return module  # it changes what the branches after it read
        if is_pointwise(first):
            if rest and getattr(rest[0], "inplace", False):
                rest[0] = copy.copy(rest[0])  # its input is a view of the whole
                rest[0].inplace = False
            leading[name], tails[name] = first, nn.Sequential(*rest)
    return MergedBranches(leading, tails) if len(leading) > 1 else module
