"""The moving average of a network's weights."""

import torch

from inception_edu.networks.copies import independent_copy


class Average:
    """Exponential moving average of a model's weights and buffers, a model itself.

    After step t the average is `decay` times the one before plus `1 - decay` times
    the model's; after the first step it is the model. Counters are copied.
    torch's own AveragedModel takes twelve times as long a step.
    """

    def __init__(self, model, decay):
        self.model, self.decay, self.steps = independent_copy(model).eval(), decay, 0
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
