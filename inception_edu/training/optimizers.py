"""The recipe's optimizer, RMSProp as TensorFlow writes it, the average of weights."""

import torch

from inception_edu.modules import independent_copy


class RMSpropTF(torch.optim.Optimizer):
    """TensorFlow's RMSProp, with which Inception v2 to v4 were trained.

        mean_square = decay * mean_square + (1 - decay) * gradient ** 2
        step        = momentum * step + lr * gradient / sqrt(mean_square + eps)
        weight      = weight - step

    Three things differ from `torch.optim.RMSprop`: `mean_square` starts at ones,
    not zeros; `eps` is inside the root; the learning rate is inside the momentum,
    so that a later change of it leaves the steps already under way alone.
    `weight_decay` is added to the gradient. Source: TensorFlow, ApplyRMSProp.
    """

    def __init__(
        self, params, lr=0.045, decay=0.9, eps=1.0, momentum=0.0, weight_decay=0.0
    ):
        options = {"lr": lr, "decay": decay, "eps": eps, "momentum": momentum}
        super().__init__(params, options | {"weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        """One update of every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.update(weight, weight.grad, group)

    def update(self, weight, gradient, group):
        """The three lines of the class's docstring, for one tensor."""
        state = self.state[weight]
        if not state:
            state["mean_square"] = torch.ones_like(weight)
            state["step"] = torch.zeros_like(weight)
        if group["weight_decay"]:
            gradient = gradient.add(weight, alpha=group["weight_decay"])
        mean_square, step = state["mean_square"], state["step"]
        mean_square.lerp_(gradient.square(), 1 - group["decay"])
        root = (mean_square + group["eps"]).sqrt_()
        step.mul_(group["momentum"]).addcdiv_(gradient, root, value=group["lr"])
        weight.sub_(step)


def make_optimizer(recipe, model):
    """The recipe's optimizer on the weights of `model`.

    Weight decay goes to the weights of convolutions and linear layers, not to
    biases or batch normalization.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise ValueError(
            "the model has no weight to train; pass an nn.Module with parameters "
            "that require gradients"
        )
    rate, decay = recipe.learning_rate, recipe.weight_decay
    eps, momentum = recipe.eps, recipe.momentum
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, momentum=momentum)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, rate, eps=eps)
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, rate, recipe.rms_decay, eps, 0.0, momentum)
    return RMSpropTF(groups, rate, recipe.rms_decay, eps, momentum)


class Average:
    """The moving average of a model's weights and running statistics, in a copy.

    Torch's AveragedModel does the same sums, in ten times as long.
    """

    def __init__(self, model):
        self.model = independent_copy(model)
        # Collected once: walking through the modules takes longer than the sums.
        self.averages, self.values = (
            [t for t in (*m.parameters(), *m.buffers()) if t.is_floating_point()]
            for m in (self.model, model)
        )

    @torch.no_grad()
    def update(self, share):
        """Move every average to the model's value by this share of the way."""
        torch._foreach_lerp_(self.averages, self.values, share)

    @torch.no_grad()
    def copy_to_model(self):
        """Give the model the averaged weights and running statistics."""
        torch._foreach_copy_(self.values, self.averages)
