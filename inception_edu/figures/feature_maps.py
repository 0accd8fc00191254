"""Feature maps as a drawing: the picture, the prediction, what each branch answers.

`feature_sheet` takes plain data, a PIL image and a `figures.activations.Recording`,
and returns a `Drawing`. Maps become PNGs of 16 greys inside the SVG, a few hundred
bytes each; the picture a JPEG.
"""

from base64 import b64encode
from io import BytesIO

import numpy as np

from inception_edu.figures.svg import Drawing, escape
from inception_edu.figures.theme import kernel_name

WIDTH = 560
LABEL, NOTE = 16, 14
LEFT = 152  # where the maps begin; the branch's name stands before
GREYS = 16
PHOTO, LIT = 128, 64  # pixels stored for the picture, and for each lit one
EVERY = "every branch"


def as_uri(image, **how):
    """A PIL image as a data URI."""
    buffer = BytesIO()
    image.save(buffer, **how)
    kind = how["format"].lower()
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}"


def photo_uri(image, side):
    """A small JPEG of the picture, at most `side` pixels."""
    from PIL import Image

    if max(image.size) > side:
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    return as_uri(image, format="JPEG", quality=75)


def map_uri(values, most):
    """A map as a PNG of 16 greys: 0 is black, `most` white."""
    from PIL import Image

    levels = np.zeros(values.shape, np.uint8)
    if most > 0:
        shares = np.clip(values.astype(np.float32) / most, 0, 1)
        levels = np.round(shares * (GREYS - 1)).astype(np.uint8)
    image = Image.frombytes("P", levels.shape[::-1], levels.tobytes())
    image.putpalette(
        [step * 255 // (GREYS - 1) for step in range(GREYS) for _ in "rgb"]
    )
    return as_uri(image, format="PNG", bits=4)


def lit_uri(image, where):
    """The picture, dark except where the branch answers."""
    from PIL import Image

    image = image.resize((LIT, LIT), Image.Resampling.BILINEAR)
    where = where.astype(np.float32)
    most = where.max()
    light = Image.fromarray(where / most if most > 0 else where)  # mode F
    light = np.asarray(light.resize((LIT, LIT), Image.Resampling.BILINEAR))
    pixels = np.asarray(image, np.float32) * (0.12 + 0.88 * light[..., None])
    return photo_uri(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), LIT)


def place_image(sheet, x, y, side, uri, tip, *, smooth=False, pick=""):
    """A square image; `tip` is its alt text, shown under the pointer too."""
    style = "" if smooth else ' style="image-rendering:pixelated"'
    pick = f' data-pick="{escape(pick)}"' if pick else ""
    sheet.raw(
        f'<image x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" '
        f'preserveAspectRatio="none" href="{uri}"{style}{pick} role="img" '
        f'aria-label="{escape(tip)}"><title>{escape(tip)}</title></image>'
    )
    sheet.rect(x, y, side, side, stroke="line")


def branch_kernel(name, branch):
    """The palette's name for a branch: a pooling one, or its last convolution."""
    if "pool" in name or not branch.kernel:
        return "pool" if "pool" in name else kernel_name(name)
    return kernel_name(branch.kernel)


