"""The auxiliary head explorer's gradients: of mini_v3's main and auxiliary losses.

Measures mini_v3 on digits at every scale, at its initial weights and after 200 steps,
with a head at each of three places and without one, with and without batch
normalization; three seeds, a few minutes. Writes explorers/auxiliary_head.csv.
"""

import torch
from torch import nn
from torch.nn import functional as F

from experiments.runner import Experiment
from inception_edu.explorers.auxiliary_head import (
    PLACES,
    STAGES,
    STEPS,
    TABLE,
    TRAINED_WITH,
    Gradient,
)
from inception_edu.networks import create_model
from inception_edu.networks.layers import ConvUnit
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
    stages = dict(model.stages())
    weights = [[p for p in stages[s].parameters() if p.ndim > 1] for s in STAGES]
    flat = [weight for group in weights for weight in group]

    def gradients(loss):
        options = {"retain_graph": True, "materialize_grads": True}
        found = iter(torch.autograd.grad(loss, flat, **options))
        return [torch.cat([next(found).flatten() for _ in w]).double() for w in weights]

    main, aux = losses(model, images, labels)
    table = {}
    for stage, own, side in zip(STAGES, gradients(main), gradients(aux), strict=True):
        products = (own @ own, own @ side, side @ side)
        table[stage] = Gradient(*(product.item() for product in products))
    return table, main.item()


def train(model, split, seed):
    """`STEPS` steps of SGD with momentum on main + 0.4 x auxiliary, clipped at 2."""
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(STEPS):
        chosen = torch.randint(len(split), (BATCH,))
        main, aux = losses(model, as_input(split.images[chosen]), split.labels[chosen])
        optimizer.zero_grad()
        (main + TRAINED_WITH * aux).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()


def measure_network(run):
    """The rows of one network: every stage, before and after training."""
    data, found = digits_at_scale(run["images"]), []
    images = as_input(data.test.images[:MEASURED])
    labels = data.test.labels[:MEASURED]
    run = {column: run[column] for column in KEY}
    with torch.random.fork_rng():
        model = build(*run.values())
        for steps in (0, STEPS):
            if steps:
                train(model, data.train, run["seed"])
            table, main = measure(model, images, labels)
            for stage, gradient in table.items():
                row = run | {"steps": steps, "stage": stage}
                row |= {name: f"{v:.6g}" for name, v in gradient._asdict().items()}
                found.append(row | {"main_loss": f"{main:.4f}"})
    return found


KEY = ("norm", "place", "head_norm", "seed")
EXPERIMENT = Experiment(
    table=TABLE,
    key=KEY,
    settings=[
        {"norm": norm, "place": place, "head_norm": head_norm}
        for norm in (1, 0)
        for place in ("none", *PLACES)
        for head_norm in ((0, 1) if place != "none" else (0,))
    ],
    measure=measure_network,
    seeds=(0, 1, 2),
)
