"""Feature maps as a drawing: the image, the prediction, each branch's response.

`feature_sheet` takes plain numbers, a `Photo` and a `figures.responses.Responses`, and
returns a `Drawing`; it needs neither torch nor an imaging library. Maps are PNGs of 16
grays; the image is darkened except where a branch responds.
"""

import zlib
from html import escape
from struct import pack

from inception_edu.figures.notebook import data_uri
from inception_edu.figures.responses import KEPT
from inception_edu.figures.svg import Drawing
from inception_edu.figures.theme import LABEL, NOTE, kernel_name
from inception_edu.text import percent

WIDTH = 560
SIDE = 152  # of the picture, and the width of the prediction below it
LEFT = 176  # where the maps begin
SIGNS = "3x3", "1x1"  # colors of a negative and of a positive weight
EVERY, EVERY_LAYER = "every branch", "every layer"
_RAMP = bytes(range(0, 256, 17))  # 16 steps from 0 to 255
# The colors and opacities of a map in gray, and of a shade on the picture: black, and
# the darker the less a branch responds there.
GRAY = bytes(value for value in _RAMP for _ in "rgb"), b""
SHADE = bytes(3 * len(_RAMP)), bytes(round(0.88 * (255 - value)) for value in _RAMP)


class Photo:
    """A picture as the network saw it, from `width * height * 3` bytes.

    `uri` is the picture itself, `name` its id in the page: the same for the same
    picture, whoever draws it.
    """

    def __init__(self, width, height, pixels):
        self.width, self.height = width, height
        self.uri = data_uri(rgb_png(width, height, pixels))
        self.name = f"ie-photo-{zlib.crc32(self.uri.encode()):08x}"


def feature_sheet(photo, responses, layer, branch=EVERY, *, term=None, remark=""):
    """A `Drawing` of how `responses.layers[layer]` responds to a `Photo`.

    `layer` may be "every layer". `branch`: one branch, with the largest `term` of its
    strongest channel, or "every branch". Each map goes from black to its own maximum.
    `remark`: a line below.
    """
    sheet = Drawing(WIDTH, 0)
    sheet.raw(
        f'<defs><image id="{photo.name}" width="1" height="1" '
        f'preserveAspectRatio="none" href="{photo.uri}" '
        'style="image-rendering:pixelated"/></defs>'
    )
    sheet.text(0, 16, f"it sees {photo.width}x{photo.height}", LABEL, bold=True)
    place_photo(sheet, photo, 0, 26, SIDE, "the picture as the network sees it")
    low = draw_prediction(sheet, 26 + SIDE + 22, responses)
    found, head = responses.layers.get(layer), "where each branch answers: pick a layer"
    head = found.title(layer) if found else head
    sheet.fitted_text(LEFT, 16, head, WIDTH - LEFT, LABEL, bold=True)
    if not found:
        end = draw_layers(sheet, responses, photo)
    elif branch == EVERY:
        end = draw_branches(sheet, found, photo)
    else:
        end = draw_alone(sheet, branch, found.branches[branch], photo, term)
    y = max(low, end) + 8
    sheet.fitted_text(0, y + 10, remark, WIDTH, NOTE, fill="muted")
    sheet.height = round(max(400, y + 19))
    return sheet


def place_photo(sheet, photo, x, y, side, tip):
    """The picture as a square; `tip` is its alt text, shown under the pointer too."""
    sheet.raw(
        f'<use href="#{photo.name}" transform="translate({x:g} {y:g}) '
        f'scale({side:g})"{_alt(tip)}</use>'
    )
    sheet.rect(x, y, side, side, stroke="line")


def place_map(sheet, x, y, side, rows, tip, pick=""):
    """A map as a square, white where it is its maximum."""
    style = f' style="image-rendering:pixelated"{_pick(pick)}{_alt(tip)}</image>'
    sheet.raw(_image(x, y, side, map_png(rows, *GRAY)) + style)
    sheet.rect(x, y, side, side, stroke="line")


