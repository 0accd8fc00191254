"""Pictures from outside: every kind is taken as it looks, or refused in words."""

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from inception_edu.figures.images import MOST_PIXELS, Photograph, read_picture

RED, HALF = (255, 0, 0), (255, 0, 0, 128)


def two_halves(mode, left, right, size=(40, 20)):
    """An image of `mode`, `left` of the middle one color and right of it another."""
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def palette():
    image = two_halves("P", 0, 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    return image


def palette_with_a_hole():
    image = palette()
    image.info["transparency"] = 1
    return image


def gray_16(mode="I;16"):
    values = np.zeros((20, 40), np.uint16)
    values[:, :20] = 65_535
    values[:, 20:] = 257 * 100
    image = Image.fromarray(values)
    return image if mode == "I;16" else image.convert("I")


# name: (image, color left, color right, words in the remark)
MODES = {
    "RGB": (lambda: two_halves("RGB", RED, (0, 0, 255)), RED, (0, 0, 255), ""),
    "gray": (lambda: two_halves("L", 200, 10), (200,) * 3, (10,) * 3, "gray"),
    "black and white": (
        lambda: two_halves("1", 1, 0),
        (255,) * 3,
        (0,) * 3,
        "black and white",
    ),
    "RGBA": (
        lambda: two_halves("RGBA", HALF, (0, 0, 0, 0)),
        (255, 127, 127),
        (255,) * 3,
        "transparent parts on white",
    ),
    "opaque RGBA": (
        lambda: two_halves("RGBA", (*RED, 255), (0, 0, 0, 255)),
        RED,
        (0,) * 3,
        "",
    ),
    "gray with alpha": (
        lambda: two_halves("LA", (50, 255), (50, 0)),
        (50,) * 3,
        (255,) * 3,
        "transparent parts on white",
    ),
    "CMYK": (
        lambda: two_halves("CMYK", (0, 255, 255, 0), (0, 0, 0, 255)),
        RED,
        (0,) * 3,
        "from CMYK",
    ),
    "LAB": (
        lambda: two_halves("LAB", (50, 128, 128), (200, 128, 128)),
        (47,) * 3,
        (194,) * 3,
        "",
    ),
    "palette": (palette, RED, (0, 0, 255), ""),
    "palette with a hole": (
        palette_with_a_hole,
        RED,
        (255,) * 3,
        "transparent parts on white",
    ),
    "16 bits": (gray_16, (255,) * 3, (100,) * 3, "gray, 16 bits"),
    "32 bits": (lambda: gray_16("I"), (255,) * 3, (100,) * 3, "gray, 16 bits"),
    "floats": (lambda: two_halves("F", 1.0, 0.2), (255,) * 3, (51,) * 3, "gray"),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_the_colors_one_sees(name):
    image, left, right, words = MODES[name]
    found, remark = read_picture(image())
    assert (found.mode, found.size) == ("RGB", (40, 20))
    for x, color in ((5, left), (35, right)):
        assert np.allclose(found.getpixel((x, 10)), color, atol=1), (x, color)
    assert remark == words


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tiff", "ppm"])
def test_every_format_is_read_whatever_it_is_called(tmp_path, suffix):
    named, misnamed = tmp_path / f"a.{suffix}", tmp_path / "b.txt"
    two_halves("RGB", RED, (0, 0, 255)).save(named)
    misnamed.write_bytes(named.read_bytes())
    for path in (named, str(named), misnamed):
        image, _ = read_picture(path)
        assert np.allclose(image.getpixel((5, 10)), RED, atol=3)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint8])
def test_a_file_of_16_bits_is_not_clipped(tmp_path, dtype):
    gray = np.full((20, 30), np.iinfo(dtype).max // 2, dtype)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    assert abs(read_picture(tmp_path / "gray.png").image.getpixel((3, 3))[0] - 127) <= 1


def test_a_film_gives_its_first_picture(tmp_path):
    first, second = (Image.new("RGB", (9, 9), c) for c in (RED, "blue"))
    for suffix in ("gif", "png", "webp", "tiff"):
        path = tmp_path / f"film.{suffix}"
        first.save(path, save_all=True, append_images=[second, first])
        image, remark = read_picture(path)
        assert np.allclose(image.getpixel((4, 4)), RED, atol=3), suffix
        assert "the first of 3 pictures" in remark


def test_a_cameras_rotation_is_carried_out(tmp_path):
    image = two_halves("RGB", RED, (0, 0, 255))
    exif = image.getexif()
    exif[274] = 6  # a quarter turn to the right
    image.save(tmp_path / "turned.png", exif=exif)
    found, remark = read_picture(tmp_path / "turned.png")
    assert found.size == (20, 40)
    assert found.getpixel((10, 5)) == RED  # what was left is on top
    assert remark == "turned as the camera noted"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.new("RGB", (7, 3)), "enlarged from 7x3"),
        *((Image.new(m, (30, 30)), "blank: one color all over") for m in ("RGB", "L")),
        *((Image.new(m, (30, 30)), "blank") for m in ("RGBA", "CMYK", "I;16")),
    ],
)
def test_a_tiny_or_blank_picture_is_taken_and_named(image, words):
    found, remark = read_picture(image)
    assert found.size == image.size and words in remark


