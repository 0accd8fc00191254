"""What the papers built: every network of the family, by name."""

from inspect import signature

from torch import nn

from inception_edu.networks.bn_inception import bn_inception
from inception_edu.networks.fuse import fuse
from inception_edu.networks.googlenet import googlenet, googlenet_naive
from inception_edu.networks.inception_resnet import (
    inception_resnet_v1,
    inception_resnet_v2,
)
from inception_edu.networks.inception_v3 import inception_v3
from inception_edu.networks.inception_v4 import inception_v4
from inception_edu.networks.layers import Branches, ConvUnit, Network, Outputs
from inception_edu.networks.minis import CLASSES, MINIS
from inception_edu.networks.pretrained import load_pretrained
from inception_edu.networks.weights import load_weights
from inception_edu.options import whole_number
from inception_edu.text import closest

MODELS = {
    "googlenet_naive": googlenet_naive,
    "googlenet": googlenet,
    "bn_inception": bn_inception,
    "inception_v3": inception_v3,
    "inception_v4": inception_v4,
    "inception_resnet_v1": inception_resnet_v1,
    "inception_resnet_v2": inception_resnet_v2,
    **MINIS,
}

__all__ = [
    "MODELS",
    "Branches",
    "ConvUnit",
    "Network",
    "Outputs",
    "create_model",
    "fuse",
    "list_models",
    "load_pretrained",
    "load_weights",
]


def list_models() -> list[str]:
    """The names that `create_model` takes, in the order of the story."""
    return list(MODELS)


def create_model(
    name: str, num_classes: int | None = None, aux: bool = False, **options: object
) -> nn.Module:
    """The network called `name`, untrained, in train mode as torch makes it.

    `num_classes`: outputs of the classifier, at least 1; 1000 unless told
    otherwise, 10 for a mini. `aux`: build the auxiliary heads as well (used in train
    mode only). `options` are the network's own, such as `layout="torchvision"`.
    Raises ValueError that names the close matches for an unknown name, or where there
    is no head; TypeError for an unknown option, which names those there are.
    """
    if not isinstance(name, str) or name not in MODELS:
        raise ValueError(
            f"no model is called {name!r}; {closest(name, MODELS)}"
            f"list_models() gives all: {', '.join(MODELS)}"
        )
    if num_classes is None:
        num_classes = CLASSES if name in MINIS else 1000
    num_classes = whole_number("num_classes", num_classes, 1, 10**6)
    _, *known = signature(MODELS[name]).parameters  # after num_classes
    if aux and "aux" not in known:
        raise ValueError(f"{name} has no auxiliary head; use aux=False")
    options |= {"aux": True} if aux else {}
    for option in options.keys() - set(known):
        raise TypeError(
            f"{name} has no option {option!r}; {closest(option, known)}it has: "
            f"{', '.join(known) or 'none'}"
        )
    return MODELS[name](num_classes, **options)
