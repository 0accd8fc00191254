"""The feature maps explorer: what does each branch answer to this picture?

The picture is a photograph, one of the reader's own, a handwritten digit, or one that
the reader draws. The network runs once for each; what its layers answered is kept, so
every other control only draws. `figures/activations.py` says what is kept,
`figures/feature_maps.py` draws it.
"""

from collections import OrderedDict
from functools import cache

from inception_edu.explorers import make
from inception_edu.explorers.controls import Check, Choice, Grid, Picture, Range
from inception_edu.figures.feature_maps import (
    EVERY,
    EVERY_LAYER,
    Photo,
    evenly,
    feature_sheet,
    in_words,
)
from inception_edu.figures.png import data_uri, rgb_png
from inception_edu.text import percent

KEPT = 24  # recordings in memory, the last ones used
SIDE = 48  # of a picture with a digit, in pixels
MOST_FRAMES = 60
QUESTION = "What does each branch answer to this picture?"
PICTURES = {"digit": "a handwritten digit", "drawing": "your drawing"}
PHOTOGRAPHS = {"china": "photo: a temple", "flower": "photo: a flower"}
# Which mini stands in for a network whose published weights cannot be fetched.
STAND_INS = {
    "googlenet": "mini_reduced",
    "inception_v3": "mini_v3",
    "inception_v4": "mini_v4",
    "inception_resnet_v2": "mini_resnet",
}


# Pictures.


@cache
def handwriting():
    """`{digit: (8, 8) ink}`: the first of each among those of the test images."""
    from inception_edu.training.data import handwritten_digits

    first = {}
    for ink, digit in zip(*handwritten_digits("test"), strict=True):
        first.setdefault(int(digit), ink)
    return first


@cache
def photograph(name):
    """One of scikit-learn's two photographs, `(427, 640, 3)` uint8."""
    from sklearn.datasets import load_sample_image

    return load_sample_image(f"{name}.jpg")


def digit_picture(ink, size):
    """Ink `(8, 8)`, 0 to 16, drawn `size` pixels tall: an RGB PIL image, 48x48.

    Drawn as in `digits_at_scale`, without its chance: always the middle of the same
    crop of a photograph, contrast 170 of 255, opacity 90 %, no tint.
    """
    from PIL import Image

    from inception_edu.training.data import paint_digit

    pixels = photograph("china")[150 : 150 + SIDE, 430 : 430 + SIDE].copy()
    start = (SIDE - size) // 2
    paint_digit(pixels[start : start + size, start : start + size], ink)
    return Image.fromarray(pixels)


def ink_of(drawing):
    """The ink `(8, 8)`, 0 to 16, of a drawing's 64 digits from 0 to 8."""
    import numpy as np

    return 2 * np.array([int(cell) for cell in drawing], np.int32).reshape(8, 8)


# The network.


class Subject:
    """A network, how it wants its pictures, and what it answered to the last ones."""

    def __init__(self, model, name, *, preprocessing=None, classes=None, remark=""):
        self.model, self.name, self.remark = model, name, remark
        self.prepare = preprocessing or preparation(model)
        self.classes = known_classes(model) if classes is None else tuple(classes)
        self.seen = OrderedDict()

    @property
    def reads_digits(self):
        return self.classes is not None and tuple(self.classes) == tuple("0123456789")

    def see(self, key, image):
        """`(window, recording)` of a picture; the network runs when it is new."""
        from inception_edu.figures.activations import record

        if key in self.seen:
            self.seen.move_to_end(key)
            return self.seen[key]
        window = self.prepare.window(image)
        recording = record(self.model, self.prepare(image))
        count = len(recording.logits)
        if self.classes and len(self.classes) != count:
            raise ValueError(
                f"{len(self.classes)} class names for {count} outputs of {self.name}; "
                "give one name for each, in order"
            )
        self.seen[key] = window, recording
        if len(self.seen) > KEPT:
            self.seen.popitem(last=False)
        return window, recording


def preparation(model):
    """The model's own preprocessing, or what networks of its size usually need."""
    from inception_edu.networks.pretrained import DIGITS, IMAGENET, Preprocessing

    if hasattr(model, "preprocessing"):
        return model.preprocessing
    size = getattr(model, "input_size", 224)
    return DIGITS if size == DIGITS.crop else Preprocessing(size, size, **IMAGENET)


def known_classes(model):
    """The model's own class names; the digits for a mini; None where unknown."""
    from inception_edu.networks import MODELS
    from inception_edu.networks.minis import MINIS

    if hasattr(model, "classes"):
        return model.classes
    name = getattr(model, "name", "")
    last = [m for m in model.modules() if hasattr(m, "out_features")]
    digits = name in MINIS and name in MODELS and last and last[-1].out_features == 10
    return tuple("0123456789") if digits else None


@cache
def shipped(name):
    """The `Subject` of a mini that comes with the package."""
    from inception_edu.networks import load_pretrained

    return Subject(load_pretrained(name), name)


