"""The trained minis bundled with the package: `ie.load_pretrained("mini_v4")`.

A .safetensors file each, in half precision, and a row in minis.csv with the command,
the hash, and the accuracy of the weights as stored. Take a row out of the table to
train that network again.
"""

import hashlib

import torch
from safetensors.torch import save

from experiments.runner import Experiment, over_seeds, settings
from inception_edu.networks.pretrained import TRAINED, TRAINED_MINIS
from inception_edu.training import digits_at_scale, evaluate, fit, recipes

RECIPE = recipes.quick


def measure(run):
    """The row of one training, with the content of its weights file."""
    name, seed, epochs, images = run.values()
    data = digits_at_scale(images)
    history = fit(name, data, RECIPE, epochs, seed, device="cpu")
    if history.interrupted:
        raise KeyboardInterrupt
    model = history.model.half()
    content = save(model.state_dict())
    accuracy, by_scale = evaluate(model.float(), data)
    return {
        **run,
        "recipe": RECIPE.name,
        "command": f"python -m experiments minis --only model={name} "
        f"--seeds {seed} --epochs {epochs} --images {images}",
        "accuracy": round(accuracy, 4),
        **{scale: round(share, 4) for scale, share in by_scale.items()},
        "params": sum(p.numel() for p in model.parameters()),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "seconds": round(history.seconds[-1], 1),
        "torch": torch.__version__,
        f"{name}.safetensors": content,
    }


RUNS = over_seeds([0], settings(model=TRAINED_MINIS), epochs=8)
EXPERIMENT = Experiment(TRAINED / "minis.csv", RUNS, measure)
