"""Which earlier cells a cell needs, and running just those.

A page needs an explorer anew, with its frames, but not the training ten cells
above it; an answer key needs the network that an exercise measures, but not the
chart beside it. Python's own symbol tables say which names a cell reads and
which it makes.
"""

import ast
import os
from contextlib import chdir, redirect_stdout
from io import StringIO
from symtable import symtable

from inception_edu.publish.execute import environment


def names(source):
    """`(reads, makes)`: the module-level names that a cell reads and makes."""
    top = symtable(source, "cell", "exec")
    makes = {
        symbol.get_name()
        for symbol in top.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    reads = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    tables = list(top.get_children())
    for table in tables:  # functions, classes, comprehensions, whatever is inside
        tables += table.get_children()
        reads |= {s.get_name() for s in table.get_symbols() if s.is_global()}
    return reads, makes


def needed(cells, index):
    """The code cells that must run for cell `index` to run, itself the last."""
    wanted, chosen = names(cells[index].source)[0], [cells[index]]
    wanted -= names(cells[index].source)[1]
    for cell in reversed(cells[:index]):
        if cell.cell_type != "code" or not wanted:
            continue
        reads, makes = names(cell.source)
        if wanted & makes:
            wanted = (wanted - makes) | (reads - makes)
            chosen.insert(0, cell)
    return chosen


def value_of(cells, index, folder):
    """What cell `index` shows, after running in `folder` no more than it needs.

    Explorers store their frames meanwhile. What the cells print is dropped: it
    is in the notebook already.
    """
    space = {"__name__": "__main__"}
    with (
        environment({"INCEPTION_EDU_FRAMES": "1", "MPLBACKEND": "agg"}),
        redirect_stdout(StringIO()),
        chdir(folder or os.curdir),
    ):
        for cell in needed(cells, index):
            tree = ast.parse(cell.source)
            shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, cell.get("id", "cell"), "exec"), space)
            value = None
            if shown:
                line = ast.Expression(shown.value)
                value = eval(compile(line, cell.get("id", "cell"), "eval"), space)
    return value
