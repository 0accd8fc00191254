"""An inference copy of a network: the same outputs from fewer operations.

Five steps, each exact in real numbers and each to be had alone: batch normalization
folded into the convolution before it; an average pool moved behind the 1x1 that follows
it, so that it reads fewer channels; 1x1 convolutions that read the same input merged
into one; channels last in memory; weights laid out for the processor, with the ReLU in
the same pass.
"""

import copy
from itertools import pairwise
from math import prod

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inception_edu.networks.copies import independent_copy
from inception_edu.networks.layers import Branches, ConvUnit, Network
from inception_edu.networks.memory_format import (
    image_for,
    is_bare,
    lay_out,
    preferred_memory_format,
    reads_no_strides,
    same_outputs,
)
from inception_edu.networks.packed import PackedConv

STEPS = ("fold", "exchange", "merge", "channels_last", "pack")
CHANGE_STRIDES = {"merge", "channels_last", "pack"}


def fuse(model, steps=STEPS):
    """A copy of `model` for inference, in eval mode; `model` stays as it is.

    `steps` are those of `STEPS` to take: "fold" puts every batch normalization
    into its convolution, "exchange" moves an average pool behind its 1x1, "merge"
    makes one of sibling 1x1 convolutions in every `Branches`, "channels_last" sets
    the memory format where the device has it right, "pack" lays float32 weights out for
    the CPU and joins convolution and ReLU of a `ConvUnit` (elsewhere, with gradients,
    and in exports it does nothing). Auxiliary heads are dropped and weights frozen in
    any case. Fuse on the device on which the copy will run.

    Outputs differ from `model.eval()` by rounding only. What it does not recognize
    it leaves alone, modules with hooks among it, so any module will do, but for one
    thing: a network that reads, elsewhere too, what a convolution in front of a norm
    puts out, or its weight, has to leave out "fold", and what one in front of a
    `ConvUnit`'s ReLU puts out, "pack". A forward of your own may read strides, as
    `x.view(len(x), -1)` does: the copy is then tried on an image, and the last three
    steps are left out where they change the output or nothing could be tried.
    `.refused` tells, by path, which pools were not exchanged, and why. Raises
    ValueError for a step that it does not know and for lazy layers without weights.
    """
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            f"fuse takes an nn.Module in Python, not {type(model).__name__}"
        )
    steps = {steps} if isinstance(steps, str) else set(steps)
    if unknown := steps - set(STEPS):
        raise ValueError(f"no step is called {unknown.pop()!r}; choose from {STEPS}")
    plain = independent_copy(model).eval().requires_grad_(False)
    device = next((p.device for p in plain.parameters()), torch.device("cpu"))
    steps = steps_on(device, steps, preferred_memory_format(device))
    fused = fused_copy(plain, steps)
    if steps & CHANGE_STRIDES and not all(map(reads_no_strides, plain.modules())):
        example = image_for(plain, device)
        if example is None or not same_outputs(plain, fused, example):
            fused = fused_copy(plain, steps - CHANGE_STRIDES)
    return fused


def steps_on(device, steps, layout):
    """The steps that are right on `device`, where images should lie in `layout`.

    Apple's MPS gets slices of channels wrong in pools and norms (pytorch#174345), and
    "merge" makes them.
    """
    steps = steps - {"merge"} if device.type == "mps" else steps
    return steps if layout is torch.channels_last else steps - {"channels_last"}


def fused_copy(plain, steps):
    """A copy of `plain` after these steps; `plain` is in eval mode and frozen."""
    fused, refused = independent_copy(plain), {}
    if isinstance(fused, Network):
        fused.aux_heads = None
    for step, rule in (("fold", fold_norms), ("exchange", exchange_pools)):
        for path, module in list(fused.named_modules()) if step in steps else ():
            rule(module, path, refused)
    if "merge" in steps:
        fused = merge_siblings(fused)
    if "pack" in steps and torch.backends.mkldnn.is_available():
        for module in list(fused.modules()):
            pack_convolutions(module)
    if "channels_last" in steps:
        packed = [m for m in fused.modules() if isinstance(m, PackedConv)]
        lay_out(fused, torch.channels_last)
        for conv in packed:  # its packed weight decides; torch's pruning reads strides
            conv.weight.data = conv.weight.data.contiguous()
    fused.refused = refused
    return fused.eval().requires_grad_(False)


def is_chain(module):
    """Whether `module` runs its children one after the other."""
    return (
        isinstance(module, nn.Sequential)
        and type(module).forward is nn.Sequential.forward
        and "forward" not in vars(module)
    )


def links(module):
    """`(name, following)`: neighbors of a chain, past what was taken out of it."""
    steps = [n for n, m in module._modules.items() if type(m) is not nn.Identity]
    return list(pairwise(steps))


def take_out(module, name):
    """Without this step; the others keep their numbers where those may be used."""
    if type(module) is ConvUnit:
        del module._modules[name]
    else:
        module._modules[name] = nn.Identity()


