"""Which earlier cells of a notebook a cell depends on.

A page needs an explorer anew, with its frames, but not the training ten cells above
it; a submission is graded without its charts. Python's own symbol tables say which
names a cell reads and which it makes.
"""

import ast
import re
from symtable import symtable

BLOCKS = (ast.For, ast.While, ast.If, ast.With, ast.Try)
PARTS = ("body", "orelse", "finalbody")
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def names(source):
    """`(reads, makes)` of a cell, as names of its module.

    Read are those that must be there before the cell runs: `total = total + 1`
    reads and makes `total`, a function reads what no line of the cell makes.
    """
    reads, later, makes = set(), set(), set()
    _walk(ast.parse(as_python(source)).body, reads, later, makes)
    return reads | (later - makes), makes


def as_python(source):
    """The source of a cell with its magics and system commands as calls."""
    from IPython.core.inputtransformer2 import TransformerManager

    source = re.sub(r"\A\s*%%\w+[^\n]*\n", "", source)  # %%time and the like
    return TransformerManager().transform_cell(source)


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
    if isinstance(statement, ast.ImportFrom):
        made |= {alias.name for alias in statement.names} & {"*"}
    made |= here & {name for node in ast.walk(statement) for name in _changed(node)}
    deeper, tables = set(), list(top.get_children())
    for table in tables:  # functions, classes, comprehensions, whatever is inside
        tables += table.get_children()
        deeper |= {s.get_name() for s in table.get_symbols() if s.is_global()}
    return here, deeper, made


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
