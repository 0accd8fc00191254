"""mini_reduced and its pictures, for the feature maps explorer in a page.

The layers with their weights, batch norms folded in, what of them is shown, and the
pictures that the explorer has, 48x48.
"""

from base64 import b64encode

import torch
from PIL import Image

from inception_edu.cost import trace
from inception_edu.explorers.feature_maps import PHOTOGRAPHS
from inception_edu.explorers.feature_page import SIDE, TABLE
from inception_edu.figures.responses import record
from inception_edu.networks import fuse, load_pretrained
from inception_edu.training.data import handwritten_digits, photographs

NAME = "mini_reduced"
KINDS = {"conv": "conv", "max_pool": "max", "cat": "cat", "linear": "scores"}


def program():
    """`(layers, weights, {path: index})` of the network, as forward.js takes it."""
    model = fuse(load_pretrained(NAME).double(), steps=("fold",))
    modules, preparation = dict(model.named_modules()), model.preprocessing
    mean, std = preparation.mean, preparation.std
    layers = [{"kind": "picture", "side": SIDE, "mean": mean, "std": std}]
    layer_of, weights, indices = {0: 0}, [], {}
    for op in trace(model, (1, 3, SIDE, SIDE)).ops[1:]:
        sources = [layer_of[source] for source in op.inputs]
        layer_of[op.index] = sources[0]  # a ReLU, the last mean: part of that layer
        if op.kind in KINDS:
            layer = {"kind": KINDS[op.kind], "from": sources}
            layer["channels"] = op.out_shape[1]
            if op.kind != "linear":
                layer["side"] = op.out_shape[-1]
            if op.kernel:
                layer |= {"kernel": op.kernel[0], "stride": op.stride[0]}
                layer["padding"] = op.padding[0]
            if op.kind in ("conv", "linear"):
                layer["start"] = sum(weight.numel() for weight in weights)
                weights += [modules[op.path].weight, modules[op.path].bias]
            layer_of[op.index] = len(layers)
            layers.append(layer)
        indices[op.path] = layer_of[op.index]
    flat = torch.cat([weight.detach().flatten() for weight in weights]).float()
    return layers, flat, indices


def shown(indices):
    """`{layer: {branch: [index of its output, kernel]}}`, as `record` has them."""
    seen, found = record(load_pretrained(NAME), torch.zeros(1, 3, SIDE, SIDE)), {}
    for path, layer in seen.layers.items():
        for name, branch in layer.branches.items():
            start = f"{path}.{name}".removesuffix(".output")
            last = max(index for p, index in indices.items() if p.startswith(start))
            found.setdefault(path, {})[name] = [last, branch.kernel]
    return found


def contents():
    """Everything that the page needs, as plain data."""
    layers, weights, indices = program()
    window = load_pretrained(NAME).preprocessing.window
    seen = [window(Image.fromarray(pixels)) for pixels in photographs()]
    inks, labels = handwritten_digits("test")  # the page has the first of each digit
    ground = photographs()[0][150 : 150 + SIDE, 430 : 430 + SIDE]
    return {
        "program": layers,
        "shown": shown(indices),
        "digits": {str(d): inks[labels == d][0].tolist() for d in range(10)},
        "pictures": dict(zip(PHOTOGRAPHS, map(encoded, seen), strict=True)),
        "weights": encoded(weights.numpy()),
        "ground": encoded(ground),
    }


def encoded(values):
    """The bytes of an array or an image, as text."""
    return b64encode(values.tobytes()).decode()


STORED = TABLE, contents
