"""Python beside the pages: one `python.js` with Pyodide and the explorers' code.

Pages and decks load it as a classic script at the first touch of a control, so that
they work from a disk and ask no server for anything.
"""

import gzip
import json
import subprocess
from base64 import b64encode
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from inception_edu.explorers import NAMES, description
from inception_edu.explorers.panel import Panel
from tools.notebooks import ROOT
from tools.publish.bundle import (
    TEMPLATES,
    npm_bytes,
    own_file,
    package_files,
    program,
    zipped,
)

DATA = (".py", ".js", ".csv", ".json", ".gz", ".toml")
ROOMS = {"lesson", "cost"}  # what no explorer draws with


def packed(content):
    """Bytes as text for a script: gzip, then base64; the same for the same bytes."""
    return b64encode(gzip.compress(content, 9, mtime=0)).decode()


def packed_json(value):
    return packed(json.dumps(value, ensure_ascii=False).encode())


def series():
    """A zip of the code and the tables of the package."""
    files = [path for path in package_files() if path.suffix in DATA]
    used = [path for path in files if not ROOMS & set(path.parts)]
    return zipped({p.relative_to(ROOT).as_posix(): p.read_bytes() for p in used})


def compiled():
    """Bytecode, each as a zip: the part of Python's library in use, and ours."""
    npm_bytes("pyodide/package.json")
    with TemporaryDirectory() as folder:
        (Path(folder) / "series.zip").write_bytes(series())
        script = TEMPLATES / "live" / "compile.mjs"
        command = [program("node"), script, folder]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return [(Path(folder) / f"{n}.zip").read_bytes() for n in ("library", "series")]


@cache
def python_script():
    """The text of `python.js`."""
    library, ours = compiled()
    lock = json.loads(npm_bytes("pyodide/pyodide-lock.json")) | {"packages": {}}
    parts = {
        "asm": packed(npm_bytes("pyodide/pyodide.asm.mjs")),
        "runtime": packed(npm_bytes("pyodide/pyodide.mjs")),
        "wasm": packed(npm_bytes("pyodide/pyodide.asm.wasm")),
        "library": packed(library),
        "series": packed(ours),
        "lock": json.dumps(lock),
        "worker": own_file("live/worker.js"),
    }
    return f"const PARTS = {json.dumps(parts)};\n{own_file('live/python.js')}"


def page_state(explorer):
    """What a page holds of an explorer; `live` where Python can draw it there.

    It can where the controls of its file, drawn without a kernel, give the same
    picture: then it needs no model, run or picture of the notebook's own. Which
    controls are inactive is the page's own answer: nothing can train there.
    """
    start = dict(zip(explorer.controls, explorer.face()["start"], strict=True))
    panel, live = explorer, False
    if explorer.name in NAMES:
        parts = description(explorer.name) | {"sweep": explorer.sweep, "start": start}
        with suppress(ValueError):  # a value that only the notebook's explorer has
            twin = Panel(**parts)
            live = twin.answer()[:-1] == explorer.answer()[:-1]
            panel = twin if live else explorer
    swept = [list(panel.controls).index(name) for name in panel.sweep]
    return {
        "_face": panel.face() | {"buttons": [], "swept": swept},
        "_shown": [0, *panel.answer()],
        "_frames": panel.frames() if panel.sweep else [],
        "live": live,
    }
