"""The training explorer: what does this network learn, how fast, at which scale?

Nothing trains until Train is pressed; `training_runs.py` starts, stops and continues
the runs, and after every epoch the picture is drawn again.
"""

import csv
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
from inception_edu.figures.plot import LABEL, NOTE, SHEET, Plot, spread, ticks
from inception_edu.figures.svg import Drawing
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
SWEEP = {"beside": list(STORED), "curve": list(CURVES)}


def adjust(values, changed, named):
    """Recipe v3 is mini_v3's: choosing either of the two moves the other."""
    if values["recipe"] in ONLY_V3 and values["model"] != "mini_v3":
        if "recipe" in changed:
            values["model"] = "mini_v3"
        else:
            values["recipe"] = "quick"
    return values


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
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    groups = {}
    for row in rows:
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

# Roles of the theme, since the colours of kernels belong to kernels.
STYLES = [(role, dash) for dash in (None, "7 4") for role in ("accent", "good", "ink")]
DASHES = ("2 3", "8 3", "5 2 1 2", "12 3", "3 5")
LEFT, WIDE, ASIDE = 46, 320, 386  # of the plots; where their labels begin


def headline(state, runs):
    """What is going on, in one line."""
    active = next((run for run in runs if run.status == "training"), None)
    failed = next((run for run in runs[::-1] if run.status == "failed"), None)
    if active:
        return f"training {active.name}: {active.done:.3g} of {active.epochs} epochs"
    if failed:
        return f"{failed.name} failed: {failed.error}"
    settings = {name: state[name] for name in SETTINGS}
    known = next((run for run in runs if run.settings == settings), None)
    if known and known.status == "paused":
        return f"paused: {known.name}; press Train to go on"
    return (
        f"next: {state['model']} {state['recipe']} {state['seed']}, "
        f"{state['epochs']} epochs of {state['images']:,} images"
    )


def summarise(state, runs, groups):
    """One line: the runs so far, or else that there is none; the stored ones."""
    live = [
        f"{run.name} {run.status}"
        + (f", {run.history.accuracy[-1]:.1%} after {run.done:.3g}" if run.done else "")
        for run in runs
    ]
    words = "; ".join(live) or "no run yet: press Train"
    if groups:
        best, seeds = groups[-1], len(groups[-1].accuracy["all"])
        steps = {"ladder": "rungs"}.get(state["beside"], state["beside"])
        words += (
            f"; stored: {best.name} leads {len(groups)} {steps} with "
            f"{best.mean('all'):.1%} (mean of {seeds})"
        )
    return words


def draw_with(state, runs):
    """The picture of a state and the runs so far; pure."""
    groups = stored(state["beside"])
    sheet = Drawing(SHEET, 436)
    sheet.fitted_text(0, 16, headline(state, runs), SHEET, LABEL, bold=True)
    draw_curves(sheet, state, runs)
    draw_scales(sheet, state, runs, groups)
    summary = summarise(state, runs, groups)
    return Picture(sheet.svg(f"Training: {summary}", headline(state, runs)), summary)


def draw(state):
    """The picture before any run."""
    return draw_with(state, ())


def percent(value):
    return f"{value:.0%}"


def draw_curves(sheet, state, runs):
    """The chosen curve of every run, a point an epoch."""
    name = state["curve"]
    series = [getattr(run.history, name) if run.history else [] for run in runs]
    epochs = max([state["epochs"], *(run.epochs for run in runs)])
    loss = name == "loss"
    most = max([2.5, *(value for values in series for value in values)]) if loss else 1
    plot = Plot(sheet, (LEFT, 56, WIDE, 120), (0, epochs), (0, most))
    form = {"format_y": percent} if not loss else {}
    plot.axes("epochs", CURVES[name], **form)
    for i, (run, values) in enumerate(zip(runs, series, strict=True)):
        role, dash = STYLES[i]
        points = list(zip(run.history.epoch, values, strict=True)) if values else []
        if len(points) > 1:
            plot.curve(points, role, 2, dash)
        for point in points:
            plot.mark(*point, role, 4)
        y = 62 + 20 * i
        sheet.line((ASIDE, y), (ASIDE + 22, y), stroke=role, width=3, dash=dash)
        sheet.fitted_text(ASIDE + 28, y + 5, run.name, SHEET - ASIDE - 28, NOTE)
    if not runs:
        sheet.text(ASIDE, 67, "no run yet:", NOTE, fill="muted")
        sheet.text(ASIDE, 86, "press Train", NOTE, fill="muted")


