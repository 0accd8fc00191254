"""How images lie in memory: channels last where a device has it fast and right.

Channels last is faster on most processors, and was wrong, without an error, on some:
so an accelerator earns it by a small test, and a model by one run.
"""

from contextlib import redirect_stdout
from functools import cache
from math import prod

import torch
from torch import nn
from torch.nn import functional as F
from torch.torch_version import TorchVersion
from torch.utils._pytree import tree_leaves

from inception_edu.modules import independent_copy, is_bare

# On CUDA, gradients through a padded average pool were wrong in channels last up to
# here (pytorch#188344, fixed in July 2026).
RIGHT_ON_CUDA_SINCE = (2, 13)

SIZES = (96, 64, 48, 32, 28, 128, 160, 192, 224, 227, 256, 299)  # that networks take


def preferred_memory_format(device, torch_version=torch.__version__):
    """`torch.channels_last` or `torch.contiguous_format`, for images on `device`.

    Contiguous on Apple's MPS, where channels last gives wrong gradients or ends the
    process (pytorch#175189, #175190), on a CUDA whose torch is known to be wrong, and
    on any accelerator where a small test shows a difference.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return torch.channels_last
    old = device.type == "cuda" and TorchVersion(torch_version) < RIGHT_ON_CUDA_SINCE
    if old or device.type in ("mps", "meta"):
        return torch.contiguous_format
    return torch.channels_last if layouts_agree(device) else torch.contiguous_format


def device_of(model):
    """The device of a model's first weight; the CPU without one."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


@cache
def layouts_agree(device):
    """Whether pools, convolution and norm give the same in both layouts on `device`."""
    try:
        contiguous, last = (
            outputs_and_gradients(device, layout)
            for layout in (torch.contiguous_format, torch.channels_last)
        )
    except Exception:  # each backend has its own errors
        return False
    return all(map(close, contiguous, last))


@torch.enable_grad()
def outputs_and_gradients(device, layout):
    """Max pool, 3x3, norm, two padded average pools, 1x1: outputs and gradients."""

    def numbers(*shape):  # the same every time, and no random state is used
        steps = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
        values = steps.mul(1.7).sin().reshape(shape).float().to(device)
        if len(shape) == 4:
            values = values.contiguous(memory_format=layout)
        return values.requires_grad_()

    x, wide, narrow = numbers(2, 8, 9, 9), numbers(8, 8, 3, 3), numbers(4, 8, 1, 1)
    scale, shift = numbers(8), numbers(8)
    y = F.conv2d(F.max_pool2d(x, 3, 2, 1), wide, padding=1)
    y = F.batch_norm(y, None, None, scale, shift, training=True)
    y = F.avg_pool2d(y, 3, 1, 1, count_include_pad=False)
    y = F.conv2d(F.avg_pool2d(y, 3, 1, 1), narrow)
    y.square().sum().backward()
    return [y.detach(), *(leaf.grad for leaf in (x, wide, narrow, scale, shift))]


def accepts_channels_last(model, images, modes=(False, True)):
    """Whether `model` gives the same for a batch in both layouts.

    Torch's own modules and ours do. Other code may read strides: it fails in channels
    last (`x.view(len(x), -1)` after a convolution) or gives something else, so a copy
    of `model` runs in each layout, in eval and in train mode (`modes`). `images` are
    `(N, C, H, W)` on the model's device, two or more.
    """
    if images.dim() != 4 or reads_no_strides(model):
        return images.dim() == 4
    layouts = torch.contiguous_format, torch.channels_last
    return agree(*(outputs_of(model, images, modes, layout) for layout in layouts))


@torch.no_grad()
def outputs_of(model, images, modes=(False,), layout=torch.preserve_format):
    """The tensors that a copy of `model` gives, laid out so; none if it does not run.

    It draws the same random numbers every time, and the random state is restored.
    """
    devices, found = [] if images.device.type == "cpu" else [images.device], []
    random = torch.random.fork_rng(devices, device_type=images.device.type)
    try:
        twin = independent_copy(model)
        lay_out(twin, layout)
        images = images.to(memory_format=layout)
        with random, redirect_stdout(None):
            for mode in modes:
                twin.train(mode)
                with torch.set_grad_enabled(mode):
                    outputs = list(filter(torch.is_tensor, tree_leaves(twin(images))))
                    if losses := [y.sum() for y in outputs if y.requires_grad]:
                        sum(losses).backward()  # may read strides, too
                found += outputs
    except Exception as problem:  # torch's own, or of an assert in the model's code
        if isinstance(problem.__context__, KeyboardInterrupt):  # torch changed it
            raise problem.__context__ from None
        return []
    return found


def agree(expected, found):
    return 0 < len(expected) == len(found) and all(map(close, expected, found))


def lay_out(model, layout):
    """Give every 4-d parameter and buffer of `model` this layout, in place."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.to(memory_format=layout)


def close(one, other):
    """Equal up to the rounding of a fast float32 convolution, TF32 among them."""
    if one.shape != other.shape:
        return False
    if not one.is_floating_point() or not one.numel():
        return torch.equal(one, other)
    return bool((one - other).abs().max() <= 1e-2 * one.abs().max())


def reads_no_strides(model):
    """Whether every module in `model` is torch's or ours, and no hook is called."""
    return all(
        type(module).__module__.startswith(("torch.nn.", "inception_edu."))
        and is_bare(module)
        for module in model.modules()
    )


def same_on_example(model, other, device):
    """Whether the two agree on images of the first size that `model` runs on."""
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None or device.type == "meta":
        return False
    own = getattr(model, "input_size", None)
    for size in (own, *SIZES) if isinstance(own, int) else SIZES:
        shape = 2, first.in_channels, size, size
        images = torch.arange(prod(shape)).sin().reshape(shape)
        images = images.to(device, first.weight.dtype)
        if expected := outputs_of(model, images):
            return agree(expected, outputs_of(other, images))
    return False
