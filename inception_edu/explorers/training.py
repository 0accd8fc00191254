"""The training explorer: what does this network learn, how fast, at which scale?

Nothing trains until Train is pressed; `training_runs.py` starts, stops and continues
the runs, and after every epoch the picture is drawn again.
"""

from dataclasses import dataclass
from functools import cache

from inception_edu.explorers import make
from inception_edu.explorers.controls import (
    Button,
    Choice,
    Picture,
    Range,
    Steps,
)
from inception_edu.explorers.training_runs import (
    MOST_RUNS,
    RECIPES,
    SETTINGS,
    Run,
    Trainer,
)
from inception_edu.figures.plot import LABEL, NOTE, SHEET, Plot, number, round_up
from inception_edu.figures.svg import Drawing
from inception_edu.files import read_rows
from inception_edu.text import percent
from inception_edu.training.history import History
from inception_edu.training.stored import FOLDER

MODELS = ("mini_naive", "mini_reduced", "mini_3x3", "mini_5x5", "mini_v2", "mini_v3")
MODELS += ("mini_v4", "mini_resnet")
ONLY_V3 = ("v3",)  # recipes that set a stem and an auxiliary head
CURVES = {
    "accuracy": "test accuracy",
    "train_accuracy": "training accuracy",
    "loss": "training loss",
}
STORED = {
    "nothing": "nothing",
    "modules": "modules at equal MACs",
    "ladder": "v3's ladder",
}
TABLES = {"ladder": "ladder_short"}  # with accuracy by scale
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


def adjust(values, changed, named):
    """Recipe v3 is mini_v3's: choosing either of the two moves the other."""
    if values["recipe"] in ONLY_V3 and values["model"] != "mini_v3":
        if "recipe" in changed:
            values["model"] = "mini_v3"
        else:
            values["recipe"] = "quick"
    return values


def inactive(values):
    """Where nothing can train, as on a page, only the stored runs can be chosen."""
    return dict.fromkeys((*SETTINGS, "curve"), "training runs in the notebook only")


# Stored runs.


@dataclass(frozen=True)
class Group:
    """Stored runs that differ in their seed alone: `{scale: accuracies}`."""

    name: str
    accuracy: dict
    epochs: int
    images: int

    def mean(self, scale):
        values = self.accuracy[scale]
        return sum(values) / len(values)


@cache
def stored(experiment):
    """The groups of a stored experiment, best last; none where nothing is stored."""
    path = FOLDER / f"{TABLES.get(experiment, experiment)}.csv"
    if not path.exists():
        return ()
    groups = {}
    for row in read_rows(path):
        if row.get("matched", "True") == "True":
            name = row.get("rung") or row["model"]
            groups.setdefault((name, row["epochs"], row["images"]), []).append(row)
    found = [
        Group(
            name,
            {s: tuple(float(row[c]) for row in rows) for s, c in SCALES.items()},
            int(epochs),
            int(images),
        )
        for (name, epochs, images), rows in sorted(groups.items())
    ]
    return tuple(sorted(found, key=lambda group: group.mean("all")))


# The picture.

# Roles of the theme, since the colors of kernels belong to kernels.
STYLES = [(role, dash) for dash in (None, "7 4") for role in ("accent", "good", "ink")]
DASHES = ("2 3", "8 3", "5 2 1 2", "12 3", "3 5")
LEFT, WIDE = 52, 300  # of the plots; names stand right of them


def headline(state, runs):
    """What is going on, in one line."""
    active = next((run for run in runs if run.status == "training"), None)
    failed = next((run for run in runs[::-1] if run.status == "failed"), None)
    if active:
        return f"Training {active.name}: {active.done:.3g} of {active.epochs} epochs"
    if failed:
        return f"{failed.name} failed: {failed.error}"
    settings = {name: state[name] for name in SETTINGS}
    known = next((run for run in runs if run.settings == settings), None)
    if known and known.status == "paused":
        return f"{known.name} is paused: press Train to continue"
    return (
        f"Next: {state['model']}, recipe {state['recipe']}, seed {state['seed']}, "
        f"{state['epochs']} epoch{'s' * (state['epochs'] > 1)} of "
        f"{state['images']:,} images"
    )


def summarize(state, runs, groups):
    """One line: the runs so far, or else that there is none; the best stored ones."""
    live = []
    for run in runs:
        words = f"{run.name} is {run.status}"
        if run.done:
            accuracy = percent(run.history.accuracy[-1], 1)
            words += f" with {accuracy} after {run.done:.3g} epochs"
        live.append(words)
    words = "; ".join(live) or "No run yet"
    if groups:
        best, seeds = groups[-1], len(groups[-1].accuracy["all"])
        kinds = {"ladder": "rungs"}.get(state["beside"], state["beside"])
        words += (
            f". Stored: {best.name} is the best of {len(groups)} {kinds} with "
            f"{percent(best.mean('all'), 1)}, the mean of {seeds} "
            f"seed{'s' * (seeds > 1)}"
        )
    return f"{words}."


