"""Lesson 4, measured: Rethinking's table 3, one rung at a time.

    python -m experiments.ladder

trains mini_v3 with the baseline's recipe, then with each rung of table 3 added to
those before it, over five seeds, and adds a row a run to results/ladder.csv.
Interrupt it and start it again: runs that are in the file are skipped. `--search`
is the search for each optimizer's learning rate that came first, on other seeds,
other handwriting and other pictures; its table is results/ladder_search.csv.
"""

from experiments.runner import command, measure
from inception_edu.training import recipes
from inception_edu.training.data import digits_at_scale
from inception_edu.training.loop import fit

MODEL = "mini_v3"
KEY = ("rung", "seed", "epochs", "images")
RATES = (0.02, 0.05, 0.1, 0.2, 0.4)


def plan(seeds, epochs, images):
    """Every run as a dict: all rungs on the first seed, then on the second, ..."""
    return [
        {"rung": rung, "seed": seed, "epochs": epochs, "images": images}
        for seed in seeds
        for rung in recipes.ladder
    ]


def search_plan(seeds, epochs, images):
    """The same rates for each of the two optimizers that the ladder compares."""
    return [
        {
            "rung": rung,
            "learning_rate": rate,
            "seed": seed,
            "epochs": epochs,
            "images": images,
        }
        for seed in seeds
        for rate in RATES
        for rung in ("baseline", "rmsprop")
    ]


def train(run, data_seed=0):
    """The row of one run, at the rung's learning rate unless the run names one."""
    recipe = recipes.ladder[run["rung"]]
    recipe = recipe.but(learning_rate=run.get("learning_rate", recipe.learning_rate))
    data = digits_at_scale(run["images"], seed=data_seed)
    history = fit(MODEL, data, recipe, run["epochs"], run["seed"])
    if history.interrupted:
        return None
    return measure(history, {**run, "model": MODEL, "optimizer": recipe.optimizer})


def main(argv=None):
    """The command: True when every run is in the file."""
    return command(
        argv,
        about=__doc__,
        name="ladder",
        epochs=recipes.RETHINKING.epochs,
        plan=plan,
        search_plan=search_plan,
        key=KEY,
        train=train,
    )


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
