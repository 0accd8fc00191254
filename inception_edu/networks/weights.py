"""Trained weights: our files, torchvision's and timm's, loaded whole or not at all.

Everything is checked before the first weight is copied, and a file is read as
tensors only: nothing in it is ever run.
"""

import csv
import hashlib
import os
import tempfile
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache as cached_forever
from http.client import HTTPException
from pathlib import Path

import torch

from inception_edu.networks.library_keys import library_names, translate


@dataclass(frozen=True)
class LoadReport:
    """What `load_weights` did: whose keys, how many tensors, which were left out."""

    source: str
    loaded: int
    left_out: tuple[str, ...] = ()

    def __str__(self):
        line = f"{self.loaded} tensors loaded, read as {self.source} keys"
        if self.left_out:
            line += (
                f"; {len(self.left_out)} of the auxiliary heads left out, since the "
                "model has none"
            )
        return line

    __repr__ = __str__


def load_weights(model, weights):
    """Load trained `weights` into `model`; returns a `LoadReport`.

    `weights` is a state dict or a path to one: `.safetensors`, or a file of
    `torch.save` (read with `weights_only=True`). Keys may be this package's,
    torchvision's (googlenet, inception_v3) or timm's (inception_v3,
    inception_v4, inception_resnet_v2). Every key must be there, of the right
    shape and finite, and none besides; the only tensors that may be left out are
    those of auxiliary heads that the model does not have, and batch counters
    that old files lack. Raises ValueError that names the keys that differ, and
    leaves the model as it was.

    torchvision's weights give its outputs in `layout="torchvision"`.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(
            f"the model is a {type(model).__name__}; it comes first: "
            "load_weights(model, weights)"
        )
    if not isinstance(weights, Mapping | str | os.PathLike):
        hint = "; pass its state_dict()" if hasattr(weights, "state_dict") else ""
        raise TypeError(
            "weights are a state dict or the path of one, got "
            f"{type(weights).__name__}{hint}"
        )
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    place = "these weights"
    if not isinstance(weights, Mapping):
        place = str(weights)
        weights = read_weights(weights)
    own = model.state_dict()
    if any(value.is_meta for value in own.values()):
        raise ValueError(
            "the model was built on the meta device and has no memory to load into; "
            "create it outside torch.device('meta')"
        )
    source, found = recognise(model, weights, own)
    left_out = ()
    if not any(key.startswith("aux_heads.") for key in own):
        left_out = tuple(key for key in found if key.startswith("aux_heads."))
    found = {key: value for key, value in found.items() if key not in left_out}

    problems = differences(own, found)
    deeper = [key for key, value in weights.items() if isinstance(value, Mapping)]
    if deeper:
        problems.append(
            f"  Tables lie inside, under {', '.join(map(repr, deeper[:6]))}: if one "
            "holds the weights, pass it alone: torch.load(path)[key]."
        )
    if problems:
        name = getattr(model, "name", type(model).__name__)
        if name == "googlenet" and source == "torchvision's":
            problems.append(
                "  torchvision's file fits create_model('googlenet', "
                "layout='torchvision')."
            )
        raise ValueError(
            f"{place} do not fit {name} (read as {source} keys); nothing was "
            "loaded.\n" + "\n".join(problems)
        )
    with torch.no_grad():
        for key, value in found.items():
            own[key].copy_(value)
    return LoadReport(source, len(found), left_out)


def recognise(model, weights, own):
    """Whose keys these are, and the weights under our keys."""
    weights = {str(key): value for key, value in weights.items()}
    readings = {"our own": weights}
    others = library_names(model)
    if others:
        library, stages, branches = others
        translated = {}
        for key, value in weights.items():
            ours = translate(key, stages, branches)
            translated[key if ours in translated else ours] = value
        readings[f"{library}'s"] = translated
    return max(readings.items(), key=lambda reading: len(own.keys() & reading[1]))


def differences(own, found):
    """Why `found` cannot be loaded into `own`, a line a kind of reason."""
    optional = {key for key in own if key.endswith("num_batches_tracked")}
    problems = [
        listing("missing", sorted(own.keys() - found.keys() - optional)),
        listing("unexpected", [key for key in found if key not in own]),
    ]
    shapes, kinds, broken = [], [], []
    for key in own.keys() & found.keys():
        ours, theirs = own[key], found[key]
        if not isinstance(theirs, torch.Tensor) or theirs.layout != torch.strided:
            kinds.append(f"{key} is {type(theirs).__name__}")
        elif theirs.is_meta:
            kinds.append(f"{key} is on the meta device")
        elif theirs.shape != ours.shape:
            shapes.append(f"{key} {size(theirs)} for {size(ours)}")
        elif theirs.is_floating_point() != ours.is_floating_point():
            kinds.append(f"{key} is {theirs.dtype}")
        elif theirs.is_floating_point() and not theirs.to(ours.dtype).isfinite().all():
            broken.append(key)  # in the model's own type: 1e300 has no float32
    problems += [
        listing("of another shape", sorted(shapes)),
        listing("not a tensor of numbers", sorted(kinds)),
        listing("with values that are not finite", sorted(broken)),
    ]
    problems = [problem for problem in problems if problem]
    if any(key.startswith("aux_heads.") for key in own.keys() - found.keys()):
        problems.append(
            "  The model has auxiliary heads and the weights have none for them: "
            "create the model with aux=False."
        )
    return problems


def size(tensor):
    return "x".join(map(str, tensor.shape)) or "scalar"


def listing(reason, keys, most=6):
    """One line that names the first few keys, or nothing."""
    if not keys:
        return ""
    rest = f" and {len(keys) - most} more" if len(keys) > most else ""
    return f"  {reason} ({len(keys)}): {', '.join(keys[:most])}{rest}"


def read_weights(path):
    """The tensors in a file, by key: `.safetensors`, or what `torch.save` wrote.

    Raises FileNotFoundError, or ValueError for a file that is damaged, cut short
    or holds anything but tensors. Code in a file is never run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weight file at {path}")
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            if zipfile.is_zipfile(path):
                check_archive(path)
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch's text tells how to run the code after all
        raise ValueError(
            f"{path} is not a readable file of weights (damaged, cut short, or "
            "holding more than tensors); nothing was loaded. Download it again "
            "from where it was published."
        ) from None
    if not isinstance(weights, Mapping):
        raise ValueError(
            f"{path} holds a {type(weights).__name__}, not a table of tensors by "
            "key; save model.state_dict() instead"
        )
    return weights


