"""A network on data: accuracy, loss, dead channels, and what `fit` refuses."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.modules import refuse_lazy
from inception_edu.networks.memory_format import (
    accepts_channels_last,
    device_of,
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
    device = device_of(model)
    count = thread_count(device.type, *split.images.shape[2:], threads)
    was_training = model.training
    model.eval()
    try:
        with cpu_threads(count):
            layout = choose_layout(model, split.images, device, (False,))
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
            with torch.no_grad(), autocast(device):
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
    shares = {}
    for label, (smallest, largest) in (bins if scales is not None else {}).items():
        inside = (scales >= smallest) & (scales <= largest)
        if inside.any():
            shares[label] = right[inside].mean().item()
    return shares


def choose_layout(model, images, device, modes=(False, True)):
    """The memory format for these images: what device and model can take, run so."""
    layout = preferred_memory_format(device)
    if layout is torch.contiguous_format:
        return layout
    accepted = accepts_channels_last(model, as_input(images[:2], device), modes)
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


# ---- what a network returns, and whether it fits the data --------------------


def split_outputs(outputs):
    """`(logits, list of the heads' logits)` of whatever a network returns."""
    several = isinstance(outputs, tuple | list) and outputs
    logits, *rest = outputs if several else [outputs]
    is_table = isinstance(logits, torch.Tensor) and logits.ndim == 2
    if not is_table or not logits.is_floating_point():
        shape = f" of {tuple(logits.shape)}" if hasattr(logits, "shape") else ""
        shape += f" and type {logits.dtype}" if is_table else ""
        raise ValueError(
            f"the model returns a {type(logits).__name__}{shape}; expected a tensor of "
            "(images, classes), or a tuple that begins with one"
        )
    parts = (part if isinstance(part, tuple | list) else [part] for part in rest)
    return logits, [head for heads in parts for head in heads if head is not None]


def check_data(data):
    """Refuse data that nothing can be learned from."""
    if len(data.train) < 2:
        raise ValueError(
            f"{len(data.train)} training images: at least 2 are needed, since batch "
            "normalization has no variance over one"
        )
    if not len(data.test):
        raise ValueError("no test images; without them there is no accuracy to show")
    classes = len(data.classes)
    for labels in (data.train.labels, data.test.labels):
        if labels.is_floating_point():
            raise ValueError(
                f"labels of type {labels.dtype}: expected whole numbers; pass "
                "labels.long()"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= classes:
            raise ValueError(
                f"labels from {low} to {high}: expected 0 to {classes - 1}, since "
                f"the data names {classes} classes"
            )


def check_outputs(model, data, recipe, device, layout):
    """Refuse a model that does not return a value for each class for these images."""
    model.eval()
    classes = len(data.classes)
    for split in (data.test, data.train):
        shape = tuple(split.images.shape[1:])
        try:
            with torch.no_grad(), autocast(device):
                outputs = model(as_input(split.images[:2], device, layout))
        except OutOfMemoryError:
            raise
        except Exception as error:
            raise ValueError(
                f"the model does not take images of shape {shape}: {error}"
            ) from error
    logits, _ = split_outputs(outputs)
    if logits.shape[1] < classes:
        raise ValueError(
            f"the model returns {tuple(logits.shape)} for 2 images; expected "
            f"(2, {classes}), one value for each class: build it with "
            f"num_classes={classes}"
        )
    loss_of(outputs, data.train.labels[:2].to(device, torch.int64), recipe)


def loss_of(outputs, labels, recipe):
    """`(loss, logits)`: cross-entropy with label smoothing, plus the heads' share."""
    logits, heads = split_outputs(outputs)
    smoothing, loss = recipe.label_smoothing, 0.0
    for share, head in [(1.0, logits), *((recipe.aux_weight, h) for h in heads)]:
        if getattr(head, "shape", None) != logits.shape:
            found = isinstance(head, torch.Tensor)
            shape = tuple(head.shape) if found else type(head).__name__
            raise ValueError(
                f"the model returns logits {tuple(logits.shape)} and {shape}; what "
                "follows the logits is trained as an auxiliary head and must have "
                "their shape: return the logits alone"
            )
        side = F.cross_entropy(head.float(), labels, label_smoothing=smoothing)
        loss = loss + share * side
    return loss, logits
