"""An inference copy of a network: the same outputs from fewer operations.

Five steps, each exact in real numbers and each to be had alone: batch
normalisation folded into the convolution before it; an average pool moved behind
the 1x1 that follows it, so that it reads fewer channels; 1x1 convolutions that
read the same input merged into one; the channels of a pixel side by side in
memory; weights laid out for the processor, with the ReLU in the same pass.
"""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inception_edu.networks.layers import Branches, ConvUnit

STEPS = ("fold", "exchange", "merge", "channels_last", "pack")


def fuse(model, steps=STEPS):
    """A copy of `model` for inference, in eval mode; `model` stays as it is.

    `steps` are those of `STEPS` to take: "fold" puts every batch normalisation
    into its convolution, "exchange" moves an average pool behind its 1x1, "merge"
    makes one of sibling 1x1 convolutions in every `Branches`, "channels_last" sets
    the memory format, "pack" lays float32 weights out for the CPU at first use and
    joins convolution and ReLU (elsewhere, and under torch.compile, it does
    nothing). Auxiliary heads are dropped and weights frozen in any case.

    Outputs differ from `model.eval()` by rounding only. What it does not recognise
    it leaves alone, so any module will do; `.refused` tells, by path, which pools
    were not exchanged, and why. Raises ValueError for a step that it does not know.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"fuse takes an nn.Module, not {type(model).__name__}")
    steps = (steps,) if isinstance(steps, str) else tuple(steps)
    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise ValueError(f"no step is called {unknown[0]!r}; choose from {STEPS}")
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    if getattr(fused, "aux_heads", None) is not None:
        fused.aux_heads = None
    refused = {}
    if "fold" in steps:
        fused = rewrite(fused, fold_norms)
    if "exchange" in steps:
        refused = obstacles(fused)
        fused = rewrite(fused, exchange_pools)
    if "merge" in steps:
        fused = rewrite(fused, merge_siblings)
    if "pack" in steps and torch.backends.mkldnn.is_available():
        fused = rewrite(fused, pack_convolutions)
    if "channels_last" in steps:
        fused = fused.to(memory_format=torch.channels_last)
    fused.refused = refused
    return fused.eval().requires_grad_(False)


def rewrite(module, rule):
    """`rule(module)`, after the same for everything below it."""
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = rewrite(child, rule)
    return rule(module)


# Step 1: fold.


def fold_norms(module):
    """Fold each batch normalisation into the convolution just before it.

    In eval mode it is `gamma * (x - mean) / sqrt(variance + eps) + beta`, a scale
    and a shift per channel: the scale goes into the weights, the shift is a bias.
    In an `nn.Sequential` the order is known. Of any other module only a unit is
    folded, one convolution and one norm, and only if running it shows no change.
    """
    if isinstance(module, nn.Sequential):
        for name, following in pairwise(list(module._modules)):
            conv, norm = map(module._modules.get, (name, following))
            if type(norm) is nn.BatchNorm2d and is_foldable(conv, norm):
                module._modules[name] = folded(conv, norm)
                del module._modules[following]
    elif is_unit(module):
        fold_unit(module)
    return module


def is_foldable(conv, norm):
    """Whether `norm` scales by constants what the convolution `conv` puts out."""
    return (
        type(conv) is nn.Conv2d
        and isinstance(norm, nn.BatchNorm2d)
        and norm.running_mean is not None  # else it takes the batch's own statistics
    )


def folded(conv, norm):
    """`conv` with `norm` in it, worked out in float64 and rounded once."""
    exact = fuse_conv_bn_eval(copy.deepcopy(conv).double(), norm_in_double(norm))
    return exact.to(conv.weight.dtype).requires_grad_(False)


def norm_in_double(norm):
    """A plain float64 `nn.BatchNorm2d` that does what `norm` does before it acts."""
    options = {"eps": norm.eps, "affine": norm.affine}
    plain = nn.BatchNorm2d(
        norm.num_features, **options, device=norm.running_mean.device
    )
    plain.load_state_dict(norm.state_dict(), strict=False)
    return plain.double().eval()


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
    return is_foldable(*(named[place][1] for place in weighty))


def fold_unit(module):
    """Fold a unit whose `forward` is its own, such as torchvision's or timm's.

    What the norm does beside normalising (timm's acts too) stays in its place. A
    float64 run before and after decides; if they differ the unit stays as it was.
    """
    (name, conv), (following, norm) = (
        (n, m) for n, m in module._modules.items() if hasattr(m, "weight")
    )
    beside = [m for m in norm.children() if not isinstance(m, nn.Identity)]
    stays = nn.Sequential(*beside) if beside else nn.Identity()
    if conv.weight.is_meta:
        return
    high, wide = (
        k * d + 1 for k, d in zip(conv.kernel_size, conv.dilation, strict=True)
    )
    x = torch.linspace(-1, 1, conv.in_channels * high * wide, dtype=torch.float64)
    x = x.sin().reshape(1, conv.in_channels, high, wide).to(conv.weight.device)
    before = copy.deepcopy(module).double()
    single = folded(conv, norm)
    after = copy.deepcopy(module)
    after._modules.update({name: copy.deepcopy(single), following: stays})
    after = after.double()
    try:
        with torch.no_grad():
            expected, found = before(x), after(x)
    except Exception:  # its forward wants something else: not a unit after all
        return
    tolerance = 1e-10 if conv.weight.dtype == torch.float64 else 1e-5
    if torch.allclose(found, expected, rtol=tolerance, atol=tolerance):
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
    return isinstance(unit, nn.Sequential) and len(unit) > 0 and is_pointwise(unit[0])


def is_pointwise(conv):
    """Whether `conv` mixes the channels of each pixel and does nothing else."""
    return type(conv) is nn.Conv2d and (
        (conv.kernel_size, conv.stride, conv.groups) == ((1, 1), (1, 1), 1)
        and conv.padding in ((0, 0), "valid", "same")
    )


def pooled_units(module):
    """`(pool's name, unit's name)` of every pool that a `ConvUnit` reads."""
    if not isinstance(module, nn.Sequential) or isinstance(module, ConvUnit):
        return []
    return [
        (name, following)
        for name, following in pairwise(list(module._modules))
        if isinstance(module._modules[following], ConvUnit)
        and "Pool" in type(module._modules[name]).__name__
    ]


def obstacles(model):
    """By path, why a pool before a 1x1 unit has to stay where it is."""
    found = {}
    for path, module in model.named_modules():
        for name, following in pooled_units(module):
            pool, unit = module._modules[name], module._modules[following]
            reason = exchange_obstacle(pool, unit)
            if reason and starts_pointwise(unit):
                found[f"{path}.{name}".strip(".")] = reason
    return found


def exchange_pools(module):
    """Pool, 1x1, ReLU becomes 1x1, pool, ReLU wherever nothing forbids it."""
    for name, following in pooled_units(module):
        pool, unit = module._modules[name], module._modules[following]
        if exchange_obstacle(pool, unit):
            continue
        linear = [m for m in unit if not isinstance(m, nn.ReLU)]
        rest = [m for m in unit if isinstance(m, nn.ReLU)]
        module._modules[name] = nn.Sequential(*linear)
        module._modules[following] = nn.Sequential(pool, *rest)
    return module


# Step 3: merge.


class MergedBranches(nn.Module):
    """`Branches` whose first 1x1 convolutions run as one, which is then split.

    `leading`: the convolutions to merge, by branch. `tails`: every branch from
    there on; one without a convolution to merge reads the input, as before.
    """

    def __init__(self, leading, tails):
        super().__init__()
        convs = list(leading.values())
        self.widths = {name: conv.out_channels for name, conv in leading.items()}
        place = {"device": convs[0].weight.device, "dtype": convs[0].weight.dtype}
        width = sum(self.widths.values())
        self.conv = nn.Conv2d(convs[0].in_channels, width, 1, **place)
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


def flat(module):
    """The steps of a branch one after the other, sequences opened."""
    if not isinstance(module, nn.Sequential):
        return [module]
    return [step for child in module for step in flat(child)]


def merge_siblings(module):
    """`Branches` with its leading 1x1 convolutions as one, anything else as it was."""
    if type(module).forward is not Branches.forward:
        return module
    leading, tails = {}, {}
    for name, branch in module.items():
        first, *rest = flat(branch) or [None]
        if is_pointwise(first):
            if rest and type(rest[0]) is nn.ReLU:
                rest[0] = nn.ReLU()  # not in place: its input is a view of the whole
            leading[name], tails[name] = first, nn.Sequential(*rest)
        else:
            tails[name] = branch
    return MergedBranches(leading, tails) if len(leading) > 1 else module


# Step 5: pack.


class PackedConv(nn.Conv2d):
    """A convolution on weights laid out for this CPU, with its ReLU in one pass.

    The layout is made at the first image, whose size decides which one is best.
    Only oneDNN on float32 images can use it: on anything else, for gradients and
    under torch.compile, which does better by itself, this is the convolution it was.
    """

    def __init__(self, conv, relu=False):
        nn.Module.__init__(self)
        vars(self).update(vars(conv))  # the same weights and settings
        self.with_relu, self.packed = relu, None

    def forward(self, x):
        if not self.is_packable(x):
            y = super().forward(x)
            return F.relu(y, inplace=True) if self.with_relu else y
        place = self.padding, self.stride, self.dilation, self.groups
        if self.packed is None:
            self.packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, *place, x.shape
            )
        act = "relu" if self.with_relu else "none"
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.packed, self.bias, *place, act, [], ""
        )

    def is_packable(self, x):
        return (
            type(x) is torch.Tensor
            and not torch.compiler.is_compiling()
            and x.device.type == self.weight.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and x.dim() == 4
            and not (x.requires_grad and torch.is_grad_enabled())
        )

    # New weights, or a copy, make a new layout.

    def _apply(self, *args, **kwargs):
        self.packed = None
        return super()._apply(*args, **kwargs)

    def _load_from_state_dict(self, *args, **kwargs):
        self.packed = None
        return super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self):
        return vars(self) | {"packed": None}


def pack_convolutions(module):
    """Every plain float32 convolution below `module` packed, with a ReLU behind it."""
    for name, child in list(module._modules.items()):
        if type(child) is nn.Conv2d and is_plain(child):
            module._modules[name] = PackedConv(child)
    if isinstance(module, nn.Sequential):
        for name, following in pairwise(list(module._modules)):
            conv, relu = map(module._modules.get, (name, following))
            if type(conv) is PackedConv and type(relu) is nn.ReLU:
                conv.with_relu = True
                del module._modules[following]
    return module


def is_plain(conv):
    """Whether oneDNN has the convolution as it stands."""
    return (
        conv.weight.dtype == torch.float32
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )
