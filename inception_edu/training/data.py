"""The images: digits at every scale, made here; two others from the network.

A `Data` holds a train and a test `Split`, whole, as tensors: no workers, no
files while training. `as_input` makes of them what a network takes.
"""

import hashlib
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from inception_edu.files import atomic_write

SMALLEST, LARGEST = 10, 40  # pixels, the side of the square a digit is drawn in
BINS = {"10-15": (10, 15), "16-23": (16, 23), "24-31": (24, 31), "32-40": (32, 40)}
TEST_SHARE = 0.25  # of the 1,797 handwritten digits, kept for the test images
VERSION = 1  # in the cache's file name; raise it when the pictures change


@dataclass(frozen=True, eq=False)
class Split:
    """Images `(N, 3, H, W)` uint8, labels `(N,)`, and scales `(N,)` in pixels.

    `scales` is None where the data set does not know them.
    """

    images: torch.Tensor
    labels: torch.Tensor
    scales: torch.Tensor | None = None

    def __post_init__(self):
        for name in ("images", "labels", "scales"):
            if name == "scales" and self.scales is None:
                continue
            if not isinstance(getattr(self, name), torch.Tensor):
                kind = type(getattr(self, name)).__name__
                raise TypeError(
                    f"{name} of type {kind}: expected a tensor; torch.as_tensor makes "
                    "one of an array or a list"
                )
        shape = tuple(self.images.shape)
        if self.images.dtype != torch.uint8 or len(shape) != 4:
            raise ValueError(
                f"images of shape {shape} and type {self.images.dtype}: expected "
                "uint8 of shape (N, channels, height, width); as_input makes them "
                "floats later"
            )
        for name, values in (("labels", self.labels), ("scales", self.scales)):
            if values is not None and tuple(values.shape) != shape[:1]:
                raise ValueError(
                    f"{name} of shape {tuple(values.shape)} for {shape[0]} images: "
                    f"expected ({shape[0]},), one for each image"
                )

    def __len__(self):
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Data:
    """A train and a test split, with the names of the classes.

    `bins` maps a label such as "10-15" to the smallest and largest scale that
    belong to it; accuracy is reported for each. Empty where scales are unknown.
    """

    train: Split
    test: Split
    name: str
    classes: tuple[str, ...] = tuple("0123456789")
    bins: dict = field(default_factory=dict)

    def __post_init__(self):
        for name in ("train", "test"):
            if not isinstance(getattr(self, name), Split):
                raise TypeError(
                    f"{name} is {type(getattr(self, name)).__name__}: expected "
                    "Split(images, labels)"
                )
        if not hasattr(self.classes, "__len__"):
            raise TypeError(
                f"classes={self.classes!r}: expected their names, such as "
                "('cat', 'dog')"
            )

    def __repr__(self):
        shape = "x".join(map(str, self.train.images.shape[1:]))
        return (
            f"<Data {self.name}: {len(self.train):,} train and {len(self.test):,} "
            f"test images, {shape}, {len(self.classes)} classes>"
        )


def plain(*values):
    """The values, numpy's whole numbers as Python's."""
    return [int(v) if isinstance(v, np.integer) else v for v in values]


def as_input(images, device="cpu"):
    """Floats around zero for a network: uint8 `(N, C, H, W)` to float32, same shape.

    0 becomes -2, 255 becomes 2; channels last in memory, which trains 1.4 to 1.7
    times as fast on a CPU.
    """
    if not isinstance(images, torch.Tensor) or images.dim() != 4:
        raise ValueError(
            "as_input takes a tensor of images, (N, channels, height, width), not "
            f"{tuple(images.shape) if hasattr(images, 'shape') else type(images)}"
        )
    images = images.to(device, non_blocking=True)
    images = images.contiguous(memory_format=torch.channels_last)
    return images.float().div_(63.75).sub_(2.0)


def enlarge(size, source=8):
    """Bilinear weights `(size, source)` in 1/256, each row summing to 256.

    Whole numbers, so that every machine draws the same picture.
    """
    weights = np.zeros((size, source), np.int32)
    for pixel in range(size):
        # pixel centres, in 1/256 of a source pixel, kept inside the source
        centre = ((2 * pixel + 1) * source * 128) // size - 128
        centre = min(max(centre, 0), (source - 1) * 256)
        left, share = divmod(centre, 256)
        weights[pixel, left] += 256 - share
        weights[pixel, min(left + 1, source - 1)] += share
    return weights


