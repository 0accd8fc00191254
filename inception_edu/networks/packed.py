"""A convolution for inference, on weights laid out for the processor."""

from functools import cache

import torch
from torch import nn
from torch.nn import functional as F


class PackedConv(nn.Conv2d):
    """A convolution on weights laid out for this CPU, with its ReLU in one pass.

    The layout is made at the first image, whose size decides which one is best, and
    again when the weight was changed. Only oneDNN on float32 images can use it: on
    anything else, for gradients, under torch.compile, which does better by itself, in
    exports and where calls are counted, this is the convolution it was.
    """

    def __init__(self, conv):
        nn.Module.__init__(self)
        vars(self).update(vars(conv))  # the same weights and settings
        self.place = self.padding, self.stride, self.dilation, self.groups
        self.with_relu, self.packed = False, None
        # Its packed weight decides how it runs; torch's pruning reads strides.
        self.weight.data = self.weight.data.contiguous()

    def forward(self, x):
        if torch.jit.is_scripting() or not self.is_packable(x):
            y = self._conv_forward(x, self.weight, self.bias)
            return F.relu(y, inplace=True) if self.with_relu else y
        return self.on_packed_weight(x)

    @torch.jit.unused
    def on_packed_weight(self, x):
        weight = self.weight
        state = self.state()
        if self.packed is None or self.packed[1] != state:
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            self.packed = reorder(weight, *self.place, x.shape), state
        act = "relu" if self.with_relu else "none"
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.packed[0], self.bias, *self.place, act, [], ""
        )

    @torch.jit.unused
    def state(self):
        """What changes with the weight; through `.data` or numpy only the values do.

        So each value counts by its place: a sum would miss that filters were exchanged.
        """
        weight, size = self.weight, self.weight.numel()
        version = None if weight.is_inference() else weight._version
        places = factors(size.bit_length())[:size]
        return weight.data_ptr(), version, weight.reshape(-1).dot(places).item()

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
            and torch.utils._python_dispatch._get_current_dispatch_mode() is None
            and torch._C._functorch.peek_interpreter_stack() is None
            and torch.autograd.forward_ad._current_level < 0
        )

    def __getstate__(self):
        return vars(self) | {"packed": None}


@cache
def factors(bits):
    """A factor for each place of a weight with fewer than `2 ** bits` values."""
    return torch.arange(2**bits).mul(1.7).sin()
