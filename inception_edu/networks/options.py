"""Options of the networks' builders: checks, and numbered modules."""

MAX_MODULES = 100  # of one kind; the papers' networks have 20 at most


def choose(option, value, choices):
    """ValueError for a `value` of `option` that is not among the choices."""
    if value not in choices:
        raise ValueError(
            f"{option}={value!r} is unknown; choose {' or '.join(map(repr, choices))}"
        )


def no_heads(aux, name, instead=""):
    """ValueError where `aux` asks for heads that nobody published."""
    if aux:
        raise ValueError(f"{name} has no auxiliary head; use aux=False{instead}")


def check_counts(**counts):
    """ValueError for a number of modules that is not whole, or fills the memory."""
    for name, count in counts.items():
        if type(count) is not int or not 0 <= count <= MAX_MODULES:
            raise ValueError(
                f"{name}={count!r} must be a whole number of modules, 0 to "
                f"{MAX_MODULES}"
            )


def numbered(name, count, build, *args, **options):
    """`count` stages called `name1`, `name2`, ..., each built with these arguments."""
    numbers = range(1, count + 1)
    return {f"{name}{number}": build(*args, **options) for number in numbers}
