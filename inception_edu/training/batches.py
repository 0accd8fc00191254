"""Batches of a split: in random order, augmented."""

import torch


def augment(images, recipe):
    """Mirrored and moved copies of a batch, as the recipe asks for."""
    device = images.device
    if recipe.flip:
        mirrored = (torch.rand(len(images)) < 0.5).to(device)
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if recipe.shift:
        down, right = torch.randint(-recipe.shift, recipe.shift + 1, (2,)).tolist()
        height, width = images.shape[2:]
        rows = (torch.arange(height, device=device) + down).clamp(0, height - 1)
        columns = (torch.arange(width, device=device) + right).clamp(0, width - 1)
        images = images[:, :, rows][:, :, :, columns]
    return images


def batches(split, recipe):
    """The images once, in random order: `(uint8 images, labels)` batch by batch.

    A last batch of one image is left out: batch normalization has no variance
    over it.
    """
    for indices in torch.randperm(len(split)).split(recipe.batch_size):
        if len(indices) > 1:
            indices = indices.to(split.images.device)
            yield augment(split.images[indices], recipe), split.labels[indices]


def batch_count(split, recipe):
    """How many batches `batches` yields."""
    full, rest = divmod(len(split), recipe.batch_size)
    return full + (rest > 1)
