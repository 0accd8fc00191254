"""Which branch answers to small digits, which to large ones? Lesson 6, measured.

    python -m experiments.responses

A branch answers to the photograph behind a digit as well. So every picture is drawn
twice, with its digit and without; the difference, after the ReLU, summed over
channels and grid, is what the digit does, and its share of the layer's whole
difference is the branch's part. 1,000 pictures with handwriting and places that no
training saw, for every mini that comes along, and for the same network untrained:
what shows there too is the work of windows and widths, not of learning. The shares
are written to results/responses.csv; it takes less than a minute.
"""

import csv
from pathlib import Path

import numpy as np
import torch

from experiments.minis import SHIPPED as MODELS
from experiments.runner import FOLDER
from inception_edu.networks import Branches, create_model, load_pretrained
from inception_edu.training.data import (
    BINS,
    as_input,
    compose,
    split_handwriting,
)
from inception_edu.training.loop import own_state

IMAGES, SEED, BATCH = 1000, 7, 250


def pairs(n=IMAGES, seed=SEED):
    """`(with digits, without, scales)`: uint8 `(n, 3, 48, 48)` twice, and `(n,)`."""
    from sklearn.datasets import load_digits, load_sample_images

    handwriting, photographs = load_digits(), load_sample_images().images
    _, test = split_handwriting(handwriting.target, np.random.RandomState([0, 2]))
    digits = handwriting.images[test].astype(np.int32)
    drawn, bare = (
        compose(ink, photographs, np.random.RandomState([seed, 3]), n, 48)
        for ink in (digits, digits * 0)
    )
    return torch.from_numpy(drawn[0]), torch.from_numpy(bare[0]), drawn[2]


def modules_of(model):
    """`{path: Branches}` of every module that is not inside another."""
    found = {}
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if isinstance(module, Branches) and not inside:
            found[path] = module
    return found


def differences(model, drawn, bare):
    """`{(layer, branch): (n,)}`: the summed difference that each digit makes there."""
    answers, hooks = {}, []
    for path, module in modules_of(model).items():
        for name, branch in module.items():
            key = (path.removesuffix(".branches"), name)

            def keep(_, inputs, output, key=key):
                answers[key] = output.clamp(min=0)

            hooks.append(branch.register_forward_hook(keep))
    found = {}
    try:
        with torch.inference_mode():
            for images, grounds in zip(
                drawn.split(BATCH), bare.split(BATCH), strict=True
            ):
                model(as_input(images))
                first = dict(answers)
                model(as_input(grounds))
                for key, answer in first.items():
                    change = (answer - answers[key]).abs().sum((1, 2, 3))
                    found.setdefault(key, []).append(change.double().numpy())
    finally:
        for hook in hooks:
            hook.remove()
    return {key: np.concatenate(parts) for key, parts in found.items()}


def shares(model, drawn, bare, scales):
    """Rows `{layer, branch, scale, images, share, error}`, shares from 0 to 1.

    `share` is the mean over the digits of that size, `error` its standard error.
    """
    found = differences(model, drawn, bare)
    rows = []
    for (layer, branch), change in found.items():
        whole = sum(part for (name, _), part in found.items() if name == layer)
        share = np.divide(change, whole, out=np.zeros_like(change), where=whole > 0)
        for label, (smallest, largest) in BINS.items():
            inside = share[(scales >= smallest) & (scales <= largest)]
            rows.append(
                {
                    "layer": layer,
                    "branch": branch,
                    "scale": label,
                    "images": len(inside),
                    "share": round(float(inside.mean()), 4),
                    "error": round(float(inside.std() / len(inside) ** 0.5), 4),
                }
            )
    return rows


def networks(name):
    """`(trained, model)` twice: as it comes along, and with first weights of seed 0."""
    with own_state(torch.device("cpu")):
        torch.manual_seed(0)
        return (True, load_pretrained(name)), (False, create_model(name).eval())


def main(out=FOLDER / "responses.csv"):
    """Measure every network and write the table."""
    data, rows = pairs(), []
    for name in MODELS:
        for trained, model in networks(name):
            first = {"model": name, "trained": trained}
            rows += [first | row for row in shares(model, *data)]
            print(f"{name}, {'trained' if trained else 'untrained'}", flush=True)
    with open(Path(out), "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
