"""How images lie in memory: channels last where a device has it fast and right.

Channels last is faster on most processors, and was wrong, without an error, on some:
a device has it where it is known to be right, and a model earns it by one run.
"""

import torch
from torch.torch_version import TorchVersion
from torch.utils._pytree import tree_leaves

from inception_edu.isolation import isolated
from inception_edu.modules import independent_copy, is_bare

# On CUDA, gradients through a padded average pool were wrong in channels last up to
# here (pytorch#188344, fixed in July 2026).
RIGHT_ON_CUDA_SINCE = (2, 13)


def preferred_memory_format(device, torch_version=torch.__version__):
    """`torch.channels_last` or `torch.contiguous_format`, for images on `device`.

    Channels last on the CPU and on CUDA from the torch on in which it is right, for
    all we know. Contiguous elsewhere: on Apple's MPS channels last gives wrong
    gradients or ends the process (pytorch#175189, #175190).
    """
    kind, version = torch.device(device).type, TorchVersion(torch_version)
    is_right = kind == "cpu" or (kind == "cuda" and version >= RIGHT_ON_CUDA_SINCE)
    return torch.channels_last if is_right else torch.contiguous_format


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

    try:
        one, other = run(torch.contiguous_format), run(torch.channels_last)
    except Exception:  # each backend and each model has its own
        return False
    return len(one) == len(other) and all(map(close, one, other))


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
