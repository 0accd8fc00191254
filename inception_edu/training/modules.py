"""Lessons 1 to 3, measured: which module reads digits of every size?

    python -m inception_edu.training.modules

trains each mini as drawn, and again at the MACs of mini_reduced, over five seeds,
and adds a row a run to results/modules.csv. Interrupt it and start it again: runs
that are in the file are skipped.
"""

from inception_edu.networks.minis import MATCHED_WIDTH
from inception_edu.training import recipes
from inception_edu.training.data import digits_at_scale
from inception_edu.training.experiment import arguments, measure, run_all
from inception_edu.training.loop import fit

KEY = ("model", "width", "seed", "epochs", "images")
RECIPE = recipes.quick


def plan(seeds, epochs, images):
    """Every run as a dict: all networks on the first seed, then on the second, ..."""
    networks = []
    for model, matched in MATCHED_WIDTH.items():
        networks.append((model, matched))
        if matched < 0.9:  # mini_v2 as drawn costs nearly what mini_reduced does
            networks.append((model, 1.0))
    return [
        dict(model=model, width=width, seed=seed, epochs=epochs, images=images)
        for seed in seeds
        for model, width in networks
    ]


def train(run):
    """The row of one run: a network of that width, trained from that seed.

    The seed draws the first weights and the order of the images; the images
    themselves are the same for all.
    """
    recipe = RECIPE.but(model_options={"width": run["width"]})
    data = digits_at_scale(run["images"])
    history = fit(run["model"], data, recipe, run["epochs"], run["seed"])
    if history.interrupted:
        return None
    matched = run["width"] == MATCHED_WIDTH[run["model"]]
    return measure(history, {**run, "recipe": RECIPE.name, "matched": matched})


def main(argv=None):
    """The command: True when every run is in the file."""
    given = arguments(__doc__, "modules.csv", RECIPE.epochs).parse_args(argv)
    runs = plan(given.seeds, given.epochs, given.images)
    return run_all(runs, given.out, KEY, train)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
