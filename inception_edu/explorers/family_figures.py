"""The family's costs and its published errors, with their sources.

Costs of the Inception family are those of traces, stored in family_figures.csv
(`python -m experiments family_costs`); those of the references, and every accuracy,
are published figures.
"""

from functools import cache
from pathlib import Path

from inception_edu.files import read_rows
from inception_edu.papers import figure

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ("params", "macs", "activations", "field")  # of family_figures.csv
SLIM = "tf-slim/research-slim-readme-md/{}/{}-accuracy"
TORCHVISION = "torchvision/imagenet1k-v1/{}/{}-accuracy"
COUNTED = "torchvision/torchvision-models/{}/{}-counted"
SLIM_STEM = {"separable_stem": True}

# The networks of v4's paper, and how each is built for its figures.
V4_PAPER = {
    "Inception-v3": ("inception_v3", {}),
    "Inception-v4": ("inception_v4", {}),
    "Inception-ResNet-v1": ("inception_resnet_v1", {}),
    "Inception-ResNet-v2": ("inception_resnet_v2", {"layout": "paper"}),
}


def printed(place, builds):
    """`{name: (build, id)}` of networks whose figures stand at the same `place`."""
    return {
        name: (build, place.format(name.lower(), "{}"))
        for name, build in builds.items()
    }


def references(place, *names):
    """The same for references, of which nothing is built."""
    return printed(place, dict.fromkeys(names))


# What an accuracy was measured on, and for each network how it is built for that
# figure (None: a reference, whose costs are published too) and where it stands.
# `{}` is "top-1" or "top-5"; GoogLeNet's paper has top-5 only.
RESNETS = ("ResNet-50", "ResNet-101", "ResNet-152")
SETS = {
    "released": {
        "GoogLeNet": (
            ("googlenet", {"layout": "torchvision"}),
            TORCHVISION.format("googlenet", "{}"),
        ),
        "BN-Inception": (
            ("bn_inception", SLIM_STEM),
            SLIM.format("inception-v2", "{}"),
        ),
        **printed(
            SLIM,
            {
                "Inception-v3": ("inception_v3", {}),
                "Inception-v4": ("inception_v4", {}),
                "Inception-ResNet-v2": ("inception_resnet_v2", {}),
            },
        ),
        **references(TORCHVISION, "AlexNet", "VGG-16", "ResNet-18", *RESNETS),
    },
    "one crop": {
        "GoogLeNet": (("googlenet", {}), "going-deeper/table-3/1-model-1-crop"),
        "BN-Inception": (
            ("bn_inception", SLIM_STEM),
            "batch-normalization/figure-4/bn-inception-1-model-1-crop/{}-error",
        ),
        **printed("inception-v4/table-2/{}/{}-error", V4_PAPER),
    },
    "ten crops": {
        "GoogLeNet": (("googlenet", {}), "going-deeper/table-3/1-model-10-crops"),
        **printed("inception-v4/table-3/{}/{}-error", V4_PAPER),
        "AlexNet": (None, "alexnet/table-2/alexnet-1-cnn/{}-error"),
        **references("resnet/table-3/{}/{}-error", "VGG-16", *RESNETS),
    },
}
SET_NAMES = {
    "released": "released weights, 1 crop",
    "one crop": "the papers, 1 crop",
    "ten crops": "the papers, 10 or 12 crops",
}
NAMES = list(dict.fromkeys(name for members in SETS.values() for name in members))


@cache
def traced():
    """`{(name, options): {cost: value}}` of our networks at their own image sizes."""
    return {
        (row["network"], row["options"]): {what: int(row[what]) for what in COLUMNS}
        for row in read_rows(TABLE)
    }


def options_text(options):
    """Options of a network as family_figures.csv writes them: "layout=paper"."""
    return " ".join(f"{name}={value}" for name, value in sorted(options.items()))


def network_key(figures, name):
    """`(name, options)` that a member is built with, None for a reference."""
    build = SETS[figures][name][0]
    return build and (build[0], tuple(sorted(build[1].items())))


@cache
def cost(figures, name, what):
    """A cost of a member, None where neither code nor a published figure has it."""
    build = SETS[figures][name][0]
    if build:
        return traced()[build[0], options_text(build[1])][what]
    slug = name.lower()
    published = {
        "macs": COUNTED.format(slug, "macs"),
        "params": COUNTED.format(slug, "parameters"),
        "field": "receptive-field/readme-md/vgg-16/receptive-field"
        if name == "VGG-16"
        else None,
    }.get(what)
    return figure(published).value if published else None


def published(figures, name, top):
    """The `papers.Figure` of a member's error or accuracy, None if not published."""
    if name not in SETS[figures]:
        return None
    id = SETS[figures][name][1]
    if "{}" not in id:
        return figure(id) if top == "top-5" else None
    return figure(id.format(top))


def error_of(figures, name, top):
    """Published error in percent, None where there is none."""
    found = published(figures, name, top)
    if found is None:
        return None
    value = 100 - found.value if "accuracy" in found.what else found.value
    return round(value, 3)
