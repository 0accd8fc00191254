"""Which earlier cells of a notebook a cell depends on.

A page needs an explorer again, with its frames, but not the training ten cells above
it; a submission is graded without its charts. Python's own bytecode says which names
a cell reads and which it makes.
"""

import ast
import dis
import re
from types import CodeType

from IPython.core.inputtransformer2 import TransformerManager


def names(source):
    """`(reads, makes)` of a cell, as names of its module.

    Read are those that must be there before the cell runs: `total = total + 1`
    reads and makes `total`, a function reads what no line of the cell makes.
    A cell that cannot be parsed, and a star import, makes "*".
    """
    source = re.sub(r"\A\s*%%\w+[^\n]*\n", "", source)  # %%time and the like
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
        code = compile(tree, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RecursionError):
        return set(), {"*"}
    reads, later, loaded = set(), set(), set()
    makes = {"*"} if ("*",) in code.co_consts else set()  # from a import *
    for step in dis.get_instructions(code):
        if step.opname in ("STORE_NAME", "DELETE_NAME"):
            makes.add(step.argval)
        elif step.opname == "LOAD_NAME":
            loaded.add(step.argval)
            reads |= {step.argval} - makes
        elif isinstance(step.argval, CodeType):
            if step.argval.co_name.startswith("<"):  # <lambda>, <listcomp>: runs now
                reads |= outer_names(step.argval) - makes
            else:  # a function or a class
                later |= outer_names(step.argval)
    makes |= loaded & {changed(node) for node in ast.walk(tree)}
    reads |= later - makes
    return {name for name in reads if not name.startswith("__")}, makes


def outer_names(code):
    """The names that a function, a class or what is inside them reads outside."""
    steps = list(dis.get_instructions(code))
    found = {step.argval for step in steps if step.opname == "LOAD_NAME"}
    found -= {step.argval for step in steps if step.opname == "STORE_NAME"}
    found |= {step.argval for step in steps if step.opname == "LOAD_GLOBAL"}
    inner = (step.argval for step in steps if isinstance(step.argval, CodeType))
    return found.union(*map(outer_names, inner))


def changed(node):
    """The name whose object a node changes in place (`a.b = 1`, `a[0] = 1`), or ""."""
    if not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
        return ""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return getattr(node, "id", "")


def required(cells, index):
    """The code cells that must run for cell `index` to run, itself the last."""
    wanted, chosen = names(cells[index].source)[0], [cells[index]]
    for cell in reversed(cells[:index]):
        if cell.cell_type != "code":
            continue
        reads, makes = names(cell.source)
        if wanted & makes or "*" in makes:
            wanted = (wanted - makes) | reads
            chosen.insert(0, cell)
    return chosen
