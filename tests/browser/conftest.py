"""A real JupyterLab and a real Chromium, for tests that touch what readers touch.

`lab` serves a temporary folder; `open_notebook(path)` copies a notebook there and
opens it; `lab_page.run_all()` runs it to idle; `lab_page.explorers()` gives every
explorer on the page, to be moved by keyboard alone. Nothing sleeps: everything
waits for a state, generously, because machines that test are busy.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

import inception_edu as ie
from inception_edu.explorers import NAMES
from inception_edu.explorers.controls import Grid
from tools.publish.bundle import CHROMIUM_NAMES

CHROMIUM = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # As for every Python of the tests: no network but this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
ROOT = Path(__file__).parents[2]
ARTEFACTS = Path(__file__).parent / "artefacts"
PATIENCE = 180_000  # milliseconds: a notebook may train for two minutes

SETTINGS = {
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "docmanager-extension/plugin": {"autosave": False},
    # The default attaches cells only as they come into view.
    "notebook-extension/tracker": {"windowingMode": "none"},
}

# JupyterLab's own complaints, which say nothing about our notebooks.
NOT_OURS = (
    "favicon",
    "Could not find a kernel",
    "ResizeObserver loop",
    "Could not restore the debugger state",  # after a restart
)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    """One browser with a fresh profile; the tests are skipped where it is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright missing")
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_FLAGS
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def artefacts():
    """The folder for screenshots, which people look at."""
    ARTEFACTS.mkdir(exist_ok=True)
    return ARTEFACTS


