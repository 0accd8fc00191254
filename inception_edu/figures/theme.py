"""One look for every diagram, chart and explorer.

One color per kernel size, the same everywhere. Each stands out from white and
from JupyterLab's dark paper by at least 3:1 and from its neighbors under red
and green blindness too; and none is alone in telling: the size is written
beside it, and charts add a hatch.
"""

PALETTE = {
    "1x1": "#0068cb",
    "3x3": "#e66c00",
    "5x5": "#2f9f68",
    "7x7": "#b97dc4",
    "1xn": "#8d3cf0",
    "nx1": "#b5480e",
    "pool": "#636e75",
    "linear": "#7d6a4f",
    "other": "#6164a1",
}

# In matplotlib's letters; a 1xn kernel lies flat, an nx1 kernel stands.
HATCH = {
    "1x1": "",
    "3x3": "/",
    "5x5": "x",
    "7x7": "+",
    "1xn": "-",
    "nx1": "|",
    "pool": ".",
    "linear": "\\",
    "other": "",
}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")

LIGHT = {
    "ink": "#1b1b1b",  # text and outlines
    "muted": "#565b60",  # second-rank text
    "line": "#6b7075",  # edges and axes
    "paper": "#ffffff",
    "panel": "#f1f3f5",  # the ground of a group
    "grid": "#d5d9dd",
    "accent": "#a3006d",  # a chosen pixel, a budget line
    "good": "#1a7a45",
    "bad": "#b3261e",
}
DARK = {
    "ink": "#f2f2f2",
    "muted": "#b9bec3",
    "line": "#9aa0a6",
    "paper": "#111111",
    "panel": "#1b1e20",
    "grid": "#3c4146",
    "accent": "#ff7ac8",
    "good": "#5fce8f",
    "bad": "#ff8a80",
}
ROLES = LIGHT

FONT = "system-ui,'Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
SIZE = {"title": 22, "label": 16, "note": 14}  # pixels at a width of 900 to 1100

_CONVOLUTIONS = ("conv", "conv1d", "conv2d", "conv3d", "conv_transpose")


def css_variables(dark=False):
    """The declarations `--ie-ink:#1b1b1b;...` that a page or widget sets."""
    roles = DARK if dark else LIGHT
    return "".join(f"--ie-{name}:{value};" for name, value in roles.items())


def kernel_name(what):
    """The palette's name for an operation, a `(height, width)` or a kind.

    A square kernel has its own size ("5x5"; 7x7 and larger share "7x7", even
    ones go to "other"), a flat one is "1xn", a standing one "nx1". A string is
    a palette name, a size such as "1x7" or a kind such as "max_pool".
    """
    if isinstance(what, str):
        if what in PALETTE:
            return what
        height, _, width = what.partition("x")
        if height.isdigit() and width.isdigit():
            return kernel_name((int(height), int(width)))
        if "pool" in what:
            return "pool"
        return "linear" if what in ("linear", "matmul") else "other"
    if isinstance(what, int):
        return kernel_name((what, what))
    if hasattr(what, "kind"):
        is_conv = what.kind in _CONVOLUTIONS and what.kernel
        return kernel_name(tuple(what.kernel) if is_conv else what.kind)
    sizes = tuple(what)
    if len(sizes) == 1:  # a kernel over a sequence lies flat
        sizes = (1, *sizes)
    elif len(set(sizes)) == 1:  # a square, a cube
        sizes = sizes[:2]
    if len(sizes) != 2:
        return "other"
    height, width = sizes
    if height == width:
        name = f"{height}x{width}" if height < 7 else "7x7"
        return name if name in PALETTE else "other"
    if height == 1 or width == 1:
        return "1xn" if height == 1 else "nx1"
    return "other"


def luminance(value):
    """Relative luminance of `#rrggbb`, 0 to 1 (WCAG 2.1)."""
    total = 0.0
    for start, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
        part = int(value[start : start + 2], 16) / 255
        part = part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        total += weight * part
    return total


def contrast(first, second):
    """Contrast ratio of two colors, 1 to 21 (WCAG 2.1)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


_ON = {
    value: max("#ffffff", "#111111", key=lambda ink: contrast(ink, value))
    for value in PALETTE.values()
}


def on_color(fill):
    """White or near-black, whichever reads better on `fill`; "ink" on a role."""
    fill = PALETTE.get(fill, fill)
    if fill in _ON:
        return _ON[fill]
    if fill.startswith("#") and len(fill) == 7:
        return max("#ffffff", "#111111", key=lambda ink: contrast(ink, fill))
    return "ink"