def compose(digits, photographs, random, n, size):
    """`n` digits, each at its own scale and place on its own crop.

    `digits` is `(D, 8, 8)` from 0 to 16. Returns images `(n, 3, size, size)`
    uint8, the index of the digit drawn and its scale, each `(n,)`. The ink is 120
    to 220 of 255 brighter than what it covers where that is dark on average, so
    much darker where it is bright, tinted a little, and 80 to 100 % opaque.
    """
    chosen = random.randint(0, len(digits), n)
    scales = random.randint(SMALLEST, LARGEST + 1, n)
    places = random.randint(0, 1 << 30, (n, 2)) % (size + 1 - scales)[:, None]
    photograph = random.randint(0, len(photographs), n)
    corners = random.randint(0, 1 << 30, (n, 2))
    mirrored = random.randint(0, 2, n)
    opacity = random.randint(204, 256, n)  # of 255
    contrast = random.randint(120, 221, n)
    tint = random.randint(-30, 31, (n, 3))
    enlarged = {scale: enlarge(scale) for scale in range(SMALLEST, LARGEST + 1)}
    images = np.empty((n, size, size, 3), np.uint8)
    for i in range(n):
        photo = photographs[photograph[i]]
        top, left = (corners[i] % (np.array(photo.shape[:2]) - size + 1)).tolist()
        crop = photo[top : top + size, left : left + size]
        images[i] = crop[:, ::-1] if mirrored[i] else crop
        scale, (y, x) = scales[i], places[i]
        rows = enlarged[scale]
        ink = rows @ digits[chosen[i]] @ rows.T  # 0 .. 16 * 256 * 256
        ink = np.minimum(ink * 3 // 2, 1 << 20)  # bolder: strokes reach full ink
        ink = ink * opacity[i] >> 12  # 0 .. 255 * 256
        window = images[i, y : y + scale, x : x + scale]
        mean = int(window.sum(dtype=np.int64)) // window.size
        step = contrast[i] if mean < 128 else -contrast[i]
        colour = np.clip(mean + step + tint[i], 0, 255)
        mixed = window + ((colour - window.astype(np.int32)) * ink[..., None] >> 16)
        window[:] = np.clip(mixed, 0, 255)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), chosen, scales


def split_handwriting(labels, random):
    """Indices of the train and of the test digits: disjoint, every class in both."""
    train, test = [], []
    for label in range(10):
        indices = random.permutation(np.flatnonzero(labels == label))
        kept = round(len(indices) * TEST_SHARE)
        test.extend(indices[:kept])
        train.extend(indices[kept:])
    return np.sort(train), np.sort(test)


def draw_digits(n, n_test, seed, size):
    """The arrays behind `digits_at_scale`, as a dict of numpy arrays."""
    from sklearn.datasets import load_digits, load_sample_images

    handwriting = load_digits()
    digits = handwriting.images.astype(np.int32)  # 1,797 x 8 x 8, 0 to 16
    photographs = load_sample_images().images  # two of 427 x 640 x 3
    arrays = {}
    # RandomState, since its stream is frozen; numpy may change a Generator's.
    indices = split_handwriting(handwriting.target, np.random.RandomState([seed, 2]))
    for part, count, of in zip(("train", "test"), (n, n_test), indices, strict=True):
        random = np.random.RandomState([seed, part == "test"])
        images, chosen, scales = compose(digits[of], photographs, random, count, size)
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = handwriting.target[of][chosen].astype(np.int64)
        arrays[f"{part}_scales"] = scales.astype(np.int64)
        arrays[f"{part}_handwriting"] = of[chosen].astype(np.int64)
    return arrays


def cache_folder():
    """Where generated data is kept: INCEPTION_EDU_CACHE, or the user's cache."""
    return own_folder("INCEPTION_EDU_CACHE", "XDG_CACHE_HOME", "~/.cache")


def own_folder(ours, systems, usual):
    """The folder that the variable `ours` names, else ours in the user's own one."""
    if os.environ.get(ours):  # set, but to nothing: as if it were not set
        return Path(os.path.expanduser(os.environ[ours]))  # ~nobody stays as it is
    home = os.environ.get(systems) or os.environ.get("LOCALAPPDATA")
    return Path(home or os.path.expanduser(usual)) / "inception_edu"


def fingerprint(arrays):
    """Checksum of a dict of arrays, names and shapes included."""
    total = 0
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total = zlib.crc32(f"{name}{array.shape}{array.dtype}".encode(), total)
        total = zlib.crc32(array, total)
    return total


def cached(name, build):
    """The arrays in the cache file `name`, or those of `build()`, then stored.

    A missing, damaged or unwritable cache costs the second it takes to build
    them again, never an error.
    """
    path = cache_folder() / name
    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError(path)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        if int(arrays.pop("checksum")) == fingerprint(arrays) and arrays:
            return arrays
    except Exception:  # numpy raises half a dozen kinds
        pass
    arrays = build()
    with suppress(OSError):  # no folder, no right to write, no space left
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part, open(part, "wb") as file:
            np.savez(file, checksum=np.array(fingerprint(arrays)), **arrays)
    return arrays


def as_data(arrays, name, **options):
    """`Data` from arrays called train_images, train_labels, test_images, ..."""
    splits = []
    for part in ("train", "test"):
        scales = arrays.get(f"{part}_scales")
        splits.append(
            Split(
                torch.from_numpy(arrays[f"{part}_images"]),
                torch.from_numpy(arrays[f"{part}_labels"]),
                None if scales is None else torch.from_numpy(scales),
            )
        )
    return Data(*splits, name, **options)


