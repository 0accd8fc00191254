"""What a device decides: where and in which precision a training runs.

The decisions are functions of plain values; what asks torch stands below them.
"""

from contextlib import contextmanager, nullcontext

import torch

SMALL = 64  # pixels a side: at most this, one CPU thread is as fast as two

# torch 2.5 gave the error its general name.
OutOfMemoryError = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)


def thread_count(kind, height, width, threads):
    """How many CPU threads to use, or None to leave them: one for small images."""
    if threads is not None or kind != "cpu":
        return threads
    return 1 if max(height, width) <= SMALL else None


def fits(size, free):
    """Whether `size` bytes of images may move to a device with `free` bytes left.

    A quarter of it, so that the network has room. `free` None: unknown, so no.
    """
    return free is not None and 4 * size <= free


def available_accelerator():
    """The type of this machine's accelerator, such as "cuda" or "mps", or None."""
    accelerator = getattr(torch, "accelerator", None)  # torch 2.6 on
    if accelerator is not None:
        there = accelerator.is_available() and accelerator.device_count() > 0
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


def free_memory(device):
    """Bytes free on an accelerator; None where torch does not say."""
    module = getattr(torch, device.type, None)
    if device.type in ("cuda", "xpu") and hasattr(module, "mem_get_info"):
        return module.mem_get_info(device)[0]
    if device.type == "mps" and hasattr(module, "recommended_max_memory"):
        return module.recommended_max_memory() - module.current_allocated_memory()
    return None


def empty_cache(device):
    """Return the memory that torch holds back after an error to the device."""
    module = getattr(torch, device.type, None)
    if hasattr(module, "empty_cache"):
        module.empty_cache()


@contextmanager
def cpu_threads(count):
    """Use `count` CPU threads inside; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def generators(device):
    """The random generators that a training on this device draws from."""
    if device.type == "cpu":
        return [torch.default_generator]
    if device.type == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    module = getattr(torch, device.type)
    return [torch.default_generator, module.default_generators[device.index or 0]]


def seed_generators(seed, device):
    """Seed the random numbers of the CPU and of this device, no other device's."""
    for generator in generators(device):
        generator.manual_seed(seed)


@contextmanager
def isolated(device):
    """Leave random state, gradient mode and cuDNN's choice as they were found.

    An interrupt inside torch's own `no_grad` leaves gradients switched off.
    """
    gradients, benchmark = torch.is_grad_enabled(), torch.backends.cudnn.benchmark
    states = [(each, each.get_state()) for each in generators(device)]
    try:
        torch.set_grad_enabled(True)
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
        yield
    finally:
        torch.set_grad_enabled(gradients)
        torch.backends.cudnn.benchmark = benchmark
        for generator, state in states:
            generator.set_state(state)
