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
        defaults = {
            "lr": lr,
            "decay": decay,
            "eps": eps,
            "momentum": momentum,
            "weight_decay": weight_decay,
        }
        for name, value in defaults.items():
            most = 1 if name in ("decay", "momentum") else float("inf")
            if not 0 <= value <= most:
                raise ValueError(f"{name}={value} must lie between 0 and {most}")
        super().__init__(params, defaults)

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
    decayed, spared = (
        [p for p in weights if (p.ndim > 1) == wide] for wide in (True, False)
    )
    groups = [
        {"params": params, "weight_decay": decay}
        for params, decay in ((decayed, recipe.weight_decay), (spared, 0.0))
        if params
    ]
    rate = recipe.learning_rate
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, momentum=recipe.momentum)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, rate, eps=recipe.eps)
    options = {"eps": recipe.eps, "momentum": recipe.momentum}
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, rate, alpha=recipe.rms_decay, **options)
    return RMSpropTF(groups, rate, decay=recipe.rms_decay, **options)


class Average:
    """Exponential moving average of a model's weights and buffers, in a copy.

    After step t the average is `decay` times the one before plus `1 - decay` times
    the model's; after the first step it is the model. Counters are copied: torch's
    AveragedModel leaves them at 1, and its update takes ten times as long.
    """

    def __init__(self, model, decay):
        self.model, self.decay, self.steps = independent_copy(model), decay, 0
        # Collected once: walking through the modules takes longer than the sums.
        mine, theirs = (
            [*network.parameters(), *network.buffers()]
            for network in (self.model, model)
        )
        self.pairs = list(zip(mine, theirs, strict=True))
        floats = [pair for pair in self.pairs if pair[0].is_floating_point()]
        self.floats = [list(tensors) for tensors in zip(*floats, strict=True)]
        self.counters = [p for p in self.pairs if not p[0].is_floating_point()]

    @torch.no_grad()
    def update(self):
        """Take one step of the model into account."""
        self.steps += 1
        share = 1 - self.decay if self.steps > 1 else 1.0
        torch._foreach_lerp_(*self.floats, share)
        for mine, theirs in self.counters:
            mine.copy_(theirs)

    @torch.no_grad()
    def copy_to_model(self):
        """Give the model the averaged weights and buffers."""
        for mine, theirs in self.pairs:
            theirs.copy_(mine)

    def state_dict(self):
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state_dict(self, state):
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]
