"""How images lie in memory: channels last where a device has it fast and right.

Channels last is faster on most processors, and was wrong, without an error, on some:
so an accelerator earns it by a small test, and a model by one run.
"""

import copy
from functools import cache

import torch
from torch import nn
from torch.torch_version import TorchVersion
from torch.utils._pytree import tree_leaves

from inception_edu.isolation import isolated, seed_generators
from inception_edu.modules import independent_copy, is_bare

# On CUDA, gradients through a padded average pool were wrong in channels last up to
# here (pytorch#188344, fixed in July 2026).
RIGHT_ON_CUDA_SINCE = (2, 13)


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
    if old or device.type in ("mps", "meta") or not is_right_on(device):
        return torch.contiguous_format
    return torch.channels_last


@cache
def is_right_on(device):
    """Whether channels last gives the outputs and gradients of contiguous there."""
    with isolated():
        seed_generators(0)
        layers = nn.Sequential(
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(8, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.AvgPool2d(3, 1, 1, count_include_pad=False),
            nn.AvgPool2d(3, 1, 1),
            nn.Conv2d(8, 4, 1, bias=False),
        )
        images = torch.randn(2, 8, 9, 9)

    @torch.enable_grad()
    def run(memory_format):
        copied = copy.deepcopy(layers).to(device)
        set_memory_format(copied, memory_format)
        x = images.to(device, memory_format=memory_format).detach().requires_grad_()
        y = copied(x)
        y.square().sum().backward()
        return [y.detach(), x.grad, *(weight.grad for weight in copied.parameters())]

    return same_in_both(run)


def accepts_channels_last(model, images, modes=(False, True)):
    """Whether `model` gives the same for a batch in channels last.

    Torch's own modules and ours do. Other code may read strides: it fails in channels
    last (`x.view(len(x), -1)` after a convolution) or gives something else, so a copy
    of `model` runs in each format, in eval and in train mode (`modes`). `images` are
    `(N, C, H, W)` on the model's device, two or more.
    """
    if images.dim() != 4 or reads_no_strides(model):
        return images.dim() == 4

    def run(memory_format):
        copied, found = independent_copy(model), []
        set_memory_format(copied, memory_format)
        with isolated(images.device):  # the same random numbers in each
            for mode in modes:
                copied.train(mode)
                with torch.set_grad_enabled(mode):
                    outputs = copied(images.to(memory_format=memory_format))
                    found += filter(torch.is_tensor, tree_leaves(outputs))
                    if losses := [y.sum() for y in found if y.requires_grad]:
                        sum(losses).backward()  # may read strides, too
        return found

    return same_in_both(run)


def same_in_both(run):
    """Whether `run(memory_format)` gives the same tensors for both, and no error."""
    try:
        contiguous = run(torch.contiguous_format)
        last = run(torch.channels_last)
    except Exception:  # each backend and each model has its own
        return False
    return len(contiguous) == len(last) and all(map(close, contiguous, last))


def close(one, other):
    """Equal up to the rounding of a fast float32 convolution, TF32 among them."""
    if one.shape != other.shape:
        return False
    if not one.is_floating_point() or not one.numel():
        return torch.equal(one, other)
    return bool((one - other).abs().max() <= 1e-2 * one.abs().max())


def set_memory_format(model, memory_format):
    """Give every 4-d parameter and buffer of `model` this memory format, in place."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.to(memory_format=memory_format)


def reads_no_strides(model):
    """Whether every module in `model` is torch's or ours, and no hook is called."""
    return all(
        type(module).__module__.startswith(("torch.nn.", "inception_edu."))
        and is_bare(module)
        for module in model.modules()
    )


def device_of(model):
    """The device of a model's first weight; the CPU without one."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))
