"""Lessons 1 to 3, measured: which module reads digits of every size?

    python -m experiments.modules

trains each mini as drawn, and again at the MACs of mini_reduced, over five seeds,
and adds a row a run to results/modules.csv. Interrupt it and start it again: runs
that are in the file are skipped. `--search` is the search for the learning rate
that came first, on other seeds, other handwriting and other pictures; its table is
results/modules_search.csv.
"""

from experiments.runner import command, measure
from inception_edu.networks.minis import MATCHED_WIDTH
from inception_edu.training import recipes
from inception_edu.training.data import digits_at_scale
from inception_edu.training.loop import fit

KEY = ("model", "width", "seed", "epochs", "images")
RECIPE = recipes.quick
RATES = (0.005, 0.01, 0.02, 0.04)


def plan(seeds, epochs, images):
    """Every run as a dict: all networks on the first seed, then on the second, ..."""
    networks = []
    for model, matched in MATCHED_WIDTH.items():
        networks.append((model, matched))
        if matched < 0.9:  # mini_v2 as drawn costs nearly what mini_reduced does
            networks.append((model, 1.0))
    return [
        {
            "model": model,
            "width": width,
            "seed": seed,
            "epochs": epochs,
            "images": images,
        }
        for seed in seeds
        for model, width in networks
    ]


def search_plan(seeds, epochs, images):
    """The same rates for every network, at equal MACs."""
    return [
        {
            "model": model,
            "width": MATCHED_WIDTH[model],
            "learning_rate": rate,
            "seed": seed,
            "epochs": epochs,
            "images": images,
        }
        for seed in seeds
        for rate in RATES
        for model in MATCHED_WIDTH
    ]


def train(run, data_seed=0):
    """The row of one run: a network of that width, trained from that seed.

    The seed draws the first weights and the order of the images; the images
    themselves are the same for all.
    """
    recipe = RECIPE.but(
        model_options={"width": run["width"]},
        learning_rate=run.get("learning_rate", RECIPE.learning_rate),
    )
    data = digits_at_scale(run["images"], seed=data_seed)
    history = fit(run["model"], data, recipe, run["epochs"], run["seed"])
    if history.interrupted:
        return None
    matched = run["width"] == MATCHED_WIDTH[run["model"]]
    return measure(history, {**run, "recipe": RECIPE.name, "matched": matched})


def main(argv=None):
    """The command: True when every run is in the file."""
    return command(
        argv,
        about=__doc__,
        name="modules",
        epochs=RECIPE.epochs,
        plan=plan,
        search_plan=search_plan,
        key=KEY,
        train=train,
    )


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