def check_archive(path):
    """Refuse what torch.save never writes and torch.load would not notice.

    A compressed entry may unpack to any size; a damaged one has another checksum.
    """
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type for entry in archive.infolist()):
            raise ValueError(f"{path} is compressed")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in {path} is damaged")


@dataclass(frozen=True)
class Preprocessing:
    """What published weights expect of an image: `(1, 3, crop, crop)` comes back.

    Resize the shorter side to `resize`, crop the middle, scale to 0..1, subtract
    `mean` and divide by `std`, a channel each. `transform_input` then undoes
    ImageNet's mean and std and gives `(x - 0.5) / 0.5`: torchvision's files come
    from TensorFlow, which trained on that, while its own pipeline hands every
    network ImageNet-normalised images; the two steps together are mean 0.5,
    std 0.5.
    """

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    transform_input: bool = False

    def __call__(self, image):
        """A batch of one from a PIL image of any mode."""
        import numpy as np

        pixels = torch.from_numpy(np.array(self.window(image)))
        return self.normalise(pixels.permute(2, 0, 1)[None] / 255)

    def window(self, image):
        """What the network looks at: an RGB image of `crop` x `crop` pixels."""
        from PIL import Image

        if not isinstance(image, Image.Image):
            raise TypeError(
                f"a PIL image is wanted, got {type(image).__name__}; "
                "figures.images.read_picture(it).image makes one"
            )
        image = image.convert("RGB")
        scale = self.resize / min(image.size)
        width, height = (max(self.resize, int(side * scale)) for side in image.size)
        method = Image.Resampling[self.interpolation.upper()]
        image = image.resize((width, height), method)
        left, top = round((width - self.crop) / 2), round((height - self.crop) / 2)
        return image.crop((left, top, left + self.crop, top + self.crop))

    def normalise(self, pixels):
        """The normalised batch from one with values from 0 to 1, `(N, 3, H, W)`."""
        mean, std = (
            torch.tensor(values, dtype=pixels.dtype).view(1, 3, 1, 1)
            for values in (self.mean, self.std)
        )
        x = (pixels - mean) / std
        return x * (std / 0.5) + (mean - 0.5) / 0.5 if self.transform_input else x


@dataclass(frozen=True)
class Published:
    """A published file, the network it fits, and how its images are prepared."""

    url: str
    sha256: str  # as far as its file name gives it
    preprocessing: Preprocessing
    layout: str | None = None
    background: bool = False  # TensorFlow's class 0, left out

    @property
    def file_name(self):
        return self.url.rsplit("/", 1)[-1]


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALVES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
TRAINED = Path(__file__).parent / "trained"  # the minis that came along
TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download"
PRETRAINED = {
    "googlenet": Published(
        "https://download.pytorch.org/models/googlenet-1378be20.pth",
        "1378be20",
        Preprocessing(
            256, 224, **IMAGENET, interpolation="bilinear", transform_input=True
        ),
        layout="torchvision",
    ),
    "inception_v3": Published(
        "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        "0cc3c7bd",
        Preprocessing(
            342, 299, **IMAGENET, interpolation="bilinear", transform_input=True
        ),
        layout="torchvision",
    ),
    "inception_v4": Published(
        f"{TIMM}/v0.1-cadene/inceptionv4-8e4777a0.pth",
        "8e4777a0",
        Preprocessing(341, 299, **HALVES),
        background=True,
    ),
    "inception_resnet_v2": Published(
        f"{TIMM}/v0.1-weights/inception_resnet_v2-940b1cd6.pth",
        "940b1cd6",
        Preprocessing(333, 299, **HALVES),
    ),
}


