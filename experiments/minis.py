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
from inception_edu.networks.pretrained import TRAINED, TRAINED_MINIS
from inception_edu.training import digits_at_scale, evaluate, fit, recipes
from inception_edu.training.cache import cache_folder

RECIPE = recipes.quick


def measure(run):
    """The row of one training, with the content of its weights file."""
    name, seed, epochs, images = run.values()
    data = digits_at_scale(images)
    kept = cache_folder() / f"{name}-{seed}-{epochs}-{images}.pt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    history = fit(name, data, RECIPE, epochs, seed, device="cpu", checkpoint=kept)
    if history.interrupted:
        raise KeyboardInterrupt
    model = history.model.half().to(memory_format=torch.contiguous_format)
    content = save(model.state_dict())
    accuracy, by_scale = evaluate(model.float(), data)
    kept.unlink()
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


EXPERIMENT = Experiment(
    table=TRAINED / "minis.csv",
    key=("model", "seed", "epochs", "images"),
    settings=settings(model=TRAINED_MINIS),
    measure=measure,
    seeds=(0,),
    epochs=8,
)
