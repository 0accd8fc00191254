"""Lesson 7: does an unscaled wide Inception-ResNet die, and is it fast?

The task is `plain_digits`: easy, so that a run takes seconds and a network that
learns nothing stands out. Besides what the other tables have: `by_epoch`, the test
accuracy after each epoch; `zeros` and `dead`, see `dead_channels`: "the last layer
before the average pooling started to produce only zeros" (Inception-v4, section 3.3).
"""

import torch

from experiments.runner import Experiment, over_seeds, settings, training_row
from inception_edu.networks import create_model
from inception_edu.training import dead_channels, fit, plain_digits, recipes
from inception_edu.training.stored import FOLDER

NARROW = {"a": 0, "b": 0, "c": 5, "top": 96}  # five blocks, on the last grid
WIDE = NARROW | {"top": 1056}
PLAIN = {"residual": False}
RATES = (0.02, 0.1, 0.3)
# Of each: the mini, its options, residual scales, learning rates, number of seeds.
NETWORKS = {
    "wide": ("mini_resnet", WIDE, (1.0, 0.3, 0.2, 0.1), RATES, 4),
    "narrow": ("mini_resnet", NARROW, (1.0, 0.1), RATES, 4),
    # these three at nearly the same MACs
    "residual": ("mini_resnet", {}, (0.2,), (0.01,), 5),
    "no addition": ("mini_resnet", PLAIN, (1.0,), (0.01,), 5),
    "v4": ("mini_v4", {"b": 3}, (1.0,), (0.01,), 5),  # has no scale
    "wide, no addition": ("mini_resnet", WIDE | PLAIN, (1.0,), RATES, 4),
}
RECIPE = recipes.quick.but(batch_size=32)
SIZE = 24


def build(network, scale, seed):
    """The network of a row, its initial weights drawn from the seed."""
    name, options, *_ = NETWORKS[network]
    scaled = {} if name == "mini_v4" else {"scale": scale}
    torch.manual_seed(seed)
    return create_model(name, **options, **scaled)


def measure(run):
    """The row of one run."""
    data = plain_digits(run["images"])
    recipe = RECIPE.but(learning_rate=run["learning_rate"])
    model = build(run["network"], run["scale"], run["seed"])
    history = fit(model, data, recipe, run["epochs"], run["seed"], device="cpu")
    zeros, dead = dead_channels(model, data.test.images)
    return training_row(run, history, (1, 3, SIZE, SIZE)) | {
        "by_epoch": " ".join(f"{accuracy:.4f}" for accuracy in history.accuracy),
        "zeros": round(zeros, 4),
        "dead": round(dead, 4),
    }


SETTINGS = [
    setting
    for network, (_, _, scales, rates, _) in NETWORKS.items()
    for setting in settings(network=[network], scale=scales, learning_rate=rates)
]
RUNS = [
    run
    for run in over_seeds(range(5), SETTINGS, epochs=3, images=1280)
    if run["seed"] < NETWORKS[run["network"]][-1]
]
EXPERIMENT = Experiment(FOLDER / "residual_scaling.csv", RUNS, measure)
