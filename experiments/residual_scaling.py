"""Lesson 7, measured: does an unscaled wide Inception-ResNet die, and is it fast?

    python -m experiments.residual_scaling

trains mini_resnet with five blocks on its last grid, 96 or 1056 channels wide, at
several residual scales and learning rates; and, at nearly the same MACs, mini_v4
and mini_resnet with and without its additions; over four and five seeds. It adds a
row a run to results/residual_scaling.csv. Interrupt it and start it again: runs that
are in the file are skipped.

The task is the handwriting of the other lessons alone, 24x24, without photographs:
easy, so that a run takes seconds and a network that learns nothing stands out.
Besides what the other tables have: `by_epoch`, the test accuracy after each epoch;
`zeros`, the share of activations before the average pooling that are zero over the
test images; `dead`, the share of channels there that are zero for every one of them
("the last layer before the average pooling started to produce only zeros",
Inception-v4, section 3.3).
"""

import numpy as np
import torch

from experiments.runner import command, measure
from inception_edu.networks import create_model
from inception_edu.training import recipes
from inception_edu.training.data import Data, Split, as_input, enlarge
from inception_edu.training.loop import Diverged, evaluate, fit

NETWORKS = {
    "v4": ("mini_v4", {"b": 3}),  # within 2 % of mini_resnet's MACs
    "residual": ("mini_resnet", {}),
    "no addition": ("mini_resnet", {"residual": False}),
    "narrow": ("mini_resnet", {"a": 0, "b": 0, "c": 5, "top": 96}),
    "wide": ("mini_resnet", {"a": 0, "b": 0, "c": 5, "top": 1056}),
}
RUNS = {  # of each: residual scales, learning rates, and on how many of the seeds
    "wide": ((1.0, 0.3, 0.2, 0.1), (0.02, 0.1, 0.3), 4),
    "narrow": ((1.0, 0.1), (0.02, 0.1, 0.3), 4),
    "residual": ((0.2,), (0.01,), 5),
    "no addition": ((1.0,), (0.01,), 5),
    "v4": ((1.0,), (0.01,), 5),  # has no scale
}
KEY = ("network", "scale", "learning_rate", "seed", "epochs", "images")
RECIPE = recipes.quick.but(batch_size=32)
EPOCHS, IMAGES, TEST, SIZE = 3, 1280, 500, 24


def plan(seeds, epochs, images):
    """Every run as a dict: all networks on the first seed, then on the second, ..."""
    return [
        {
            "network": network,
            "scale": scale,
            "learning_rate": rate,
            "seed": seed,
            "epochs": epochs,
            "images": images,
        }
        for place, seed in enumerate(seeds)
        for network, (scales, rates, most) in RUNS.items()
        if place < most
        for scale in scales
        for rate in rates
    ]


def handwriting(images=IMAGES, seed=0):
    """UCI's digits (in scikit-learn, 1,797 of 8x8) on black, 24x24: a `Data`.

    `images` to train on, the last 500 of the order that `seed` draws to test on.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    most = len(found.target) - TEST
    if not 2 <= images <= most:
        raise ValueError(f"images={images} must lie between 2 and {most}")
    order = np.random.RandomState(seed).permutation(len(found.target))
    weights = enlarge(SIZE)
    ink = weights @ found.images.astype(np.int32) @ weights.T  # 0 .. 16 * 256 * 256
    pixels = torch.from_numpy((ink * 255 >> 20).astype(np.uint8))
    pixels = pixels[:, None].expand(-1, 3, -1, -1)
    labels = torch.from_numpy(found.target).long()

    def split(chosen):
        return Split(pixels[chosen].contiguous(), labels[chosen])

    return Data(split(order[:images]), split(order[-TEST:]), "handwriting")


def build(network, scale, seed):
    """The network of a row, its first weights drawn from the seed."""
    name, options = NETWORKS[network]
    options = options if name == "mini_v4" else {**options, "scale": scale}
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return create_model(name, **options)


def last_grid(model, images, batch_size=250):
    """`(zeros, dead)` before the average pooling: shares of activations, channels."""
    seen = []
    hook = model.avgpool.register_forward_hook(lambda _, given, out: seen.append(given))
    try:
        with torch.inference_mode():
            model.eval()
            for batch in images.split(batch_size):
                model(as_input(batch))
    finally:
        hook.remove()
    last = torch.cat([x for (x,) in seen])
    silent = (last == 0).all(dim=3).all(dim=2).all(dim=0)
    return (last == 0).double().mean().item(), silent.double().mean().item()


def train(run, data_seed=0):
    """The row of one run."""
    data = handwriting(run["images"], data_seed)
    recipe = RECIPE.but(learning_rate=run["learning_rate"])
    model = build(run["network"], run["scale"], run["seed"])
    try:
        history = fit(model, data, recipe, run["epochs"], run["seed"], device="cpu")
    except Diverged as error:
        history = error.history
        if not history.epoch:
            found = evaluate(model, data)
            row = {"epoch": 0, "loss": float("nan"), "train_accuracy": 0.0}
            row |= {"accuracy": found.accuracy, "seconds": 0.0}
            history.add(by_scale=found.by_scale, **row)
    if history.interrupted:
        return None
    history.model = model
    zeros, dead = last_grid(model, data.test.images)
    row = measure(history, run, (1, 3, SIZE, SIZE))
    by_epoch = " ".join(f"{accuracy:.4f}" for accuracy in history.accuracy)
    return row | {
        "by_epoch": by_epoch,
        "zeros": round(zeros, 4),
        "dead": round(dead, 4),
    }


def main(argv=None):
    """The command: True when every run is in the file."""
    return command(
        argv,
        about=__doc__,
        name="residual_scaling",
        epochs=EPOCHS,
        images=IMAGES,
        plan=plan,
        key=KEY,
        train=train,
    )


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
