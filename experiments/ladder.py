"""Lesson 4: Rethinking's table 3 on handwriting, one step at a time, with enough power.

mini_v3 with the baseline's recipe, then with each step of table 3 added to those
before it. 200 handwritten digits to train on, for as long as the loss takes to become
flat, and all others to test on. A seed draws the initial weights, the order and the
200 digits, the same for every step, so steps are compared in pairs over the seeds.
"fewer images" is the control: the baseline with a quarter of the digits left out, a
loss that must show. The search chose the learning rate, on other seeds.
"""

from experiments.runner import Experiment, over_seeds, settings, training_row
from inception_edu.training import evaluate, fit, plain_digits, recipes
from inception_edu.training.data import Data, Split
from inception_edu.training.stored import FOLDER

RATES = (0.025, 0.05, 0.1, 0.2)  # the same for both optimizers
SIZE, WATCHED = 48, 100  # of the test images, those that are evaluated every epoch


def measure(run):
    """The row of one run; `accuracy` is of all test images, after the last epoch."""
    recipe = recipes.ladder[run["rung"].replace("fewer images", "baseline")]
    rate = run.get("learning_rate", 0.05)
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


# as many steps on three quarters of the images
CONTROL = {"rung": "fewer images", "epochs": 42, "images": 150}
RUNGS = [*settings(rung=recipes.ladder), CONTROL]
TRIED = settings(rung=("baseline", "rmsprop"), learning_rate=RATES)
RUNS = over_seeds(range(16), RUNGS, epochs=32, images=200)
TRIALS = over_seeds((100, 101), TRIED, epochs=32, images=200)
EXPERIMENT = Experiment(FOLDER / "ladder.csv", RUNS, measure)
SEARCH = Experiment(FOLDER / "ladder_search.csv", TRIALS, measure)
