"""What a device decides: where and in which precision a training runs."""

from contextlib import nullcontext

import torch

SMALL = 64  # pixels a side: at most this, one CPU thread is as fast as two

OutOfMemoryError = torch.cuda.OutOfMemoryError  # every accelerator's, from torch 2.5 on


def thread_count(device, images, threads):
    """How many CPU threads to use, or None to leave them: one for small images."""
    if threads is not None or device.type != "cpu":
        return threads
    return 1 if max(images.shape[2:]) <= SMALL else None


def available_accelerator():
    """The type of this machine's accelerator, such as "cuda" or "mps", or None."""
    accelerator = getattr(torch, "accelerator", None)  # torch 2.6 on
    if accelerator is not None:
        there = accelerator.is_available()
        return accelerator.current_accelerator().type if there else None
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def choose_device(device="auto"):
    """The torch.device meant; "auto" is the accelerator, or the CPU without one."""
    if device == "auto":
        device = available_accelerator() or "cpu"
    try:
        probe = torch.zeros(1, device=device)
        probe.item()  # "meta" has no memory; a network sent there would lose its own
        return probe.device
    except Exception as problem:  # torch raises half a dozen kinds
        raise ValueError(
            f"device={device!r} cannot be used here ({problem}); choose 'auto', "
            "'cpu', or 'cuda' or 'mps' where there is one"
        ) from None


def precision(device):
    """The dtype of autocast on this device, or None for float32.

    Tensor cores pay on CUDA (ROCm included) and XPU; on a CPU bfloat16 is slower than
    float32 at these sizes, and on MPS autocast gains nothing.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):  # a T4 only emulates bfloat16
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    return torch.bfloat16 if device.type == "xpu" else None


def autocast(device):
    """A context for the forward pass in the device's half precision, if it has one."""
    dtype = precision(device)
    return torch.autocast(device.type, dtype) if dtype else nullcontext()


def gradient_scaler(device):
    """The scaler that float16 needs; disabled for every other precision."""
    dtype = precision(device)
    return torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