def place_channel(sheet, x, y, side, name, branch, channel, pick=""):
    """The map of one channel of the branch `name`."""
    tip = f"{name} channel {channel}: mean {branch.mean[channel]:.3g}"
    place_map(sheet, x, y, side, branch.maps[channel], tip, pick)


def place_lit(sheet, photo, x, y, side, where, tip, pick=""):
    """The picture, dark except where a branch responds."""
    place_photo(sheet, photo, x, y, side, tip)
    sheet.raw(f"{_image(x, y, side, map_png(where, *SHADE))}{_pick(pick)}/>")


def _image(x, y, side, png):
    return (
        f'<image x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" '
        f'preserveAspectRatio="none" href="{data_uri(png)}"'
    )


def _alt(tip):
    return f' role="img" aria-label="{escape(tip)}"><title>{escape(tip)}</title>'


def _pick(pick):
    return f' data-pick="{escape(pick)}"' if pick else ""


def draw_prediction(sheet, y, responses):
    """The probability of each class, on a scale of 0 to 100 %."""
    sheet.text(0, y, "it answers", LABEL, bold=True)
    shares, left = responses.probabilities(), 24
    for number, share in enumerate(shares):
        bold = share == max(shares)
        sheet.fitted_text(0, y + 19, number, 60, NOTE, bold=bold)
        width = max((SIDE - 50 - left) * share, 0.5)
        sheet.rect(left, y + 7, width, 13, "accent" if bold else "line")
        sheet.text(SIDE, y + 19, percent(share), NOTE, anchor="end", bold=bold)
        y += 19
    return y


def draw_layers(sheet, responses, photo):
    """A row for each layer: where each of its branches responds; returns the end."""
    y = 26
    for name, layer in responses.layers.items():
        sheet.fitted_text(LEFT, y + 14, layer.title(name), WIDTH - LEFT, NOTE)
        pitch = min(98, (WIDTH - LEFT) / len(layer.branches))
        size, shares = min(60, pitch - 4), layer.shares()
        for i, (part, branch) in enumerate(layer.branches.items()):
            x, kernel = LEFT + i * pitch, branch_kernel(part, branch)
            tip, pick = f"{name}: where {part} answers", f"layer={name}"
            place_lit(sheet, photo, x, y + 20, size, branch.where, tip, pick)
            key = f"{name} {part}"  # no ghost in another layer
            sheet.rect(x, y + 20 + size + 3, size, 4, kernel, key=key)
            if len(shares) > 1:
                note = f"{part} {percent(shares[part])}"
                sheet.fitted_text(x, y + size + 40, note, pitch - 2, NOTE)
        y += size + (44 if len(shares) > 1 else 30)
    return y


def draw_branches(sheet, layer, photo):
    """A row for each branch: where it responds, its strongest channels."""
    size = min(54, (WIDTH - LEFT) / (KEPT + 1) - 4)
    y, shares = 26, layer.shares()
    for name, branch in layer.branches.items():
        kernel, pick = branch_kernel(name, branch), f"branch={name}"
        sheet.rect(LEFT, y + 3, 12, 12, kernel, hatch=kernel, key=name)
        share = f"{percent(shares[name])} of the response"
        note = f"{name}: {share}, {len(branch.mean)} ch."
        sheet.fitted_text(LEFT + 18, y + 14, note, WIDTH - LEFT - 18, NOTE)
        x, y = LEFT, y + 20
        tip = f"where {name} answers"
        place_lit(sheet, photo, x, y, size, branch.where, tip, pick)
        for channel in branch.strongest():
            x += size + 4
            place_channel(sheet, x, y, size, name, branch, channel, pick)
        y += size + 6
    words = "where, then the strongest channels; pick a branch"
    sheet.text(LEFT, y + 12, words, NOTE, fill="muted")
    return y + 16


