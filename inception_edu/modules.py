"""What may be asked of any `nn.Module` before it is used: its wrapper off, a copy."""

import copy
from contextlib import contextmanager

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


def unwrapped(model):
    """The module that `torch.compile` wraps; anything else as it is."""
    return getattr(model, "_orig_mod", model)


def is_bare(module):
    """Whether a call of `module` is its class's `forward` and nothing more."""
    own = vars(module)
    hooked = own["_forward_hooks"] or own["_forward_pre_hooks"]
    return not hooked and "forward" not in own


@contextmanager
def modes_kept(*models):
    """Put every module's own mode back, that of a frozen batch norm, too."""
    modes = [(m, m.training) for model in models for m in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def independent_copy(model):
    """A deep copy of `model`; results that it keeps are copied without their graph.

    `copy.deepcopy` refuses a tensor that has a gradient's history, such as a feature
    map that a model keeps. What `torch.compile` wraps is copied without the wrapper.
    Raises ValueError for lazy layers that have not seen an image yet.
    """
    model = unwrapped(model)
    refuse_lazy(model)
    with torch.no_grad(), CopyWithoutHistory():  # scripted parts would keep one
        return copy.deepcopy(model)


class CopyWithoutHistory(TorchFunctionMode):
    """Where it is active, a tensor with a gradient's history is copied detached."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, copies = args
            copies[id(tensor)] = tensor.detach().clone()
            return copies[id(tensor)]
        return function(*args, **(kwargs or {}))


def refuse_lazy(model):
    """ValueError, in words, for layers that take their shape from the first image."""
    lazy = [
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.modules.lazy.LazyModuleMixin)
        and module.has_uninitialized_params()
    ]
    if lazy:
        names = ", ".join(lazy[:6]) or type(model).__name__
        raise ValueError(
            f"lazy layers ({names}) have no weights before the first image; run the "
            "model once, on a batch of its images: model(images)"
        )
