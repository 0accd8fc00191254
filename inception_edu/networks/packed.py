"""A convolution for inference, on weights laid out for the processor."""

import torch
from torch import nn
from torch.nn import functional as F


class PackedConv(nn.Conv2d):
    """A convolution on weights laid out for this CPU, with its ReLU in one pass.

    The layout is made at the first image, whose size decides which one is best, and
    again when the weight was changed. Only oneDNN on float32 images can use it: on
    anything else, for gradients, under torch.compile, which does better by itself, and
    in exports, this is the convolution it was.
    """

    def __init__(self, conv):
        nn.Module.__init__(self)
        vars(self).update(vars(conv))  # the same weights and settings
        self.place = self.padding, self.stride, self.dilation, self.groups
        self.with_relu, self.packed = False, None

    def forward(self, x):
        if torch.jit.is_scripting() or not self.is_packable(x):
            y = self._conv_forward(x, self.weight, self.bias)
            return F.relu(y, inplace=True) if self.with_relu else y
        return self.on_packed_weight(x)

    @torch.jit.unused
    def on_packed_weight(self, x):
        weight = self.weight
        if self.packed is None or self.state(self.packed[1]) != self.packed[2]:
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            sample = sample_of(weight)
            packed = reorder(weight, *self.place, x.shape)
            self.packed = packed, sample, self.state(sample)
        act = "relu" if self.with_relu else "none"
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.packed[0], self.bias, *self.place, act, [], ""
        )

    @torch.jit.unused
    def state(self, sample):
        """What changes with the weight; through `.data` or numpy only the values do."""
        weight = self.weight
        version = None if weight.is_inference() else weight._version
        return weight.data_ptr(), version, sample.sum().item()

    @torch.jit.unused
    def is_packable(self, x):
        parts = (x, self.weight, self.bias)
        return (
            type(x) is torch.Tensor
            and x.is_cpu
            and self.weight.is_cpu
            and x.dtype is self.weight.dtype is torch.float32
            and x.dim() == 4
            and not (
                torch.is_grad_enabled()
                and any(part is not None and part.requires_grad for part in parts)
            )
            and not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()
        )

    def __getstate__(self):
        return vars(self) | {"packed": None}


def sample_of(weight):
    """A view of some values of a weight: of every filter, input and kernel position.

    Summing all of them at every image reads the whole network from memory again. The
    sample is one run of values in each filter, at another place in each.
    """
    size, per_filter = weight.numel(), weight[0].numel()
    run = max(16, -(-per_filter // len(weight)))
    if size <= 4096 or per_filter <= 2 * run or not weight.is_contiguous():
        return weight.detach()
    step = per_filter - run
    return weight.detach().as_strided(((size - run) // step + 1, run), (step, 1))