class Lab:
    """A running server: `.folder` is what it serves, `.url(path)` opens a file."""

    def __init__(self, folder, port, token):
        self.folder, self.port, self.token = folder, port, token

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/doc/tree/{path}?token={self.token}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def lab(tmp_path_factory, chromium):
    """JupyterLab on the loopback, with directories of its own and without news."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    folder.mkdir()
    settings = home / "settings"
    for name, value in SETTINGS.items():
        file = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value), encoding="utf-8")
    startup = home / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).parent / "short_training.py", startup)
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
        ),
    }
    port, token = free_port(), secrets.token_hex(16)
    log = (home / "server.log").open("w", encoding="utf-8")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            "--LabApp.expose_app_in_browser=True",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={folder}",
            f"--IdentityProvider.token={token}",
        ],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=log,
    )
    try:
        status = f"http://127.0.0.1:{port}/api/status?token={token}"
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(status, timeout=5).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    said = (home / "server.log").read_text(encoding="utf-8")
                    pytest.fail(f"no JupyterLab: {said}")
                time.sleep(0.2)
        yield Lab(folder, port, token)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


PANEL = "const panel = window.jupyterapp.shell.currentWidget;"
READY = f"""() => {{
  if (!window.jupyterapp?.shell.currentWidget?.context?.isReady) return false;
  {PANEL}
  return panel.sessionContext.session?.kernel?.status === "idle";
}}"""
# Done, or stopped by an error: then the rest would never run.
RAN = f"""() => {{
  {PANEL}
  const cells = [...panel.content.model.cells].filter((c) => c.type === "code");
  const outputs = cells.flatMap((c) => c.outputs.toJSON());
  if (outputs.some((output) => output.output_type === "error")) return true;
  const kernel = panel.sessionContext.session?.kernel;
  const filled = cells.filter((c) => c.sharedModel.getSource().trim());
  return kernel?.status === "idle" && filled.every((c) => c.executionCount);
}}"""
OUTPUTS = f"""() => {{
  {PANEL}
  return [...panel.content.model.cells].filter((c) => c.type === "code")
    .map((c) => [c.sharedModel.id, c.outputs.toJSON()]);
}}"""


# What a reader sees of an explorer, in one look.
LOOK = """root => ({
  shown: [...root.querySelectorAll("input, select")].map((input) =>
    input.type === "checkbox" ? input.checked : Number(input.value)),
  picture: root.querySelector(".ie-picture-place").innerHTML,
  summary: root.querySelector(".ie-summary").textContent,
  problem: root.querySelector(".ie-problem").textContent,
})"""


class Control:
    """One control of an explorer on the page, moved by keys."""

    def __init__(self, explorer, row, control):
        self.explorer, self.name, self.control = explorer, control.name, control
        self.kind = control.face()["kind"]
        self.input = row.locator("input, select")

    def press(self, *keys):
        """Press keys on it and wait for the answer of the last."""
        self.input.focus()
        for key in keys:
            self.explorer.page.keyboard.press(key)
        self.explorer.wait()

    def meant(self, shown):
        """The value that the number or tick in the page stands for."""
        if self.kind == "check":
            return shown
        if self.kind == "range":
            return self.control.check(shown)
        return list(self.control.values)[int(shown)]

    def moves(self):
        """`(keys, value they ask for)`: both ends, the middle, a step each way."""
        if self.kind == "check":
            value = self.explorer.values[self.name]
            yield ("Space",), not value
            yield ("Space",), value
            return
        values = list(self.control.values)
        last = len(values) - 1
        yield ("End",), values[last]
        yield ("Home",), values[0]
        if self.kind == "choice":
            yield ("ArrowDown",) * (last // 2), values[last // 2]
            return
        yield ("PageUp",) * 5, None  # its stride is the browser's own
        place = values.index(self.explorer.values[self.name])
        yield ("ArrowLeft",), values[max(place - 1, 0)]
        yield ("ArrowUp",), values[place]


class ExplorerOnPage:
    """An explorer as its reader has it, and a twin in this process."""

    def __init__(self, locator, twin):
        self.locator, self.page, self.twin = locator, locator.page, twin
        self.name = locator.get_attribute("data-name")
        rows = locator.locator(".ie-control:not(.ie-grid)").all()
        controls = [c for c in twin.controls.values() if not isinstance(c, Grid)]
        self.controls = [
            Control(self, *pair) for pair in zip(rows, controls, strict=True)
        ]

    def wait(self):
        """Until the picture answers the newest state of the controls."""
        answered = self.page.locator('[aria-busy="false"]')
        self.locator.and_(answered).wait_for(timeout=60_000)

    def look(self):
        """`.values` of the controls, `.picture`, `.summary` and `.problem`."""
        seen = SimpleNamespace(**self.locator.evaluate(LOOK))
        pairs = zip(self.controls, seen.shown, strict=True)
        seen.values = self.twin.values  # a drawing stays as it is
        seen.values |= {control.name: control.meant(value) for control, value in pairs}
        return seen

    @property
    def values(self):
        return self.look().values

    def ask_twin(self, values):
        """Ask the twin what the page asks its kernel."""
        serial = self.twin._asked[0] + 1
        self.twin.set_state({"_asked": [serial, [list(values.items())]]})

    def move(self, control, keys, asked):
        """Press `keys` on a control; everything must answer as Python does.

        The twin is put where the page is and asked for the same value: then all
        controls, the summary and a refusal must agree, and the picture or its
        summary must follow unless the state is the same.
        """
        before = self.look()
        self.ask_twin(before.values)
        control.press(*keys)
        after = self.look()
        asked = after.values[control.name] if asked is None else asked
        where = f"{self.name}: {control.name}, {before.values[control.name]} to {asked}"
        self.ask_twin({control.name: asked})
        assert after.problem == self.twin.problem, where
        assert after.values == self.twin.values, where
        if after.problem:
            return
        assert after.summary == self.twin.summary, where
        followed = after.values == before.values or after.picture != before.picture
        followed = followed or before.problem  # then the picture was an older state's
        assert followed, f"{where}: the picture stays the same and does not say why"


class LabPage:
    """A notebook open in JupyterLab."""

    def __init__(self, page, errors):
        self.page, self.errors = page, errors

    def run_all(self):
        """Run every cell to the end, or to the first error; returns the outputs."""
        self.start_all()
        return self.finish()

    def start_all(self):
        """Begin to run every cell."""
        self.page.evaluate(
            "async () => { const { commands } = window.jupyterapp;"
            "await commands.execute('notebook:clear-all-cell-outputs');"
            "commands.execute('notebook:run-all-cells'); }"
        )

    def finish(self):
        """Wait until every cell has run, or for the first error."""
        self.page.wait_for_function(RAN, timeout=PATIENCE, polling=200)
        return self.outputs()

    def run_cell(self, index):
        """Run one cell and wait for its end."""
        self.page.evaluate(
            f"async (index) => {{ {PANEL} panel.content.activeCellIndex = index;"
            "await window.jupyterapp.commands.execute('notebook:run-cell'); }",
            index,
        )

    def do(self, command):
        """One of JupyterLab's commands, as its menu does it."""
        run = "command => window.jupyterapp.commands.execute(command)"
        self.page.evaluate(run, command)

    def said(self, text):
        """Wait until a cell has printed `text`."""
        self.page.locator(".jp-OutputArea-output", has_text=text).first.wait_for(
            timeout=PATIENCE
        )

    def mistakes(self):
        """What went wrong in which cell; empty when every cell ran."""
        return [
            f"{cell}: {output['ename']}: {output['evalue']}"
            for cell, outputs in self.outputs()
            for output in outputs
            if output["output_type"] == "error"
        ]

    def outputs(self):
        """`(cell id, list of outputs)` of every code cell, from the model."""
        return self.page.evaluate(OUTPUTS)

    def restart(self):
        """Restart the kernel, which takes Python away from every view."""
        self.page.evaluate(
            f"async () => {{ {PANEL} await panel.sessionContext.restartKernel(); }}"
        )
        self.page.wait_for_function(READY, timeout=PATIENCE, polling=200)

    def still_loading(self):
        """Texts of outputs that wait for their widget; empty when all have come."""
        texts = """() => [...document.querySelectorAll(".jp-OutputArea-output")]
          .map((output) => output.innerText)
          .filter((text) => /Loading widget|Error displaying widget/.test(text))"""
        with suppress(Exception):  # the caller tells what stayed
            self.page.wait_for_function(f"() => ({texts})().length === 0")
        return self.page.evaluate(texts)

    def explorers(self):
        """Every explorer on the page, with a twin in this process."""
        expected = sum(
            output.get("data", {}).get("text/plain", "").startswith("<Explorer")
            for _, outputs in self.outputs()
            for output in outputs
        )
        self.page.wait_for_function(
            "many => document.querySelectorAll('.ie-explorer').length >= many",
            arg=expected,
        )
        assert self.still_loading() == []
        found = []
        for locator in self.page.locator(".ie-explorer").all():
            name = locator.get_attribute("data-name")
            if name in NAMES:
                found.append(ExplorerOnPage(locator, getattr(ie.explore, name)()))
        return found

    def theme(self, name):
        """Switch JupyterLab's theme and wait until it is drawn."""
        light = "false" if "Dark" in name else "true"
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute("
            "'apputils:change-theme', { theme })",
            name,
        )
        self.page.wait_for_selector(
            f'body[data-jp-theme-light="{light}"]', state="attached"
        )

    def screenshot(self, locator, name):
        """Keep a screenshot for people to look at."""
        ARTEFACTS.mkdir(exist_ok=True)
        locator.scroll_into_view_if_needed()
        locator.screenshot(path=ARTEFACTS / f"{name}.png")