def draw_scales(sheet, state, runs, groups):
    """Accuracy by the digit's size, live runs and stored ones."""
    lines = [
        (group.name, {s: group.mean(s) for s in group.accuracy}, group)
        for group in groups
    ]
    for i, run in enumerate(runs):
        if run.done and run.history.accuracy_by_scale:
            points = run.history.accuracy_by_scale | {"all": run.history.accuracy[-1]}
            lines.append((run.name, points, STYLES[i]))
    places = list(lines[0][1]) if lines else ["10-15", "16-23", "24-31", "32-40", "all"]
    lines = [line for line in lines if list(line[1]) == places]
    top, high = 244, 138
    drawn = [value for _, points, _ in lines for value in points.values()]
    for _, _, kind in lines:
        if isinstance(kind, Group):  # the bar from worst to best
            drawn += [min(values) for values in kind.accuracy.values()]
    lowest = min(drawn, default=0)
    low = max(0, int(lowest * 10 - 0.5) / 10)
    plot = Plot(sheet, (LEFT, top, WIDE, high), (-0.4, len(places) - 0.6), (low, 1))
    for value in ticks(low, 1, 5):
        _, y = plot.at(0, value)
        sheet.line((LEFT, y), (LEFT + WIDE, y), stroke="grid", width=1)
        sheet.text(LEFT - 6, y + 5, percent(value), NOTE, anchor="end", fill="muted")
    sheet.text(0, top - 12, "test accuracy by size of the digit (pixels)", NOTE)
    for i, scale in enumerate(places):
        x, _ = plot.at(i, low)
        sheet.text(x, top + high + 18, scale, NOTE, anchor="middle", fill="muted")
    ends = [plot.at(len(places) - 1, points["all"])[1] for _, points, _ in lines]
    labels = spread(ends, top - 14, top + high + 16, 17)
    for i, (name, points, kind) in enumerate(lines):
        stroke, dash, width = "muted", DASHES[i % len(DASHES)], 2
        shift = 0.07 * (i - len(lines) / 2)
        if isinstance(kind, Group):
            for place, values in enumerate(kind.accuracy.values()):
                bar = [plot.at(place + shift, v) for v in (min(values), max(values))]
                sheet.line(*bar, stroke="muted", width=1)
        else:
            (stroke, dash), width = kind, 3
        plot.curve(
            [(p + shift, v) for p, v in enumerate(points.values())], stroke, width, dash
        )
        x, y = plot.at(len(places) - 1 + shift, points["all"])
        sheet.circle(x, y, 3, stroke)
        sheet.line((x + 4, y), (ASIDE - 4, labels[i]), stroke="grid", width=1)
        text = f"{name} {points['all']:.1%}"
        sheet.fitted_text(ASIDE, labels[i] + 5, text, SHEET - ASIDE, NOTE, fill=stroke)
    if groups:
        seeds = len(groups[-1].accuracy["all"])
        note = (
            f"stored: {groups[-1].epochs} epochs of {groups[-1].images:,} images; mean "
            f"and range of {seeds} seed{'s' * (seeds > 1)}"
        )
    elif state["beside"] != "nothing":
        note = f"none stored: python -m experiments {state['beside']}"
    else:
        note = "no stored runs are shown"
    sheet.fitted_text(0, 430, note, SHEET, NOTE, fill="muted")


def training(*histories, **options):
    """The training explorer; `training(history)` shows what `fit` returned beside.

    `.trainer` holds the runs: `.trainer.runs[0].history` is a History. Its buttons
    from Python: `.press("train")`, `.press("pause")`, `.press("clear")`, and
    `.trainer.wait()` until the run ends. `options` are those of `Explorer`: start,
    frames, compact.
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
        buttons=[
            Button("train", "Train", trainer.train),
            Button("pause", "Pause", trainer.pause),
            Button("clear", "Clear", trainer.clear),
        ],
        **options,
    )
    explorer.trainer, trainer.changed = trainer, explorer.redraw
    return explorer
