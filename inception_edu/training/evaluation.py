"""Accuracy of a network, over all and by scale; and which of its channels are dead."""

from typing import NamedTuple

import torch
from torch import nn

from inception_edu.networks.copies import refuse_lazy
from inception_edu.networks.memory_format import (
    accepts_channels_last,
    preferred_memory_format,
)
from inception_edu.training.data import Data, Split, as_input
from inception_edu.training.devices import (
    OutOfMemoryError,
    autocast,
    cpu_threads,
    empty_cache,
    thread_count,
)


class Evaluation(NamedTuple):
    """Share of test images classified correctly, and the same by scale."""

    accuracy: float
    by_scale: dict


def evaluate(model, data, *, threads=None):
    """`Evaluation(accuracy, by_scale)` on the test images, in eval mode.

    `data` is a `Data` or one of its splits (then by_scale is empty). The model's
    mode is left as it was. Runs where the model's weights are, on one CPU thread for
    images of at most 64 pixels a side unless `threads` says otherwise.
    """
    if not isinstance(model, nn.Module) or not isinstance(data, Data | Split):
        raise TypeError(
            f"evaluate takes a module and data, not {type(model).__name__} and "
            f"{type(data).__name__}; such as evaluate(load_pretrained('mini_v3'), "
            "digits_at_scale(6000))"
        )
    split, bins = (data.test, data.bins) if isinstance(data, Data) else (data, {})
    if not len(split):
        raise ValueError("there is no image to evaluate on")
    refuse_lazy(model)
    device = home_of(model)
    count = thread_count(device.type, *split.images.shape[2:], threads)
    was_training = model.training
    model.eval()
    try:
        with cpu_threads(count):
            layout = choose_layout(model, split.images, device)
            right = correct(model, split, device, layout)
    finally:
        model.train(was_training)
    return Evaluation(right.mean().item(), by_scale(right, split.scales, bins))


def correct(model, split, device, layout, batch_size=500):
    """1.0 for every image of the split that is classified correctly, else 0.0.

    Where the device runs out of memory, the batch is halved.
    """
    found = []
    while len(found) < len(split):
        images = split.images[len(found) : len(found) + batch_size]
        try:
            with torch.inference_mode(), autocast(device):
                outputs = model(as_input(images, device, layout))
            found += split_outputs(outputs)[0].argmax(1).tolist()
        except OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size = (batch_size + 1) // 2
            empty_cache(device)
    return (torch.tensor(found) == split.labels.cpu()).double()


def by_scale(right, scales, bins):
    """Mean of `right` for the images of each bin, `{"10-15": 0.77, ...}`."""
    inside = {
        label: (scales >= smallest) & (scales <= largest)
        for label, (smallest, largest) in (bins if scales is not None else {}).items()
    }
    return {
        label: right[those].mean().item()
        for label, those in inside.items()
        if those.any()
    }


def split_outputs(outputs):
    """`(logits, list of the heads' logits)` of whatever a network returns."""
    if isinstance(outputs, torch.Tensor):
        return outputs, []
    logits, *rest = outputs
    parts = (part if isinstance(part, tuple | list) else [part] for part in rest)
    return logits, [head for heads in parts for head in heads if head is not None]


def home_of(model):
    """The device of a model's first weight; the CPU without one."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def choose_layout(model, images, device):
    """The memory format for these images: what the device and the model can take."""
    layout = preferred_memory_format(device)
    if layout is torch.contiguous_format:
        return layout
    accepted = accepts_channels_last(model, as_input(images[:2], device))
    return layout if accepted else torch.contiguous_format


def dead_channels(model, images, batch_size=250):
    """`(zeros, dead)` of what enters the average pooling, over all these images.

    `zeros`: share of the activations that are zero; `dead`: share of the channels
    that are zero everywhere, for every image.
    """
    seen = []
    hook = model.avgpool.register_forward_pre_hook(lambda _, given: seen.append(*given))
    try:
        with torch.inference_mode():
            model.eval()
            for batch in images.split(batch_size):
                model(as_input(batch))
    finally:
        hook.remove()
    zero = torch.cat(seen) == 0
    dead = zero.all(dim=3).all(dim=2).all(dim=0)
    return zero.double().mean().item(), dead.double().mean().item()
