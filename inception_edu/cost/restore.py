"""The model is put back as it was before a trace, whatever its forward did.

What it holds is copied before the run, one level for each container: attributes,
buffers, lists, dicts and objects that hang on a module or on one of its hooks.
Layers and parameters that the forward made stay, as after a real call.
"""

import sys
from collections import deque
from functools import cached_property
from types import CellType, FunctionType, MethodType, SimpleNamespace

import torch
from torch import nn

from inception_edu.cost.shapes import ShapeValue

OWN = frozenset(nn.Module().__dict__)  # what every module has
PLAIN = (bool, int, float, str)
FOREIGN = {*sys.stdlib_module_names, "torch", "numpy"}
DEPTH = 6  # of containers in containers


class Snapshot:
    """What `modules` hold now; `restore()` puts it back."""

    def __init__(self, modules):
        self.modules, self.containers, self.seen = [], [], {}
        self.changed = {}  # storage -> tensor and its values before
        for module in modules:
            self.keep_module(module, 0)

    def keep_module(self, module, depth):
        own = module.__dict__
        of_torch = type(module).__module__.startswith("torch.nn.")
        if not of_torch and isinstance(module, torch.jit.ScriptModule):
            return
        parameters, buffers = own["_parameters"].copy(), own["_buffers"].copy()
        tables = parameters, buffers, own["_modules"].copy()
        self.modules.append((module, of_torch, own.copy(), *tables))
        if own["_forward_hooks"] or own["_forward_pre_hooks"]:
            self.keep_all(own["_forward_hooks"].values(), depth)
            self.keep_all(own["_forward_pre_hooks"].values(), depth)
        if not of_torch:
            for name in own.keys() - OWN:
                self.keep(own[name], depth)

    @cached_property
    def tensors(self):
        """Every tensor with memory that the model had before the run, by storage."""
        known = [value for value in self.seen.values() if torch.is_tensor(value)]
        for _, _, _, parameters, buffers, _ in self.modules:
            known += [*parameters.values(), *buffers.values()]
        return {
            tensor.untyped_storage()._cdata: tensor
            for tensor in known
            if tensor is not None and tensor.layout is torch.strided
        }

    def keep(self, value, depth):
        """Remember what a container holds, and the containers in it."""
        kind = type(value)
        if kind in PLAIN or value is None or id(value) in self.seen or depth > DEPTH:
            return
        self.seen[id(value)], depth = value, depth + 1
        if isinstance(value, nn.Module):
            if all(value is not module for module, *_ in self.modules):
                self.keep_module(value, depth)
        elif isinstance(value, dict):
            self.containers.append((value, dict(value)))
            self.keep_all(value.values(), depth)
        elif isinstance(value, list | set | deque):
            self.containers.append((value, list(value)))
            self.keep_all(value, depth)
        elif isinstance(value, tuple):
            self.keep_all(value, depth)
        elif isinstance(value, MethodType):
            self.keep(value.__self__, depth)
        elif isinstance(value, FunctionType):
            known = value.__globals__
            for name in value.__code__.co_names:
                if isinstance(known.get(name), dict | list | set | deque):
                    self.keep(known[name], depth)
            for cell in value.__closure__ or ():
                self.keep_cell(cell, depth)
        elif kind is SimpleNamespace or (
            hasattr(value, "__dict__")
            and not isinstance(value, type)
            and kind.__module__.partition(".")[0] not in FOREIGN
        ):
            self.keep(value.__dict__, depth)

    def keep_all(self, values, depth):
        for value in list(values):
            self.keep(value, depth)

    def keep_cell(self, cell, depth):
        """A variable that a function shares with the one around it."""
        try:
            self.containers.append((cell, cell.cell_contents))
        except ValueError:  # it has no value yet
            return
        self.keep(cell.cell_contents, depth)

    def before_change(self, tensor):
        """Call it before the values of a real tensor change."""
        if tensor.layout is torch.strided and not tensor.is_meta:
            storage = tensor.untyped_storage()._cdata
            if storage in self.tensors and storage not in self.changed:
                known = self.tensors[storage]
                self.changed[storage] = known, known.detach().clone()

    def restore(self):
        """Put everything back; whether layers or parameters have come along."""
        for tensor, values in self.changed.values():
            tensor.data.copy_(values)
        for value, before in self.containers:
            if isinstance(value, CellType):
                value.cell_contents = before
                continue
            value.clear()
            value.extend(before) if hasattr(value, "extend") else value.update(before)
        grown = False
        for saved in self.modules:
            grown |= put_back(*saved)
        return grown


def put_back(module, of_torch, attributes, parameters, buffers, modules):
    """One module as it was; whether its run has made layers or parameters."""
    now = module.__dict__
    attributes["_parameters"], attributes["_buffers"] = parameters, buffers
    attributes["_modules"] = modules
    object.__setattr__(module, "__dict__", attributes)
    if of_torch and len(now["_modules"]) == len(modules):
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