@contextmanager
def lab_page_open(lab, browser, name):
    """The file `name` of the lab's folder on a 1280x720 page of its own."""
    # Without gliding: a picture is compared as soon as it is there.
    page = browser.new_page(
        viewport={"width": 1280, "height": 720}, reduced_motion="reduce"
    )
    page.set_default_timeout(60_000)
    errors = []

    def note(message):
        known = any(word in message.text for word in NOT_OURS)
        if message.type == "error" and not known:
            errors.append(f"{message.text} ({message.location.get('url')})")

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(lab.url(name))
        page.wait_for_function(READY, timeout=PATIENCE, polling=200)
        yield LabPage(page, errors)
    finally:
        page.evaluate(f"() => {{ {PANEL} return panel?.sessionContext.shutdown(); }}")
        page.close()


def notebook_open(lab, browser, path):
    """`path`, copied and opened in JupyterLab."""
    path = Path(path)
    target = lab.folder / f"{secrets.token_hex(4)}_{path.name}"
    shutil.copy(path, target)
    return lab_page_open(lab, browser, target.name)


@pytest.fixture
def open_notebook(lab, chromium):
    """A function that opens a notebook file in JupyterLab and returns its page."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(notebook_open(lab, chromium, path))


@pytest.fixture
def open_beside(lab, chromium):
    """A function that opens what a page shows on a second page."""
    path = f"() => {{ {PANEL} return panel.context.path; }}"
    with ExitStack() as stack:

        def opener(lab_page):
            name = lab_page.page.evaluate(path)
            return stack.enter_context(lab_page_open(lab, chromium, name))

        yield opener


@pytest.fixture(scope="module")
def share_notebook(lab, chromium):
    """Like `open_notebook`, for a page that the tests of a file share."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(notebook_open(lab, chromium, path))


@pytest.fixture(scope="session")
def write_notebook():
    """A function: a notebook at `path` with a code cell for each `{id: source}`."""

    def write(path, sources):
        make = nbformat.v4.new_code_cell
        book = nbformat.v4.new_notebook(
            cells=[make(text, id=name) for name, text in sources.items()]
        )
        book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(book, path)
        return path

    return write


@pytest.fixture(scope="module")
def share_explorers(share_notebook, write_notebook, tmp_path_factory):
    """A function: a shared page with a cell for each explorer, and more, all run."""

    def opener(**more):
        cells = {name.replace("_", "-"): f"ie.explore.{name}()" for name in NAMES}
        sources = {"import": "import inception_edu as ie"} | cells | more
        path = tmp_path_factory.mktemp("made") / "explorers.ipynb"
        lab_page = share_notebook(write_notebook(path, sources))
        lab_page.run_all()
        assert lab_page.mistakes() == []
        assert len(lab_page.explorers()) == len(NAMES)
        return lab_page

    return opener
