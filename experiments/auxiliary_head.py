"""Gradients of mini_v3's main and auxiliary losses, the auxiliary head explorer's.

    python -m experiments auxiliary_head

measures mini_v3 on digits at every scale, at its first weights and after 200 steps,
with a head at each of three places and without one, with and without batch
normalization; three seeds, some minutes. Writes explorers/auxiliary_head.csv.
"""

import csv

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.explorers.auxiliary_head import (
    MEASURED,
    PLACES,
    STAGES,
    STEPS,
    TABLE,
    Gradient,
)
from inception_edu.networks import create_model
from inception_edu.networks.layers import ConvUnit
from inception_edu.networks.minis import AuxiliaryHead
from inception_edu.training import as_input, digits_at_scale

SEEDS = (0, 1, 2)
BATCH = 32  # images a step
TRAINED_WITH = 0.4  # the weight of the head's loss


def build(norm, place, head_norm, seed):
    """mini_v3 with its head at `place` (None: no head), first weights from `seed`.

    `norm=False` takes batch normalisation out of the network and the head's 1x1;
    `head_norm` decides for the head's "fully connected" layer alone.
    """
    torch.manual_seed(seed)
    model = create_model("mini_v3", num_classes=10)
    if place:
        widths = {"mixed_a": 30, "reduction_a": 52, "mixed_b": 64}
        head = AuxiliaryHead(widths[place], 10, bn_aux=head_norm)
        model.aux_heads = nn.ModuleDict({place: head})
    if not norm:
        for name, layer in model.named_modules():
            if isinstance(layer, ConvUnit) and not name.endswith(".full"):
                layer.norm = nn.Identity()
    return model.train()


def losses(model, images, labels):
    """`(main, auxiliary)` cross-entropy of a batch; the second None without a head."""
    outputs = model(images)
    if model.aux_heads is None:
        return F.cross_entropy(outputs, labels), None
    return tuple(F.cross_entropy(x, labels) for x in (outputs.logits, *outputs.aux))


def measure(model, images, labels):
    """`({stage: Gradient}, main loss)` of one batch, over the weights of each stage.

    The weights are those of convolutions and of the last linear layer.
    """
    main, aux = losses(model, images, labels)
    stages = dict(model.stages())
    weights = {
        stage: [p for p in stages[stage].parameters() if p.ndim > 1] for stage in STAGES
    }
    flat = [weight for group in weights.values() for weight in group]

    def gradients(loss):
        found = torch.autograd.grad(
            loss, flat, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return iter(found)

    mains, auxes = gradients(main), gradients(main * 0 if aux is None else aux)
    table = {}
    for stage, group in weights.items():
        own = torch.cat([next(mains).flatten() for _ in group]).double()
        side = torch.cat([next(auxes).flatten() for _ in group]).double()
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
        loss = main if aux is None else main + TRAINED_WITH * aux
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()


def plan():
    """`(norm, place, head_norm, seed)` of every network measured."""
    heads = [(None, False)]
    heads += [(place, head_norm) for place in PLACES for head_norm in (False, True)]
    return [
        (norm, *head, seed)
        for seed in SEEDS
        for norm in (True, False)
        for head in heads
    ]


def rows(norm, place, head_norm, seed, data):
    """The table's rows for one network: every stage, before and after training."""
    model = build(norm, place, head_norm, seed)
    images = as_input(data.test.images[:MEASURED])
    labels = data.test.labels[:MEASURED]
    for steps in (0, STEPS):
        if steps:
            train(model, data.train, seed)
        table, main = measure(model, images, labels)
        for stage, gradient in table.items():
            yield {
                "norm": int(norm),
                "place": place or "none",
                "head_norm": int(head_norm),
                "seed": seed,
                "steps": steps,
                "stage": stage,
                **{name: f"{v:.6g}" for name, v in gradient._asdict().items()},
                "main_loss": f"{main:.4f}",
            }


def main(out=TABLE):
    """Measure every network of the plan and write the table."""
    with torch.random.fork_rng():
        data = digits_at_scale(6000)
        found = []
        for number, network in enumerate(plan(), 1):
            found += rows(*network, data)
            print(f"{number} of {len(plan())}: {network}", flush=True)
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, found[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