# Step 1: fold.


def fold_norms(module, path, refused):
    """Fold each batch normalization into the convolution just before it.

    In eval mode it is `gamma * (x - mean) / sqrt(variance + eps) + beta`, a scale
    and a shift per channel: the scale goes into the weights, the shift is a bias.
    In an `nn.Sequential` the order is known. Of any other module only a unit is
    folded, one convolution and one norm, and only if running it shows no change.
    """
    if is_chain(module):
        for name, following in links(module):
            conv, norm = map(module._modules.get, (name, following))
            if type(norm) is nn.BatchNorm2d and is_foldable(conv, norm):
                module._modules[name] = folded(conv, norm)
                take_out(module, following)
    elif is_unit(module):
        fold_unit(module)


def is_foldable(conv, norm):
    """Whether `norm` scales by constants what the convolution `conv` puts out."""
    return (
        type(conv) is nn.Conv2d
        and isinstance(norm, nn.BatchNorm2d)
        and norm.running_mean is not None  # else it takes the batch's own statistics
        and is_bare(conv)
        and is_bare(norm)
    )


def folded(conv, norm):
    """`conv` with `norm` in it, worked out in float64 and rounded once."""
    exact = fuse_conv_bn_eval(copy.deepcopy(conv).double(), norm_in_double(norm))
    return exact.to(conv.weight.dtype).requires_grad_(False)


def norm_in_double(norm):
    """A plain float64 `nn.BatchNorm2d` that does what `norm` does before it acts."""
    place = {"device": norm.running_mean.device, "dtype": torch.float64}
    plain = nn.BatchNorm2d(norm.num_features, eps=norm.eps, affine=norm.affine, **place)
    plain.load_state_dict(norm.state_dict(), strict=False)
    return plain.eval()


def is_unit(module):
    """Whether the weights of `module` are one convolution and its norm."""
    named = list(module._modules.items())
    weighty = [
        place
        for place, (_, child) in enumerate(named)
        if child is not None and any(True for _ in child.parameters())
    ]
    if len(weighty) != 2 or weighty[1] != weighty[0] + 1:
        return False
    if not all(map(is_bare, module.modules())):
        return False
    return is_foldable(*(named[place][1] for place in weighty))


def fold_unit(module):
    """Fold a unit whose `forward` is its own, such as torchvision's or timm's.

    What the norm does beside normalizing (timm's acts too) stays in its place. Runs
    in float64 before and after decide, of a small grid and of a larger one with large
    values; if they differ the unit stays as it was.
    """
    (name, conv), (following, norm) = (
        (n, m) for n, m in module._modules.items() if hasattr(m, "weight")
    )
    beside = [m for m in norm.children() if not isinstance(m, nn.Identity)]
    stays = nn.Sequential(*beside) if beside else nn.Identity()
    if conv.weight.is_meta:
        return
    before, after = (copy.deepcopy(module).double() for _ in range(2))
    exact = folded(before._modules[name], before._modules[following])
    after._modules.update({name: exact, following: copy.deepcopy(stays).double()})
    for extra, scale in ((1, 1), (8, 100)):
        grid = [
            k * d + extra for k, d in zip(conv.kernel_size, conv.dilation, strict=True)
        ]
        shape = (1, conv.in_channels, *grid)
        x = torch.arange(prod(shape), dtype=torch.float64).sin() * scale
        x = x.reshape(shape).to(conv.weight.device)
        try:
            with torch.no_grad():
                expected, found = before(x), after(x)
            change = (found - expected).abs().max()
        except Exception:  # its forward wants something else: not a unit after all
            return
        if not change <= 1e-10 * expected.abs().max():
            return
    single = exact.to(conv.weight.dtype)
    module._modules.update({name: single, following: stays})


# Step 2: exchange.


def exchange_obstacle(pool, unit):
    """Why `unit(pool(x))` must not run as pool after convolution; "" if it may.

    An average and a 1x1 convolution are both linear, so their order is free as long
    as the pool keeps a constant a constant: the bias.
    """
    if isinstance(pool, nn.MaxPool2d):
        return (
            "a maximum is not linear: the largest input need not give the largest sum"
        )
    if type(pool) is not nn.AvgPool2d:
        return f"{type(pool).__name__} is not an average over a window"
    if pool.divisor_override is not None:
        return "divisor_override: the pool would scale the bias"
    if pool.count_include_pad and pool.padding not in (0, (0, 0)):
        return "the zeros of the padding are averaged too, which shrinks the bias there"
    if not is_bare(pool) or not is_bare(unit):
        return "hooks are called there"
    if not starts_pointwise(unit):
        return "what follows is not a 1x1 convolution that keeps the grid"
    if pool.stride not in (1, (1, 1)):
        return "the pool thins the grid: the convolution would read more, not less"
    conv = unit[0]
    if conv.out_channels > conv.in_channels:
        return f"dearer: the pool would read {conv.out_channels} channels, not fewer"
    return ""


