"""Options of the networks' builders: checks, and numbered modules."""

MAX_MODULES = 100  # of one kind; the papers' networks have 20 at most


def choose(option, value, choices):
    """ValueError for a `value` of `option` that is not among the choices."""
    if value not in choices:
        raise ValueError(
            f"{option}={value!r} is unknown; choose {' or '.join(map(repr, choices))}"
        )


def numbered(name, count, build, *args, **options):
    """`count` stages called `name1`, `name2`, ..., each built with these arguments."""
    if type(count) is not int or not 0 <= count <= MAX_MODULES:
        raise ValueError(
            f"{count!r} is no number of modules {name}; choose 0 to {MAX_MODULES}"
        )
    numbers = range(1, count + 1)
    return {f"{name}{number}": build(*args, **options) for number in numbers}
