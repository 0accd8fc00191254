"""What every branch of a network answers to one picture, kept small.

`record(model, x)` runs the model once and listens to its modules: each `Branches` is
a layer, and so is a stage without any, as one branch.
"""

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.figures.graph import is_inside
from inception_edu.figures.recording import KEPT, Branch, Layer, Recording, largest
from inception_edu.networks.layers import Branches
from inception_edu.text import dims

MOST_PIXELS = 32  # side of a kept map; larger ones are averaged down


def keep(output, kernel=""):
    """The `Branch` of an output `(1, channels, H, W)`."""
    answers = output[0].detach().float().clamp(min=0)
    mean = answers.mean((1, 2)).tolist()
    peak = answers.amax((1, 2)).tolist()
    kept = sorted({*largest(mean, KEPT), *largest(peak, KEPT)})
    maps = torch.cat([answers.mean(0, keepdim=True), answers[kept]])
    small = tuple(min(MOST_PIXELS, side) for side in answers.shape[1:])
    if tuple(maps.shape[1:]) != small:
        maps = F.adaptive_avg_pool2d(maps[None], small)[0]
    maps = maps.cpu().numpy()  # a quarter of what lists would take
    channels = dict(zip(kept, maps[1:], strict=True))
    return Branch(mean, peak, maps[0], channels, kernel)


def listened_to(model):
    """`(layer, branch, module)` of every module whose output is kept."""
    layers = {}
    for path, module in model.named_modules():
        if isinstance(module, Branches) and not any(is_inside(path, p) for p in layers):
            layers[path] = module
    children = getattr(model, "stage_names", None) or dict(model.named_children())
    for name in children:
        stage = model.get_submodule(name)
        has_layer = any(is_inside(path, name) or path == "" for path in layers)
        if not has_layer and any(isinstance(m, nn.Conv2d) for m in stage.modules()):
            layers[name] = {"output": stage}
    for path, branches in layers.items():
        layer = path.removesuffix(".branches") or "model"
        yield from ((layer, name, module) for name, module in branches.items())


def kernel_of(branch):
    """The kernel of a branch's last convolution, "pool", or "" where it splits."""
    kernel = ""
    for part in branch.modules():
        if isinstance(part, Branches):
            return ""
        if isinstance(part, nn.Conv2d):
            kernel = dims(part.kernel_size)
        elif "Pool" in type(part).__name__:
            kernel = "pool"
    return kernel


def record(model, x):
    """The `Recording` of a model on one picture, `(1, 3, H, W)`, in eval mode.

    The model is left as it was. Raises ValueError where it has no layer with a grid,
    or answers anything but finite class scores.
    """
    weight = next(model.parameters(), x)
    grids, found, hooks = {}, {}, []

    def listen(layer, name, module):
        def after(module, args, output):
            is_map = isinstance(output, torch.Tensor) and output.ndim == 4
            if is_map and output[0, 0].numel() > 1:
                grids[layer] = tuple(output.shape[2:])
                found.setdefault(layer, {})[name] = keep(output, kernel_of(module))

        hooks.append(module.register_forward_hook(after))

    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        for place in listened_to(model):
            listen(*place)
        with torch.no_grad():
            answer = model(x.to(weight.device, weight.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True
    is_tensor = isinstance(answer, torch.Tensor)
    if not is_tensor or answer.ndim != 2 or not torch.isfinite(answer).all():
        what = f"of shape {tuple(answer.shape)}" if is_tensor else repr(answer)
        raise ValueError(f"the model's output {what} is no list of finite class scores")
    if not found:
        raise ValueError("the model has no layer with a grid of more than one pixel")
    layers = {name: Layer(grids[name], branches) for name, branches in found.items()}
    return Recording(layers, answer[0].tolist())
