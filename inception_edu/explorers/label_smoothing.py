"""The label smoothing explorer: what target, loss and gradient does a logit get?

One image, K classes. The network gives the true class a logit `gap` above all
others. Smoothing trains it towards

    target(k) = (1 - eps) [k is the true class] + eps / K

so the true class gets 1 - eps + eps / K, and every other class eps / K: the paper
spreads eps over all classes, the true one included (Szegedy et al., Rethinking the
Inception Architecture for Computer Vision, arXiv 1512.00567, section 7; eps = 0.1,
K = 1000). The gradient of the loss for a logit is softmax minus target, so it is
zero where they agree, and there the loss is not zero but the target's entropy.
"""

from math import exp, inf, log
from typing import NamedTuple

from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.figures.plot import SHEET, Plot, label, legend
from inception_edu.figures.svg import Drawing
from inception_edu.figures.theme import LABEL

GAP_MIN, GAP_MAX = -4.0, 16.0  # of the logit gap

QUESTION = "What target, loss and gradient does a logit get?"
CONTROLS = [
    Range("gap", "logit gap", GAP_MIN, GAP_MAX, 0.1, 4.5),
    Range("eps", "eps", 0.0, 0.3, 0.01, 0.1),
    Choice("classes", "classes K", {10: "10 digits", 1000: "1000 (ImageNet)"}, 10),
]
SWEEP = {
    "gap": [-4, -2, 0, 1, 2, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 10, 12, 16],
    "eps": [0.0, 0.1, 0.3],
}


class Probabilities(NamedTuple):
    """A probability for the true class and one for each of the others."""

    true: float
    other: float


def target(classes, eps):
    """The smoothed label: what the softmax is asked to become."""
    return Probabilities(1 - eps + eps / classes, eps / classes)


def softmax(classes, gap):
    """What a network says whose true logit stands `gap` above all others."""
    below = exp(-gap)
    total = 1 + (classes - 1) * below
    return Probabilities(1 / total, below / total)


def loss(classes, eps, gap):
    """Cross-entropy of that softmax with the smoothed label, in nats."""
    # log softmax: 0 - log(total) for the true class, gap less for the others
    log_total = log(1 + (classes - 1) * exp(-gap))
    return log_total + (classes - 1) * target(classes, eps).other * gap


def best_gap(classes, eps):
    """The gap at which the loss is least: infinite without smoothing."""
    true, other = target(classes, eps)
    return log(true / other) if other else inf


def floor(classes, eps):
    """The least that the loss can be, in nats: the entropy of the target."""
    return loss(classes, eps, best_gap(classes, eps)) if eps else 0.0


def draw(state):
    classes, eps, gap = state["classes"], state["eps"], state["gap"]
    labels, probs = target(classes, eps), softmax(classes, gap)
    gradient, least = probs.true - labels.true, "it falls towards 0 as the gap grows"
    if eps:
        best = f"{best_gap(classes, eps):.3f}"
        least = f"its minimum is {floor(classes, eps):.3f}, at a gap of {best}"
    summary = (
        f"At a gap of {gap:g} the loss is {loss(classes, eps, gap):.3f} nats; {least}. "
        f"The gradient at the true logit is {gradient:+.4f}: the {step(gradient)}."
    )
    sheet = Drawing(SHEET, 436)
    draw_shares(sheet, classes, labels, probs)
    draw_curve(sheet, classes, eps, gap)
    words = (
        f"target {labels.true:.4g} for the true class and {labels.other:.4g} for each "
        f"other; softmax {probs.true:.4g} and {probs.other:.4g}"
    )
    title = f"Label smoothing, {classes} classes, eps {eps:g}: {summary}"
    return Picture(sheet.svg(title, words), summary)


def step(gradient):
    """What a training step does to a logit: it goes against the gradient."""
    return "logit falls" if gradient > 0 else "logit rises"


def share_text(value):
    """A share in few letters: 0.9001, 0.0001, 4e-06, 0."""
    return f"{value:.4f}" if abs(value) >= 5e-5 else f"{value:.0e}" if value else "0"


def draw_shares(sheet, classes, labels, probs):
    """Target, softmax and gradient of the true class and of the others."""
    rows = [
        ("true class", labels.true, probs.true),
        ("each other", labels.other, probs.other),
        (f"all {classes - 1} others", 1 - labels.true, 1 - probs.true),
    ]
    for x, name in ((112, "target"), (252, "softmax"), (392, "gradient")):
        sheet.text(x, 16, name, LABEL, bold=True)
    sheet.text(SHEET - 8, 16, "-1 to 1", anchor="end", fill="muted")
    for i, (row, *shares) in enumerate(rows):
        y, grad = 30 + 44 * i, shares[1] - shares[0]
        sheet.text(0, y + 15, row)
        for x, fill, share in zip((112, 252), ("1x1", "3x3"), shares, strict=True):
            sheet.rect(x, y, 100, 16, "panel")
            sheet.rect(x, y, 100 * share, 16, fill, tip=f"{row}: {share:.6g}")
            sheet.text(x, y + 32, share_text(share))
        sheet.rect(392, y, 160, 16, "panel").line((472, y), (472, y + 16), width=1)
        fill, length = "bad" if grad > 0 else "good", 80 * grad
        sheet.rect(min(472, 472 + length), y, abs(length), 16, fill)
        words = f"{share_text(grad)}: {step(grad) if grad else 'logit rests'}"
        sheet.text(392, y + 32, words)


def draw_curve(sheet, classes, eps, gap):
    """Loss against the gap, with smoothing and without, and the floor."""
    most = 12 if classes > 100 else 7
    plot = Plot(sheet, (46, 204, SHEET - 60, 188), (GAP_MIN, GAP_MAX), (0, most))
    plot.axes("logit gap: true class above the others", "loss (nats)")
    gaps = [GAP_MIN + i * (GAP_MAX - GAP_MIN) / 80 for i in range(81)]
    for smoothing, style in ((0, ("ink", 2, "7 5")), (eps, ("1x1",))):
        plot.curve([(g, loss(classes, smoothing, g)) for g in gaps], *style)
    if eps:
        least, best = floor(classes, eps), best_gap(classes, eps)
        plot.curve([(GAP_MIN, least), (GAP_MAX, least)], "accent", 1, dash="2 3")
        (x, y), (_, top) = plot.at(best, least), plot.at(best, 0.8 * most)
        sheet.line((x, top), (x, y), stroke="accent", width=1, key="minimum")
        style = {"anchor": "end" if x > 350 else "start", "fill": "accent"}
        x += -8 if x > 350 else 8
        text = f"minimum {least:.3f} at {best:.2f}"
        label(sheet, x, top + 12, text, bold=True, **style)
    legend(sheet, 340, 192, [("eps 0", "ink", "7 5"), (f"eps {eps:g}", "1x1", None)])
    plot.mark(gap, loss(classes, eps, gap))
