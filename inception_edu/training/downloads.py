"""The data sets by name: the digits, and two that torchvision downloads."""

import numpy as np

from inception_edu.training.cache import cache_folder, cached
from inception_edu.training.data import VERSION, as_data, digits_at_scale

SIDES = {"cifar10": 48, "imagenette": 96}  # pixels


def load_data(name):
    """`Data` by name: "digits_at_scale", "cifar10" or "imagenette".

    cifar10 is 50,000 and 10,000 images of 32x32, enlarged to 48x48; imagenette 9,469
    and 3,925 photographs, at 96x96. Both are downloaded once through torchvision:
    `pip install "inception_edu[data]"`. Raises ModuleNotFoundError without
    torchvision, ConnectionError without a network.
    """
    if name == "digits_at_scale":
        return digits_at_scale()
    if name not in SIDES:
        names = ", ".join(("digits_at_scale", *SIDES))
        raise ValueError(f"no data set is called {name!r}; choose from {names}")
    size = SIDES[name]
    arrays = cached(f"{name}-v{VERSION}-{size}.npz", lambda: fetch(name, size))
    return as_data(arrays, name, classes=tuple(arrays["classes"].tolist()))


def fetch(name, size):
    """The arrays of a data set that torchvision downloads, at `size` pixels."""
    try:
        from torchvision.datasets import CIFAR10, Imagenette
    except ImportError:
        raise ModuleNotFoundError(
            f"{name} needs torchvision: pip install 'inception_edu[data]', or use "
            "digits_at_scale(), which needs no network"
        ) from None
    folder, arrays = cache_folder() / name, {}
    try:
        for part, train, split in (("train", True, "train"), ("test", False, "val")):
            if name == "cifar10":
                found = CIFAR10(folder, train, download=True)
            else:
                found = Imagenette(folder, split, "160px", download=True)
            images, labels = zip(*found, strict=True)
            arrays[f"{part}_images"] = np.stack([square(i, size) for i in images])
            arrays[f"{part}_labels"] = np.array(labels, np.int64)
    except (OSError, RuntimeError) as error:
        raise ConnectionError(
            f"{name} could not be downloaded ({error}); connect to a network once, "
            "or use digits_at_scale(), which needs none"
        ) from None
    # Imagenette's are tuples of synonyms.
    names = [c if isinstance(c, str) else c[0] for c in found.classes]
    return arrays | {"classes": np.array(names)}


def square(image, size):
    """A PIL image's middle square at `size` pixels: uint8 `(3, size, size)`."""
    from PIL import Image, ImageOps

    image = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1)
