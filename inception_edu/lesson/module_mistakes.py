"""The mistakes that every module allows: with its ReLUs, and in joining branches."""

from functools import partial
from itertools import permutations

import torch
from torch.nn import functional as F

from inception_edu.lesson.errors import WRONG_DIMENSION
from inception_edu.lesson.exercise import Mistake
from inception_edu.lesson.reference import concatenated

ACTIVATIONS = {
    "ReLU6": F.relu6,
    "leaky ReLU": F.leaky_relu,
    "GELU": F.gelu,
    "SiLU": F.silu,
    "ELU": F.elu,
    "a sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "hard swish": F.hardswish,
    "the absolute value": torch.abs,
}
WRONG_JOINS = {
    "concatenate the branches, do not add them": lambda b: sum(b.values()),
    WRONG_DIMENSION: lambda b: torch.cat(list(b.values()), 0),
    "`torch.cat` joins along a dimension; `torch.stack` makes a new one": (
        lambda b: torch.stack(list(b.values()), 1)
    ),
    "ReLU follows the convolutions only, neither the pool nor the concatenation": (
        lambda b: F.relu(concatenated(b))
    ),
}


def only(names, branches):
    """These branches, in this order, concatenated."""
    return concatenated({name: branches[name] for name in names})


def common_mistakes(labels, branches):
    """Hint -> variants, for a module with these layers and these branches."""
    found = {"no ReLU is there: one follows every convolution": [{"act": lambda x: x}]}
    for name, function in ACTIVATIONS.items():
        found[f"the activation is {name}, not ReLU"] = [{"act": function}]
    for label in labels if len(labels) > 1 else ():
        found[f"the ReLU after `{label}` is missing"] = [{"linear": (label,)}]
    if branches:
        for name in branches:
            hint = f"the branch `{name}` is missing from the concatenation"
            left = [other for other in branches if other != name]
            found[hint] = [{"join": partial(only, left)}]
        hint = f"the branches are in another order: expected {', '.join(branches)}"
        _, *orders = permutations(branches)
        found[hint] = [{"join": partial(only, order)} for order in orders]
        found |= {hint: [{"join": join}] for hint, join in WRONG_JOINS.items()}
    return {hint: [Mistake(net=one) for one in ones] for hint, ones in found.items()}
