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
from types import CellType, FunctionType, MethodType, NoneType, SimpleNamespace

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.utils._pytree import tree_leaves

from inception_edu.cost.shapes import ShapeValue, storage_of

OWN = frozenset(nn.Module().__dict__)  # what every module has
TABLES = {
    "_parameters": hooks.register_module_parameter_registration_hook,
    "_buffers": hooks.register_module_buffer_registration_hook,
    "_modules": hooks.register_module_module_registration_hook,
}
PLAIN = (bool, int, float, str, type(None))
MUTABLE = (dict, list, set, deque)
QUIET = ("torch.nn.", "inception_edu.")  # their modules delete and rebind nothing
FOREIGN = {*sys.stdlib_module_names, "torch", "numpy"}
OPEN = (SimpleNamespace, CellType, ChainMap, UserDict, UserList)  # foreign, but holds
CACHE = type(lru_cache(print))
MISSING = object()
DEPTH = 7  # of containers in containers


class Snapshot:
    """What modules hold now; `restore()` puts it back."""

    def __init__(self):
        self.modules, self.registered = {}, []  # what they had; what has come since
        self.containers, self.named, self.caches = [], [], []
        self.parts, self.seen, self.handles = [], {}, []
        self.tables = []  # of buffers, parameters, layers, which a forward may delete
        self.changed = {}  # storage -> tensor, what it held, the values there

    def keep_module(self, module):
        """Remember what a module has."""
        own = module.__dict__
        self.modules[module] = own.copy()
        if own["_forward_hooks"] or own["_forward_pre_hooks"]:
            self.parts += own["_forward_hooks"], own["_forward_pre_hooks"]
        if type(module).__module__.startswith(QUIET):
            return
        if not isinstance(module, torch.jit.ScriptModule):  # whose tables are no dicts
            self.tables += [(kind, own[kind], own[kind].copy()) for kind in TABLES]
        self.parts.append(type(module))
        if len(own) > len(OWN):
            self.parts += [own[name] for name in own.keys() - OWN]

    def begin(self):
        """Remember all else that a forward can change through the modules."""
        for _ in range(DEPTH):
            values, self.parts = self.parts, []
            for value in values:
                self.parts += self.keep(value)
        self.handles = [
            register(partial(self.before_registration, kind))
            for kind, register in TABLES.items()
        ]

    def before_registration(self, kind, module, name, value):
        """torch calls it before a module gets a buffer, a parameter or a layer."""
        if module in self.modules:
            table = vars(module)[kind]
            before = table.get(name, MISSING if kind == "_buffers" else None)
            self.registered.append((module, table, name, before))

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
        elif has_names(value):
            self.named.append((value, named_in(value)))
        return held_by(value)

    @cached_property
    def tensors(self):
        """Every tensor with memory that the model had before the run, by storage."""
        known = [value for value in self.seen.values() if torch.is_tensor(value)]
        for own in self.modules.values():
            known += [*own["_parameters"].values(), *own["_buffers"].values()]
        known = [
            tensor for tensor in known if type(tensor) not in (NoneType, ShapeValue)
        ]
        return {storage_of(tensor): tensor for tensor in known}

    def before_change(self, tensor):
        """Call it before the values of a real tensor change."""
        storage = storage_of(tensor)
        if storage in self.tensors and storage not in self.changed:
            known = self.tensors[storage]
            own = known.detach()
            self.changed[storage] = known, own, own.clone()

    def restore(self):
        """Put everything back: whether the forward made layers or parameters."""
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
        grown = False
        for module, table, name, before in reversed(self.registered):
            if before is None and table is not module._buffers:
                grown = True  # it stays, as do flags, which may say "it is there"
                flags = {n: v for n, v in vars(module).items() if type(v) in PLAIN}
                self.modules[module].pop(name, None)
                self.modules[module] |= {n: flags[n] for n in flags.keys() - OWN}
            elif before is MISSING:
                table.pop(name, None)
            else:
                table[name] = before
        for kind, table, before in self.tables:
            made = {
                name: value
                for name, value in table.items()
                if before.get(name) is None and kind != "_buffers"
            }
            table.clear()
            table.update(before | made)
        for module, before in self.modules.items():
            object.__setattr__(module, "__dict__", before)
        return grown


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


def has_names(value):
    """Whether a value holds others by names that are not in a dict of its own."""
    return isinstance(value, (FunctionType, type, CellType)) or hasattr(
        type(value), "__slots__"
    )


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
