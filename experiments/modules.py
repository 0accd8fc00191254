"""Lessons 1 to 3: which module classifies digits of every size?

Every mini as drawn, and again at the MACs of mini_reduced, over five seeds. The
search chose the learning rate, on other seeds, handwriting and pictures.
"""

from experiments.runner import Experiment, over_seeds, training_row
from inception_edu.training import digits_at_scale, fit, recipes
from inception_edu.training.stored import FOLDER

RECIPE = recipes.quick
# The width at which each mini has the MACs of mini_reduced (2,571,232), within 2 %.
MATCHED_WIDTH = {
    "mini_naive": 0.43,
    "mini_reduced": 1.0,
    "mini_3x3": 0.52,
    "mini_5x5": 0.265,
    "mini_v2": 0.965,
}
WIDTHS = [
    {"model": model, "width": width}
    for model, matched in MATCHED_WIDTH.items()
    # mini_v2 as drawn costs nearly what mini_reduced does
    for width in ((matched, 1.0) if matched < 0.9 else (matched,))
]
RATES = [  # the same for every network, at equal MACs
    {"model": model, "width": width, "learning_rate": rate}
    for model, width in MATCHED_WIDTH.items()
    for rate in (0.005, 0.01, 0.02, 0.04)
]


def measure(run):
    """The row of one run, trained from its seed; the images are the same for all."""
    recipe = RECIPE.but(
        model_options={"width": run["width"]},
        learning_rate=run.get("learning_rate", RECIPE.learning_rate),
    )
    # the search has handwriting and pictures of its own
    data = digits_at_scale(run["images"], seed=int("learning_rate" in run))
    history = fit(run["model"], data, recipe, run["epochs"], run["seed"])
    matched = run["width"] == MATCHED_WIDTH[run["model"]]
    return training_row({**run, "recipe": RECIPE.name, "matched": matched}, history)


RUNS = over_seeds(range(5), WIDTHS, RECIPE.epochs)
TRIALS = over_seeds([100], RATES, RECIPE.epochs)
EXPERIMENT = Experiment(FOLDER / "modules.csv", RUNS, measure)
SEARCH = Experiment(FOLDER / "modules_search.csv", TRIALS, measure)