def starts_pointwise(unit):
    """Whether `unit` is a sequence that begins with a 1x1 convolution, grid kept."""
    return is_chain(unit) and len(unit) > 0 and is_pointwise(unit[0])


def is_pointwise(conv):
    """Whether `conv` mixes the channels of each pixel and does nothing else."""
    return (
        type(conv) is nn.Conv2d
        and is_bare(conv)
        and (conv.kernel_size, conv.stride, conv.groups) == ((1, 1), (1, 1), 1)
        and conv.padding in ((0, 0), "valid", "same")
    )


def pooled_units(module):
    """`(pool's name, unit's name)` of every pool that a `ConvUnit` reads."""
    if not is_chain(module) or isinstance(module, ConvUnit):
        return []
    return [
        (name, following)
        for name, following in links(module)
        if isinstance(module._modules[following], ConvUnit)
        and "Pool" in type(module._modules[name]).__name__
    ]


def exchange_pools(module, path, refused):
    """Pool, 1x1, ReLU becomes 1x1, pool, ReLU; `refused` gets the others, by path."""
    for name, following in pooled_units(module):
        pool, unit = module._modules[name], module._modules[following]
        if reason := exchange_obstacle(pool, unit):
            if starts_pointwise(unit):
                refused[f"{path}.{name}".strip(".")] = reason
            continue
        conv, *rest = unit
        linear = [conv]
        while rest and is_constant_norm(rest[0]):
            linear.append(rest.pop(0))
        module._modules[name] = Steps(*linear)
        module._modules[following] = Steps(pool, *rest)


def is_constant_norm(module):
    """Whether `module` scales and shifts every channel by constants."""
    return (
        type(module) is nn.BatchNorm2d
        and module.running_mean is not None
        and is_bare(module)
    )


# Step 3: merge.


class Steps(nn.Sequential):
    """A sequence made here: nobody reads what its steps pass on to each other."""


class MergedBranches(nn.Module):
    """`Branches` whose first 1x1 convolutions run as one, which is then split.

    `leading`: the convolutions to merge, by branch. `tails`: every branch from
    there on; one without a convolution to merge reads the input, as before.
    """

    def __init__(self, leading, tails):
        super().__init__()
        convs = list(leading.values())
        self.names = list(leading)
        self.widths = [conv.out_channels for conv in convs]
        place = {"device": convs[0].weight.device, "dtype": convs[0].weight.dtype}
        self.conv = nn.Conv2d(convs[0].in_channels, sum(self.widths), 1, **place)
        self.conv.weight.data = torch.cat([conv.weight for conv in convs]).detach()
        self.conv.bias.data = torch.cat([bias(conv) for conv in convs]).detach()
        self.tails = nn.ModuleDict(tails)

    def forward(self, x):
        pieces = torch.split(self.conv(x), self.widths, 1)
        starts = dict(zip(self.names, pieces, strict=True))
        return torch.cat(
            [tail(starts.get(name, x)) for name, tail in self.tails.items()], 1
        )


def bias(conv):
    """A convolution's bias, zeros where it has none."""
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias


def flat(module):
    """The steps of a branch one after the other, sequences opened."""
    if not is_chain(module) or not is_bare(module):
        return [] if type(module) is nn.Identity and is_bare(module) else [module]
    return [step for child in module for step in flat(child)]


def merge_siblings(module):
    """`module` with the leading 1x1 convolutions of every `Branches` in it as one."""
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = merge_siblings(child)
    own = getattr(type(module), "forward", None)  # a scripted module has none
    if own is not Branches.forward or not is_bare(module):
        return module
    leading, tails = {}, {}
    for name, branch in module.items():
        first, *rest = flat(branch) or [None]
        if getattr(first, "inplace", False):
            return module  # it changes what the branches after it read
        if is_pointwise(first):
            if rest and getattr(rest[0], "inplace", False):
                rest[0] = copy.copy(rest[0])  # its input is a view of the whole
                rest[0].inplace = False
            leading[name], tails[name] = first, Steps(*rest)
        else:
            tails[name] = branch
    return MergedBranches(leading, tails) if len(leading) > 1 else module


# Step 5: pack.


def pack_convolutions(module):
    """Every plain float32 convolution below `module` packed, a unit's with its ReLU.

    Of a reader's own `nn.Sequential` nobody knows whether it is run as a whole.
    """
    for name, child in list(module._modules.items()):
        if type(child) is nn.Conv2d and is_plain(child):
            module._modules[name] = PackedConv(child)
    if is_chain(module) and isinstance(module, ConvUnit | Steps):
        for name, following in links(module):
            conv, relu = map(module._modules.get, (name, following))
            if type(conv) is PackedConv and type(relu) is nn.ReLU and is_bare(relu):
                conv.with_relu = True
                take_out(module, following)


def is_plain(conv):
    """Whether oneDNN has the convolution as it stands."""
    return (
        conv.weight.dtype == torch.float32
        and is_bare(conv)
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )
