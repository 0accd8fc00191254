"""One look for every diagram, chart and explorer.

One color per kernel size, the same everywhere. Each stands out from white and
from JupyterLab's dark paper by at least 3:1 and from its neighbors under red
and green blindness too; and color is never the only cue: the size is written
beside it, and charts add a hatch.
"""

import re

# Color and hatch, in matplotlib's letters; a 1xn kernel lies flat, an nx1 stands.
KERNELS = {
    "1x1": ("#0068cb", ""),
    "3x3": ("#e66c00", "/"),
    "5x5": ("#2f9f68", "x"),
    "7x7": ("#b97dc4", "+"),
    "1xn": ("#8d3cf0", "-"),
    "nx1": ("#b5480e", "|"),
    "pool": ("#636e75", "."),
    "linear": ("#7d6a4f", "\\"),
    "other": ("#6164a1", ""),
}
PALETTE = {name: color for name, (color, _) in KERNELS.items()}
HATCH = {name: hatch for name, (_, hatch) in KERNELS.items()}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")

ROLES = {  # on a light page and on a dark one
    "ink": ("#1b1b1b", "#f2f2f2"),  # text and outlines
    "muted": ("#565b60", "#b9bec3"),  # second-rank text
    "line": ("#6b7075", "#9aa0a6"),  # edges and axes
    "paper": ("#ffffff", "#111111"),
    "panel": ("#f1f3f5", "#1b1e20"),  # the background of a group
    "grid": ("#d5d9dd", "#3c4146"),
    "accent": ("#a3006d", "#ff7ac8"),  # a chosen pixel, a budget line
    "good": ("#1a7a45", "#5fce8f"),
    "bad": ("#b3261e", "#ff8a80"),
}
LIGHT = {name: light for name, (light, _) in ROLES.items()}
DARK = {name: dark for name, (_, dark) in ROLES.items()}

FONT = "system-ui,'Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
TITLE, LABEL, NOTE = 22, 16, 14  # pixels at a width of 900 to 1100


def themed(css):
    """CSS with `--ie-ink:#1b1b1b;...` in place of `/*light*/` and `/*dark*/`."""
    for mark, roles in (("/*light*/", LIGHT), ("/*dark*/", DARK)):
        variables = "".join(f"--ie-{name}:{value};" for name, value in roles.items())
        css = css.replace(mark, variables)
    return css


def kernel_name(what):
    """The palette's name for an operation, or for words such as "1x7", "max_pool".

    A square kernel has its own size ("5x5"; 7x7 and larger share "7x7", even
    ones go to "other"), a flat one is "1xn", a standing one "nx1".
    """
    kind, sizes = getattr(what, "kind", what), ()
    if kind is what:
        is_size = re.fullmatch(r"\d+x\d+", what)
        sizes = tuple(map(int, what.split("x"))) if is_size else ()
    elif what.kernel and kind.startswith("conv"):
        sizes = tuple(what.kernel)
    if len(sizes) == 1:  # a kernel over a sequence lies flat
        sizes = (1, *sizes)
    name = "linear" if kind == "matmul" else "pool" if "pool" in kind else kind
    if len(set(sizes)) == 1:  # a square, a cube
        name = f"{sizes[0]}x{sizes[0]}" if sizes[0] < 7 else "7x7"
    elif len(sizes) == 2 and 1 in sizes:
        name = "1xn" if sizes[0] == 1 else "nx1"
    return name if name in PALETTE else "other"


def on_color(fill):
    """White or near-black, whichever reads better on a kernel; "ink" on the rest."""
    if fill in PALETTE:
        return "#111111" if fill in ("3x3", "5x5", "7x7") else "#ffffff"
    return "ink"
