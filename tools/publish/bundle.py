"""What a page bundles: styles, scripts, fonts, formulas, as text to be inlined."""

import json
import re
import shutil
import subprocess
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from tools.notebooks import ROOT

MODULES = ROOT / "node_modules"
TEMPLATES = Path(__file__).with_name("templates")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same bytes every time

# One call for all formulas of a lesson.
RENDER = """
const katex = require("katex");
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const rendered = asked.map(([tex, displayMode]) => {
  try { return katex.renderToString(tex, { displayMode }); }
  catch ({ message }) { console.error(`formula ${tex}: ${message}`); process.exit(1); }
});
console.log(JSON.stringify(rendered));
"""


class Missing(RuntimeError):
    """A tool of the build is not on this machine; the text says how to get it."""


def npm_bytes(name):
    """The bytes of a file of an npm package, such as "reveal.js/dist/reveal.css"."""
    path = MODULES / name
    if not path.is_file():
        raise Missing(
            f"{name} is missing; run `npm ci` in {ROOT.name}/ once (needs Node.js 18)"
        )
    return path.read_bytes()


def program(*names):
    """The path of a program by one of its names."""
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        raise Missing(f"there is no {names[0]} here; install {' or '.join(names)}")
    return found


def own_file(name):
    """The text of one of this package's own styles, scripts and templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def package_files():
    """The paths of the files of the package."""
    for path in sorted((ROOT / "inception_edu").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def zipped(files, compress=False):
    """The bytes of a zip of `{name: bytes}`, the same for the same files."""
    target = BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED if compress else ZIP_STORED) as archive:
        for name, content in files.items():
            entry = ZipInfo(name, LONG_AGO)
            entry.compress_type = archive.compression
            entry.external_attr = 0o100644 << 16  # readable by all
            archive.writestr(entry, content)
    return target.getvalue()


def formulas(asked):
    """The HTML of each `(tex, display)`; ValueError names one that KaTeX refuses."""
    if not asked:
        return []
    npm_bytes("katex/package.json")
    command, given = [program("node"), "-e", RENDER], json.dumps(asked)
    run = subprocess.run(
        command, cwd=ROOT, input=given, capture_output=True, encoding="utf-8"
    )
    if run.returncode:
        raise ValueError(run.stderr)
    return json.loads(run.stdout)


def formula_css():
    """KaTeX's style, with the fonts of lessons inside; the ornate ones stay out."""

    def inlined(match):
        coded = b64encode(npm_bytes(f"katex/dist/{match[1]}")).decode()
        return f'src:url(data:font/woff2;base64,{coded}) format("woff2")'

    ornate = r"@font-face\{[^}]*KaTeX_(Cal|Frak|SansSerif|Script|Typew)[^}]*\}"
    css = re.sub(ornate, "", npm_bytes("katex/dist/katex.min.css").decode())
    return re.sub(r"src:url\((fonts/[\w-]+\.woff2)\)[^;}]*", inlined, css)
