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

# How each network is built for the figures of its paper, and for those of released
# weights where that differs. What is not named is a reference: its costs are
# published too.
BUILDS = {
    "GoogLeNet": ("googlenet", {}),
    "BN-Inception": ("bn_inception", {"separable_stem": True}),
    "Inception-v3": ("inception_v3", {}),
    "Inception-v4": ("inception_v4", {}),
    "Inception-ResNet-v1": ("inception_resnet_v1", {}),
    "Inception-ResNet-v2": ("inception_resnet_v2", {"layout": "paper"}),
}
RELEASED = BUILDS | {
    "GoogLeNet": ("googlenet", {"layout": "torchvision"}),
    "Inception-ResNet-v2": ("inception_resnet_v2", {}),
}

# What an accuracy was measured on, and where the figure of each network stands;
# GoogLeNet's paper has top-5 only.
SLIM = "tf-slim/research-slim-readme-md/{name}/{top}-accuracy"
TORCHVISION = "torchvision/imagenet1k-v1/{name}/{top}-accuracy"
V4_PAPER = list(BUILDS)[2:]
RESNETS = ("ResNet-50", "ResNet-101", "ResNet-152")
SETS = {
    "released": {
        "GoogLeNet": TORCHVISION,
        "BN-Inception": SLIM.replace("{name}", "inception-v2"),
        **dict.fromkeys(("Inception-v3", "Inception-v4", "Inception-ResNet-v2"), SLIM),
        **dict.fromkeys(("AlexNet", "VGG-16", "ResNet-18", *RESNETS), TORCHVISION),
    },
    "one crop": {
        "GoogLeNet": "going-deeper/table-3/1-model-1-crop",
        "BN-Inception": "batch-normalization/figure-4/bn-inception-1-model-1-crop/"
        "{top}-error",
        **dict.fromkeys(V4_PAPER, "inception-v4/table-2/{name}/{top}-error"),
    },
    "ten crops": {
        "GoogLeNet": "going-deeper/table-3/1-model-10-crops",
        **dict.fromkeys(V4_PAPER, "inception-v4/table-3/{name}/{top}-error"),
        "AlexNet": "alexnet/table-2/alexnet-1-cnn/{top}-error",
        **dict.fromkeys(("VGG-16", *RESNETS), "resnet/table-3/{name}/{top}-error"),
    },
}
SET_NAMES = {
    "released": "released weights, 1 crop",
    "one crop": "the papers, 1 crop",
    "ten crops": "the papers, 10 or 12 crops",
}


def build_of(error_set, name):
    """`(network, options)` for `create_model`, None for a reference."""
    return (RELEASED if error_set == "released" else BUILDS).get(name)


@cache
def traced():
    """`{(error set, name): {cost: value}}` of ours at their own image sizes."""
    return {(row["errors"], row["name"]): row for row in read_rows(TABLE)}


def cost(error_set, name, what):
    """A cost of a member, None where neither code nor a published figure has it."""
    if row := traced().get((error_set, name)):
        return int(row[what])
    counted = {"macs": "macs-counted", "params": "parameters-counted"}
    if what in counted:
        id = f"torchvision/torchvision-models/{name.lower()}/{counted[what]}"
        return figure(id).value
    if (name, what) == ("VGG-16", "field"):
        return figure("receptive-field/readme-md/vgg-16/receptive-field").value
    return None


def published(error_set, name, top):
    """A member's published error or accuracy, None where there is none."""
    place = SETS[error_set][name]
    if "{top}" not in place and top == "top-1":
        return None
    return figure(place.format(name=name.lower(), top=top))


def error_of(error_set, name, top):
    """Published error in percent, None where there is none."""
    found = published(error_set, name, top)
    if found is None:
        return None
    return round(100 - found.value if "accuracy" in found.what else found.value, 3)
