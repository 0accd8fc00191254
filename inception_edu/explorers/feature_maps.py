"""The feature maps explorer: what does each branch answer to this picture?

The picture is a photograph, a handwritten digit, or one that the reader draws; the
network is the trained mini_reduced. It runs once for each picture; every other control
only draws. `figures/responses.py` says what is kept, `figures/feature_maps.py`
draws it; in a page, `feature_page.py` runs the network.
"""

import sys
from functools import cache, lru_cache

from inception_edu.explorers import feature_page
from inception_edu.explorers.controls import Choice, Grid, Picture, Range
from inception_edu.figures.feature_maps import (
    EVERY,
    EVERY_LAYER,
    Photo,
    feature_sheet,
    in_words,
)
from inception_edu.text import dims, percent

NAME, SIDE = "mini_reduced", feature_page.SIDE
PHOTOGRAPHS = {"china": "photo: a temple", "flower": "photo: a flower"}
PICTURES = {"digit": "a handwritten digit", "drawing": "your drawing"} | PHOTOGRAPHS
LAYERS = feature_page.stored_layers()  # {name: (grid, branches)}
GRIDS = {name: f"{name} ({dims(grid)})" for name, (grid, _) in LAYERS.items()}
BRANCHES = [name for _, names in LAYERS.values() if len(names) > 1 for name in names]

QUESTION = "What does each branch answer to this picture?"
CONTROLS = [
    Choice("layer", "layer", {EVERY_LAYER: EVERY_LAYER} | GRIDS, EVERY_LAYER),
    Choice("branch", "branch", [EVERY, *dict.fromkeys(BRANCHES)], EVERY),
    Choice("picture", "picture", PICTURES, "digit"),
    Choice("digit", "which digit", list(range(10)), 3),
    Range("size", "size of the digit", 12, 40, 4, 24, unit="px"),
    Grid("drawing", "draw a digit"),
]
SWEEP = {"layer": [EVERY_LAYER, *LAYERS], "size": [12, 24, 40]}


def adjust(values, changed, explicit):
    """Drawing shows the drawing, moving the digit the digit.

    A layer without the branch shows every one.
    """
    if "picture" not in explicit:
        is_photo = values["picture"] in PHOTOGRAPHS
        if "drawing" in changed:
            values["picture"] = "drawing"
        elif "digit" in changed or ("size" in changed and is_photo):
            values["picture"] = "digit"
    _, names = LAYERS.get(values["layer"], ((), ()))
    lost = len(names) < 2 or values["branch"] not in names
    if "layer" in changed and "branch" not in changed and lost:
        values["branch"] = EVERY
    return values


def inactive(values):
    """What needs one layer while all are shown, and the size of a blank drawing."""
    found = {}
    if values["layer"] == EVERY_LAYER:
        found["branch"] = "choose one layer"
    if values["picture"] == "drawing" and is_blank(values):
        found["size"] = "draw a digit first"
    return found


def is_blank(values):
    return not values["drawing"].strip("0")


@cache
def network():
    """`run(pixels)` of mini_reduced, by torch or, in a page, without: a `Responses`."""
    if sys.platform == "emscripten":
        return feature_page.page_run()
    from PIL import Image

    from inception_edu.figures.responses import record
    from inception_edu.networks import load_pretrained

    model = load_pretrained(NAME)

    def run(pixels):
        image = Image.frombytes("RGB", (SIDE, SIDE), pixels)
        return record(model, model.preprocessing(image))

    return run


@lru_cache(maxsize=24)
def photo_and_responses(pixels):
    """The `Photo` that the network sees, and its `Responses`."""
    return Photo(SIDE, SIDE, pixels), network()(pixels)


def draw(state):
    photo, recording = photo_and_responses(feature_page.picture(state))
    name, branch, shows = state["layer"], state["branch"], {"remark": remark(state)}
    layers = recording.layers
    if name == EVERY_LAYER:
        branch = EVERY
    else:
        layers, (_, has) = {name: layers[name]}, LAYERS[name]
        if branch not in (EVERY, *has):
            raise ValueError(
                f"{name} has no branch {branch}: take {', '.join(has)}, or {EVERY}"
            )
        branch = has[0] if len(has) == 1 else branch
        if branch != EVERY:
            found = layers[name].branches[branch]
            shows["term"] = feature_page.strongest_term(name, branch, found)
    sheet = feature_sheet(photo, recording, name, branch, **shows)
    ((answer, probability),) = recording.top(1)
    found = strongest(layers, branch)
    summary = f"{NAME} answers {answer} ({percent(probability)}); {found}."
    words = f"{in_words(recording, name)} {shows['remark']}"
    title = f"Feature maps of {NAME}, {name}: {summary}"
    return Picture(sheet.svg(title, words), summary)


def remark(state):
    """What a reader should know about this picture."""
    tall = f"{state['size']} pixels tall."
    if state["picture"] == "digit":
        return f"A {state['digit']}, {tall}"
    if state["picture"] in PHOTOGRAPHS:
        return "It knows digits only, and names one in any picture."
    blank = "Nothing is drawn yet: draw a digit."
    return blank if is_blank(state) else f"Your drawing, {tall}"


def strongest(layers, branch):
    """Which branch gives most of each layer's response; of one layer, a channel too."""
    parts = []
    for path, layer in layers.items():
        shares = layer.shares()
        best = branch if branch in shares else max(shares, key=shares.get)
        if len(shares) > 1:
            parts.append(f"{best} in {path} ({percent(shares[best])})")
    if len(layers) > 1:
        return f"strongest branches: {', '.join(parts)}"
    (channel,) = layer.branches[best].strongest(1)
    if len(shares) == 1:
        return f"in {path} channel {channel} answers most"
    gives = f"the {best} branch gives {percent(shares[best])} of the response of {path}"
    return f"{gives}, channel {channel} the most"
