"""The training explorer: what does this network learn, how fast, at which scale?

Nothing trains until Train is pressed; `training_runs.py` starts, stops and continues
the runs, and after every epoch the picture is drawn again.
"""

from functools import cache, partial
from statistics import fmean

from inception_edu.explorers import make
from inception_edu.explorers.controls import Button, Choice, Picture, Range, Steps
from inception_edu.explorers.training_runs import RECIPES, SETTINGS, Trainer
from inception_edu.figures.plot import SHEET, Plot, round_up
from inception_edu.figures.svg import Drawing
from inception_edu.figures.theme import LABEL
from inception_edu.files import read_rows
from inception_edu.text import number, percent
from inception_edu.training.stored import FOLDER

MODELS = ("mini_naive", "mini_reduced", "mini_3x3", "mini_5x5", "mini_v2", "mini_v3")
MODELS += ("mini_v4", "mini_resnet")
CURVES = {
    "accuracy": "test accuracy",
    "train_accuracy": "training accuracy",
    "loss": "training loss",
}
STORED = {"modules": "modules at equal MACs", "ladder": "v3's ladder"}
SCALES = {s: s for s in ("10-15", "16-23", "24-31", "32-40")}  # columns by scale
SCALES["all"] = "accuracy"

QUESTION = "What does this network learn, how fast, and at which scale?"
CONTROLS = [
    Choice("model", "network", list(MODELS), "mini_reduced"),
    Choice("recipe", "recipe", list(RECIPES), "quick"),
    Range("epochs", "epochs", 1, 20, 1, 6),
    Steps("images", "training images", [500, 1000, 2000, 4000, 6000], 2000),
    Range("seed", "seed", 0, 20, 1, 0),
    Choice("curve", "curve", CURVES, "accuracy"),
    Choice("beside", "stored runs", STORED, "modules"),
]
SWEEP = {"beside": list(STORED)}


def adjust(values, changed, explicit):
    """Recipe v3 is mini_v3's: choosing either of the two moves the other."""
    if values["recipe"] == "v3" and values["model"] != "mini_v3":
        if "recipe" in changed:
            values["model"] = "mini_v3"
        else:
            values["recipe"] = "quick"
    return values


def inactive(values, runs=None):
    """On a page, where nothing can train (`runs` None), all but the stored runs."""
    if runs is None:
        return dict.fromkeys((*SETTINGS, "curve"), "training runs in the notebook only")
    return {} if runs else {"curve": "no run yet"}


@cache
def stored(experiment):
    """`({name: {scale: accuracies}}, note)` of stored runs, the best last.

    Runs of one name differ in their seed alone; those of modules, at equal MACs.
    """
    table = {"ladder": "ladder_short"}.get(experiment, experiment)  # with scales
    groups = {}
    for row in read_rows(FOLDER / f"{table}.csv"):
        if row.get("matched", "True") == "True":
            name = row.get("rung") or row["model"]
            accuracies = groups.setdefault(name, {scale: [] for scale in SCALES})
            for scale, column in SCALES.items():
                accuracies[scale].append(float(row[column]))
    best_last = sorted(groups.items(), key=lambda group: fmean(group[1]["all"]))
    note = (
        f"Stored, in gray: {row['epochs']} epochs of {int(row['images']):,} images; "
        f"mean and range of {len(accuracies['all'])} seeds."
    )
    return dict(best_last), note


# Roles of the theme, since the colors of kernels belong to kernels.
STYLES = [(role, dash) for dash in (None, "7 4") for role in ("accent", "good", "ink")]
DASHES = ("2 3", "8 3", "5 2 1 2", "12 3", "3 5")
LEFT, WIDE = 52, 300  # of the plots; names stand right of them


def summarize(state, runs, groups):
    """One line: the runs so far, or else that there is none; the best stored ones."""
    live = []
    for run in runs:
        says = f"failed ({run.error})" if run.error else f"is {run.status}"
        if run.done:
            accuracy = percent(run.history.accuracy[-1], 1)
            says += f" with {accuracy} after epoch {run.done}"
        live.append(f"{run.name} {says}")
    *_, (name, accuracies) = groups.items()
    kinds = {"ladder": "steps"}.get(state["beside"], state["beside"])
    return (
        f"{'; '.join(live) or 'No run yet'}. Stored: {name} is the best of "
        f"{len(groups)} {kinds} with {percent(fmean(accuracies['all']), 1)}, the mean "
        f"of {len(accuracies['all'])} seeds."
    )


