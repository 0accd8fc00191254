"""The layers that networks are made of, traced without the way through torch.

Each shortcut answers for one class of layer in its plain form, or returns None; then
the layer's own forward runs. They make the trace of Inception v4 six times faster.
"""

from torch import nn

from inception_edu.cost.result import Op
from inception_edu.cost.rules import convolve
from inception_edu.cost.shapes import ShapeError, ShapeValue
from inception_edu.modules import is_bare

AFFINE = {"weight", "bias"}  # what `run_convolution` and `run_norm` count themselves


def run_sequence(tracer, module, x):
    path, paths = tracer.path, tracer.paths
    for child in module._modules.values():
        shortcut = tracer.shortcuts.get(getattr(type(child), "forward", None))
        if shortcut is run_sequence:
            x = tracer.enter(child, (x,), {})
            continue
        answer = None
        if shortcut and child in paths and is_bare(child):
            tracer.path = paths[child]  # an error names it; `enter` puts it back
            answer = shortcut(tracer, child, x)
        if answer is None:
            tracer.path = path
            answer = child(x)
        x = answer
    tracer.path = path
    tracer.count_rest(module)
    return x


def run_convolution(tracer, module, x):
    if type(x) is not ShapeValue or type(module) is not nn.Conv2d:
        return None
    own = module._parameters
    if own.keys() != AFFINE:  # `forward` finds others
        return None
    weight, bias = own["weight"], own["bias"]
    if module.padding_mode != "zeros" or type(module.padding) is str:
        return None
    try:
        op = convolve(
            x.sizes, x.spans, tracer.parameters.get(id(weight)) or weight.shape,
            module.stride, module.padding, module.dilation, module.groups,
        )  # fmt: skip
    except ShapeError as problem:
        raise tracer.error(str(problem)) from None
    return tracer.answer(op, (x,), tracer.count(weight, bias))


def run_norm(tracer, module, x):
    if type(module) is not nn.BatchNorm2d or type(x) is not ShapeValue:
        return None
    own, sizes = module._parameters, x.sizes
    if own.keys() != AFFINE or len(sizes) != 4 or sizes[1] != module.num_features:
        return None  # torch and the rule say what is wrong
    op = Op("batch_norm", sizes, x.spans)
    return tracer.answer(op, (x,), tracer.count(own["weight"], own["bias"]))


def run_relu(tracer, module, x):
    if type(x) is not ShapeValue or module._parameters:
        return None
    op = Op("relu", x.sizes, x.spans)
    return tracer.answer(op, (x,), in_place=module.inplace)


SHORTCUTS = {
    nn.Sequential.forward: run_sequence,
    nn.Conv2d.forward: run_convolution,
    nn.BatchNorm2d.forward: run_norm,
    nn.ReLU.forward: run_relu,
}
