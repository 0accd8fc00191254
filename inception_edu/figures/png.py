"""Small PNGs from plain numbers, in a few lines: a page has no imaging library."""

import zlib
from struct import pack

GREYS = 16
_RAMP = [step * 255 // (GREYS - 1) for step in range(GREYS)]


def gray_png(rows):
    """The PNG of rows of numbers from 0, black, to 1, white, in 16 grays."""
    return _indexed(rows, bytes(v for v in _RAMP for _ in "rgb"), b"")


def shade_png(rows):
    """The PNG of a black shade: 0 hides what lies below it, 1 leaves it alone."""
    opacity = bytes(round(0.88 * (255 - value)) for value in _RAMP)
    return _indexed(rows, bytes(3 * GREYS), opacity)


def rgb_png(width, height, pixels):
    """The PNG of `width * height * 3` bytes, row by row."""
    lines = [b"\0" + pixels[3 * width * y : 3 * width * (y + 1)] for y in range(height)]
    return _png(width, height, 8, 2, b"", lines)


def _indexed(rows, palette, opacity):
    """A PNG with four bits a pixel."""
    lines = []
    for row in rows:
        levels = [round(min(max(value, 0), 1) * (GREYS - 1)) for value in row]
        pairs = zip(levels[::2], [*levels[1::2], 0], strict=False)
        lines.append(b"\0" + bytes(16 * left + right for left, right in pairs))
    extra = _chunk(b"PLTE", palette) + (_chunk(b"tRNS", opacity) if opacity else b"")
    return _png(len(rows[0]), len(rows), 4, 3, extra, lines)


def _png(width, height, bits, color, extra, lines):
    head = pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    body = _chunk(b"IDAT", zlib.compress(b"".join(lines), 9))
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head)
    return start + extra + body + _chunk(b"IEND", b"")


def _chunk(kind, data):
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))