def subject_of(model, preprocessing, classes):
    """The `Subject` meant: a network, or the name of one with trained weights."""
    from torch import nn

    from inception_edu.networks import load_pretrained

    if not isinstance(model, str):
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"feature_maps takes a network, or the name of a trained one, got "
                f"{model!r}"
            )
        name = getattr(model, "name", type(model).__name__)
        return Subject(model, name, preprocessing=preprocessing, classes=classes)
    if model not in STAND_INS:
        if preprocessing is None and classes is None and model in STAND_INS.values():
            return shipped(model)
        loaded, remark = load_pretrained(model), ""
    else:
        try:
            loaded, remark = load_pretrained(model), ""
        except ConnectionError:
            loaded = load_pretrained(STAND_INS[model])
            remark = f"no network, hence {loaded.name} in place of {model}"
    return Subject(
        loaded,
        loaded.name,
        preprocessing=preprocessing,
        classes=classes,
        remark=remark,
    )


# The explorer.


class Viewer:
    """What one explorer shows: a subject, and the reader's own picture if any."""

    def __init__(self, subject, own=None):
        self.subject, self.own = subject, own
        self.start = "yours" if own else "digit" if subject.reads_digits else "china"

    def image(self, state):
        """`(key, image)` of the state's picture."""
        name = state["picture"]
        if name == "digit":
            ink, size = handwriting()[state["digit"]], state["size"]
            return ("digit", state["digit"], size), digit_picture(ink, size)
        if name == "drawing":
            key = ("drawing", state["drawing"], state["size"])
            return key, digit_picture(ink_of(state["drawing"]), state["size"])
        if name == "yours":
            return ("yours", id(self.own)), self.own.image
        from PIL import Image

        return (name,), Image.fromarray(photograph(name))

    def see(self, state):
        return self.subject.see(*self.image(state))

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
        window, recording = self.see(state)
        name, branch = state["layer"], state["branch"]
        layers = (
            recording.layers if name == EVERY_LAYER else {name: recording.layers[name]}
        )
        if branch != EVERY and not any(branch in la.branches for la in layers.values()):
            has = ", ".join(recording.layers[name].branches)
            raise ValueError(f"{name} has no branch {branch}: take {has}, or {EVERY}")
        remarks, names = self.remarks(state), self.subject.classes
        sheet = feature_sheet(
            photo_of(window, state["picture"]),
            recording,
            name,
            branch,
            count=state["channels"],
            by=state["by"],
            shared=state["shared"],
            names=names,
            remarks=remarks,
        )
        summary = self.summarise(recording, layers, branch, state["by"])
        words = " ".join((in_words(recording, name, names, by=state["by"]), *remarks))
        title = f"Feature maps of {self.subject.name}, {name}: {summary}"
        return Picture(sheet.svg(title, words), summary)

    def summarise(self, recording, layers, branch, by):
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


def photo_of(window, picture):
    """The `Photo` of what the network saw; exact where it is a digit."""
    if picture in PICTURES and window.size == (SIDE, SIDE):
        return Photo(SIDE, SIDE, data_uri(rgb_png(SIDE, SIDE, window.tobytes())))
    return Photo.of(window)


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
    are those of `Explorer`: start, frames, compact.

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
    _, recording = viewer.see(state)
    layers = {EVERY_LAYER: EVERY_LAYER} | {
        name: f"{name} ({layer.grid[0]}x{layer.grid[1]})"
        for name, layer in recording.layers.items()
    }
    branches = [EVERY]
    for layer in recording.layers.values():
        if len(layer.branches) > 1:
            branches += [b for b in layer.branches if b not in branches]
    controls = [
        Choice("layer", "layer", layers, EVERY_LAYER),
        Choice("branch", "branch", branches, EVERY),
        Choice("picture", "picture", pictures, viewer.start),
        Choice("digit", "which digit", list(range(10)), 3),
        Range("size", "size of the digit", 12, 40, 4, 24, unit="px"),
        Range("channels", "channels shown", 1, 12, 1, 6),
        Choice("by", "strongest by", {"mean": "mean", "peak": "peak"}, "mean"),
        Check("shared", "one scale for the whole layer", False),
    ]
    if "drawing" in pictures:
        controls.append(Grid("drawing", "draw a digit"))

    def adjust(values, changed, named):
        """Drawing shows the drawing, moving the digit the digit.

        A layer without the branch shows every one.
        """
        if "picture" not in named:
            if "drawing" in changed:
                values["picture"] = "drawing"
            elif "digit" in changed or ("size" in changed and is_photo(values)):
                values["picture"] = "digit"
        found = recording.layers.get(values["layer"])
        has = found.branches if found else ()
        if (
            "layer" in changed
            and "branch" not in changed
            and (len(has) < 2 or values["branch"] not in has)
        ):
            values["branch"] = EVERY
        return values

    def is_photo(values):
        return values["picture"] not in PICTURES

    def inactive(values):
        if values["layer"] != EVERY_LAYER:
            return {}
        some = ("branch", "channels", "by", "shared")
        return dict.fromkeys(some, "choose one layer")

    if viewer.subject.reads_digits and own is None:
        sizes = controls[4].values
        sweep = {
            "layer": evenly(list(layers), MOST_FRAMES // len(sizes)),
            "size": sizes,
        }
    else:
        shown = ["yours"] * bool(own) + ["china", "flower"]
        sweep = {
            "picture": shown,
            "layer": evenly(list(layers), MOST_FRAMES // len(shown)),
        }
    explorer = make(
        "feature_maps",
        controls=controls,
        draw=viewer.draw,
        adjust=adjust,
        inactive=inactive,
        sweep=sweep,
        **options,
    )
    explorer.viewer = viewer
    return explorer
