"""Checks of what a caller chose: one of some values, a whole number."""

from numbers import Integral


def check_choice(option, value, choices):
    """ValueError for a `value` of `option` that is not among the choices."""
    if value not in choices:
        raise ValueError(
            f"{option}={value!r} is unknown; choose {' or '.join(map(repr, choices))}"
        )


def whole_number(name, value, least, most):
    """`value` as an int from `least` to `most`; ValueError, in words, if it is none."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        raise ValueError(
            f"{name}={value!r} must be a whole number from {least} to {most:,}"
        )
    return int(value)
