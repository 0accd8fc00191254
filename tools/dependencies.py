"""Which earlier cells of a notebook a cell depends on.

A page needs an explorer again, with its frames, but not the training ten cells above
it; a submission is graded without its charts. Python's own bytecode says which names
a cell reads and which it makes.
"""

import ast
import dis
import re
from types import CodeType


def names(source):
    """`(reads, makes)` of a cell, as names of its module.

    Read are those that must be there before the cell runs: `total = total + 1`
    reads and makes `total`, a function reads what no line of the cell makes.
    """
    tree = ast.parse(as_python(source))
    code = compile(tree, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    reads, later, loaded = set(), set(), set()
    makes = {"*"} if ("*",) in code.co_consts else set()  # from a import *
    for step in dis.get_instructions(code):
        here = set()
        if step.opname in ("STORE_NAME", "DELETE_NAME"):
            makes.add(step.argval)
        elif step.opname == "LOAD_NAME":
            here = {step.argval}
        elif isinstance(step.argval, CodeType):
            inside = outer_names(step.argval)
            if step.argval.co_name.startswith("<"):  # <lambda>, <listcomp>: runs now
                here = inside
            else:  # a function or a class
                later |= inside
        reads |= here - makes
        loaded |= here
    makes |= loaded & {changed for node in ast.walk(tree) for changed in _changed(node)}
    reads |= later - makes
    return {name for name in reads if not name.startswith("__")}, makes


def as_python(source):
    """The source of a cell with its magics and system commands as calls."""
    from IPython.core.inputtransformer2 import TransformerManager

    source = re.sub(r"\A\s*%%\w+[^\n]*\n", "", source)  # %%time and the like
    return TransformerManager().transform_cell(source)


def outer_names(code):
    """The names that a function, a class or what is inside them reads outside."""
    found, own = set(), set()
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            own.add(step.argval)
        elif step.opname == "LOAD_GLOBAL":
            found.add(step.argval)
        elif step.opname == "LOAD_NAME":
            found |= {step.argval} - own
        elif isinstance(step.argval, CodeType):
            found |= outer_names(step.argval)
    return found


def _changed(node):
    """The name whose object a node changes in place: `a.b = 1`, `a[0] = 1`."""
    target = isinstance(node, ast.Attribute | ast.Subscript)
    if target and isinstance(node.ctx, ast.Store | ast.Del):
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        if isinstance(node, ast.Name):
            yield node.id


def required(cells, index):
    """The code cells that must run for cell `index` to run, itself the last.

    Cells that cannot be parsed and star imports count as required.
    """
    wanted, chosen = _names_or_none(cells[index])[0], [cells[index]]
    for cell in reversed(cells[:index]):
        if cell.cell_type != "code":
            continue
        reads, makes = _names_or_none(cell)
        if wanted & makes or "*" in makes:
            wanted = (wanted - makes) | reads
            chosen.insert(0, cell)
    return chosen


def _names_or_none(cell):
    try:
        return names(cell.source)
    except (SyntaxError, ValueError, RecursionError):
        return set(), {"*"}
