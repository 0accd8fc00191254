"""A network on data: accuracy, loss, dead channels, and what `fit` refuses."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.isolation import isolated
from inception_edu.modules import modes_kept, refuse_lazy
from inception_edu.networks.memory_format import (
    accepts_channels_last,
    device_of,
    preferred_memory_format,
)
from inception_edu.training.data import Data, as_input, described
from inception_edu.training.devices import OutOfMemoryError, autocast, thread_count


class Evaluation(NamedTuple):
    """Share of test images classified correctly, and the same by scale."""

    accuracy: float
    by_scale: dict


def evaluate(model: nn.Module, data: Data, *, threads: int | None = None) -> Evaluation:
    """`Evaluation(accuracy, by_scale)` on the test images, in eval mode.

    Its modules keep their modes. Runs where the model's weights are, on one CPU
    thread for images of at most 64 pixels a side unless `threads` says otherwise.
    """
    if not isinstance(model, nn.Module) or not isinstance(data, Data):
        raise TypeError(
            f"evaluate takes a module and data, not {described(model)} and "
            f"{described(data)}: evaluate(model, digits_at_scale())"
        )
    refuse_lazy(model)
    images, device = data.test.images, device_of(model)
    with modes_kept(model), isolated(device, thread_count(device, images, threads)):
        model.eval()
        memory_format, _ = choose_memory_format(model, images, device, (False,))
        return evaluate_split(model, data.test, data.bins, device, memory_format)


@torch.no_grad()
def evaluate_split(model, split, bins, device, memory_format, batch_size=500):
    """The `Evaluation` of a model in eval mode, in batches that fit into memory."""
    found = []
    while len(found) < len(split):
        images = split.images[len(found) : len(found) + batch_size]
        try:
            outputs = forward(model, images, device, memory_format)
            found += split_outputs(outputs)[0].argmax(1).tolist()
        except OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size = (batch_size + 1) // 2
    correct = (torch.tensor(found) == split.labels.cpu()).double()
    by_scale = {
        label: correct[inside].mean().item()
        for label, (smallest, largest) in bins.items()
        if (inside := (split.scales >= smallest) & (split.scales <= largest)).any()
    }
    return Evaluation(correct.mean().item(), by_scale)


def forward(model, images, device, memory_format):
    """What `model` returns for uint8 images, in the device's precision."""
    with autocast(device):
        return model(as_input(images, device, memory_format))


def choose_memory_format(model, images, device, modes=(False, True)):
    """`(memory format, reason)` for these images; "" where it is channels last."""
    if preferred_memory_format(device) is torch.contiguous_format:
        reason = f"channels last is not reliable on this {device.type}"
    elif accepts_channels_last(model, as_input(images[:2], device), modes):
        return torch.channels_last, ""
    else:
        reason = "the model reads strides"
    return torch.contiguous_format, reason


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
    """`(logits, [logits of each auxiliary head])` of whatever a network returns."""
    logits, *rest = outputs if isinstance(outputs, tuple | list) else [outputs]
    if not isinstance(logits, torch.Tensor) or logits.dim() != 2:
        raise ValueError(
            f"the model returns {described(logits)}; expected a tensor of "
            "(images, classes), or a tuple that begins with one"
        )
    groups = (each if isinstance(each, tuple | list) else [each] for each in rest)
    return logits, [each for group in groups for each in group if each is not None]


def loss_of(outputs, labels, recipe):
    """`(loss, logits)`: smoothed cross-entropy + aux_weight x each auxiliary head's."""
    logits, auxiliary = split_outputs(outputs)
    smoothed = {"target": labels, "label_smoothing": recipe.label_smoothing}
    loss = F.cross_entropy(logits.float(), **smoothed)
    for each in auxiliary:
        if getattr(each, "shape", None) != logits.shape:
            raise ValueError(
                f"the model returns {described(logits)} and {described(each)}; what "
                "follows the logits is trained as an auxiliary head and must have "
                "their shape: return the logits alone"
            )
        loss = loss + recipe.aux_weight * F.cross_entropy(each.float(), **smoothed)
    return loss, logits


@torch.no_grad()
def check_outputs(model, data, recipe, device, memory_format):
    """Refuse a model that does not return a value for each class for these images."""
    images, labels = data.train.images[:2], data.train.labels[:2]
    classes, shape = len(data.classes), tuple(images.shape[1:])
    model.eval()
    try:
        outputs = forward(model, images, device, memory_format)
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
    loss_of(outputs, labels.to(device, torch.int64), recipe)
