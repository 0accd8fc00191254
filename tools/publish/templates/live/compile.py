"""Run by Pyodide in node: the modules of a page, as bytecode.

Compiling them took two thirds of the time that Python needs to start in a page. Of
Python's own library only what the explorers load is kept, a quarter of its modules.
"""

import marshal
import sys
import traceback
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from zipfile import ZipFile, ZipInfo

HOME, OUT = Path("/lib/series"), Path("/out")
LIBRARY = next(entry for entry in sys.path if entry.endswith(".zip"))  # Python's own
sys.path.insert(0, str(HOME))

from inception_edu.explorers import NAMES, description  # noqa: E402
from inception_edu.explorers.panel import Panel  # noqa: E402


def use(name):
    """Draw an explorer with every control at its ends, and refuse a value."""
    parts = description(name)
    if "draw" not in parts:
        return
    panel = Panel(**parts)
    for control in panel.controls.values():
        values = list(control.values)
        for value in values[0], values[-1], None:
            panel.ask([[control.name, value]])
            panel.answer()


def compiled(source, name):
    """The content of a .pyc that is not held against its source (PEP 552)."""
    code = compile(source, name, "exec", dont_inherit=True, optimize=2)
    flags = (1).to_bytes(4, "little")
    return MAGIC_NUMBER + flags + source_hash(source) + marshal.dumps(code)


def write(target, sources):
    """A zip of `{name: bytes}` with every .py compiled; the page's gzip packs it."""
    with ZipFile(OUT / target, "w") as archive:
        for name, content in sorted(sources.items()):
            if name.endswith(".py"):
                name, content = f"{name}c", compiled(content, name)
            archive.writestr(ZipInfo(name), content)  # dated 1980


for name in NAMES:
    use(name)
try:
    raise ValueError  # what formats an error is loaded, too
except ValueError:
    traceback.format_exc()

files = {str(getattr(module, "__file__", "")) for module in sys.modules.values()}
with ZipFile(LIBRARY) as library:
    kept = [name for name in library.namelist() if f"{LIBRARY}/{name}" in files]
    write("library.zip", {name: library.read(name) for name in kept})
ours = [path for path in HOME.rglob("*") if path.is_file()]
write("series.zip", {p.relative_to(HOME).as_posix(): p.read_bytes() for p in ours})
