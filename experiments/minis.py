"""The trained minis bundled with the package: `ie.load_pretrained("mini_v4")`.

Trains each on digits at every scale and writes networks/trained: a .safetensors file
a network, in half precision, and a row in minis.csv with the command, the hash, and
the accuracy of the weights as stored. An interrupted training continues after its
last epoch. Take a row out of the table to train that network again.
"""

import hashlib

import torch
from safetensors.torch import save

from experiments.runner import Experiment, settings
from inception_edu.files import atomic_write
from inception_edu.networks import create_model
from inception_edu.networks.pretrained import TRAINED, TRAINED_MINIS
from inception_edu.training import recipes
from inception_edu.training.cache import cache_folder
from inception_edu.training.data import digits_at_scale
from inception_edu.training.evaluation import evaluate
from inception_edu.training.loop import fit

RECIPE = recipes.quick


def halved(weights):
    """A state dict in half precision; counters stay whole numbers."""
    return {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in weights.items()
    }


def measure(run):
    """The row of one training, with the content of its weights file under "file"."""
    model, seed, epochs, images = run.values()
    data = digits_at_scale(images)
    checkpoint = cache_folder() / f"{model}-{seed}-{epochs}-{images}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    history = fit(
        model, data, RECIPE, epochs, seed, device="cpu", checkpoint=checkpoint
    )
    if history.interrupted:
        raise KeyboardInterrupt
    weights = halved(history.model.state_dict())
    content = save(weights)
    stored = create_model(model)
    stored.load_state_dict(weights)
    accuracy, by_scale = evaluate(stored, data)
    checkpoint.unlink()
    return {
        **run,
        "recipe": RECIPE.name,
        "command": f"python -m experiments minis --only model={model} "
        f"--seeds {seed} --epochs {epochs} --images {images}",
        "accuracy": round(accuracy, 4),
        **{scale: round(share, 4) for scale, share in by_scale.items()},
        "params": sum(p.numel() for p in stored.parameters()),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "seconds": round(history.seconds[-1], 1),
        "torch": torch.__version__,
        "file": content,
    }


def store(rows, folder):
    """Write the weights of the row beside the table: the row without them."""
    (row,) = rows
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / f"{row['model']}.safetensors") as part:
        part.write_bytes(row["file"])
        part.chmod(0o644)  # for every reader of a shared installation
    return [{name: value for name, value in row.items() if name != "file"}]


EXPERIMENT = Experiment(
    table=TRAINED / "minis.csv",
    key=("model", "seed", "epochs", "images"),
    settings=settings(model=TRAINED_MINIS),
    measure=measure,
    store=store,
    seeds=(0,),
    epochs=8,
)
