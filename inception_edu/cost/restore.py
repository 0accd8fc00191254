"""The model is put back as it was before a trace, whatever its forward did.

A module runs with copies of its attributes and of its tables of buffers, parameters and
layers, and gets its own back; of a scripted one, the mode alone. Of lists, dicts and
objects that hang on a module, on its class, on one of its hooks or, by a global name,
on one of its methods, the content is copied before the run, and the globals that these
rebind. An `lru_cache` that remembers values of the trace is emptied. Layers and
parameters that the forward made stay, as after a real call. What other files' globals,
an iterator or an open file hold is not put back.
"""

import gc
import sys
from collections import ChainMap, UserDict, UserList, deque
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from types import CellType, FunctionType, MethodType, NoneType, SimpleNamespace

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.utils._pytree import tree_leaves

from inception_edu.cost.shapes import ShapeValue, storage_of

OWN = frozenset(nn.Module().__dict__)  # what every module has
REGISTRATIONS = (
    hooks.register_module_module_registration_hook,
    hooks.register_module_parameter_registration_hook,
)
PLAIN = (bool, int, float, str, type(None))
MUTABLE = (dict, list, set, deque)
QUIET = ("torch.nn.", "inception_edu.")  # their modules keep nothing of a forward
FOREIGN = {*sys.stdlib_module_names, "torch", "numpy"}
OPEN = (SimpleNamespace, CellType, ChainMap, UserDict, UserList)  # foreign, but holds
CACHE = type(lru_cache(print))
DEPTH = 7  # of containers in containers


class Snapshot:
    """What modules hold now; `restore()` puts it back."""

    def __init__(self):
        self.modules = {}  # module -> its attributes
        self.modes = []  # of scripted modules, which keep theirs past Python
        self.containers, self.named, self.caches = [], [], []
        self.parts, self.seen = [], {}
        self.changed = {}  # storage -> tensor, what it held, the values there
        self.made, self.handles = False, []  # whether layers or parameters were made

    def keep_module(self, module):
        """Remember what a module has; what it runs with are copies."""
        own = module.__dict__
        self.modules[module] = own.copy()
        quiet = is_quiet(type(module))
        if quiet or has_tables(module):
            own["_buffers"] = own["_buffers"].copy()
            own["_parameters"] = own["_parameters"].copy()
            own["_modules"] = own["_modules"].copy()
        if own["_forward_hooks"] or own["_forward_pre_hooks"]:
            self.parts += own["_forward_hooks"], own["_forward_pre_hooks"]
        if quiet:
            return
        self.parts.append(type(module))
        if len(own) > len(OWN):
            self.parts += [own[name] for name in own.keys() - OWN]

    def set_mode(self, scripted, training):
        """Set the mode of a scripted module for the run."""
        if scripted._c.hasattr("training"):  # a frozen one has none
            self.modes.append((scripted._c, scripted._c.getattr("training")))
            scripted._c.setattr("training", training)

    def begin(self):
        """Remember all else that a forward can change through the modules."""
        for _ in range(DEPTH):
            values, self.parts = self.parts, []
            for value in values:
                self.parts += self.keep(value)
        self.handles = [register(self.note_made) for register in REGISTRATIONS]

    def note_made(self, module, name, value):
        """torch calls it before a module gets a layer or a parameter."""
        self.made = True

    def keep(self, value):
        """Remember what a value holds; whatever else can be changed through it."""
        if type(value) in PLAIN or id(value) in self.seen:
            return ()
        self.seen[id(value)] = value
        if isinstance(value, nn.Module):
            if value not in self.modules:
                self.keep_module(value)
            return ()
        if isinstance(value, type) and is_foreign(value):
            return ()
        if isinstance(value, MUTABLE):
            self.containers.append((value, value.copy()))
        elif isinstance(value, CACHE):
            self.caches.append(value)
        else:
            self.named.append((value, named_in(value)))
        return held_by(value)

    @cached_property
    def tensors(self):
        """Every tensor with memory that the model had before the run, by storage."""
        known = [value for value in self.seen.values() if torch.is_tensor(value)]
        for module, own in self.modules.items():
            if has_tables(module):
                known += [*own["_parameters"].values(), *own["_buffers"].values()]
        known = [v for v in known if type(v) not in (NoneType, ShapeValue)]
        return {storage_of(tensor): tensor for tensor in known}

    def before_change(self, tensor):
        """Call it before the values of a real tensor change."""
        storage = storage_of(tensor)
        if storage in self.tensors and storage not in self.changed:
            known = self.tensors[storage]
            own = known.detach()
            self.changed[storage] = known, own, own.clone()

    def restore(self):
        """Put everything back, but for layers and parameters that were made."""
        for handle in self.handles:
            handle.remove()
        for tensor, own, values in self.changed.values():
            tensor.data = own.copy_(values)
        for value, before in self.named:
            put_back(value, before)
        for value, before in self.containers:
            value.clear()
            value.extend(before) if hasattr(value, "extend") else value.update(before)
        for cache in self.caches:
            remembered = tree_leaves(gc.get_referents(cache))
            if any(isinstance(value, ShapeValue) for value in remembered):
                cache.cache_clear()
        for scripted, training in self.modes:
            scripted.setattr("training", training)
        for module, before in self.modules.items():
            if self.made and has_tables(module):
                keep_made(module.__dict__, before)
            object.__setattr__(module, "__dict__", before)


