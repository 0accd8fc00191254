"""A trace leaves the model and the program as they were, whatever a forward keeps."""

import gc
from collections import UserList, deque
from contextlib import nullcontext
from functools import lru_cache, partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from inception_edu.cost import trace
from inception_edu.cost.shapes import ShapeValue
from tests.models import Model, keep

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGE = (1, 3, 8, 8)


SEEN = {}
LAST = None


class Slots:
    __slots__ = ("more", "y")

    def __init__(self):
        self.y = None


class OfClass(Model):
    last = None


class Store:
    kept = {}

    @classmethod
    def keep(cls, y):
        cls.kept["y"] = y


def keep_by_default(y, kept=[]):  # noqa: B006
    kept.append(y)


def rebind(y):
    global LAST, NEW
    LAST = NEW = y


@lru_cache
def doubled(y):
    return 2 * y


class WithMethods(Model):
    def note(self, y):
        SEEN.update(y=y)
        doubled(y)


KEEPERS = {
    "rebound global": (keep("seen", int), lambda m, y: rebind(y)),
    "cache": (keep("seen", int), lambda m, y: doubled(y)),
    "a method": (keep("__class__", lambda: WithMethods), lambda m, y: m.note(y)),
    "new name of a class": (
        keep("__class__", lambda: OfClass),
        lambda m, y: setattr(OfClass, "new", y),
    ),
    "slots": (keep("seen", Slots), lambda m, y: setattr(m.seen, "y", y)),
    "class": (
        keep("__class__", lambda: OfClass),
        lambda m, y: setattr(OfClass, "last", y),
    ),
    "global": (keep("seen", int), lambda m, y: SEEN.update(y=y)),
    "a class by name": (keep("seen", int), lambda m, y: Store.keep(y)),
    "default argument": (keep("seen", int), lambda m, y: keep_by_default(y)),
    "user list": (keep("seen", UserList), lambda m, y: m.seen.append(y)),
    "replaced": (
        keep("seen", int),
        lambda m, y: setattr(m.conv.bias, "data", torch.ones(1)),
    ),
    "attribute": (keep("seen", lambda: None), lambda m, y: setattr(m, "seen", y)),
    "list": (keep("seen", list), lambda m, y: m.seen.append(y)),
    "nested": (
        keep("seen", lambda: {"a": [deque()]}),
        lambda m, y: m.seen["a"][0].append(y),
    ),
    "object": (
        keep("seen", lambda: SimpleNamespace(y=None)),
        lambda m, y: setattr(m.seen, "y", y),
    ),
    "a layer's": (keep("seen", int), lambda m, y: setattr(m.conv, "last", y)),
    "new buffer": (keep("seen", int), lambda m, y: m.register_buffer("new", y)),
    "buffer": (
        lambda m: m.register_buffer("seen", torch.zeros(4)),
        lambda m, y: setattr(m, "seen", y.mean((0, 2, 3))),
    ),
    "average": (
        lambda m: m.register_buffer("seen", torch.zeros(4)),
        lambda m, y: m.seen.mul_(0.9).add_(y.mean((0, 2, 3))),
    ),
    "slice": (
        lambda m: m.register_buffer("seen", torch.zeros(2, 4, 8, 8)),
        lambda m, y: m.seen.__setitem__(slice(0, 1), y),
    ),
    "a buffer's data": (
        lambda m: m.register_buffer("seen", torch.zeros(1, 4, 8, 8)),
        lambda m, y: m.seen.data.copy_(y),
    ),
    "new data": (
        lambda m: m.register_buffer("seen", torch.zeros(4)),
        lambda m, y: setattr(m.seen, "data", 0.9 * m.seen + y.mean((0, 2, 3))),
    ),
    "data": (keep("seen", int), lambda m, y: m.conv.bias.data.zero_()),
    "deleted": (keep("seen", int), lambda m, y: delattr(m.conv, "bias")),
}


def values_in(model):
    own = {k: v for k, v in model.__dict__.items() if not k.startswith("_")}
    return repr(own), {k: v.clone() for k, v in model.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "fails"), [*((name, False) for name in KEEPERS), ("list", True)]
)
def test_what_a_model_keeps_is_put_back(name, fails):
    setup, keep_it = KEEPERS[name]

    def forward(model, x):
        y = model.conv(x)
        keep_it(model, y)
        if fails:
            raise KeyError("such a day")
        return y

    model = Model(forward, setup)
    before, state = values_in(model)
    with pytest.raises(KeyError, match="such a day") if fails else nullcontext():
        assert trace(model, IMAGE).macs == 4 * 27 * 64
    after, left = values_in(model)
    assert LAST is None and "NEW" not in globals()
    gc.collect()
    assert not [v for v in gc.get_objects() if type(v) is ShapeValue]
    assert after == before and left.keys() == state.keys()
    assert all(torch.equal(left[key], state[key]) for key in state)


def test_what_a_hook_keeps_is_put_back():
    features, order = {}, []
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model[0].register_forward_hook(lambda m, i, out: features.update(conv=out))
    model[1].register_forward_hook(partial(lambda to, m, i, out: to.append(out), order))
    trace(model, IMAGE)
    assert features == {} and order == []
