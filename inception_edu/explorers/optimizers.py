"""The optimizers explorer: how do four optimizers descend this narrow valley?

Its loss is f(x, y) = (x^2 / condition + y^2) / 2: `condition` times as steep
across as along. The four are written out on plain numbers, one line of state each;
RMSProp, without momentum, as torch writes it and as TensorFlow does:

    torch        mean = 0 at first   g / (sqrt(mean) + eps)
    TensorFlow   mean = 1 at first   g / sqrt(mean + eps)

Sources: torch.optim.SGD and RMSprop; TensorFlow's ApplyRMSProp. Rethinking the
Inception Architecture (Szegedy et al., arXiv 1512.00567, section 8) trained with
RMSProp, decay 0.9, eps 1.0, at a rate of 0.045.
"""

from math import cos, pi, sin, sqrt

from inception_edu.explorers.controls import Picture, Range, Steps
from inception_edu.figures.plot import SHEET, Plot, label
from inception_edu.figures.svg import Drawing
from inception_edu.figures.theme import LABEL

DECAY = 0.9  # of RMSProp's mean square, as in the paper
START = (-9.0, 3.0)
FAR = 1e4  # a loss that has left the valley for good


# A rule takes a gradient, what the optimizer remembers and the settings; it returns
# the step and what is remembered then.


def sgd(gradient, nothing, setting):
    """Stochastic gradient descent."""
    return setting["rate"] * gradient, nothing


def momentum(gradient, total, setting):
    """torch's and TensorFlow's: a sum of gradients."""
    total = setting["momentum"] * total + gradient
    return setting["rate"] * total, total


def rmsprop_torch(gradient, mean, setting):
    """RMSProp as `torch.optim.RMSprop` writes it."""
    mean = DECAY * mean + (1 - DECAY) * gradient**2
    return setting["rate"] * (gradient / (sqrt(mean) + setting["eps"])), mean


def rmsprop_tf(gradient, mean, setting):
    """RMSProp as TensorFlow's ApplyRMSProp writes it."""
    mean = DECAY * mean + (1 - DECAY) * gradient**2
    return setting["rate"] * (gradient / sqrt(mean + setting["eps"])), mean


# name: (rule, what it remembers at first, color, dash, left edge in the legend)
OPTIMIZERS = {
    "SGD": (sgd, 0.0, "ink", None, 0),
    "momentum": (momentum, 0.0, "1x1", "9 4", 128),
    "RMSProp (torch)": (rmsprop_torch, 0.0, "3x3", None, 262),
    "RMSProp (TF)": (rmsprop_tf, 1.0, "5x5", "3 3", 412),
}
RATES = [0.001, 0.0045, 0.01, 0.02, 0.045, 0.1, 0.2, 0.45, 1.0, 1.5, 1.9, 2.1]

QUESTION = "How do SGD, momentum and RMSProp descend this narrow valley?"
CONTROLS = [
    Steps("rate", "learning rate", RATES, 0.045),
    Range("steps", "steps", 1, 200, 1, 60, play=True),
    Steps("eps", "eps (RMSProp)", [1e-8, 1e-6, 1e-4, 1e-2, 0.1, 1.0], 1.0),
    Range("momentum", "momentum", 0.0, 0.95, 0.05, 0.9),
    Steps("condition", "condition number", [1, 2, 5, 10, 20, 50, 100], 20),
]
SWEEP = {"rate": [0.01, 0.045, 0.1, 0.45, 1.0], "eps": [1e-8, 1e-4, 0.1, 1.0]}


def inactive(values):
    """Momentum remembers a step, hence changes none before the second."""
    return {"momentum": "acts from step 2 on"} if values["steps"] == 1 else {}


def path(name, setting):
    """Every point from `START` on, `setting["steps"]` steps of the optimizer."""
    rule, along, *_ = OPTIMIZERS[name]
    (x, y), across, points = START, along, [START]
    for _ in range(setting["steps"]):
        step_x, along = rule(x / setting["condition"], along, setting)
        step_y, across = rule(y, across, setting)
        x, y = x - step_x, y - step_y
        points.append((x, y))
    return points


def loss(point, condition):
    """The loss at a point of the valley."""
    x, y = point
    return (x**2 / condition + y**2) / 2


def draw(state):
    condition, steps = state["condition"], state["steps"]
    paths = {name: path(name, state) for name in OPTIMIZERS}
    ends = {name: loss(points[-1], condition) for name, points in paths.items()}
    losses = {n: f"{end:.3g}" if end < FAR else "diverges" for n, end in ends.items()}
    reached = ", ".join(f"{name} {value}" for name, value in losses.items())
    start = f"start: {loss(START, condition):.4g}"
    summary = f"Loss after {steps} step{'s' * (steps > 1)} ({start}): {reached}."
    sheet = Drawing(SHEET, 314)
    draw_valley(sheet, state, paths, losses)
    desc = f"condition {condition}, learning rate {state['rate']}, eps {state['eps']:g}"
    return Picture(sheet.svg(summary, desc), summary)


BOX = (0, 44, SHEET, 268)  # x, y, width, height on the sheet
# 28 pixels a unit, the same along and across: angles are true
X_RANGE, Y_RANGE = (-11.5, 8.5), (-4.79, 4.79)


def is_inside(x, y):
    return X_RANGE[0] <= x <= X_RANGE[1] and abs(y) <= Y_RANGE[1]


def draw_valley(sheet, state, paths, losses):
    """Contours, the minimum, the paths, and the loss at the end of each."""
    sheet.rect(*BOX, "paper", stroke="grid")
    plot = Plot(sheet, BOX, X_RANGE, Y_RANGE)
    turns = [pi * i / 40 for i in range(81)]
    for across in (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4.5, 6, 8, 10, 12):
        along = across * sqrt(state["condition"])
        plot.curve([(along * cos(t), across * sin(t)) for t in turns], "grid", 1)
    sheet.circle(*plot.at(0, 0), 4, "accent")
    for name, points in paths.items():
        *_, stroke, dash, x = OPTIMIZERS[name]
        x_end, y_end = points[-1]
        sheet.line((x, 11), (x + 24, 11), stroke=stroke, width=3, dash=dash)
        sheet.text(x + 30, 16, name)
        sheet.text(x, 36, "loss", fill="muted")
        sheet.text(x + 30, 36, losses[name], LABEL, bold=True)
        if losses[name] == "diverges":  # up to where it leaves the picture
            left = next(i for i, point in enumerate(points) if not is_inside(*point))
            points = points[: left + 1]
        plot.curve(points, stroke, 2, dash)
        if is_inside(x_end, y_end):
            plot.mark(x_end, y_end, stroke, 6)
    x, y = plot.at(*START)
    sheet.circle(x, y, 4)
    label(sheet, x - 10, y - 4, "start", anchor="end")
    x, y = plot.at(0, 0)
    sheet.line((x, plot.bottom - 22), (x, y + 8), stroke="accent", width=1)
    label(sheet, x, plot.bottom - 8, "minimum", anchor="middle", fill="accent")