def chunk(kind, data):
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def png_that_claims(width, height):
    """A PNG of a few bytes whose header promises any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [8_001, 20_000, 60_000])
def test_a_huge_picture_is_refused_by_its_header(tmp_path, monkeypatch, side):
    path = tmp_path / "huge.png"
    path.write_bytes(png_that_claims(side, side))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)  # no decoding
    with pytest.raises(ValueError, match=f"more than {MOST_PIXELS:,} pixels") as words:
        read_picture(path)
    assert "smaller copy" in str(words.value)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [33, 0.5, -40])
def test_a_file_that_was_cut_short_is_refused(tmp_path, suffix, kept):
    path = tmp_path / f"broken.{suffix}"
    noise = np.random.RandomState(0).randint(0, 255, (60, 60, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    read_picture(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else kept])
    with pytest.raises(ValueError, match=r"broken\.") as words:
        read_picture(path)
    assert "\n" not in str(words.value)


# name of the file: (its content, words)
FILES = {
    "empty.png": (b"", "no picture that can be read"),
    "text.png": (b"I am no picture\n" * 50, "no picture that can be read"),
    "page.jpg": (b"<html><body>404</body></html>", "no picture that can be read"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "save a copy as PNG"),
    "print.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture"),
    "zeros.png": (b"\0" * 5000, "no picture that can be read"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_picture_is_refused_in_one_line(tmp_path, name):
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words) as found:
        read_picture(tmp_path / name)
    assert name in str(found.value) and "\n" not in str(found.value)


def test_a_missing_file_a_folder_and_an_address_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="no picture at"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(ValueError, match="is no ordinary file"):
        read_picture(tmp_path)
    with pytest.raises(ValueError, match="is no ordinary file"):
        read_picture(os.devnull)
    with pytest.raises(ValueError, match="download the picture"):
        read_picture("https://example.org/a.png")


RAMP = np.linspace(0, 1, 600).reshape(20, 30)


# name: (array, red left above and right below)
ARRAYS = {
    "uint8 HW3": (np.full((20, 30, 3), 77, np.uint8), 77, 77),
    "uint8 HW": ((RAMP * 255).astype(np.uint8), 0, 255),
    "floats HW": (RAMP, 0, 255),
    "floats 3HW": (np.stack([RAMP, RAMP * 0, RAMP]), 0, 255),
    "HW1": (RAMP[..., None], 0, 255),
    "1HW": (RAMP[None], 0, 255),
    "batch of one": (np.stack([RAMP] * 3)[None].astype(np.float32), 0, 255),
    "uint16": ((RAMP * 65_535).astype(np.uint16), 0, 255),
    "bool": (RAMP > 0.5, 0, 255),
    "int64": ((RAMP * 255).astype(np.int64), 0, 255),
    "list": ([[0, 128], [64, 255]], 0, 255),
    "tensor": (torch.from_numpy(np.stack([RAMP] * 3)), 0, 255),
    "half tensor": (torch.from_numpy(np.stack([RAMP] * 3)).half(), 0, 255),
    "tensor with gradient": (torch.rand(3, 9, 9).round().requires_grad_(), None, None),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_every_array_becomes_an_image(name):
    array, first, last = ARRAYS[name]
    image, _ = read_picture(array)
    assert image.mode == "RGB"
    if first is not None:
        assert image.getpixel((0, 0))[0] == first
        assert image.getpixel((image.width - 1, image.height - 1))[0] == last


def spoiled(value):
    values = RAMP.copy()
    values[3, 4] = value
    return values


# name: (array, words)
REFUSED = {
    "NaN": (spoiled(np.nan), "some are not finite"),
    "infinity": (spoiled(-np.inf), "not finite"),
    "NaN tensor": (torch.full((3, 9, 9), float("nan")), "some are not finite"),
    "normalized": (RAMP - 0.5, "undo the normalization"),
    "0 to 255 as floats": (RAMP * 255, "divide by 255"),
    "too large": (RAMP * 1000, "expected 0 to 1:"),
    "too large whole numbers": (np.full((9, 9), 300), "expected 0 to 255"),
    "no pixels": (np.zeros((0, 9, 3), np.uint8), "no pixels"),
    "two channels": (np.zeros((9, 9, 2)), "is no picture; expected"),
    "a vector": (np.zeros(9), "is no picture"),
    "a number": (np.float64(1), "is no picture"),
    "a batch of two": (np.zeros((2, 3, 9, 9)), "is no picture"),
    "words": (np.array([["a", "b"]]), "holds no numbers"),
    "complex": (np.zeros((9, 9), complex), "holds no numbers"),
    "ragged": ([[1, 2], [3]], "holds no numbers"),
    "a strip": (np.zeros((9, 900)), "a strip of 900x9"),
    "huge": (np.broadcast_to(np.uint8(0), (20_000, 20_000)), "20000x20000"),
    "nothing": (None, "NoneType is no picture"),
    "a table": ({}, "dict is no picture"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_that_are_no_picture_are_refused_in_words(name):
    array, words = REFUSED[name]
    with pytest.raises(ValueError, match=words) as found:
        read_picture(array)
    assert "\n" not in str(found.value)


def test_nothing_is_changed_and_a_photograph_stays_one():
    image = Image.new("L", (9, 9), 5)
    array = RAMP.copy()
    found = read_picture(image)
    read_picture(array)
    assert image.mode == "L" and np.array_equal(array, RAMP)
    assert isinstance(found, Photograph)
    assert read_picture(found) is found
