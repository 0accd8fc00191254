"""The feature maps explorer: what does each branch answer to this picture?

The picture is a photograph, a handwritten digit, or one that the reader draws. The
network runs once for each; what its layers answered is kept, so every other control
only draws. `figures/activations.py` says what is kept, `figures/feature_maps.py`
draws it; in a page, `feature_page.py` runs the network.
"""

import sys
from functools import cache, lru_cache, partial
from typing import NamedTuple

from inception_edu.explorers import feature_page, make
from inception_edu.explorers.controls import Check, Choice, Grid, Picture, Range
from inception_edu.explorers.panel import MOST_FRAMES
from inception_edu.figures.feature_maps import (
    EVERY,
    EVERY_LAYER,
    Photo,
    evenly,
    feature_sheet,
    in_words,
)
from inception_edu.text import dims, percent

QUESTION = "What does each branch answer to this picture?"
DIGITS = tuple("0123456789")
PHOTOGRAPHS = {"china": "photo: a temple", "flower": "photo: a flower"}
PICTURES = {"digit": "a handwritten digit", "drawing": "your drawing"} | PHOTOGRAPHS
SIZE = Range("size", "size of the digit", 12, 40, 4, 24, unit="px")


class Viewer(NamedTuple):
    """A network, and `look(state) -> (Photo, Recording)`: what it saw and answered."""

    name: str
    classes: tuple | None
    look: object

    @property
    def reads_digits(self):
        return self.classes == DIGITS

    def draw(self, state):
        """The picture of a state, with prediction and strongest branch in the line."""
        photo, recording = self.look(state)
        name, branch = state["layer"], state["branch"]
        layers = recording.layers
        if name == EVERY_LAYER:
            branch = EVERY
        else:
            layers = {name: layers[name]}
            has = list(layers[name].branches)
            if branch not in (EVERY, *has):
                raise ValueError(
                    f"{name} has no branch {branch}: take {', '.join(has)}, or {EVERY}"
                )
        remarks, by = self.remarks(state), state["by"]
        sheet = feature_sheet(
            photo,
            recording,
            name,
            branch,
            count=state["channels"],
            by=by,
            shared=state["shared"],
            names=self.classes,
            remarks=remarks,
        )
        (first, probability), *_ = recording.top(1)
        answer = self.classes[first] if self.classes else f"class {first}"
        summary = f"{self.name} answers {answer} ({percent(probability)})"
        if found := strongest(layers, branch, by):
            summary += f"; {found}"
        words = " ".join((in_words(recording, name, self.classes, by=by), *remarks))
        title = f"Feature maps of {self.name}, {name}: {summary}."
        return Picture(sheet.svg(title, words), f"{summary}.")

    def remarks(self, state):
        """What a reader should know about this picture and this network."""
        found, picture, tall = [], state["picture"], f"{state['size']} pixels tall."
        if picture == "digit":
            found = [f"A {state['digit']}, {tall}"]
        elif picture == "drawing":
            found = [f"Your drawing, {tall}"]
            if is_blank(state):
                found = ["Nothing is drawn yet: draw a digit."]
        elif self.reads_digits:
            found = ["It knows digits only, and names one in any picture."]
        if not self.classes:
            found.append("Class names unknown: set the network's .classes.")
        return found


def strongest(layers, branch, by):
    """Which branch gives most of each layer's response; of one layer, a channel too."""
    parts = []
    for path, layer in layers.items():
        shares = layer.shares()
        best = branch if branch in shares else max(shares, key=shares.get)
        share = percent(shares[best])
        if not any(shares.values()):
            parts.append(f"{path} does not answer to this picture at all")
        elif len(layers) == 1:
            channel = layer.branches[best].strongest(1, by)[0]
            if len(shares) == 1:
                return f"in {path} channel {channel} answers most"
            return (
                f"the {best} branch gives {share} of the response of {path}, "
                f"channel {channel} the most"
            )
        elif len(shares) > 1:
            parts.append(f"{best} in {path} ({share})")
    lead = "strongest branches: " if len(layers) > 1 and parts else ""
    return lead + ", ".join(parts)


