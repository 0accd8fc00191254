"""Networks as training leaves them, and some that people write."""

import torch
from torch import nn

import inception_edu as ie


def on_meta(name, *args, **options):
    """A network without memory, where shapes and costs need no weights."""
    with torch.device("meta"):
        return ie.create_model(name, *args, **options)


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


class Work(nn.Module):
    """A model of one function."""

    def __init__(self, work):
        super().__init__()
        self.work = work

    def forward(self, x):
        return self.work(x)


class Flattening(nn.Module):
    """A network whose forward may read strides; keeps what it saw, has 5-d weights."""

    def __init__(self, flatten, size=8):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(1, 1, 1, 1, 2))
        self.linear = nn.Linear(4 * size * size, 3)
        self.flatten, self.kept = flatten, []

    def forward(self, x):
        self.kept.append(self.norm(self.conv(x)))
        logits = self.linear(self.flatten(self.kept[-1])) * self.scale.sum()
        return {"logits": logits}


class Model(nn.Module):
    """A convolution, what `setup` adds, and a `forward(model, x)` that is given."""

    def __init__(self, forward, setup=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.work = forward
        if setup is not None:
            setup(self)

    def forward(self, x):
        return self.work(self, x)


def keep(name, value):
    """A `setup` that sets an attribute to what `value()` gives."""
    return lambda model: setattr(model, name, value())
