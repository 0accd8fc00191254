"""What the feature maps explorer looks at: networks, and pictures to show them."""

from collections import OrderedDict
from functools import cache

from inception_edu.figures.feature_maps import Photo

KEPT = 24  # recordings in memory, the last ones used
SIDE = 48  # of a picture with a digit, in pixels
DIGITS = tuple("0123456789")
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


def ground():
    """The crop of a photograph on which digits are drawn, `(48, 48, 3)` uint8."""
    return photograph("china")[150 : 150 + SIDE, 430 : 430 + SIDE].copy()


def digit_picture(ink, size):
    """Ink `(8, 8)`, 0 to 16, drawn `size` pixels tall: an RGB PIL image, 48x48.

    Drawn as in `digits_at_scale`, without its chance: always the middle of the same
    crop of a photograph, contrast 170 of 255, opacity 90 %, no tint.
    """
    from PIL import Image

    from inception_edu.training.data import paint_digit

    pixels = ground()
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
        return self.classes is not None and tuple(self.classes) == DIGITS

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

    def image(self, state, own=None):
        """`(key, image)` of a state's picture; `own` is the reader's."""
        name, size = state["picture"], state["size"]
        if name == "digit":
            key = ("digit", state["digit"], size)
            return key, digit_picture(handwriting()[state["digit"]], size)
        if name == "drawing":
            key = ("drawing", state["drawing"], size)
            return key, digit_picture(ink_of(state["drawing"]), size)
        if name == "yours":
            return ("yours", id(own)), own.image
        from PIL import Image

        return (name,), Image.fromarray(photograph(name))

    def look(self, state, own=None):
        """`(photo, recording)` of a state's picture."""
        window, recording = self.see(*self.image(state, own))
        return Photo.of(window), recording


def preparation(model):
    """The model's own preprocessing, or what networks of its size usually need."""
    from inception_edu.networks import pretrained

    if hasattr(model, "preprocessing"):
        return model.preprocessing
    size = getattr(model, "input_size", 224)
    if size == pretrained.DIGITS.crop:
        return pretrained.DIGITS
    return pretrained.Preprocessing(size, size, **pretrained.IMAGENET)


def known_classes(model):
    """The model's own class names; the digits for a mini; None where unknown."""
    from inception_edu.networks import MODELS
    from inception_edu.networks.minis import MINIS

    if hasattr(model, "classes"):
        return model.classes
    name = getattr(model, "name", "")
    last = [m for m in model.modules() if hasattr(m, "out_features")]
    digits = name in MINIS and name in MODELS and last and last[-1].out_features == 10
    return DIGITS if digits else None


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
