"""How every branch of a network responds to one image, kept small."""

import torch
from torch import nn

from inception_edu.figures.responses import BranchResponse, LayerResponse, Responses
from inception_edu.networks.layers import Branches
from inception_edu.text import dims


def keep(output, *others):
    """The `BranchResponse` of an output `(1, channels, H, W)`."""
    channels = output[0].clamp(min=0)
    mean, where = channels.mean((1, 2)).tolist(), channels.mean(0).numpy()
    return BranchResponse.of(mean, where, channels.numpy(), *others)


def responses(model, x):
    """The `Responses` of a `Network` in eval mode on one picture, `(1, 3, H, W)`.

    Its layers are the stages with convolutions: one of `Branches` with each of
    them, any other as one branch, "output".
    """
    layers, hooks = {}, []

    def listen(layer, name, module):
        windows = [part for part in module.modules() if hasattr(part, "kernel_size")]
        is_conv = windows and isinstance(windows[-1], nn.Conv2d)
        kernel, read = dims(windows[-1].kernel_size) if is_conv else "pool", []

        def before(conv, args):
            read[:] = args[0][0].numpy().copy()

        def after(module, args, output):
            found = layers.setdefault(layer, LayerResponse(tuple(output.shape[2:]), {}))
            found.branches[name] = keep(output, kernel, list(read))

        hooks.append(module.register_forward_hook(after))
        hooks.extend(w.register_forward_pre_hook(before) for w in windows[-1:])

    for layer, stage in model.stages():
        parts = stage.items() if isinstance(stage, Branches) else [("output", stage)]
        if any(isinstance(part, nn.Conv2d) for part in stage.modules()):
            for name, module in parts:
                listen(layer, name, module)
    try:
        with torch.no_grad():
            scores = model(x)[0].tolist()
    finally:
        for hook in hooks:
            hook.remove()
    return Responses(layers, scores)
