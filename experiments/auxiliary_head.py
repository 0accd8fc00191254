"""The auxiliary head explorer's gradients: of mini_v3's main and auxiliary losses.

mini_v3 on digits at every scale, at its initial weights and after 200 steps, with a
head at each of three places and without one, with and without batch normalization.
"""

from itertools import product

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.explorers import auxiliary_head as explorer
from inception_edu.networks import ConvUnit, create_model
from inception_edu.networks.minis import small_head
from inception_edu.training import as_input, digits_at_scale
from inception_edu.training.evaluation import split_outputs

BATCH = 32  # images a step
MEASURED = 256  # images for one gradient


def build(norm, place, head_norm, seed):
    """mini_v3 with its head at `place` ("none": no head), initial weights from `seed`.

    `norm=False` takes batch normalization out of the network and the head's 1x1;
    `head_norm` decides for the head's "fully connected" layer alone.
    """
    torch.manual_seed(seed)
    model = create_model("mini_v3", num_classes=10)
    if place != "none":
        widths = {"mixed_a": 30, "reduction_a": 52, "mixed_b": 64}
        head = small_head(widths[place], 10, bn_aux=head_norm)
        model.aux_heads = nn.ModuleDict({place: head})
    if not norm:
        for name, layer in model.named_modules():
            if isinstance(layer, ConvUnit) and not name.endswith(".full"):
                layer.norm = nn.Identity()
    return model.train()


def losses(model, images, labels):
    """`(main, auxiliary)` cross-entropy of a batch; the second 0 without a head."""
    logits, heads = split_outputs(model(images))
    main = F.cross_entropy(logits, labels)
    return main, sum((F.cross_entropy(head, labels) for head in heads), 0 * main)


def measure(model, images, labels):
    """`({stage: Gradient}, main loss)` of one batch, over the weights of each stage.

    The weights are those of convolutions and of the last linear layer.
    """
    both, table = losses(model, images, labels), {}
    options = {"retain_graph": True, "materialize_grads": True}
    for stage, layers in model.stages():
        if stage in explorer.STAGES:
            weights = [p for p in layers.parameters() if p.ndim > 1]
            parts = (torch.autograd.grad(loss, weights, **options) for loss in both)
            own, side = (torch.cat([g.flatten() for g in p]).double() for p in parts)
            products = (own @ own, own @ side, side @ side)
            table[stage] = explorer.Gradient(*map(float, products))
    return table, both[0].item()


def train(model, split, seed):
    """`STEPS` steps of SGD with momentum on main + 0.4 x auxiliary, clipped at 2."""
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(explorer.STEPS):
        chosen = torch.randint(len(split), (BATCH,))
        main, aux = losses(model, as_input(split.images[chosen]), split.labels[chosen])
        optimizer.zero_grad()
        (main + explorer.TRAINED_WITH * aux).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()


def contents():
    """The rows of every network: each stage, before and after training."""
    data, rows = digits_at_scale(6000), []
    images = as_input(data.test.images[:MEASURED]), data.test.labels[:MEASURED]
    heads = [("none", 0), *product(explorer.PLACES, (0, 1))]
    for seed, norm, (place, head_norm) in product((0, 1, 2), (1, 0), heads):
        network = {"norm": norm, "place": place, "head_norm": head_norm, "seed": seed}
        model = build(**network)
        for steps in (0, explorer.STEPS):
            if steps:
                train(model, data.train, seed)
            table, main = measure(model, *images)
            for stage, gradient in table.items():
                row = network | {"steps": steps, "stage": stage}
                row |= {name: f"{x:.6g}" for name, x in gradient._asdict().items()}
                rows.append(row | {"main_loss": f"{main:.4f}"})
    return rows


STORED = explorer.TABLE, contents
