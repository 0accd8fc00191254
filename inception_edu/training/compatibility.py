"""Whether a model and data fit together: what `fit` refuses before it trains."""

import torch
from torch.nn import functional as F

from inception_edu.training.data import as_input
from inception_edu.training.devices import OutOfMemoryError, autocast
from inception_edu.training.evaluation import split_outputs


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
    if not isinstance(outputs, torch.Tensor | tuple | list):
        raise ValueError(
            f"the model returns a {type(outputs).__name__}; expected a tensor of "
            f"(images, {classes}), or a tuple that begins with one"
        )
    logits, _ = split_outputs(outputs)
    if logits.ndim != 2 or logits.shape[1] < classes:
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
            shape = getattr(head, "shape", type(head).__name__)
            raise ValueError(
                f"the model returns logits {tuple(logits.shape)} and {shape}; what "
                "follows the logits is trained as an auxiliary head and must have "
                "their shape: return the logits alone"
            )
        side = F.cross_entropy(head.float(), labels, label_smoothing=smoothing)
        loss = loss + share * side
    return loss, logits
