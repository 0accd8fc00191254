"""The images: digits at every scale, made here, and two sets that are downloaded.

A `Data` holds a train and a test `Split` as tensors in memory: no workers, no
files while training. `as_input` makes of them what a network takes.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch

from inception_edu.options import whole_number
from inception_edu.text import dims
from inception_edu.training.cache import cache_folder, cached

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
        images, labels = self.images, self.labels
        tensors = isinstance(images, torch.Tensor) and isinstance(labels, torch.Tensor)
        fits = tensors and (images.dtype, images.dim()) == (torch.uint8, 4)
        if not fits or labels.shape != images.shape[:1]:
            raise ValueError(
                f"images: {described(images)}, labels: {described(labels)}; expected "
                "tensors, uint8 (N, channels, height, width) and (N,); torch.as_tensor "
                "makes one of an array or a list"
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
        train, test, classes = len(self.train), len(self.test), len(self.classes)
        if train < 2 or test < 1:
            raise ValueError(
                f"{train} train and {test} test images: at least 2 and 1 are needed, "
                "since batch normalization has no variance over one"
            )
        labels = torch.cat([self.train.labels, self.test.labels])
        low, high = labels.min().item(), labels.max().item()
        if labels.is_floating_point() or low < 0 or high >= classes:
            raise ValueError(
                f"labels from {low} to {high}: expected whole numbers from 0 to "
                f"{classes - 1}, since the data names {classes} classes"
            )

    def __repr__(self):
        shape = dims(self.train.images.shape[1:])
        return (
            f"<Data {self.name}: {len(self.train):,} train and {len(self.test):,} "
            f"test images, {shape}, {len(self.classes)} classes>"
        )


def described(value):
    """What was given where a tensor belongs: "Tensor (2, 10) float32", "dict"."""
    words = [type(value).__name__]
    if hasattr(value, "shape"):
        dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
        words += [str(tuple(value.shape)), dtype]
    return " ".join(words)


def as_input(images, device="cpu", memory_format=torch.channels_last):
    """Floats around zero for a network: uint8 `(N, C, H, W)` to float32, same shape.

    0 becomes -2, 255 becomes 2; channels last in memory, which trains 1.4 to 1.7
    times as fast on a CPU.
    """
    if not isinstance(images, torch.Tensor) or images.dim() != 4:
        raise ValueError(
            "as_input takes a tensor of images, (N, channels, height, width), not "
            f"{described(images)}"
        )
    images = images.to(device, non_blocking=True)
    images = images.contiguous(memory_format=memory_format)
    return images.float().div_(63.75).sub_(2.0)


@cache
def enlarge(size):
    """Bilinear weights `(size, 8)` in 1/256, each row summing to 256.

    Whole numbers, so that every machine draws the same picture.
    """
    weights = np.zeros((size, 8), np.int32)
    for pixel in range(size):
        # pixel centres, in 1/256 of a source pixel, kept inside the source
        centre = (2 * pixel + 1) * 8 * 128 // size - 128
        centre = min(max(centre, 0), 7 * 256)
        left, share = divmod(centre, 256)
        weights[pixel, left] += 256 - share
        weights[pixel, min(left + 1, 7)] += share
    return weights


def paint_digit(window, digit, opacity=230, contrast=170, tint=0):
    """Draw an 8x8 digit (0 to 16) over a square `(side, side, 3)` uint8, in place.

    `opacity` is of 255. The ink is `contrast` brighter than what it covers where that
    is dark on average, darker where it is bright, plus `tint`.
    """
    rows = enlarge(len(window))
    ink = rows @ digit @ rows.T  # 0 .. 16 * 256 * 256
    ink = np.minimum(ink * 3 // 2, 1 << 20)  # bolder: strokes reach full ink
    ink = ink * opacity >> 12  # 0 .. 255 * 256
    mean = int(window.sum(dtype=np.int64)) // window.size
    step = contrast if mean < 128 else -contrast
    color = np.clip(mean + step + tint, 0, 255)
    mixed = window + ((color - window.astype(np.int32)) * ink[..., None] >> 16)
    window[:] = np.clip(mixed, 0, 255)


def compose(digits, photographs, random, n, size):
    """`n` digits, each at its own scale and place on its own crop.

    `digits` is `(D, 8, 8)` from 0 to 16. Returns images `(n, 3, size, size)`
    uint8, the index of the digit drawn and its scale, each `(n,)`. The ink differs
    from what it covers by 120 to 220 of 255, is tinted a little, and 80 to 100 %
    opaque.
    """
    chosen = random.randint(0, len(digits), n)
    scales = random.randint(SMALLEST, LARGEST + 1, n)
    offsets = random.randint(0, 1 << 30, (n, 2)) % (size + 1 - scales)[:, None]
    photograph = random.randint(0, len(photographs), n)
    corners = random.randint(0, 1 << 30, (n, 2))
    mirrored = random.randint(0, 2, n)
    opacity = random.randint(204, 256, n)
    contrast = random.randint(120, 221, n)
    tint = random.randint(-30, 31, (n, 3))
    images = np.empty((n, size, size, 3), np.uint8)
    for i in range(n):
        photo = photographs[photograph[i]]
        top, left = (corners[i] % (np.array(photo.shape[:2]) - size + 1)).tolist()
        crop = photo[top : top + size, left : left + size]
        images[i] = crop[:, ::-1] if mirrored[i] else crop
        scale, (y, x) = scales[i], offsets[i]
        window = images[i, y : y + scale, x : x + scale]
        paint_digit(window, digits[chosen[i]], opacity[i], contrast[i], tint[i])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), chosen, scales


def handwritten_digits(part, seed=0):
    """`(digits (D, 8, 8) int32, 0 to 16, labels (D,))` of the train or test part.

    The parts are disjoint, and every class is in both.
    """
    from sklearn.datasets import load_digits

    found, chosen = load_digits(), []  # 1,797
    # RandomState, since its stream is frozen; numpy may change a Generator's.
    random = np.random.RandomState([seed, 2])
    for label in range(10):
        indices = random.permutation(np.flatnonzero(found.target == label))
        kept = round(len(indices) * TEST_SHARE)
        chosen.extend(indices[:kept] if part == "test" else indices[kept:])
    chosen = np.sort(chosen)
    return found.images[chosen].astype(np.int32), found.target[chosen]


@cache
def photographs():
    """scikit-learn's two, each `(427, 640, 3)` uint8."""
    from sklearn.datasets import load_sample_images

    return load_sample_images().images


