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

from tools.publish.execute import environment

BLOCKS = (ast.For, ast.While, ast.If, ast.With, ast.Try)
PARTS = ("body", "orelse", "finalbody")
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def names(source):
    """`(reads, makes)` of a cell, as names of its module.

    Read are those that must be there before the cell runs: `total = total + 1`
    reads and makes `total`, a function reads what no line of the cell makes.
    """
    reads, later, makes = set(), set(), set()
    _walk(ast.parse(source).body, reads, later, makes)
    return reads | (later - makes), makes


def _walk(statements, reads, later, makes):
    for statement in statements:
        inside = []
        if isinstance(statement, BLOCKS):
            inside = [getattr(statement, part, []) for part in PARTS]
            for handler in getattr(statement, "handlers", []):
                makes |= {handler.name} - {None}
                inside += [[ast.Expr(handler.type)] if handler.type else []]
                inside += [handler.body]
            statement = _head(statement)
        here, deeper, made = _symbols(statement)
        if isinstance(statement, (*BLOCKS, *DEFINITIONS)):
            here, deeper = here - made, deeper - made
        if isinstance(statement, ast.AugAssign):
            here |= made
        if isinstance(statement, DEFINITIONS):  # read when it is called
            later |= deeper
        else:
            here |= deeper
        reads |= here - makes
        makes |= made
        for part in inside:
            _walk(part, reads, later, makes)


def _head(block):
    """A block without what is inside: `for i in range(n): ...`."""
    if isinstance(block, ast.Try):
        return ast.Pass()
    fields = dict(ast.iter_fields(block)) | {"body": [ast.Pass()]}
    fields |= {"orelse": []} if "orelse" in fields else {}
    return ast.copy_location(type(block)(**fields), block)


def _symbols(statement):
    """Names that a statement reads, that its inner scopes read, that it makes."""
    top = symtable(ast.unparse(statement), "cell", "exec")
    symbols = top.get_symbols()
    made = {
        symbol.get_name()
        for symbol in symbols
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    here = {symbol.get_name() for symbol in symbols if symbol.is_referenced()}
    deeper, tables = set(), list(top.get_children())
    for table in tables:  # functions, classes, comprehensions, whatever is inside
        tables += table.get_children()
        deeper |= {s.get_name() for s in table.get_symbols() if s.is_global()}
    return here, deeper, made


def needed(cells, index):
    """The code cells that must run for cell `index` to run, itself the last."""
    wanted, chosen = names(cells[index].source)[0], [cells[index]]
    for cell in reversed(cells[:index]):
        if cell.cell_type != "code" or not wanted:
            continue
        reads, makes = names(cell.source)
        if wanted & makes:
            wanted = (wanted - makes) | reads
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