def draw_alone(sheet, name, branch, photo, term):
    """One branch: a term of its strongest channel; where it responds, and the rest."""
    pitch, size, y = 98, 84, 158
    draw_term(sheet, 26, term, branch.maps[term.channel])
    place_lit(sheet, photo, LEFT, y, size, branch.where, f"where {name} answers")
    sheet.text(LEFT, y + size + 16, "where", NOTE)
    for i, channel in enumerate(branch.strongest(), 1):
        x, top = LEFT + (i % 4) * pitch, y + (i // 4) * (size + 24)
        place_channel(sheet, x, top, size, name, branch, channel)
        label = f"#{channel}: {branch.mean[channel]:.2g}"
        sheet.fitted_text(x, top + size + 16, label, pitch - 2, NOTE)
    return y + 2 * (size + 24)


def draw_term(sheet, y, term, rows):
    """An input map, the kernel on it, their products added, and the channel."""
    size, pitch, count = 72, 100, len(term.kernel)
    cell, most = 60 / count, max(abs(w) for line in term.kernel for w in line) or 1
    steps = (
        ("", f"input {term.source}", term.input),
        ("×", f"{count}x{count} kernel", None),
        ("=", "products added", term.product),
        ("→", f"channel {term.channel}", rows),
    )
    for i, (sign, name, shown) in enumerate(steps):
        x = LEFT + i * pitch
        if shown is None:
            for row, line in enumerate(term.kernel):
                for column, weight in enumerate(line):
                    at = x + 6 + column * cell, y + 6 + row * cell, cell, cell
                    fill, opacity = SIGNS[weight > 0], abs(weight) / most
                    sheet.rect(*at, fill, opacity=max(round(opacity, 2), 0.01))
            sheet.rect(x + 6, y + 6, 60, 60, stroke="line")
        else:
            place_map(sheet, x, y, size, shown, name)
        sheet.fitted_text(x + size / 2, y + 88, name, pitch - 4, anchor="middle")
        if sign:
            middle = x - (pitch - size) / 2
            sheet.text(middle, y + 44, sign, 22, anchor="middle", bold=True)
    words = f"Blue adds, orange subtracts; + {term.count - 1} other inputs; ReLU."
    sheet.fitted_text(LEFT, y + 110, words, WIDTH - LEFT, fill="muted")


def branch_kernel(name, branch):
    """The palette's name for a branch: a pooling one, or its last convolution."""
    return kernel_name("pool" if "pool" in name else branch.kernel or name)


def in_words(responses, layer):
    """The text twin: the prediction, then the share of each branch."""
    answers = (f"{number} {percent(share, 1)}" for number, share in responses.top())
    words = f"it answers {', '.join(answers)}"
    for path, found in responses.layers.items():
        if layer not in (path, EVERY_LAYER):
            continue
        for name, share in found.shares().items():
            channels = ", ".join(map(str, found.branches[name].strongest(3)))
            words += f"; {name}: {percent(share)} of the response of {path}, strongest "
            words += f"channels {channels}"
    return words


# ---- PNGs from plain numbers: a page has no imaging library -------------------


def rgb_png(width, height, pixels):
    """The PNG of `width * height * 3` bytes, row by row."""
    row = 3 * width
    lines = [pixels[row * y : row * (y + 1)] for y in range(height)]
    return _png(width, lines, 8, 2)


def map_png(rows, colors, opacities):
    """The PNG of rows of numbers in 16 steps, from 0 or less to their maximum."""
    rows = rows.tolist() if hasattr(rows, "tolist") else rows
    most, lines = max(0, *map(max, rows)) or 1, []
    for row in rows:
        steps = [round(15 * max(value / most, 0)) for value in row]
        pairs = zip(steps[::2], [*steps[1::2], 0], strict=False)
        lines.append(bytes(16 * left + right for left, right in pairs))
    return _png(len(rows[0]), lines, 4, 3, PLTE=colors, tRNS=opacities)


def _png(width, lines, bits, color, **chunks):
    """A PNG of lines of bytes; `color` is 2 for RGB, 3 for steps of a palette."""
    head = pack(">IIBBBBB", width, len(lines), bits, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    png = b"\x89PNG\r\n\x1a\n"
    for name, content in {"IHDR": head, **chunks, "IDAT": data, "IEND": b""}.items():
        part = name.encode() + content
        if content or name == "IEND":
            png += pack(">I", len(content)) + part + pack(">I", zlib.crc32(part))
    return png