def draw_digits(n, n_test, seed, size):
    """The arrays behind `digits_at_scale`, as a dict of numpy arrays."""
    arrays = {}
    for part, count in (("train", n), ("test", n_test)):
        digits, labels = handwritten_digits(part, seed)
        random = np.random.RandomState([seed, part == "test"])
        images, chosen, scales = compose(digits, photographs(), random, count, size)
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = labels[chosen].astype(np.int64)
        arrays[f"{part}_scales"] = scales.astype(np.int64)
    return arrays


def plain_digits(n=1280, seed=0, size=24, *, n_test=500):
    """The handwriting alone, on black and of one size: `Data`, without scales.

    `n` of the 1,797 digits to train on, drawn by `seed`, and `n_test` of the others
    to test on: `(N, 3, size, size)` uint8.
    """
    from sklearn.datasets import load_digits

    whole_number("n", n, 2, 1797 - n_test)
    whole_number("seed", seed, 0, 2**32 - 1)
    found = load_digits()
    order = np.random.RandomState(seed).permutation(len(found.target))
    weights = enlarge(size)
    ink = weights @ found.images.astype(np.int32) @ weights.T  # 0 .. 16 * 256 * 256
    pixels = torch.from_numpy((ink * 255 >> 20).astype(np.uint8))
    pixels = pixels[:, None].expand(-1, 3, -1, -1)
    labels = torch.from_numpy(found.target).long()
    train, test = (
        Split(pixels[chosen].contiguous(), labels[chosen])
        for chosen in (order[:n], order[-n_test:])
    )
    return Data(train, test, "plain_digits")


