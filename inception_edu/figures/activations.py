"""What every branch of a network answers to one picture, kept small.

`record(model, x)` runs the model once and watches `torch.cat`: what is concatenated
along channels are the branches of a module, in a network of this package as well as
in torchvision's, timm's or the reader's own. A layer without branches is one branch.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from inception_edu.figures.graph import is_inside
from inception_edu.figures.recording import KEPT, Branch, Layer, Recording, largest
from inception_edu.text import dims

MOST_PIXELS = 32  # side of a kept map; larger ones are averaged down
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


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


class BranchRecorder(TorchFunctionMode):
    """Keeps what is concatenated, and which module and kernel it came from."""

    def __init__(self, model):
        super().__init__()
        self.names = {module: name for name, module in model.named_modules()}
        self.stages = stages_of(model)  # whose output is kept where nothing is joined
        self.inside = []  # paths of the modules that are running, outermost first
        self.found = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func in (torch.cat, torch.concat, torch.concatenate):
            tensors = args[0] if args else kwargs["tensors"]
            dim = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", 0))
            if output.ndim == 4 and dim in (1, -3) and len(tensors) > 1:
                self.concatenated(tensors)
        elif isinstance(output, torch.Tensor) and not hasattr(output, "_kernel"):
            if func in (torch.conv1d, torch.conv2d, torch.conv3d):
                weight = args[1] if len(args) > 1 else kwargs["weight"]
                output._kernel = dims(weight.shape[2:])
            elif "pool" in getattr(func, "__name__", ""):
                output._kernel = "pool"
            elif args and hasattr(args[0], "_kernel"):
                output._kernel = args[0]._kernel
        return output

    def concatenated(self, tensors):
        """Keep the branches of the module that is running."""
        owner = self.inside[-1] if self.inside else ""
        branches = {}
        for number, tensor in enumerate(tensors, 1):
            path = getattr(tensor, "_path", "")
            name = path.removeprefix(f"{owner}.") if path.startswith(owner) else ""
            name = name or path.rpartition(".")[2] or f"branch {number}"
            if name in branches:
                name = f"{name} ({number})"
            branches[name] = keep(tensor, getattr(tensor, "_kernel", ""))
        self.found.pop(owner, None)  # the last one of a module is its output
        self.found[owner] = Layer(tuple(tensors[0].shape[2:]), branches)

    def before(self, module, args):
        self.inside.append(self.names[module])

    def after(self, module, args, output):
        path = self.inside.pop()
        if not isinstance(output, torch.Tensor):
            return
        output._path = path
        is_map = output.ndim == 4 and output[0, 0].numel() > 1
        if path not in self.stages or not is_map:
            return
        if not any(is_inside(other, path) for other in self.found):
            branch = keep(output, getattr(output, "_kernel", ""))
            self.found[path] = Layer(tuple(output.shape[2:]), {"output": branch})

    def layers(self):
        """`{path: Layer}` of what was found, modules inside others left out."""
        return {
            path.removesuffix(".branches") or "model": layer
            for path, layer in self.found.items()
            if not any(is_inside(path, other) for other in self.found if other != path)
        }


def stages_of(model):
    """Paths of the modules that count as a layer where they have no branches."""
    named = getattr(model, "stage_names", None)
    children = [(n, getattr(model, n)) for n in named or ()] or model.named_children()
    found = []
    for name, child in children:
        convolutions = sum(isinstance(m, CONVOLUTIONS) for m in child.modules())
        if convolutions > 1 and type(child) is nn.Sequential and not named:
            found += [f"{name}.{inner}" for inner in stages_of(child)]
        elif convolutions:
            found.append(name)
    return found


def record(model, x):
    """The `Recording` of a model on one picture, `(1, 3, H, W)`, in eval mode.

    The model is left as it was. Raises ValueError where the model does not take the
    picture, has no layer with a grid, or answers anything but finite class scores.
    """
    weight = next((p for p in model.parameters() if p.is_floating_point()), x)
    x = x.to(weight.device, weight.dtype)
    recorder, hooks = BranchRecorder(model), []
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        for module in model.modules():
            hooks.append(module.register_forward_pre_hook(recorder.before))
            hooks.append(module.register_forward_hook(recorder.after))
        with torch.no_grad(), recorder:
            answer = model(x)
    except Exception as error:
        name = getattr(model, "name", type(model).__name__)
        raise ValueError(
            f"{name} does not take a picture of {tuple(x.shape)}: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True
    while isinstance(answer, Mapping | Sequence) and not isinstance(answer, str):
        values = answer.values() if isinstance(answer, Mapping) else answer
        answer = next(iter(values), None)
    is_tensor = isinstance(answer, torch.Tensor)
    if not is_tensor or answer.ndim != 2 or not torch.isfinite(answer).all():
        what = f"of shape {tuple(answer.shape)}" if is_tensor else repr(answer)
        raise ValueError(
            f"the model's output {what} is no list of finite class scores, (1, classes)"
        )
    layers = recorder.layers()
    if not layers:
        raise ValueError("the model has no layer with a grid of more than one pixel")
    return Recording(layers, answer[0].tolist())
