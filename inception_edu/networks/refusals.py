"""What a network refuses, in words: other inputs, branches that do not meet."""

import torch

from inception_edu.text import dims


def check_images(x, network):
    """Raise for anything but a batch of images that `network` can take."""
    shape = tuple(x.shape) if isinstance(x, torch.Tensor) else ()
    if len(shape) != 4 or shape[1] != 3:
        raise ValueError(
            f"input of type {type(x).__name__} and shape {shape}: {network.name} "
            "takes a batch of color images, a tensor of (N, 3, height, width)"
        )
    if min(shape[2:]) < (least := network.min_size):
        raise ValueError(
            f"input {dims(shape[2:])} is smaller than {network.name} can take "
            f"({least}x{least}); pass a larger image or use a mini"
        )
    if x.dtype == torch.uint8:
        raise TypeError("images of bytes: pass training.as_input(images)")


def check_grids(outputs):
    """Raise where the outputs of these branches, by name, differ in height or width."""
    grids = {name: dims(y.shape[2:]) for name, y in outputs.items()}
    if len(set(grids.values())) > 1:
        ends = ", ".join(f"{name}: {grid}" for name, grid in grids.items())
        raise ValueError(
            f"branches end on different grids ({ends}) and cannot be concatenated; "
            "check each branch's padding and stride"
        )
