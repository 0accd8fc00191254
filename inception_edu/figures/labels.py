"""Where labels stand so that none covers another: along a line, or in a plane."""

from functools import lru_cache
from math import ceil, inf

from inception_edu.figures.svg import text_width

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
    drawn = [piece for line in lines for piece in _along(*line)]
    labels, joined, placed = [], [], {}

    def cost(label, name, mark):
        """Pixels from a mark to its label, and what lines through texts are worth."""
        end, far = _joint(label, *mark)
        joint = _along(mark, end) if far > FAR else []
        others = [(a - 5, b - 5, a + 5, b + 5) for n, a, b in spots if n != name]
        others += labels + joined
        costs = far + 30 * _hits([label], drawn) + 90 * _hits([label], joined)
        costs += 20 * _hits(joint[4:], drawn) + 90 * _hits(joint, others)
        return round(costs, 3)

    for name, *mark in sorted(spots, key=lambda spot: (-_crowd(spot, spots), spot)):
        free = [
            (a, b, c, d)
            for a, b, c, d in _around(*mark, round(text_width(name), 1))
            if left + 2 <= a and c <= right and top <= b and d <= bottom
            and not _hits([(a, b, c, d)], marks + labels)
        ]  # fmt: skip
        best, least = None, inf
        for label in sorted(free, key=lambda box: round(_joint(box, *mark)[1], 3)):
            if _joint(label, *mark)[1] >= least:
                break  # farther is worse
            if (costs := cost(label, name, mark)) < least:
                best, least = label, costs
        if best:
            end, far = _joint(best, *mark)
            labels.append(best)
            joined += _along(mark, end) if far > FAR else []
            placed[name] = (best[0], best[3] - 4, end if far > FAR else None)
    return placed


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


def _hits(boxes, others):
    """Whether a box `(left, top, right, bottom)` shares a point with one of others."""
    return any(
        a < other[2] and other[0] < c and b < other[3] and other[1] < d
        for a, b, c, d in boxes
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
