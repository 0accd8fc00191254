"""Any picture a reader has, as one that a network can take, or refused in words.

The only place where pictures from outside come in: a file, a PIL image, an array or
a tensor goes in, an RGB image comes out, with a remark on what was done to it.
"""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

MOST_PIXELS = 64_000_000  # 8000 x 8000, which is 192 MB once decoded
MOST_STRETCHED = 20  # longer side to shorter; resizing a thinner strip fills memory
CHANNELS = (1, 3, 4)  # of an array: gray, RGB, RGB and alpha
# Only formats that Pillow decodes by itself: EPS, for one, would start a program.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "MPO")


class Photograph(NamedTuple):
    """An RGB PIL image, and what was done to make it one ("" if nothing)."""

    image: object
    remark: str = ""


def read_picture(source):
    """The `Photograph` in a file, a PIL image, a numpy array or a torch tensor.

    A file: PNG, JPEG, GIF, BMP, WebP, TIFF or PPM, at most 64 million pixels, which is
    checked before anything is decoded. Arrays: `(H, W)`, `(H, W, 1 | 3 | 4)` or
    `(1 | 3 | 4, H, W)`; whole numbers from 0 to 255 (uint16: to 65,535), or floats
    from 0 to 1. Gray becomes RGB, transparent parts white; a film gives its first
    picture; a camera's rotation is carried out. Raises FileNotFoundError for a file
    that is not there, ValueError for anything that is no such picture.
    """
    from PIL import Image

    if isinstance(source, Photograph):
        return source
    if isinstance(source, Image.Image):
        return from_image(source, "this image")
    if isinstance(source, str | Path):
        return from_file(source)
    if hasattr(source, "is_floating_point"):  # a tensor, on any device
        source = source.detach().cpu()
        source = (source.float() if source.is_floating_point() else source).numpy()
    if isinstance(source, np.ndarray | list | tuple):
        return from_array(source)
    raise ValueError(
        f"{type(source).__name__} is no picture; give a file's path, a PIL image, an "
        "array or a tensor"
    )


def from_file(path):
    """The `Photograph` in a file."""
    from PIL import Image

    if str(path).startswith(("http://", "https://")):
        raise ValueError(f"{path} is an address; download the picture, give its path")
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no picture at {path}")
    if not path.is_file():
        raise ValueError(f"{path} is no ordinary file; give the path of a picture")
    with warnings.catch_warnings():
        # Pillow has limits of its own, for which it warns; ours is lower.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(path, formats=FORMATS)
        except Image.DecompressionBombError:
            raise ValueError(
                f"{path} has more than {MOST_PIXELS:,} pixels; save a smaller copy"
            ) from None
        except Exception:
            raise ValueError(
                f"{path} is no picture that can be read (PNG, JPEG, GIF, BMP, WebP, "
                "TIFF or PPM, whatever its name says); save a copy as PNG or JPEG"
            ) from None
        with image:
            return from_image(image, str(path))


def check_size(width, height, name):
    """Refuse what has no pixels, too many, or is a thin strip."""
    if not width or not height:
        raise ValueError(f"{name} has no pixels: {width}x{height}")
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"{name} is {width}x{height}, more than {MOST_PIXELS:,} pixels; save a "
            "smaller copy: a network looks at 299x299 at most"
        )
    if max(width, height) > MOST_STRETCHED * min(width, height):
        raise ValueError(
            f"{name} is a strip of {width}x{height}; a network looks at a square: cut "
            f"out a part that is at most {MOST_STRETCHED} times as long as wide"
        )


def from_image(image, name):
    """The `Photograph` in a PIL image, decoded or not yet."""
    from PIL import ImageOps

    check_size(*image.size, name)
    remarks = []
    frames = getattr(image, "n_frames", 1)
    try:
        if frames > 1:
            image.seek(0)
            remarks.append(f"the first of {frames} pictures")
        image.load()
        turned = ImageOps.exif_transpose(image)
    except Exception:
        raise ValueError(
            f"{name} cannot be decoded: it is damaged or cut short; copy it again"
        ) from None
    if turned.getexif().get(274, 1) != image.getexif().get(274, 1):
        remarks.append("turned as the camera noted")
    image, remark = to_rgb(turned, name)
    remarks += [remark] if remark else []
    if min(image.size) < 8:
        remarks.append(f"enlarged from {image.width}x{image.height}")
    if all(low == high for low, high in image.getextrema()):
        remarks.append("blank: one color all over")
    return Photograph(image, ", ".join(remarks))


def to_rgb(image, name):
    """An RGB image from one of any mode, and a remark."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # gray, 16 or 32 bits a pixel
        values = np.asarray(image)
        if image.mode == "F":
            return from_array(values, name).image, "gray"
        return from_array(values, name, most=65_535).image, "gray, 16 bits"
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image)
        is_opaque = image.getextrema()[3][0] == 255
        return ground.convert("RGB"), "" if is_opaque else "transparent parts on white"
    words = {"L": "gray", "1": "black and white", "CMYK": "from CMYK"}
    return image.convert("RGB"), words.get(image.mode, "")


def from_array(values, name="this array", most=None):
    """The `Photograph` in an array, see `read_picture`; white is `most`."""
    from PIL import Image

    try:
        values = np.asarray(values)
    except ValueError:
        values = np.empty(0, object)  # rows of different lengths
    kind, shape = values.dtype.kind, values.shape
    if kind not in "buif":
        raise ValueError(
            f"{name} of type {values.dtype} holds no numbers; expected uint8, or "
            "floats from 0 to 1"
        )
    if values.ndim == 4 and shape[0] == 1:
        values = values[0]
    if values.ndim == 3 and values.shape[2] not in CHANNELS:
        values = values.transpose(1, 2, 0)  # from torch's order
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 and values.shape[2:] not in ((3,), (4,)):
        raise ValueError(
            f"{name} of shape {shape} is no picture; expected (height, width), "
            "(height, width, 3) or (3, height, width)"
        )
    check_size(values.shape[1], values.shape[0], name)
    most = most or (1 if kind in "fb" else 65_535 if values.dtype == np.uint16 else 255)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= most):  # NaN is refused too
        mend = "some are not finite"
        if np.isfinite(values).all():
            mend = "undo the normalization, or divide by 255"
        raise ValueError(
            f"{name} has values from {low:.4g} to {high:.4g}; expected 0 to {most:,}: "
            f"{mend}"
        )
    if most != 255:
        values = np.round(values.astype(np.float32) * np.float32(255 / most))
    pixels = np.ascontiguousarray(values, np.uint8)
    return from_image(Image.fromarray(pixels), name)
