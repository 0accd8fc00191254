"""The feature maps explorer: what does each branch answer to this picture?

The picture is a photograph, one of the reader's own, a handwritten digit, or one that
the reader draws. The network runs once for each; what its layers answered is kept, so
every other control only draws. `figures/activations.py` says what is kept,
`figures/feature_maps.py` draws it.
"""

import sys
from functools import cache, partial

from inception_edu.explorers import make
from inception_edu.explorers.controls import Check, Choice, Grid, Picture, Range
from inception_edu.explorers.feature_page import PageSubject, stored_layers
from inception_edu.explorers.feature_subject import shipped, subject_of
from inception_edu.figures.feature_maps import (
    EVERY,
    EVERY_LAYER,
    evenly,
    feature_sheet,
    in_words,
)
from inception_edu.text import dims, percent

MOST_FRAMES = 60
QUESTION = "What does each branch answer to this picture?"
PICTURES = {"digit": "a handwritten digit", "drawing": "your drawing"}
PHOTOGRAPHS = {"china": "photo: a temple", "flower": "photo: a flower"}


class Viewer:
    """What one explorer shows: a subject, and the reader's own picture if any."""

    def __init__(self, subject, own=None):
        self.subject, self.own = subject, own
        self.start = "yours" if own else "digit" if subject.reads_digits else "china"

    def see(self, state):
        """`(window, recording)`: what the network saw, and what it answered."""
        return self.subject.see(*self.subject.image(state, self.own))

    def remarks(self, state):
        """What a reader should know about this picture and this network."""
        found = [self.subject.remark] if self.subject.remark else []
        picture = state["picture"]
        if picture == "digit":
            words = f"A {state['digit']}, {state['size']} pixels tall."
            if not self.subject.reads_digits:
                words += " This network may have no class for digits."
            found.append(words)
        elif picture == "drawing":
            blank = not state["drawing"].strip("0")
            words = f"Your drawing, {state['size']} pixels tall."
            found.append("Nothing is drawn yet: draw a digit." if blank else words)
        elif self.subject.reads_digits:
            found.append("It knows digits only, and names one in any picture.")
        if picture == "yours" and self.own.remark:
            found.append(f"Your picture: {self.own.remark}.")
        if not self.subject.classes:
            found.append("Class names unknown: pass classes=[...].")
        return found

    def draw(self, state):
        """The picture of a state, with prediction and strongest branch in the line."""
        photo, recording = self.subject.look(state, self.own)
        name, branch = state["layer"], state["branch"]
        layers = (
            recording.layers if name == EVERY_LAYER else {name: recording.layers[name]}
        )
        if branch != EVERY and not any(branch in la.branches for la in layers.values()):
            has = ", ".join(recording.layers[name].branches)
            raise ValueError(f"{name} has no branch {branch}: take {has}, or {EVERY}")
        remarks, names = self.remarks(state), self.subject.classes
        sheet = feature_sheet(
            photo,
            recording,
            name,
            branch,
            count=state["channels"],
            by=state["by"],
            shared=state["shared"],
            names=names,
            remarks=remarks,
        )
        summary = self.summarize(recording, layers, branch, state["by"])
        words = " ".join((in_words(recording, name, names, by=state["by"]), *remarks))
        title = f"Feature maps of {self.subject.name}, {name}: {summary}"
        return Picture(sheet.svg(title, words), summary)

    def summarize(self, recording, layers, branch, by):
        """What the network answers, and which branch gives most of the response."""
        names = self.subject.classes
        (first, probability), *_ = recording.top(1)
        answer = names[first] if names else f"class {first}"
        parts = []
        for path, layer in layers.items():
            shares = layer.shares()
            if not any(shares.values()):
                parts.append(f"{path} does not answer to this picture at all")
            elif len(layers) > 1 and len(shares) > 1:
                best = max(shares, key=shares.get)
                parts.append(f"{best} in {path} ({percent(shares[best])})")
            elif len(layers) == 1:
                best = branch if branch in shares else max(shares, key=shares.get)
                channel = layer.branches[best].strongest(1, by)[0]
                words = f"in {path} channel {channel} answers most"
                if len(shares) > 1:
                    words = f"the {best} branch gives {percent(shares[best])} of the "
                    words += f"response of {path}, channel {channel} the most"
                parts.append(words)
        lead = "strongest branches: " if len(layers) > 1 else ""
        line = f"{self.subject.name} answers {answer} ({percent(probability)})"
        line += f"; {lead}{', '.join(parts)}" if parts else ""
        line += f"; {self.subject.remark}" if self.subject.remark else ""
        return f"{line}."


