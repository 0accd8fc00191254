"""Lesson 6: which branch responds to small digits, which to large ones?

A branch responds to the photograph behind a digit as well. So every picture is drawn
twice, with its digit and without; the difference, after the ReLU, summed over
channels and grid, is what the digit causes, and its share of the layer's whole
difference is the branch's part. 1,000 pictures with handwriting and places that no
training saw, for every trained mini and for the same network untrained: what shows
there too is due to windows and widths, not to learning.
"""

from functools import partial
from itertools import product

import numpy as np
import torch

from inception_edu.networks import Branches, create_model, load_pretrained
from inception_edu.networks.pretrained import TRAINED_MINIS
from inception_edu.training import data
from inception_edu.training.stored import FOLDER

SIZE, BATCH, IMAGES, SEED = 48, 250, 1000, 7


def pairs(n=IMAGES):
    """`(with digits, without, scales)`: uint8 `(n, 3, 48, 48)` twice, and `(n,)`."""
    digits, _ = data.handwritten_digits("test")
    (drawn, _, scales), (bare, *_) = (
        data.compose(ink, data.photographs(), np.random.RandomState([SEED, 3]), n, SIZE)
        for ink in (digits, digits * 0)
    )
    return torch.from_numpy(drawn), torch.from_numpy(bare), scales


def differences(model, drawn, bare):
    """`{(layer, branch): (n,)}`: the summed difference that each digit makes there."""
    found = {}

    def keep(parts, branch, inputs, output):
        images, grounds = output.clamp(min=0).chunk(2)
        parts.append((images - grounds).abs().sum((1, 2, 3)).double())

    for layer, stage in model.named_children():
        module = next((m for m in stage.modules() if isinstance(m, Branches)), {})
        for name, branch in module.items():
            parts = found[layer, name] = []
            branch.register_forward_hook(partial(keep, parts))
    with torch.inference_mode():
        for pair in zip(drawn.split(BATCH), bare.split(BATCH), strict=True):
            model(data.as_input(torch.cat(pair)))
    return {key: torch.cat(parts).numpy() for key, parts in found.items()}


def shares(model, drawn, bare, scales):
    """Rows `{layer, branch, scale, images, share, error}`, shares from 0 to 1.

    `share` is the mean over the digits of that size, `error` its standard error.
    """
    found = differences(model, drawn, bare)
    rows = []
    for (layer, branch), change in found.items():
        whole = sum(part for (name, _), part in found.items() if name == layer)
        share = np.divide(change, whole, out=np.zeros_like(change), where=whole > 0)
        for label, (smallest, largest) in data.BINS.items():
            inside = share[(scales >= smallest) & (scales <= largest)]
            error = inside.std() / len(inside) ** 0.5
            row = {"layer": layer, "branch": branch, "scale": label}
            row |= {"images": len(inside), "share": round(float(inside.mean()), 4)}
            rows.append(row | {"error": round(float(error), 4)})
    return rows


def measure(name, trained):
    """The rows of a mini as it comes with the package, or with its first weights."""
    torch.manual_seed(0)
    model = load_pretrained(name) if trained else create_model(name).eval()
    first = {"model": name, "trained": trained}
    return [first | row for row in shares(model, *pairs())]


def contents():
    """The rows of every mini, trained and untrained."""
    kinds = product(TRAINED_MINIS, (True, False))
    return [row for kind in kinds for row in measure(*kind)]


STORED = FOLDER / "responses.csv", contents
