"""The moving average of a network's weights."""

import copy

import torch


class Average:
    """Exponential moving average of a model's weights and buffers, a model itself.

    After step t the average is `decay` times the one before plus `1 - decay` times
    the model's; after the first step it is the model. Counters are copied.
    """

    def __init__(self, model, decay):
        self.model, self.decay, self.steps = copy.deepcopy(model).eval(), decay, 0
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