def draw(state, runs=()):
    """The picture of a state and of the runs so far."""
    groups, note = stored(state["beside"])
    coming = (
        f"Next: {state['model']}, recipe {state['recipe']}, seed {state['seed']}, "
        f"{state['epochs']} epoch{'s' * (state['epochs'] > 1)} of "
        f"{state['images']:,} images"
    )
    sheet = Drawing(SHEET, 440)
    sheet.fitted_text(0, 16, coming, SHEET - 2, LABEL, bold=True)
    if runs:
        draw_curves(sheet, state, runs)
    draw_scales(sheet, runs, groups, top=216 if runs else 60)
    sheet.fitted_text(0, 434, note, SHEET, fill="muted")
    summary = summarize(state, runs, groups)
    return Picture(sheet.svg(f"Training: {summary}", coming), summary)


def draw_curves(sheet, state, runs):
    """The chosen curve of every run, a point an epoch, and where the next will end."""
    name, epochs = state["curve"], state["epochs"]
    series = [getattr(run.history, name) if run.history else [] for run in runs]
    most = max([2.5, *(value for values in series for value in values)])
    form, top = (number, most) if name == "loss" else (percent, 1)
    longest = max([epochs, *(run.settings["epochs"] for run in runs)])
    last = max(round_up(longest), 10)
    plot = Plot(sheet, (LEFT, 48, WIDE, 104), (0, last), (0, top))
    x, _ = plot.at(epochs, 0)
    sheet.rect(plot.x, plot.y, x - plot.x, plot.height, "panel", key="epochs")
    plot.axes("epochs", CURVES[name], format_y=form)
    ends = []
    for run, values, (role, dash) in zip(runs, series, STYLES, strict=False):
        points = list(enumerate(values, 1))
        if len(points) > 1:
            plot.curve(points, role, 2, dash)
        for point in points:
            plot.mark(*point, role, 4)
        ends.append((*(points[-1] if points else (0, 0)), run.name, role))
    plot.label_curves(ends)


def draw_scales(sheet, runs, groups, top):
    """Accuracy by the digit's size, live runs and stored ones, from `top` on."""
    box = (LEFT, top, WIDE, 392 - top)
    plot = Plot(sheet, box, (-0.4, len(SCALES) - 0.6), (0, 1))
    y_label = "test accuracy by size of the digit (pixels)"
    sizes, tenths = dict(enumerate(SCALES)), [i / 10 for i in (0, 2, 4, 6, 8, 10)]
    plot.axes("", y_label, format_y=percent, x_ticks=sizes, y_ticks=tenths)
    lines = []
    for (name, accuracies), dash in zip(groups.items(), DASHES, strict=False):
        values = list(accuracies.values())
        lines.append((name, list(map(fmean, values)), values, ("muted", dash), 2))
    for run, style in zip(runs, STYLES, strict=False):
        if run.done:
            means = [*run.history.accuracy_by_scale.values(), run.history.accuracy[-1]]
            lines.append((run.name, means, (), style, 3))
    ends = []
    for i, (name, means, ranges, (stroke, dash), width) in enumerate(lines):
        shift = 0.5 * ((i + 0.5) / len(lines) - 0.5)
        for place, values in enumerate(ranges):
            bar = [(place + shift, value) for value in (min(values), max(values))]
            plot.curve(bar, stroke, 1)
        curve = [(place + shift, value) for place, value in enumerate(means)]
        plot.curve(curve, stroke, width, dash).mark(*curve[-1], stroke, 4)
        ends.append((*curve[-1], f"{name} {percent(means[-1], 1)}", stroke))
    plot.label_curves(ends, 16)


def training(**options):
    """The training explorer: its buttons train, pause and forget runs.

    `.trainer` holds the runs: `.trainer.runs[0].history` is a History. Its buttons
    from Python: `.press("train")`, `.press("pause")`, `.press("clear")`. `options` are
    those of `Explorer`: start, sweep, frames.
    """
    trainer = Trainer()
    explorer = make(
        "training",
        draw=partial(draw, runs=trainer.runs),
        inactive=partial(inactive, runs=trainer.runs),
        buttons=[
            Button("train", "Train", trainer.train),
            Button("pause", "Pause", trainer.pause),
            Button("clear", "Clear", trainer.clear),
        ],
        **options,
    )
    explorer.trainer, trainer.changed = trainer, explorer.ask
    return explorer
