"""The trained minis that come with the package: `ie.load_pretrained("mini_v4")`.

    python -m experiments.minis

trains each on digits at every scale and writes networks/trained: a .safetensors
file a network, in half precision, and a row in minis.csv with what made it, its
hash, and the accuracy of the weights as stored. Interrupt it and start it again: it
goes on after the last whole epoch, and networks that are in the table are skipped.
Take a row out of the table to train that network anew.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from experiments.runner import run_all
from inception_edu.files import atomic_write
from inception_edu.networks import create_model, load_weights
from inception_edu.networks.pretrained import TRAINED, digest
from inception_edu.training import recipes
from inception_edu.training.data import cache_folder, digits_at_scale
from inception_edu.training.loop import evaluate, fit

SHIPPED = ("mini_reduced", "mini_v3", "mini_v4", "mini_resnet")
RECIPE = recipes.quick
EPOCHS, IMAGES, SEED = 8, 6000, 0
KEY = ("model", "seed", "epochs", "images")


def plan(models=SHIPPED, seed=SEED, epochs=EPOCHS, images=IMAGES):
    """Every run as a dict, one a network."""
    return [
        {"model": model, "seed": seed, "epochs": epochs, "images": images}
        for model in models
    ]


def save_halved(model, path):
    """Write the model's weights to a .safetensors file, floats in half precision.

    The file is the new one whole, or the old one.
    """
    weights = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in model.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        save_file(weights, part)
        part.chmod(0o644)  # for every reader of a shared installation
    return path


def train(run, folder):
    """Train and store one network: its row, or None when it was interrupted.

    The accuracy is that of a new network which read the stored file.
    """
    model, seed, epochs, images = (run[name] for name in KEY)
    data = digits_at_scale(images)
    checkpoint = cache_folder() / f"{model}-{seed}-{epochs}-{images}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    history = fit(
        model, data, RECIPE, epochs, seed, device="cpu", checkpoint=checkpoint
    )
    if history.interrupted:
        return None
    path = save_halved(history.model, folder / f"{model}.safetensors")
    stored = create_model(model)
    load_weights(stored, path)
    accuracy, by_scale = evaluate(stored, data)
    checkpoint.unlink()
    return {
        **run,
        "recipe": RECIPE.name,
        "command": "python -m experiments.minis "
        f"--models {model} --seed {seed} --epochs {epochs} --images {images}",
        "accuracy": round(accuracy, 4),
        **{scale: round(share, 4) for scale, share in by_scale.items()},
        "params": sum(p.numel() for p in stored.parameters()),
        "bytes": path.stat().st_size,
        "sha256": digest(path),
        "seconds": round(history.seconds[-1], 1),
        "torch": torch.__version__,
    }


def main(argv=None):
    """The command: True when every network is in the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=SHIPPED, default=SHIPPED)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--images", type=int, default=IMAGES, help="training images")
    parser.add_argument("--out", type=Path, default=TRAINED, help="the folder")
    given = parser.parse_args(argv)
    runs = plan(given.models, given.seed, given.epochs, given.images)
    return run_all(
        runs, given.out / "minis.csv", KEY, lambda run: train(run, given.out)
    )


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
