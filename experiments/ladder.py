"""Lesson 4: Rethinking's table 3 on handwriting, one step at a time, with enough power.

mini_v3 with the baseline's recipe, then with each step of table 3 added to those
before it. 200 handwritten digits to train on, for as long as the loss takes to become
flat, and all others to test on. A seed draws the initial weights, the order and the
200 digits, the same for every step, so steps are compared in pairs over the seeds;
`training.compare` says what such pairs can detect. "fewer images" is the control: the
baseline with a quarter of the digits left out, a loss that must show. The search
chose each optimizer's learning rate, on other seeds.
"""

from functools import partial

from experiments.runner import SEARCH_SEEDS, Experiment, settings, training_row
from inception_edu.training import evaluate, fit, plain_digits, recipes
from inception_edu.training.data import Data, Split
from inception_edu.training.stored import FOLDER

RATES = (0.025, 0.05, 0.1, 0.2)
LEARNING_RATES = {"sgd": 0.05, "rmsprop_tf": 0.05}
SIZE, WATCHED = 48, 100  # of the test images, those that are evaluated every epoch


def measure(run):
    """The row of one run; `accuracy` is of all test images, after the last epoch."""
    recipe = recipes.ladder[run["rung"].replace("fewer images", "baseline")]
    rate = run.get("learning_rate", LEARNING_RATES[recipe.optimizer])
    recipe = recipe.but(learning_rate=rate, batch_size=16)
    data = plain_digits(run["images"], run["seed"], size=SIZE, n_test=1597)
    watched = Split(data.test.images[:WATCHED], data.test.labels[:WATCHED])
    during = Data(data.train, watched, data.name)
    history = fit("mini_v3", during, recipe, run["epochs"], run["seed"], device="cpu")
    first = {**run, "model": "mini_v3", "optimizer": recipe.optimizer}
    return training_row(first | {"learning_rate": rate}, history) | {
        "accuracy": round(evaluate(history.model, data).accuracy, 4),
        "loss_before": round(history.loss[len(history.loss) * 3 // 4], 4),
    }


KEY = ("rung", "seed", "epochs", "images")
Ladder = partial(Experiment, measure=measure, epochs=32, images=200)
EXPERIMENT = Ladder(
    table=FOLDER / "ladder.csv",
    key=KEY,
    settings=[
        *settings(rung=recipes.ladder),
        # as many steps on three quarters of the images
        {"rung": "fewer images", "epochs": 42, "images": 150},
    ],
    seeds=tuple(range(16)),
)
SEARCH = Ladder(
    table=FOLDER / "ladder_search.csv",
    key=(*KEY, "learning_rate"),
    # the same rates for each of the two optimizers that the ladder compares
    settings=settings(rung=("baseline", "rmsprop"), learning_rate=RATES),
    seeds=SEARCH_SEEDS[:2],
)
