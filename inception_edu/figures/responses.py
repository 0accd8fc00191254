"""How every branch of a network responded to one image, as plain numbers.

`record` makes `Responses` with torch, `explorers/feature_page.py` in a page without.
"""

from copy import copy
from heapq import nlargest
from math import exp
from typing import NamedTuple

from inception_edu.text import dims

KEPT = 6  # strongest channels of a branch, whose maps are kept


class BranchResponse(NamedTuple):
    """The responses of one branch, negative ones counted as zero.

    `mean` has a number for each channel, over the grid; `where` is the mean over the
    channels, as rows of numbers or an array; `maps` holds the strongest channels,
    `{channel: rows}`, `inputs` all maps that the last convolution reads.
    """

    mean: list
    where: object
    maps: dict
    kernel: str = ""  # of its last convolution, such as "5x5", or "pool"
    inputs: list = []

    @classmethod
    def of(cls, mean, where, channels, *others):
        """The response with copies of the strongest of the `channels`."""
        maps = {channel: copy(channels[channel]) for channel in largest(mean, KEPT)}
        return cls(mean, where, maps, *others)

    def strongest(self, count=KEPT):
        """The channels with the largest mean, strongest first."""
        return largest(self.mean, count)


class Term(NamedTuple):
    """One term of the sum that is a channel: an input map, its kernel, their product.

    `source` is the number of that input, of `count`.
    """

    channel: int
    source: int
    count: int
    input: list
    kernel: list
    product: list


class LayerResponse(NamedTuple):
    """One module's branches by name, and its grid `(height, width)`."""

    grid: tuple
    branches: dict

    @property
    def channels(self):
        return sum(len(branch.mean) for branch in self.branches.values())

    def title(self, name):
        return f"{name}: {self.channels} channels of {dims(self.grid)}"

    def shares(self):
        """`{branch: its share of the layer's response}`, all 0 if there is none."""
        sums = {name: sum(branch.mean) for name, branch in self.branches.items()}
        total = sum(sums.values())
        return {name: value / total if total else 0.0 for name, value in sums.items()}


class Responses(NamedTuple):
    """`layers` by path, in the order they ran, and a score for each class."""

    layers: dict
    logits: list

    def probabilities(self):
        """The probability of each class."""
        top = max(self.logits)
        powers = [exp(score - top) for score in self.logits]
        total = sum(powers)
        return [power / total for power in powers]

    def top(self, count=5):
        """`[(class, probability), ...]`, the most probable first."""
        return nlargest(count, enumerate(self.probabilities()), key=lambda p: p[1])


def largest(values, count):
    """The indices of the largest values, the largest first; of equals the last."""
    return nlargest(count, range(len(values)), key=lambda i: (values[i], i))


def keep(output, *others):
    """The `BranchResponse` of an output `(1, channels, H, W)`."""
    channels = output[0].clamp(min=0)
    mean, where = channels.mean((1, 2)).tolist(), channels.mean(0).numpy()
    return BranchResponse.of(mean, where, channels.numpy(), *others)


def record(model, x):
    """The `Responses` of a `Network` in eval mode on one picture, `(1, 3, H, W)`.

    Its layers are the stages with convolutions: one of `Branches` with each of
    them, any other as one branch, "output".
    """
    import torch
    from torch import nn

    from inception_edu.networks.layers import Branches

    layers, hooks = {}, []

    def listen(layer, name, module):
        windows = [part for part in module.modules() if hasattr(part, "kernel_size")]
        last = windows[-1] if windows else module
        kernel = dims(last.kernel_size) if isinstance(last, nn.Conv2d) else "pool"
        read = []

        def before(conv, args):
            read[:] = args[0][0].numpy().copy()

        def after(module, args, output):
            found = layers.setdefault(layer, LayerResponse(tuple(output.shape[2:]), {}))
            found.branches[name] = keep(output, kernel, list(read))

        hooks.append(module.register_forward_hook(after))
        hooks.append(last.register_forward_pre_hook(before))

    for layer, stage in model.stages():
        parts = stage.items() if isinstance(stage, Branches) else [("output", stage)]
        if any(isinstance(part, nn.Conv2d) for part in stage.modules()):
            for name, module in parts:
                listen(layer, name, module)
    try:
        with torch.no_grad():
            scores = model(x)[0].tolist()
    finally:
        for hook in hooks:
            hook.remove()
    return Responses(layers, scores)