# What the minis were trained on: training.as_input, written as a Preprocessing.
DIGITS = Preprocessing(48, 48, (0.5,) * 3, (0.25,) * 3, interpolation="bilinear")


def trained_minis():
    """`{name: row}` of the minis that come with the package, trained here.

    A row is text: the command and seed that made the file, its SHA-256, and the
    accuracy of its weights on the 2,000 test images of `digits_at_scale()`, over all
    and by the digit's size, shares from 0 to 1.
    """
    with open(TRAINED / "minis.csv", newline="", encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def load_pretrained(name, *, aux=False, cache=None, progress=True):
    """The network `name` with trained weights, in eval mode.

    A mini comes with the package, trained on `digits_at_scale()`, and needs no
    network: `mini_reduced`, `mini_v3`, `mini_v4`, `mini_resnet`. The others bring
    their published ImageNet weights: the file is downloaded once, checked against
    the hash in its name, and kept in `cache` (by default where torch.hub keeps its
    files).

    `model.preprocessing` is what its images need, a `Preprocessing`; `model.classes`
    names its outputs. `aux=True` keeps the auxiliary heads of googlenet (stored, but
    never trained) and inception_v3. Raises ValueError for a network without trained
    weights and for a damaged file, ConnectionError without a network.
    """
    from inception_edu.networks import create_model

    minis = trained_minis()
    close = get_close_matches(str(name), [*PRETRAINED, *minis], n=1)
    if isinstance(name, str) and name in minis:
        return load_mini(name, minis[name]["sha256"], aux)
    if not isinstance(name, str) or name not in PRETRAINED:
        hint = f"did you mean {close[0]}? " if close else ""
        raise ValueError(
            f"no published weights for {name!r}; {hint}there are some for "
            f"{', '.join(PRETRAINED)}; and with this package come, trained on "
            f"digits, {', '.join(minis)}"
        )
    published = PRETRAINED[name]
    folder = Path(cache) if cache else Path(torch.hub.get_dir()) / "checkpoints"
    weights = read_weights(fetch(published, folder, progress))
    if published.background:
        weights = {
            key: value[1:] if key.startswith("last_linear.") else value
            for key, value in weights.items()
        }
    options = {"layout": published.layout} if published.layout else {}
    model = create_model(name, aux=aux, **options)
    load_weights(model, weights)
    model.preprocessing = published.preprocessing
    model.classes = imagenet_classes()
    return model.eval()


@cached_forever
def imagenet_classes():
    """The 1,000 names of ImageNet's classes, in the order of the outputs."""
    text = (Path(__file__).parent / "imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))


def load_mini(name, sha256, aux=False):
    """A mini from the package's own file, which must have this hash."""
    from inception_edu.networks import create_model

    if aux:
        raise ValueError(
            f"the trained {name} has no auxiliary head; use aux=False, or "
            f"create_model({name!r}) and train it yourself"
        )
    path = TRAINED / f"{name}.safetensors"
    if not path.is_file() or digest(path) != sha256:
        raise ValueError(
            f"{path} is missing or not the file that was shipped; install "
            f"inception_edu again, or train it: python -m "
            f"experiments.minis --models {name}"
        )
    model = create_model(name)
    load_weights(model, path)
    model.preprocessing = DIGITS
    model.classes = tuple("0123456789")
    return model.eval()


def fetch(published, folder, progress=True):
    """The path of a published file, downloaded if it is not there whole already.

    A download is written beside its place and moved there when its hash is right,
    so a broken one leaves nothing behind.
    """
    from tqdm import tqdm

    path = folder / published.file_name
    if path.is_file() and digest(path).startswith(published.sha256):
        return path
    part = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder, suffix=".part")
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(published.url, timeout=30) as reply,
            tqdm(
                total=int(reply.headers.get("Content-Length") or 0) or None,
                desc=published.file_name,
                unit="B",
                unit_scale=True,
                disable=not progress,
            ) as bar,
        ):
            while block := reply.read(1 << 18):
                file.write(block)
                bar.update(len(block))
        found = digest(part)
        if not found.startswith(published.sha256):
            raise ValueError(
                f"{published.url} arrived damaged or cut short (sha256 "
                f"{found[:8]}..., expected {published.sha256}...); nothing was "
                "kept. Try again."
            )
        os.replace(part, path)
    except (OSError, HTTPException) as problem:
        raise ConnectionError(
            f"cannot download {published.url} to {folder} ({problem}); without a "
            f"network, put that file at {path} or take a mini that comes along, "
            "such as load_pretrained('mini_v4')"
        ) from None
    finally:
        if part:
            Path(part).unlink(missing_ok=True)
    return path


def digest(path):
    """The SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
