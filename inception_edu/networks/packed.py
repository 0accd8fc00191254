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
        self.with_relu, self.packed, self.state = False, None, None

    def forward(self, x):
        if torch.jit.is_scripting() or not self.is_packable(x):
            y = self._conv_forward(x, self.weight, self.bias)
            return F.relu(y, inplace=True) if self.with_relu else y
        return self.on_packed_weight(x)

    @torch.jit.unused
    def on_packed_weight(self, x):
        weight = self.weight
        # A weight that changes through `.data` or numpy keeps its version, so its sum
        # is compared too: 3 % of Inception v4's time.
        state = weight.is_inference() or weight._version, weight.sum().item()
        if self.packed is None or self.packed[0] is not weight or self.state != state:
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            self.packed = weight, reorder(weight, *self.place, x.shape)
            self.state = state
        act = "relu" if self.with_relu else "none"
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.packed[1], self.bias, *self.place, act, [], ""
        )

    @torch.jit.unused
    def is_packable(self, x):
        return (
            type(x) is torch.Tensor
            and x.is_cpu
            and self.weight.is_cpu
            and x.dtype is self.weight.dtype is torch.float32
            and x.dim() == 4
            and not (torch.is_grad_enabled() and self.has_gradients(x))
            and not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()
        )

    @torch.jit.unused
    def has_gradients(self, x):
        parts = (x, self.weight, self.bias)
        return any(part is not None and part.requires_grad for part in parts)

    def __getstate__(self):
        return vars(self) | {"packed": None}
