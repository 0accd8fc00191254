"""Checks of what a caller chose, and stages that are numbered."""

from numbers import Integral

MAX_MODULES = 100  # of one kind; the papers' networks have 20 at most


def choose(option, value, choices):
    """ValueError for a `value` of `option` that is not among the choices."""
    if value not in choices:
        raise ValueError(
            f"{option}={value!r} is unknown; choose {' or '.join(map(repr, choices))}"
        )


def whole_numbers(**limits):
    """The values of `name=(value, least, most)`; ValueError outside, in words."""
    for name, (value, least, most) in limits.items():
        is_whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not is_whole or not least <= value <= most:
            raise ValueError(
                f"{name}={value!r} must be a whole number from {least} to {most:,}"
            )
    return [int(value) for value, _, _ in limits.values()]


def numbered(name, count, build, *args, **options):
    """`count` stages called `name1`, `name2`, ..., each built with these arguments."""
    (count,) = whole_numbers(**{f"modules {name}": (count, 0, MAX_MODULES)})
    numbers = range(1, count + 1)
    return {f"{name}{number}": build(*args, **options) for number in numbers}