def digits_at_scale(n=6000, seed=0, size=48, *, n_test=2000):
    """Handwritten digits, 10 to 40 pixels tall, anywhere on a photograph: `Data`.

    `n` train and `n_test` test images, `(N, 3, size, size)` uint8, ten classes,
    each with its scale in pixels. The handwriting (UCI digits, in scikit-learn,
    1,797 of 8x8) is split before drawing: no test digit was seen in training.
    The backgrounds are crops of scikit-learn's two photographs, in both splits.
    The same seed gives the same pictures everywhere. Made in about a second,
    then kept in the user's cache folder.
    """
    n, n_test, seed, size = plain(n, n_test, seed, size)
    for label, value, least, most in (
        ("n", n, 1, 10**7),
        ("n_test", n_test, 1, 10**7),
        ("seed", seed, 0, 2**32 - 1),
        ("size", size, LARGEST, 400),  # from the largest digit up
    ):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= most:
            raise ValueError(
                f"{label}={value!r} must be a whole number from {least} to {most}"
            )
    name = f"digits-v{VERSION}-{n}-{n_test}-{size}-{seed}.npz"
    arrays = cached(name, lambda: draw_digits(n, n_test, seed, size))
    return as_data(arrays, "digits_at_scale", bins=dict(BINS))


# name: (side in pixels, class names)
FROM_THE_NETWORK = {
    "cifar10": (
        32,
        [
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ],
    ),
    "imagenette": (
        96,
        [
            "tench",
            "English springer",
            "cassette player",
            "chain saw",
            "church",
            "French horn",
            "garbage truck",
            "gas pump",
            "golf ball",
            "parachute",
        ],
    ),
}


def load_data(name="digits_at_scale", **options):
    """`Data` by name: "digits_at_scale", "cifar10" or "imagenette".

    cifar10 is 50,000 and 10,000 images of 32x32, drawn here at `size=48` unless
    told otherwise; imagenette 9,469 and 3,925 photographs, at `size=96`. Both are
    downloaded once through torchvision: `pip install "inception_edu[data]"`.
    `n` and `n_test` keep so many of them, chosen by `seed`. Raises
    ModuleNotFoundError without torchvision, ConnectionError without a network.
    """
    if name == "digits_at_scale":
        return digits_at_scale(**options)
    if name not in FROM_THE_NETWORK:
        names = ", ".join(("digits_at_scale", *FROM_THE_NETWORK))
        raise ValueError(f"no data set is called {name!r}; choose from {names}")
    return downloaded(name, **options)


def downloaded(name, n=None, seed=0, size=None, *, n_test=None):
    """`Data` of one of `FROM_THE_NETWORK`, cached as arrays after the first time."""
    side, classes = FROM_THE_NETWORK[name]
    size = size or {"cifar10": 48}.get(name, side)
    arrays = cached(
        f"{name}-{size}.npz", lambda: fetch(name, size, cache_folder() / name)
    )
    kept = {}
    for part, count in (("train", n), ("test", n_test)):
        order = np.random.RandomState(seed).permutation(len(arrays[f"{part}_labels"]))
        for what in ("images", "labels"):
            kept[f"{part}_{what}"] = arrays[f"{part}_{what}"][order[:count]]
    return as_data(kept, name, classes=tuple(classes))


def fetch(name, size, folder):
    """Download a data set with torchvision: its arrays, at `size` pixels."""
    try:
        from torchvision import datasets
    except ImportError:
        raise ModuleNotFoundError(
            f"{name} needs torchvision: pip install 'inception_edu[data]', or use "
            "digits_at_scale(), which needs no network"
        ) from None
    arrays = {}
    for part, train in (("train", True), ("test", False)):
        try:
            if name == "cifar10":
                found = datasets.CIFAR10(folder, train=train, download=True)
            else:
                found = datasets.Imagenette(
                    folder, "train" if train else "val", "160px", download=True
                )
        except (OSError, RuntimeError) as error:
            raise ConnectionError(
                f"{name} could not be downloaded ({error}); connect to a network once, "
                "or use digits_at_scale(), which needs none"
            ) from None
        images, labels = zip(*found, strict=True)
        arrays[f"{part}_images"] = np.stack([square(i, size) for i in images])
        arrays[f"{part}_labels"] = np.array(labels, np.int64)
    return arrays


def square(image, size):
    """A PIL image's middle square at `size` pixels: uint8 `(3, size, size)`."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    image = image.convert("RGB").resize((size, size), box=box, resample=2)  # bilinear
    return np.asarray(image).transpose(2, 0, 1)


def sha256(split):
    """Hex digest of a split's images and labels, to compare two machines."""
    digest = hashlib.sha256(split.images.contiguous().numpy().tobytes())
    digest.update(split.labels.numpy().tobytes())
    return digest.hexdigest()
