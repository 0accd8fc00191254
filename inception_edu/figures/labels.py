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
    marks = [_about(x, y, 12) for _, x, y in spots]
    drawn = [piece for line in lines for piece in _along(*line)]
    labels, joints, placed = [], [], {}

    def crowd(spot):
        """How many marks are near: the crowded are placed first."""
        _, x, y = spot
        return sum(abs(x - a) < 150 and abs(y - b) < 24 for _, a, b in spots)

    for name, *mark in sorted(spots, key=lambda spot: (-crowd(spot), spot)):
        least, best = inf, None
        others = [_about(x, y, 5) for other, x, y in spots if other != name]
        others += labels + joints
        for place in _around(*mark, round(text_width(name), 1)):
            a, b, c, d = place
            end = min(max(mark[0], a), c), min(max(mark[1], b), d)
            far = abs(end[0] - mark[0]) + abs(end[1] - mark[1])
            is_inside = left + 2 <= a and c <= right and top <= b and d <= bottom
            if far >= least or not is_inside or _hits([place], marks + labels):
                continue
            # Pixels to the mark, and what lines through texts are worth.
            joint = _along(mark, end) if far > FAR else []
            cost = far + 30 * _hits([place], drawn) + 90 * _hits([place], joints)
            cost += 20 * _hits(joint[4:], drawn) + 90 * _hits(joint, others)
            if (cost := round(cost, 3)) < least:
                least, best = cost, (place, joint, end if joint else None)
        if best:
            place, joint, end = best
            labels.append(place)
            joints += joint
            placed[name] = place[0], place[3] - 4, end
    return placed


def _about(x, y, far):
    """The box `far` pixels to all sides of a point."""
    return x - far, y - far, x + far, y + far


def _along(start, end):
    """Small boxes that cover a line, one every 4 pixels."""
    (x0, y0), (x1, y1) = start, end
    count = max(1, ceil(max(abs(x1 - x0), abs(y1 - y0)) / 4))
    shares = [i / count for i in range(count + 1)]
    return [_about(x0 + (x1 - x0) * s, y0 + (y1 - y0) * s, 2) for s in shares]


def _hits(boxes, others):
    """Whether a box `(left, top, right, bottom)` shares a point with one of others."""
    return any(
        a < other[2] and other[0] < c and b < other[3] and other[1] < d
        for a, b, c, d in boxes
        for other in others
    )


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
