"""Networks as training leaves them, so that a swapped branch cannot hide."""

import torch
from torch import nn


def live(model):
    """Weights, statistics and scales that keep the signal's size, all different."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            if layer.running_mean is not None:
                nn.init.normal_(layer.running_mean, 0, 0.3)
                nn.init.uniform_(layer.running_var, 0.5, 2)
            if layer.affine:
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, 0, 0.3)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, (2 / layer.weight[0].numel()) ** 0.5)
            if layer.bias is not None:
                nn.init.normal_(layer.bias, 0, 0.3)
    return model.eval()
