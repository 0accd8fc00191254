"""mini_reduced and its pictures, for the feature maps explorer in a page.

    python -m experiments page_mini

writes explorers/mini_reduced.json.gz: the layers with their weights, batch norms folded
in, what of them is shown, and the pictures that the explorer has, 48x48.
"""

from base64 import b64encode

import torch

from experiments.runner import write_packed
from inception_edu.cost import trace
from inception_edu.explorers.feature_maps import PHOTOGRAPHS
from inception_edu.explorers.feature_page import SIDE, TABLE
from inception_edu.figures.activations import record
from inception_edu.networks import load_pretrained
from inception_edu.training.data import handwritten_digits, photographs

NAME = "mini_reduced"


def folded(conv, norm):
    """Weights and bias of a convolution with its batch norm folded in."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return conv.weight * scale[
        :, None, None, None
    ], norm.bias - norm.running_mean * scale


def program():
    """`(layers, weights, {path: number})` of the network, as forward.js takes it."""
    model = load_pretrained(NAME).double()
    preparation = model.preprocessing
    modules = dict(model.named_modules())
    mean, std = preparation.mean, preparation.std
    layers = [{"kind": "picture", "side": SIDE, "mean": mean, "std": std}]
    home, weights, numbers = {0: 0}, [], {}
    for op in trace(model, (1, 3, SIDE, SIDE)).ops:
        sources = [home[source] for source in op.inputs]
        size = {"channels": op.out_shape[1], "side": op.out_shape[-1]}
        sizes = {
            "kernel": op.kernel and op.kernel[0],
            "stride": op.stride and op.stride[0],
            "padding": op.padding and op.padding[0],
        }
        if op.kind == "conv":
            unit = modules[op.path.removesuffix(".conv")]
            weights += folded(unit.conv, unit.norm)
            layers.append({"kind": "conv", "from": sources, **size, **sizes})
        elif op.kind == "max_pool":
            layers.append({"kind": "max", "from": sources, **size, **sizes})
        elif op.kind == "cat":
            layers.append({"kind": "cat", "from": sources, **size})
        elif op.kind == "linear":
            weights += [modules[op.path].weight, modules[op.path].bias]
            layers.append({"kind": "scores", "from": sources, "channels": 10})
        elif op.kind == "input":
            continue
        else:  # a norm, a ReLU, the last mean: part of the layer before or after
            home[op.index] = sources[0]
            numbers[op.path] = sources[0]
            continue
        home[op.index] = numbers[op.path] = len(layers) - 1
    flat = torch.cat([weight.detach().flatten() for weight in weights]).float()
    return layers, flat, numbers


def shown(numbers):
    """`{layer: {branch: [number of its output, kernel]}}`, as `record` has them."""
    model = load_pretrained(NAME)
    found = {}
    for path, layer in record(model, torch.zeros(1, 3, SIDE, SIDE)).layers.items():
        found[path] = {}
        for name, branch in layer.branches.items():
            place = path if name == "output" else f"{path}.{name}"
            inside = [number for p, number in numbers.items() if p.startswith(place)]
            found[path][name] = [max(inside), branch.kernel]
    return found


def contents():
    """Everything that the page needs, as plain data.

    The digits are the first of each among the test images, the ground a crop of a
    photograph.
    """
    from PIL import Image

    layers, weights, numbers = program()
    window = load_pretrained(NAME).preprocessing.window
    seen = [window(Image.fromarray(pixels)) for pixels in photographs()]
    inks, labels = handwritten_digits("test")
    pieces = {
        "weights": weights.numpy(),
        "ground": photographs()[0][150 : 150 + SIDE, 430 : 430 + SIDE],
    }
    return {
        "program": layers,
        "shown": shown(numbers),
        "digits": {str(d): inks[labels == d][0].tolist() for d in range(10)},
        "pictures": dict(zip(PHOTOGRAPHS, map(encoded, seen), strict=True)),
    } | {name: encoded(piece) for name, piece in pieces.items()}


def encoded(values):
    """The bytes of an array or an image, as text."""
    return b64encode(values.tobytes()).decode()


def main():
    """Write the file."""
    write_packed(TABLE, contents())
