"""Torch's own state, which a computation changes and puts back."""

from contextlib import contextmanager

import torch


def generators(device):
    """The random generators that are drawn from on `device`: the CPU's and its own."""
    device = torch.device(device)
    if device.type == "cpu":
        return [torch.default_generator]
    if device.type == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    module = getattr(torch, device.type)
    return [torch.default_generator, module.default_generators[device.index or 0]]


def seed_generators(seed, device="cpu"):
    """Seed the random numbers of the CPU and of `device`, no other device's."""
    for generator in generators(device):
        generator.manual_seed(seed)


@contextmanager
def isolated(device="cpu", threads=None):
    """Leave random numbers, threads, gradient mode and cuDNN's choice as they were.

    Inside, torch uses `threads` threads of the CPU; None leaves their number. An
    interrupt in torch's own `no_grad` would leave gradients switched off.
    """
    states = [(each, each.get_state()) for each in generators(device)]
    gradients, count = torch.is_grad_enabled(), torch.get_num_threads()
    benchmark = torch.backends.cudnn.benchmark
    try:
        torch.set_num_threads(threads or count)
        yield
    finally:
        torch.set_num_threads(count)
        torch.set_grad_enabled(gradients)
        torch.backends.cudnn.benchmark = benchmark
        for generator, state in states:
            generator.set_state(state)
