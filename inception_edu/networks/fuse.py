"""An inference copy of a network: the same outputs from fewer operations.

Three rewrites, each exact in real numbers: batch normalisation folded into the
convolution before it; 1x1 convolutions that read the same input merged into one;
an average pool moved behind the 1x1 that follows it, so that it reads fewer
channels and the 1x1 joins the others.
"""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inception_edu.networks.layers import Branches, ConvUnit


def fuse(model):
    """A copy of `model` for inference, in eval mode; `model` stays as it is.

    Folds normalisation in every `nn.Sequential` (a `ConvUnit` is one), merges
    sibling 1x1 convolutions in every `Branches`, drops auxiliary heads and freezes
    the weights. Outputs differ from `model.eval()` by rounding only. What it does
    not recognise it leaves alone, so any module of the reader's own will do.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"fuse takes an nn.Module, not {type(model).__name__}")
    fused = rewrite(copy.deepcopy(model).eval())
    if getattr(fused, "aux_heads", None) is not None:
        fused.aux_heads = None
    # The channels of a pixel side by side in memory: what convolutions read fastest.
    return fused.requires_grad_(False).to(memory_format=torch.channels_last)


def rewrite(module):
    """`module` with everything below it rewritten, from the leaves up."""
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = rewrite(child)
    if isinstance(module, nn.Sequential):
        fold_norms(module)
    if type(module).forward is Branches.forward:
        return merge_siblings(module)
    return module


def fold_norms(sequence):
    """Fold each batch normalisation of a sequence into the convolution before it.

    In eval mode it is `gamma * (x - mean) / sqrt(variance + eps) + beta`, a scale
    and a shift per channel: the scale goes into the weights, the shift is a bias.
    Worked out in float64, so that the weights are rounded once.
    """
    for name, following in pairwise(list(sequence._modules)):
        conv, norm = map(sequence._modules.get, (name, following))
        foldable = type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d
        if not foldable or norm.running_mean is None:  # the batch's own statistics
            continue
        dtype = conv.weight.dtype
        folded = fuse_conv_bn_eval(conv.double(), norm.double()).to(dtype)
        sequence._modules[name] = folded
        del sequence._modules[following]


def is_pointwise(unit):
    """Whether `unit` is nothing but a 1x1 convolution and a ReLU, grid kept."""
    if type(unit) is not ConvUnit or list(unit._modules) != ["conv", "relu"]:
        return False
    conv = unit.conv
    return (conv.kernel_size, conv.stride, conv.groups) == ((1, 1), (1, 1), 1) and (
        conv.padding == (0, 0)
    )


def is_exchangeable(pool, unit):
    """Whether `unit(pool(x))` may run as pool after convolution.

    Both are linear, so the order is free as long as the pool keeps a constant a
    constant: the bias. An average that counts the padding's zeros shrinks it at
    the border, and a maximum is not linear.
    """
    return (
        type(pool) is nn.AvgPool2d
        and pool.stride in (1, (1, 1))
        and pool.divisor_override is None
        and (not pool.count_include_pad or pool.padding in (0, (0, 0)))
        and is_pointwise(unit)
        and unit.conv.out_channels <= unit.conv.in_channels
    )


class MergedBranches(nn.Module):
    """`Branches` whose first 1x1 convolutions run as one, which is then split.

    `leading`: the convolutions to merge, by branch. `tails`: every branch from
    there on; one without a convolution to merge reads the input, as before.
    """

    def __init__(self, leading, tails):
        super().__init__()
        convs = list(leading.values())
        self.widths = {name: conv.out_channels for name, conv in leading.items()}
        self.conv = nn.Conv2d(convs[0].in_channels, sum(self.widths.values()), 1)
        self.conv.weight.data = torch.cat([conv.weight for conv in convs]).detach()
        self.conv.bias.data = torch.cat([bias(conv) for conv in convs]).detach()
        self.tails = nn.ModuleDict(tails)

    def forward(self, x):
        pieces = torch.split(self.conv(x), list(self.widths.values()), 1)
        starts = dict(zip(self.widths, pieces, strict=True))
        return torch.cat(
            [tail(starts.get(name, x)) for name, tail in self.tails.items()], 1
        )


def bias(conv):
    """A convolution's bias, zeros where it has none."""
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias


def merge_siblings(branches):
    """`branches` with its leading 1x1 convolutions as one, or as they were."""
    leading, tails = {}, {}
    for name, branch in branches.items():
        steps = [branch] if isinstance(branch, ConvUnit) else list(branch.children())
        if steps and is_pointwise(steps[0]):
            leading[name] = steps[0].conv
            tails[name] = nn.Sequential(nn.ReLU(), *steps[1:])
        elif len(steps) > 1 and is_exchangeable(*steps[:2]):
            leading[name] = steps[1].conv
            tails[name] = nn.Sequential(steps[0], nn.ReLU(), *steps[2:])
        else:
            tails[name] = branch
    return MergedBranches(leading, tails) if len(leading) > 1 else branches
