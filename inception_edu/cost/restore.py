"""The model is put back as it was before a trace, whatever its forward did.

What it holds is copied before the run, one level for each container: attributes,
buffers, lists, dicts and objects that hang on a module, on its class, on one of its
hooks or, by a global name, on one of its methods; the globals that these rebind. An
`lru_cache` that remembers values of the trace is emptied. Layers and parameters that
the forward made stay, as after a real call. What other files' globals, an iterator or
an open file hold is not put back.
"""

import gc
import sys
from collections import ChainMap, UserDict, UserList, deque
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from types import CellType, FunctionType, MethodType, SimpleNamespace

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from inception_edu.cost.shapes import ShapeValue, storage_of

OWN = frozenset(nn.Module().__dict__)  # what every module has
PLAIN = (bool, int, float, str, type(None))
MUTABLE = (dict, list, set, deque)
FOREIGN = {*sys.stdlib_module_names, "torch", "numpy"}
LOOKED_INTO = (SimpleNamespace, CellType, ChainMap, UserDict, UserList)
CACHE = type(lru_cache(print))
DEPTH = 6  # of containers in containers


class Snapshot:
    """What `modules` hold now; `restore()` puts it back."""

    def __init__(self, modules):
        self.modules, self.containers, self.named = [], [], []
        self.functions, self.caches, self.seen = [], [], {}
        self.changed = {}  # storage -> tensor and its values before
        for module in modules:
            if id(module) not in self.seen:
                self.keep_module(module, 0)

    def keep_module(self, module, depth):
        own = module.__dict__
        of_torch = type(module).__module__.startswith("torch.nn.")
        self.seen[id(module)] = module
        if not of_torch and isinstance(module, torch.jit.ScriptModule):
            return
        parameters, buffers = own["_parameters"].copy(), own["_buffers"].copy()
        tables = parameters, buffers, own["_modules"].copy()
        self.modules.append((module, of_torch, own.copy(), *tables))
        for hooks in own["_forward_hooks"], own["_forward_pre_hooks"]:
            if hooks:
                self.keep(tuple(hooks.values()), depth)
        if not of_torch:
            self.keep(type(module), depth)
            for name in own.keys() - OWN:
                self.keep(own[name], depth)

    @cached_property
    def tensors(self):
        """Every tensor with memory that the model had before the run, by storage."""
        known = [value for value in self.seen.values() if torch.is_tensor(value)]
        for _, _, _, parameters, buffers, _ in self.modules:
            known += [*parameters.values(), *buffers.values()]
        return {storage_of(tensor): tensor for tensor in known if tensor is not None}

    def keep(self, value, depth):
        """Remember what a container holds, and the containers in it."""
        if type(value) in PLAIN or id(value) in self.seen or depth > DEPTH:
            return
        if isinstance(value, type) and is_foreign(value):
            return
        if isinstance(value, nn.Module):
            self.keep_module(value, depth + 1)
            return
        self.seen[id(value)], parts = value, held_by(value)
        if isinstance(value, MUTABLE):
            before = dict(value) if isinstance(value, dict) else parts
            self.containers.append((value, before))
        elif isinstance(value, CACHE):
            self.caches.append(value)
        elif isinstance(value, FunctionType):
            self.functions.append((value, named_in(value)))
        elif isinstance(value, (type, CellType)) or hasattr(type(value), "__slots__"):
            self.named.append((value, named_in(value)))
        for part in parts:
            self.keep(part, depth + 1)

    def before_change(self, tensor):
        """Call it before the values of a real tensor change."""
        storage = storage_of(tensor)
        if storage in self.tensors and storage not in self.changed:
            known = self.tensors[storage]
            own = known.detach()
            self.changed[storage] = known, own, own.clone()

    def restore(self):
        """Put everything back: whether the forward added layers or parameters."""
        for tensor, own, values in self.changed.values():
            tensor.data = own.copy_(values)
        for function, before in self.functions:
            for name in named_in(function).keys() - before.keys():
                del function.__globals__[name]
            function.__globals__.update(before)
        for value, before in self.named:
            for name in named_in(value).keys() - before.keys():
                delattr(value, name)
            for name, part in before.items():
                if getattr(value, name, None) is not part:
                    setattr(value, name, part)
        for value, before in self.containers:
            value.clear()
            value.extend(before) if hasattr(value, "extend") else value.update(before)
        for cache in self.caches:
            remembered = tree_leaves(gc.get_referents(cache))
            if any(isinstance(value, ShapeValue) for value in remembered):
                cache.cache_clear()
        return sum([put_back(*saved) for saved in self.modules]) > 0


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
    if is_foreign(type(value)) and not isinstance(value, LOOKED_INTO):
        return []
    return [*named_in(value).values(), getattr(value, "__dict__", None), type(value)]


def is_foreign(kind):
    return kind.__module__.partition(".")[0] in FOREIGN


def named_in(value):
    """What a value holds by names that are not in a dict of its own."""
    if isinstance(value, FunctionType):
        table = value.__globals__
        return {name: table[name] for name in value.__code__.co_names if name in table}
    if isinstance(value, type):
        named = vars(value).items()
        return {n: v for n, v in named if n[:2] != "__" and not hasattr(v, "__get__")}
    found = {}
    for name in getattr(type(value), "__slots__", ("cell_contents",)):
        with suppress(AttributeError, ValueError):  # it has no value yet
            found[name] = getattr(value, name)
    return found


def put_back(module, of_torch, attributes, parameters, buffers, modules):
    """One module as it was; whether its run has made layers or parameters."""
    now = module.__dict__
    attributes["_parameters"], attributes["_buffers"] = parameters, buffers
    attributes["_modules"] = modules
    object.__setattr__(module, "__dict__", attributes)
    own = len(modules), len(parameters)
    if of_torch and own == (len(now["_modules"]), len(now["_parameters"])):
        return False  # torch's own layers make none
    grown = False
    for table, before in (("_parameters", parameters), ("_modules", modules)):
        for name, value in now[table].items():
            if value is None or before.get(name) is not None:
                continue
            if not isinstance(value, ShapeValue):
                attributes.pop(name, None)
                before[name], grown = value, True
    if grown:  # a flag may say so: "the layers are there"
        attributes |= {
            name: value
            for name, value in now.items()
            if isinstance(value, PLAIN) and name not in OWN
        }
    return grown
