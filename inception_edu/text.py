"""Numbers, shapes and close names as text, in one way for all rooms."""

import re
from difflib import get_close_matches

_NOT_XML = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNITS = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))


def number(value, digits=3):
    """A number with `digits` significant digits: "0.834", "128 M", "5.33 G"."""
    value = float(value)
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    rounded = abs(float(f"{value:.{digits}g}"))
    for size, unit in _UNITS:
        if rounded >= size:
            return f"{value / size:.{digits}g}{unit}"
    return f"{value:.{digits}g}"


def tick(value):
    """A round number as an axis writes it: 150 M, 2.5 k, 12."""
    return number(value, digits=6)


def short(value):
    """A number with its trailing zeros, for columns: 128.0 M, 5.33 G, 16.4 k, 12."""
    for size, unit in _UNITS[1:]:
        if abs(value) >= size:
            scaled = value / size
            digits = 0 if scaled >= 1000 else 1 if scaled >= 10 else 2
            return f"{scaled:,.{digits}f}{unit}"
    return f"{value:,.4g}"


def times(ratio):
    """A ratio in words: "2.37 times", "12 times"."""
    said = f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
    return f"{'1.00' if said == '1' else said} times"


def compared(cost, other):
    """A cost beside another: "2.37 times less", "1.03 times as much", "as much"."""
    if cost < other:
        return f"{times(other / cost)} less"
    return f"{times(cost / other)} as much" if cost > other else "as much"


def percent(share, digits=0):
    """A share of 1 in percent: "28 %"."""
    return f"{100 * share:.{digits}f} %"


def dims(sizes):
    """A shape, grid or kernel: "192x28x28"."""
    return "x".join(map(str, sizes))


def closest(name, names):
    """ "did you mean width or height? " for a wrong name, "" where none is close."""
    close = get_close_matches(str(name), map(str, names), n=2, cutoff=0.5)
    return f"did you mean {' or '.join(close)}? " if close else ""


def printable(text):
    """The text with U+FFFD for what XML cannot hold: controls, lone surrogates."""
    return _NOT_XML.sub("\ufffd", str(text))
