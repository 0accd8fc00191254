"""The bar of a training, with its time: never in a stored output."""

import sys

from inception_edu.cards import ipython_shell


def in_notebook():
    """Whether this runs in a kernel with a front end, where a widget can show."""
    return hasattr(ipython_shell(), "kernel")


def progress_bar(total, name, wanted):
    """A tqdm bar: a widget in a notebook, text in a terminal, else silent.

    Nothing is ever written where it would be stored: a log or a notebook's
    standard error.
    """
    from tqdm import tqdm

    if wanted and in_notebook():
        from tqdm.notebook import tqdm as notebook_tqdm

        return notebook_tqdm(total=total, desc=name)
    silent = not (wanted and sys.stderr.isatty())
    return tqdm(total=total, desc=name, dynamic_ncols=True, disable=silent)