def viewer_of(model):
    """The `Viewer` of a network, or of a trained one by its name, run by torch."""
    from PIL import Image
    from torch import nn

    from inception_edu.figures.activations import record
    from inception_edu.networks import load_pretrained, pretrained
    from inception_edu.training.data import photographs

    if isinstance(model, str):
        model = load_pretrained(model)
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"feature_maps takes a network, or the name of a trained one, got {model!r}"
        )
    prepare = getattr(model, "preprocessing", pretrained.DIGITS)

    @lru_cache(maxsize=24)
    def answer(picture):
        if picture in PHOTOGRAPHS:
            pixels = photographs()[list(PHOTOGRAPHS).index(picture)]
            image = Image.fromarray(pixels)
        else:
            image = Image.frombytes("RGB", (feature_page.SIDE,) * 2, picture)
        return Photo.of(prepare.window(image)), record(model, prepare(image))

    def look(state):
        name = state["picture"]
        return answer(name if name in PHOTOGRAPHS else feature_page.picture(state))

    outputs = len(answer("china")[1].logits)
    classes = tuple(getattr(model, "classes", DIGITS))
    known = classes if len(classes) == outputs else None
    return Viewer(getattr(model, "name", type(model).__name__), known, look)


def controls_for(layers, pictures, start):
    """The controls for a network with these layers; drawing where it is a picture."""
    branches = [EVERY]
    for _, names in layers.values():
        if len(names) > 1:
            branches += [name for name in names if name not in branches]
    grids = {name: f"{name} ({dims(grid)})" for name, (grid, _) in layers.items()}
    controls = [
        Choice("layer", "layer", {EVERY_LAYER: EVERY_LAYER} | grids, EVERY_LAYER),
        Choice("branch", "branch", branches, EVERY),
        Choice("picture", "picture", pictures, start),
        Choice("digit", "which digit", list(range(10)), 3),
        SIZE,
        Range("channels", "channels shown", 1, 12, 1, 6),
        Choice("by", "strongest by", {"mean": "mean", "peak": "peak"}, "mean"),
        Check("shared", "one scale for the whole layer", False),
    ]
    drawing = [Grid("drawing", "draw a digit")] if "drawing" in pictures else []
    return controls + drawing


def adjusted(layers, values, changed, named):
    """Drawing shows the drawing, moving the digit the digit.

    A layer without the branch shows every one.
    """
    if "picture" not in named:
        if "drawing" in changed:
            values["picture"] = "drawing"
        elif "digit" in changed or (
            "size" in changed and values["picture"] in PHOTOGRAPHS
        ):
            values["picture"] = "digit"
    _, names = layers.get(values["layer"], ((), ()))
    lost = len(names) < 2 or values["branch"] not in names
    if "layer" in changed and "branch" not in changed and lost:
        values["branch"] = EVERY
    return values


def inactive(values):
    """What needs one layer while all are shown, and the size of a blank drawing."""
    found = {}
    if values["layer"] == EVERY_LAYER:
        some = ("branch", "channels", "by", "shared")
        found = dict.fromkeys(some, "choose one layer")
    if values["picture"] == "drawing" and is_blank(values):
        found["size"] = "draw a digit first"
    return found


def is_blank(values):
    return not values["drawing"].strip("0")


# The explorer of mini_reduced, which a page can draw as well.


@cache
def mini():
    """The `Viewer` of mini_reduced, run by torch or, in a page, without."""
    if sys.platform == "emscripten":
        return Viewer("mini_reduced", DIGITS, feature_page.looker())
    return viewer_of("mini_reduced")


CONTROLS = controls_for(feature_page.stored_layers(), PICTURES, "digit")
adjust = partial(adjusted, feature_page.stored_layers())


def draw(state):
    """The picture of a state of mini_reduced."""
    return mini().draw(state)


def feature_maps(model="mini_reduced", **options):
    """The feature maps explorer of a network: `feature_maps("mini_v4")`.

    `model`: a name that `load_pretrained` takes, or any network, the reader's own too;
    its `.preprocessing` and `.classes` say which pictures it takes and what it names,
    those of the minis unless it has them. `options` are those of `Explorer`: start,
    frames.
    """
    viewer = viewer_of(model)
    pictures, start, other = PICTURES, "digit", {"size": SIZE.values}
    if not viewer.reads_digits:
        pictures = {key: PICTURES[key] for key in PICTURES if key != "drawing"}
        start, other = "china", {"picture": list(PHOTOGRAPHS)}
    _, recording = viewer.look({"picture": "china"})
    layers = {
        name: (layer.grid, list(layer.branches))
        for name, layer in recording.layers.items()
    }
    ((_, values),) = other.items()
    swept = evenly([EVERY_LAYER, *layers], MOST_FRAMES // len(values))
    return make(
        "feature_maps",
        controls=controls_for(layers, pictures, start),
        draw=viewer.draw,
        adjust=partial(adjusted, layers),
        sweep={"layer": swept} | other,
        **options,
    )