def draw_with(state, runs):
    """The picture of a state and the runs so far; pure."""
    groups = stored(state["beside"])
    sheet = Drawing(SHEET, 440)
    sheet.fitted_text(0, 16, headline(state, runs), SHEET - 2, LABEL, bold=True)
    draw_curves(sheet, state, runs)
    draw_scales(sheet, runs, groups)
    if groups:
        seeds = len(groups[-1].accuracy["all"])
        note = (
            f"Stored, in gray: {groups[-1].epochs} epochs of {groups[-1].images:,} "
            f"images; mean and range of {seeds} seed{'s' * (seeds > 1)}."
        )
    elif state["beside"] != "nothing":
        note = f"None stored: python -m experiments {state['beside']}"
    else:
        note = "No stored runs are shown."
    sheet.fitted_text(0, 434, note, SHEET, NOTE, fill="muted")
    summary = summarize(state, runs, groups)
    return Picture(sheet.svg(f"Training: {summary}", headline(state, runs)), summary)


def draw(state):
    """The picture before any run."""
    return draw_with(state, ())


def draw_curves(sheet, state, runs):
    """The chosen curve of every run, a point an epoch, and where the next will end."""
    name, epochs = state["curve"], state["epochs"]
    series = [getattr(run.history, name) if run.history else [] for run in runs]
    most = max([2.5, *(v for values in series for v in values)])
    form, top = (number, most) if name == "loss" else (percent, 1)
    last = round_up(max([epochs, *(run.epochs for run in runs)]), (1, 2, 5, 10))
    plot = Plot(sheet, (LEFT, 48, WIDE, 104), (0, max(last, 10)), (0, top))
    x, _ = plot.at(epochs, 0)
    sheet.rect(plot.x, plot.y, x - plot.x, plot.height, "panel", key="epochs")
    plot.axes("epochs", CURVES[name], format_y=form)
    ends = []
    for run, values, (role, dash) in zip(runs, series, STYLES, strict=False):
        points = list(zip(run.history.epoch, values, strict=True)) if values else []
        if len(points) > 1:
            plot.curve(points, role, 2, dash)
        for point in points:
            plot.mark(*point, role, 4)
        ends.append((*(points[-1] if points else (0, 0)), run.name, role))
    plot.name_ends(ends)
    if not runs:
        middle = plot.x + plot.width / 2, plot.y + plot.height / 2
        text = "no run yet"
        sheet.text(*middle, text, NOTE, anchor="middle", fill="muted")


def draw_scales(sheet, runs, groups):
    """Accuracy by the digit's size, live runs and stored ones."""
    lines = [
        (group.name, {s: group.mean(s) for s in group.accuracy}, group)
        for group in groups
    ]
    for run, style in zip(runs, STYLES, strict=False):
        if run.done and run.history.accuracy_by_scale:
            points = run.history.accuracy_by_scale | {"all": run.history.accuracy[-1]}
            lines.append((run.name, points, style))
    places = list(lines[0][1]) if lines else list(SCALES)
    lines = [line for line in lines if list(line[1]) == places]
    plot = Plot(sheet, (LEFT, 216, WIDE, 176), (-0.4, len(places) - 0.6), (0, 1))
    y_label = "test accuracy by size of the digit (pixels)"
    sizes, tenths = (
        dict(enumerate(places)),
        [tenth / 10 for tenth in (0, 2, 4, 6, 8, 10)],
    )
    plot.axes("", y_label, format_y=percent, x_ticks=sizes, y_ticks=tenths)
    ends = []
    for i, (name, points, kind) in enumerate(lines):
        stroke, dash, width = "muted", DASHES[i % len(DASHES)], 2
        shift = 0.5 * ((i + 0.5) / len(lines) - 0.5)
        if isinstance(kind, Group):
            for place, values in enumerate(kind.accuracy.values()):
                ends_of_bar = [(place + shift, v) for v in (min(values), max(values))]
                plot.curve(ends_of_bar, "muted", 1)
        else:
            (stroke, dash), width = kind, 3
        curve = [(place + shift, value) for place, value in enumerate(points.values())]
        plot.curve(curve, stroke, width, dash).mark(*curve[-1], stroke, 4)
        ends.append((*curve[-1], f"{name} {percent(points['all'], 1)}", stroke))
    plot.name_ends(ends, 16)


def training(*histories, **options):
    """The training explorer; `training(history)` shows what `fit` returned beside.

    `.trainer` holds the runs: `.trainer.runs[0].history` is a History. Its buttons
    from Python: `.press("train")`, `.press("pause")`, `.press("clear")`, and
    `.trainer.wait()` until the run ends. `options` are those of `Explorer`: start,
    frames.
    """
    if len(histories) > MOST_RUNS:
        raise ValueError(f"{len(histories)} runs; at most {MOST_RUNS} can be shown")
    for history in histories:
        if not isinstance(history, History):
            raise TypeError(
                f"training takes what fit returns, got {history!r}; several stand "
                "one after the other: training(first, second)"
            )
    trainer = Trainer(
        [
            Run(
                f"{history.model_name} {history.recipe.name if history.recipe else ''} "
                f"{history.seed}",
                history.epochs,
                history=history,
            )
            for history in histories
        ]
    )
    explorer = make(
        "training",
        draw=lambda state: draw_with(state, list(trainer.runs)),
        inactive=None,  # here everything can train
        buttons=[
            Button("train", "Train", trainer.train),
            Button("pause", "Pause", trainer.pause),
            Button("clear", "Clear", trainer.clear),
        ],
        **options,
    )
    explorer.trainer, trainer.changed = trainer, explorer.redraw
    return explorer
