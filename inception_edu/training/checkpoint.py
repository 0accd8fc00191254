"""The checkpoint: written after every epoch; training resumes from it."""

import zlib
from pathlib import Path

import torch

from inception_edu.files import atomic_write, parts_of


def save_checkpoint(state, path):
    """Write a checkpoint, complete or not at all."""
    with atomic_write(path) as part:
        # Not into an open file: torch would make a RuntimeError of Ctrl-C.
        torch.save(state, part)


def load_checkpoint(path, identity):
    """The state in a checkpoint, or None where there is no file.

    What a training that was killed while it wrote has left there is deleted.
    Raises FileNotFoundError where no file can be, before the first epoch; ValueError
    when the file is damaged or belongs to another training.
    """
    path = Path(path)
    if (path.exists() and not path.is_file()) or not path.parent.is_dir():
        raise FileNotFoundError(
            f"checkpoint {path} must be a file in an existing folder; make the folder, "
            "or name a file in another"
        )
    for part in parts_of(path):
        part.unlink()
    if not path.exists():
        return None
    advice = "delete the file to start again, or name another"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        stored = dict(state["identity"])
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} cannot be read ({type(error).__name__}); {advice}"
        ) from error
    for what, value in identity.items():
        if stored.get(what) != value:
            raise ValueError(
                f"checkpoint {path} belongs to another training: its {what} is "
                f"{stored.get(what)!r}, this one's {value!r}; {advice}"
            )
    return state


def identity_of(training):
    """What must be the same for a training to be resumed."""
    weights, split = training.model.state_dict(), training.data.train
    shapes = [(name, tuple(p.shape)) for name, p in weights.items()]
    images = zlib.crc32(split.images.contiguous().numpy())
    return {
        "format": 2,  # raised when what a checkpoint holds changes
        "recipe": repr(training.recipe.but(name="", source="", changes=())),
        "epochs": training.epochs,
        "seed": training.seed,
        "network": zlib.crc32(repr(shapes).encode()),
        "data": zlib.crc32(split.labels.contiguous().numpy(), images),
    }
