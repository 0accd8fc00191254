"""Where labels stand so that none covers another: along a line, or in a plane."""

from functools import lru_cache
from math import ceil, inf

from inception_edu.figures.svg import text_width
from inception_edu.figures.theme import NOTE

HIGH = 17  # of a label's box
FAR = 16  # from here on a line joins a label to its mark


def spread(positions, low, high, gap):
    """The positions, moved as little as needed to stand `gap` apart, in their order.

    They stay from `low` to `high`, nearer together where that has no room.
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    gap = min(gap, (high - low) / max(1, len(positions) - 1))
    moved, last = [0.0] * len(positions), low - gap
    for i in order:
        last = moved[i] = max(positions[i], last + gap)
    limit = high
    for i in reversed(order):
        limit = moved[i] = min(moved[i], limit)
        limit -= gap
    return moved


@lru_cache(maxsize=256)
def place_labels(spots, box, lines=()):
    """`{name: (x, baseline, end of the line to its mark or None)}`; none overlap.

    `spots` are `(name, x, y)` of the marks in pixels, `box` the plot's `(x, y,
    width, height)`, `lines` pairs of points. Each label takes the nearest free
    place around its mark, inside the box: no other label and no mark there, nor,
    where that leaves one, any line. A label that is far is joined to its mark.
    All arguments are tuples.
    """
    # Logarithms and sums differ in the last digit between platforms; a page and a
    # notebook must not take that for a nearer place.
    spots = [(name, round(x, 1), round(y, 1)) for name, x, y in spots]
    lines = [[(round(x, 1), round(y, 1)) for x, y in line] for line in lines]
    left, top, width, height = box
    right, bottom = left + width, top + height - 2
    marks = [(x - 12, y - 12, x + 12, y + 12) for _, x, y in spots]
    drawn = [piece for start, end in lines for piece in _along(start, end)]
    labels, joined, placed = [], [], {}
    for name, x, y in sorted(spots, key=lambda spot: (-_crowd(spot, spots), spot)):
        wide = round(text_width(name, NOTE, bold=True), 1)
        free = [
            (a, b, c, d)
            for a, b, c, d in _around(x, y, wide)
            if left + 2 <= a and c <= right and top <= b and d <= bottom
            and not _hits((a, b, c, d), marks + labels)
        ]  # fmt: skip
        if not free:
            continue
        others = labels + [
            (a - 5, b - 5, a + 5, b + 5) for other, a, b in spots if other != name
        ]
        best, least = free[0], inf
        for label in sorted(free, key=lambda b: round(_joint(b, x, y)[1], 3)):
            if _joint(label, x, y)[1] >= least:
                break  # farther is worse
            ugly = _ugliness(label, (x, y), others, drawn, joined)
            if ugly < least:
                best, least = label, ugly
        end, far = _joint(best, x, y)
        labels.append(best)
        joined += _along((x, y), end) if far > FAR else []
        placed[name] = (best[0], best[3] - 4, end if far > FAR else None)
    return placed


def _ugliness(label, mark, others, drawn, joined):
    """Pixels from a mark to its label, and what lines through texts are worth."""
    end, far = _joint(label, *mark)
    line = _along(mark, end) if far > FAR else ()
    costs = (30, label, drawn), (90, label, joined)
    ugly = far + sum(cost * _hits(box, others) for cost, box, others in costs)
    for cost, seen, pieces in ((20, drawn, line[4:]), (90, others + joined, line)):
        ugly += cost * any(_hits(piece, seen) for piece in pieces)
    return round(ugly, 3)


def _joint(label, x, y):
    """The point of a label that is nearest to a mark, and how far it is."""
    end = min(max(x, label[0]), label[2]), min(max(y, label[1]), label[3])
    return end, abs(end[0] - x) + abs(end[1] - y)


def _along(start, end):
    """Small boxes that cover a line, one every 4 pixels."""
    (x0, y0), (x1, y1) = start, end
    count = max(1, ceil(max(abs(x1 - x0), abs(y1 - y0)) / 4))
    shares = [i / count for i in range(count + 1)]
    places = [(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in shares]
    return [(x - 2, y - 2, x + 2, y + 2) for x, y in places]


def _hits(box, others):
    """Whether a box `(left, top, right, bottom)` shares a point with any other."""
    left, top, right, bottom = box
    return any(
        left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
        for other in others
    )


def _crowd(spot, spots):
    """How many marks are near: the crowded are placed first."""
    _, x, y = spot
    return sum(abs(x - a) < 150 and abs(y - b) < 24 for _, a, b in spots)


def _around(x, y, wide):
    """Boxes on all sides of a mark, the near ones first."""
    half = HIGH / 2
    for far in range(12, 110, 7):
        corners = [(x + far, y - half), (x - far - wide, y - half)]
        for shift in (-wide / 2, 0, -wide, -wide / 4, -3 * wide / 4):
            corners += [(x + shift, y - far - HIGH), (x + shift, y + far)]
        for down in (-far - half, far - half):
            corners += [(x + far / 2, y + down), (x - far / 2 - wide, y + down)]
        for left, top in corners:
            yield left, top, left + wide, top + HIGH
