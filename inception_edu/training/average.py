"""The moving average of a network's weights."""

import torch

from inception_edu.networks.copies import independent_copy


class Average:
    """Exponential moving average of a model's weights and buffers, a model itself.

    After step t the average is `decay` times the one before plus `1 - decay` times
    the model's; after the first step it is the model. Counters are copied.
    """

    def __init__(self, model, decay):
        self.model, self.decay, self.steps = independent_copy(model).eval(), decay, 0
        # Collected once: walking through the modules takes longer than the sums.
        self.pairs = list(zip(tensors(self.model), tensors(model), strict=True))

    @torch.no_grad()
    def update(self):
        """Take one step of the model into account."""
        self.steps += 1
        floats = [pair for pair in self.pairs if pair[0].is_floating_point()]
        if self.steps > 1:
            torch._foreach_lerp_(*map(list, zip(*floats, strict=True)), 1 - self.decay)
        for mine, theirs in self.pairs:
            if self.steps == 1 or not mine.is_floating_point():
                mine.copy_(theirs)

    @torch.no_grad()
    def copy_to_model(self):
        """Give the model the averaged weights and buffers."""
        for mine, theirs in self.pairs:
            theirs.copy_(mine)

    def state_dict(self):
        """What a checkpoint keeps."""
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state_dict(self, state):
        """Continue from what `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]


def tensors(model):
    """The weights and buffers of a model."""
    return [*model.parameters(), *model.buffers()]
