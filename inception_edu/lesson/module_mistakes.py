"""Branches, how they are joined, and the mistakes that every module allows."""

from functools import partial
from itertools import permutations

import torch
from torch.nn import functional as F

from inception_edu.lesson.errors import WRONG_DIMENSION

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


def run_branches(outputs):
    """The outputs by branch; a single tensor is one branch without a name."""
    if isinstance(outputs, dict):
        return {name: branch() for name, branch in outputs.items()}
    return {"": outputs}


def join(branches):
    return torch.cat(list(branches.values()), 1)


def join_over_batch(branches):
    return torch.cat(list(branches.values()), 0)


def add(branches):
    return sum(branches.values())


def stack(branches):
    return torch.stack(list(branches.values()), 1)


def join_then_relu(branches):
    return F.relu(join(branches))


def without(name, branches):
    return join({other: y for other, y in branches.items() if other != name})


def reordered(names, branches):
    return join({name: branches[name] for name in names})


def orders(names):
    """Every wrong order of these branches, as ways to join them."""
    wrong = [order for order in permutations(names) if order != tuple(names)]
    return [partial(reordered, order) for order in wrong]


def identity(x):
    return x


def common_mistakes(exercise):
    """Mistakes with activations and, where there are branches, in joining them."""
    found = {"no ReLU is there: one follows every convolution": {"act": identity}}
    for name, function in ACTIVATIONS.items():
        found[f"the activation is {name}, not ReLU"] = {"act": function}
    labels = list(exercise.layers(*exercise.cases[0].args))
    for label in labels if len(labels) > 1 else ():
        found[f"the ReLU after `{label}` is missing"] = {"linear": (label,)}
    names = exercise.branches
    if not names:
        return found
    for name in names:
        hint = f"the branch `{name}` is missing from the concatenation"
        found[hint] = {"join": partial(without, name)}
    hint = f"the branches are in another order: expected {', '.join(names)}"
    found[hint] = [{"join": wrong} for wrong in orders(names)]
    return found | {
        "concatenate the branches, do not add them": {"join": add},
        WRONG_DIMENSION: {"join": join_over_batch},
        "`torch.cat` joins along a dimension; `torch.stack` makes a new one": {
            "join": stack
        },
        "ReLU follows the convolutions only, neither the pool nor the concatenation": {
            "join": join_then_relu
        },
    }
