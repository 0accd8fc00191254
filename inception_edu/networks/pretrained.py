"""Networks with trained weights, and how their images are prepared."""

from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn

from inception_edu.networks.weights import load_weights
from inception_edu.text import closest


@dataclass(frozen=True)
class Preprocessing:
    """What published weights expect of an image: `(1, 3, crop, crop)` comes back.

    Resize the shorter side to `resize`, crop the middle, scale to 0..1, subtract
    `mean` and divide by `std`. torchvision normalizes with ImageNet's mean and std and
    undoes that in its networks (`transform_input`), since these files come from
    TensorFlow, which trained on values from -1 to 1: the two steps together are mean
    0.5, std 0.5.
    """

    resize: int
    crop: int
    mean: float = 0.5
    std: float = 0.5
    interpolation: str = "bicubic"

    def __call__(self, image):
        """A batch of one from a PIL image of any mode."""
        import numpy as np

        pixels = torch.from_numpy(np.array(self.window(image)))
        return (pixels.permute(2, 0, 1)[None] / 255 - self.mean) / self.std

    def window(self, image):
        """The network's view of it: an RGB image of `crop` x `crop` pixels."""
        from PIL import Image

        if not isinstance(image, Image.Image):
            raise TypeError(
                f"expected a PIL image, got {type(image).__name__}; "
                "PIL.Image.open(path) reads one"
            )
        image = image.convert("RGB")
        scale = self.resize / min(image.size)
        width, height = (max(self.resize, int(side * scale)) for side in image.size)
        method = Image.Resampling[self.interpolation.upper()]
        image = image.resize((width, height), method)
        left, top = round((width - self.crop) / 2), round((height - self.crop) / 2)
        return image.crop((left, top, left + self.crop, top + self.crop))


TRAINED = Path(__file__).parent / "trained"  # the bundled minis
TRAINED_MINIS = ("mini_reduced", "mini_v3", "mini_v4", "mini_resnet")
TORCHVISION = "https://download.pytorch.org/models"
TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download"
# The published file, whose name ends in the first digits of its SHA-256; its images.
PRETRAINED = {
    "googlenet": (
        f"{TORCHVISION}/googlenet-1378be20.pth",
        Preprocessing(256, 224, interpolation="bilinear"),
    ),
    "inception_v3": (
        f"{TORCHVISION}/inception_v3_google-0cc3c7bd.pth",
        Preprocessing(342, 299, interpolation="bilinear"),
    ),
    "inception_v4": (
        f"{TIMM}/v0.1-cadene/inceptionv4-8e4777a0.pth",
        Preprocessing(341, 299),
    ),
    "inception_resnet_v2": (
        f"{TIMM}/v0.1-weights/inception_resnet_v2-940b1cd6.pth",
        Preprocessing(333, 299),
    ),
}
# What the minis were trained on: training.as_input, written as a Preprocessing.
DIGITS = Preprocessing(48, 48, std=0.25, interpolation="bilinear")


def load_pretrained(name: str, *, aux: bool = False) -> nn.Module:
    """The network `name` with trained weights, in eval mode.

    A mini is bundled with the package, trained on `digits_at_scale()`, and needs no
    network: `mini_reduced`, `mini_v3`, `mini_v4`, `mini_resnet`. The others bring
    their published ImageNet weights: the file is downloaded once, checked against
    the hash in its name, and kept where torch.hub keeps its files.

    `model.preprocessing` is what its images need, a `Preprocessing`; `model.classes`
    names its outputs. `aux=True` keeps the auxiliary heads of googlenet (stored, but
    never trained) and inception_v3. Raises ValueError for a network without trained
    weights and for a damaged file, ConnectionError without a network.
    """
    from inception_edu.networks import create_model

    known = [*PRETRAINED, *TRAINED_MINIS]
    if name not in known:
        raise ValueError(
            f"no published weights for {name!r}; {closest(name, known)}there are some "
            f"for {', '.join(known)}"
        )
    shipped = name in ("googlenet", "inception_v3")  # by torchvision
    model = create_model(name, aux=aux, **{"layout": "torchvision"} if shipped else {})
    if name in TRAINED_MINIS:
        weights = TRAINED / f"{name}.safetensors"
        model.preprocessing, model.classes = DIGITS, tuple("0123456789")
    else:
        url, model.preprocessing = PRETRAINED[name]
        weights, model.classes = download(url), imagenet_classes()
    if name == "inception_v4":  # TensorFlow's class 0, the background, is left out
        for key in ("last_linear.weight", "last_linear.bias"):
            weights[key] = weights[key][1:]
    load_weights(model, weights)
    return model.eval()


@cache
def imagenet_classes():
    """The 1,000 names of ImageNet's classes, in the order of the outputs."""
    text = (Path(__file__).parent / "imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))


def download(url):
    """The weights at `url`, or those in torch.hub's folder if they are there.

    torch.hub checks the hash in the file's name and keeps nothing of what is broken.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", check_hash=True, weights_only=True
        )
    except (URLError, HTTPException, ConnectionError, TimeoutError) as problem:
        raise ConnectionError(
            f"cannot download {url} to {folder} ({problem}); without a network, put "
            "that file there or take a bundled mini, such as "
            "load_pretrained('mini_v4')"
        ) from None
    except Exception as problem:  # a wrong hash, or whatever a torn file gives
        raise ValueError(
            f"{url} is damaged or cut short ({problem}); delete what {folder} has of "
            "it and try again"
        ) from None
