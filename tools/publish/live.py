"""Python beside the pages: one `python.js` with Pyodide and the explorers' code."""

import gzip
import json
import subprocess
from base64 import b64encode
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


def live_state(state):
    """What differs in the state of an explorer that Python can draw in a page, or {}.

    It can where the controls of its file, drawn without a kernel, give the stored
    picture: then it needs no model, run or picture of the notebook's own. Which
    controls are inactive is the page's own answer: nothing can train there.
    """
    face = state["_face"]
    parts = description(face["name"]) if face["name"] in NAMES else {}
    names = [control["name"] for control in face["controls"]]
    if "draw" not in parts or [c.name for c in parts["controls"]] != names:
        return {}
    try:
        panel = Panel(**parts, start=dict(zip(names, face["start"], strict=True)))
    except ValueError:  # a value that only the notebook's own explorer has
        return {}
    shown = json.loads(json.dumps(panel.answer()))
    if shown[:-1] != state["_shown"][1:-1]:
        return {}

    def reasons(values):
        inactive = parts.get("inactive", lambda values: {})
        found = inactive(dict(zip(names, values, strict=True)))
        return [found.get(name, "") for name in names]

    return {
        "_face": face | panel.face() | {"buttons": []},
        "_shown": [state["_shown"][0], *shown],
        "_frames": [[*frame[:-1], reasons(frame[0])] for frame in state["_frames"]],
    }