def keep_made(now, before):
    """Add what a forward made of layers and parameters to what a module had before.

    A parameter like an input, `torch.zeros_like(x)`, is a shape here: it is made again.
    """
    flags = {name: now[name] for name in now.keys() - OWN if type(now[name]) in PLAIN}
    for kind in ("_parameters", "_modules"):
        for name, value in now[kind].items():
            is_real = value is not None and type(value) is not ShapeValue
            if is_real and before[kind].get(name) is None:
                before[kind][name] = value
                before.pop(name, None)  # an attribute would hide it
                before |= flags  # which may say "it is there"


def has_tables(module):
    """Whether its buffers, parameters and layers are dicts, unlike a scripted one's."""
    return not isinstance(module, torch.jit.ScriptModule)


@lru_cache
def is_quiet(kind):
    return kind.__module__.startswith(QUIET)


def is_foreign(kind):
    return kind.__module__.partition(".")[0] in FOREIGN


def held_by(value):
    """What a forward could reach, and change, through a value."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (*MUTABLE, tuple)):
        return list(value)
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, value.keywords]
    if isinstance(value, CACHE):
        return [value.__wrapped__]
    if isinstance(value, FunctionType):
        named, home = named_in(value).values(), value.__globals__.get("__name__")
        own = [v for v in named if getattr(v, "__module__", None) == home]
        own += [v for v in named if isinstance(v, MUTABLE)]
        own += [*(value.__defaults__ or ()), *(value.__closure__ or ())]
        return [*own, value.__dict__]
    if isinstance(value, type):
        own = [v for name, v in vars(value).items() if name[:2] != "__"]
        return [*(getattr(v, "__func__", v) for v in own), *value.__bases__]
    if is_foreign(type(value)) and not isinstance(value, OPEN):
        return []
    return [*named_in(value).values(), getattr(value, "__dict__", None), type(value)]


def named_in(value):
    """What a value holds by names that are not in a dict of its own."""
    if isinstance(value, FunctionType):
        table = value.__globals__
        return {name: table[name] for name in value.__code__.co_names if name in table}
    if isinstance(value, type):
        named = vars(value).items()
        return {n: v for n, v in named if n[:2] != "__" and not hasattr(v, "__get__")}
    found = {}
    of_cell = ("cell_contents",) if isinstance(value, CellType) else ()
    for name in getattr(type(value), "__slots__", of_cell):
        with suppress(AttributeError, ValueError):  # it has no value yet
            found[name] = getattr(value, name)
    return found


def put_back(value, before):
    """Give the names of a value what they named before."""
    now, put, drop = named_in(value), partial(setattr, value), partial(delattr, value)
    if isinstance(value, FunctionType):
        put, drop = value.__globals__.__setitem__, value.__globals__.__delitem__
    for name in now.keys() - before.keys():
        drop(name)
    for name, part in before.items():
        if now.get(name) is not part:
            put(name, part)