def layers_of(recording):
    """`{layer: (grid, branches)}` of a recording."""
    return {
        name: (layer.grid, list(layer.branches))
        for name, layer in recording.layers.items()
    }


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
        Range("size", "size of the digit", 12, 40, 4, 24, unit="px"),
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
    is_photo = values["picture"] not in PICTURES
    if "picture" not in named:
        if "drawing" in changed:
            values["picture"] = "drawing"
        elif "digit" in changed or ("size" in changed and is_photo):
            values["picture"] = "digit"
    _, names = layers.get(values["layer"], ((), ()))
    lost = len(names) < 2 or values["branch"] not in names
    if "layer" in changed and "branch" not in changed and lost:
        values["branch"] = EVERY
    return values


def inactive(values):
    """What needs one layer does nothing while all are shown."""
    if values["layer"] != EVERY_LAYER:
        return {}
    some = ("branch", "channels", "by", "shared")
    return dict.fromkeys(some, "choose one layer")


# The explorer of mini_reduced, which a page can draw as well.


@cache
def page_viewer():
    in_page = sys.platform == "emscripten"
    return Viewer(PageSubject() if in_page else shipped("mini_reduced"))


CONTROLS = controls_for(stored_layers(), PICTURES | PHOTOGRAPHS, "digit")
adjust = partial(adjusted, stored_layers())


def draw(state):
    """The picture of a state of mini_reduced."""
    return page_viewer().draw(state)


def feature_maps(
    model="mini_reduced", picture=None, *, classes=None, preprocessing=None, **options
):
    """The feature maps explorer of a network: `feature_maps("mini_v4", "me.jpg")`.

    `model`: a name that `load_pretrained` takes, or any network, the reader's own
    too. Without a network connection, a mini stands in for a published one and says
    so. `picture`: a file, a PIL image, an array or a tensor, see
    `figures.images.read_picture`; without one there are scikit-learn's two
    photographs and a handwritten digit of any size. `classes`: names of the outputs.
    `preprocessing`: how the network wants its pictures, a `Preprocessing`; its own
    `.preprocessing` unless given, else ImageNet's mean and std at its size. `options`
    are those of `Explorer`: start, frames.

    `window, recording = explorer.viewer.see(explorer.state)`: what the network saw and
    what it answered, `recording.layers` and `recording.top()`.
    """
    from inception_edu.figures.images import read_picture

    own = None if picture is None else read_picture(picture)
    viewer = Viewer(subject_of(model, preprocessing, classes), own)
    pictures = PICTURES | PHOTOGRAPHS | ({"yours": "your picture"} if own else {})
    if not viewer.subject.reads_digits:
        del pictures["drawing"]
    state = {"picture": viewer.start, "digit": 3, "size": 24}
    layers = layers_of(viewer.see(state)[1])
    controls = controls_for(layers, pictures, viewer.start)
    names, sizes = [EVERY_LAYER, *layers], controls[4].values
    if viewer.subject.reads_digits and own is None:
        sweep = {"layer": evenly(names, MOST_FRAMES // len(sizes)), "size": sizes}
    else:
        shown = ["yours"] * bool(own) + list(PHOTOGRAPHS)
        layer = evenly(names, MOST_FRAMES // len(shown))
        sweep = {"picture": shown, "layer": layer}
    explorer = make(
        "feature_maps",
        controls=controls,
        draw=viewer.draw,
        adjust=partial(adjusted, layers),
        sweep=sweep,
        **options,
    )
    explorer.viewer = viewer
    return explorer