def feature_sheet(
    photo,
    recording,
    layer,
    branch=EVERY,
    *,
    count=6,
    by="mean",
    shared=False,
    names=None,
    remarks=(),
):
    """A `Drawing` of what `recording.layers[layer]` answers to `photo`.

    `photo`: what the network saw, an RGB PIL image. `branch`: one branch, or
    "every branch". `count` channels of each, the strongest by their "mean" or
    "peak"; each from black to its own largest value, or all `shared`. `names`: of
    the classes. `remarks`: up to two lines beside the picture.
    """
    found = recording.layers[layer]
    alone = branch if branch in found.branches else None
    if len(found.branches) == 1:
        (alone,) = found.branches
    side = f"{photo.width}x{photo.height}"
    top = 188 + 18 * max(0, len(remarks) - 1)
    size = min(54, (WIDTH - LEFT - 4 * count) / (count + 1))
    rows = -(-(count + 1) // 5)
    body = rows * 114 if alone else len(found.branches) * max(size + 8, 46) + 18
    sheet = Drawing(WIDTH, round(top + 14 + body))
    sheet.text(0, 16, f"it sees {side}", LABEL, bold=True)
    tip = "the picture as the network sees it"
    smooth = photo.width > PHOTO
    place_image(sheet, 0, 26, 132, photo_uri(photo, PHOTO), tip, smooth=smooth)
    draw_prediction(sheet, recording.top(), names)
    for line, remark in enumerate(remarks):
        sheet.fitted_text(LEFT, 158 + 18 * line, remark, WIDTH - LEFT, NOTE)
    height, width = found.grid
    head = f"{layer}: {found.channels} channels of {height}x{width}"
    sheet.fitted_text(0, top, f"{head}; white is strong", WIDTH, LABEL, bold=True)
    largest = max(
        (float(m.max()) for b in found.branches.values() for m in b.maps.values()),
        default=0.0,
    )
    scale = largest if shared else None
    if alone:
        draw_alone(sheet, top + 14, alone, found, photo, count, by, scale)
    else:
        draw_rows(sheet, top + 14, found, photo, count, by, scale, size)
    return sheet


def draw_prediction(sheet, top, names):
    """The most probable classes, each with a bar and its probability."""
    sheet.text(LEFT, 16, "it says", LABEL, bold=True)
    for row, (number, share) in enumerate(top):
        y = 26 + 22 * row
        name = names[number] if names else f"class {number}"
        bold = row == 0
        sheet.fitted_text(LEFT, y + 14, name, 172, NOTE, bold=bold)
        sheet.rect(332, y + 2, max(158 * share, 0.5), 15, "accent" if bold else "line")
        text = f"{share:.1%}"
        sheet.text(WIDTH, y + 14, text, NOTE, anchor="end", bold=bold)


def draw_rows(sheet, y, found, photo, count, by, scale, size):
    """A row for each branch: its name, where it answers, its strongest channels."""
    sheet.text(LEFT, y + 13, "where", NOTE, fill="muted")
    x = LEFT + max(size + 4, 52)
    sheet.text(x, y + 13, f"strongest channels by {by}", NOTE, fill="muted")
    y += 18
    shares = found.shares()
    pitch = max(size + 8, 46)
    for name, branch in found.branches.items():
        kernel = branch_kernel(name, branch)
        sheet.rect(0, y + 2, 14, 14, kernel, hatch=kernel)
        sheet.fitted_text(20, y + 15, name, LEFT - 26, LABEL, bold=True)
        note = f"{len(branch.mean)} ch., {shares[name]:.0%}"
        sheet.fitted_text(20, y + 34, note, LEFT - 26, NOTE)
        x, pick = LEFT, f"branch={name}"
        tip = f"where {name} answers"
        uri = lit_uri(photo, branch.where)
        place_image(sheet, x, y, size, uri, tip, smooth=True, pick=pick)
        for channel in branch.strongest(count, by):
            x += size + 4
            tip = describe(name, branch, channel)
            uri = channel_uri(branch, channel, scale)
            place_image(sheet, x, y, size, uri, tip, pick=pick)
        y += pitch


def draw_alone(sheet, y, name, found, photo, count, by, scale):
    """One branch, larger: where it answers, then its strongest channels."""
    branch, size = found.branches[name], 92
    cells = [("where", lit_uri(photo, branch.where), f"where {name} answers")]
    for channel in branch.strongest(count, by):
        label = f"#{channel}: {getattr(branch, by)[channel]:.3g}"
        uri = channel_uri(branch, channel, scale)
        cells.append((label, uri, describe(name, branch, channel)))
    for number, (label, uri, tip) in enumerate(cells):
        x, top = (number % 5) * 116, y + (number // 5) * 114
        place_image(sheet, x, top, size, uri, tip, smooth=not number)
        sheet.fitted_text(x, top + size + 16, label, size + 2, NOTE)


def channel_uri(branch, channel, scale):
    values = branch.maps[channel]
    return map_uri(values, float(values.max()) if scale is None else scale)


def describe(name, branch, channel):
    """A channel in words."""
    mean, peak = branch.mean[channel], branch.peak[channel]
    return f"{name} channel {channel}: mean {mean:.3g}, peak {peak:.3g}"


def in_words(recording, layer, names=None, count=3, by="mean"):
    """The text twin: a line for the prediction, and one for each branch."""
    found = recording.layers[layer]
    said = ", ".join(
        f"{names[number] if names else f'class {number}'} {share:.1%}"
        for number, share in recording.top()
    )
    lines = [f"it says {said}"]
    for name, share in found.shares().items():
        channels = ", ".join(map(str, found.branches[name].strongest(count, by)))
        lines.append(
            f"{name}: {share:.0%} of the response of {layer}, strongest channels "
            f"{channels}"
        )
    return "; ".join(lines)