def as_data(arrays, name, **options):
    """`Data` from arrays called train_images, train_labels, test_images, ..."""

    def split(part):
        named = {k.removeprefix(f"{part}_"): v for k, v in arrays.items() if part in k}
        return Split(**{what: torch.from_numpy(v) for what, v in named.items()})

    return Data(split("train"), split("test"), name, **options)


def digits_at_scale(
    n: int = 6000, seed: int = 0, size: int = 48, *, n_test: int = 2000
) -> Data:
    """Handwritten digits, 10 to 40 pixels tall, anywhere on a photograph: `Data`.

    `n` train and `n_test` test images, `(N, 3, size, size)` uint8, ten classes,
    each with its scale in pixels. The handwriting (UCI digits, in scikit-learn,
    1,797 of 8x8) is split before drawing: no test digit was seen in training.
    The backgrounds are crops of scikit-learn's two photographs, in both splits.
    The same seed gives the same pictures everywhere. Made in about a second,
    then kept in the user's cache folder.
    """
    n = whole_number("n", n, 1, 10**7)
    n_test = whole_number("n_test", n_test, 1, 10**7)
    seed = whole_number("seed", seed, 0, 2**32 - 1)
    size = whole_number("size", size, LARGEST, 400)  # from the largest digit up
    name = f"digits-v{VERSION}-{n}-{n_test}-{size}-{seed}.npz"
    arrays = cached(name, lambda: draw_digits(n, n_test, seed, size))
    return as_data(arrays, "digits_at_scale", bins=dict(BINS))


# ---- data sets by name ---------------------------------------------------------

SIDES = {"cifar10": 48, "imagenette": 96}  # pixels


def load_data(name):
    """`Data` by name: "digits_at_scale", "cifar10" or "imagenette".

    cifar10 is 50,000 and 10,000 images of 32x32, enlarged to 48x48; imagenette 9,469
    and 3,925 photographs, at 96x96. Both are downloaded once through torchvision:
    `pip install "inception_edu[data]"`. Raises RuntimeError without torchvision or
    without a network.
    """
    if name == "digits_at_scale":
        return digits_at_scale()
    if name not in SIDES:
        names = ", ".join(("digits_at_scale", *SIDES))
        raise ValueError(f"no data set is called {name!r}; choose from {names}")
    size = SIDES[name]
    arrays = cached(f"{name}-v{VERSION}-{size}.npz", lambda: download(name, size))
    return as_data(arrays, name, classes=tuple(arrays["classes"].tolist()))


def download(name, size):
    """The arrays of a data set of torchvision's, at `size` pixels."""
    folder, arrays = cache_folder() / name, {}
    try:
        from torchvision.datasets import CIFAR10, Imagenette

        for part, split in (("train", "train"), ("test", "val")):
            if name == "cifar10":
                found = CIFAR10(folder, part == "train", download=True)
            else:
                found = Imagenette(folder, split, "160px", download=True)
            images, labels = zip(*found, strict=True)
            arrays[f"{part}_images"] = np.stack([square(i, size) for i in images])
            arrays[f"{part}_labels"] = np.array(labels, np.int64)
    except (ImportError, OSError, RuntimeError) as error:
        raise RuntimeError(
            f"{name} could not be loaded ({error}); it needs torchvision, pip install "
            "'inception_edu[data]', and once a network; digits_at_scale() needs neither"
        ) from None
    # Imagenette's are tuples of synonyms.
    names = [c if isinstance(c, str) else c[0] for c in found.classes]
    return arrays | {"classes": np.array(names)}


def square(image, size):
    """A PIL image's middle square at `size` pixels: uint8 `(3, size, size)`."""
    from PIL import Image, ImageOps

    image = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1)
