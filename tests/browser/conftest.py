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

import pytest

import inception_edu as ie
from inception_edu.explorers import NAMES

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
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
NOT_OURS = ("favicon", "Could not find a kernel", "ResizeObserver loop")


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
        file.write_text(json.dumps(value))
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
    log = (home / "server.log").open("w")
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
                    pytest.fail(f"no JupyterLab: {(home / 'server.log').read_text()}")
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


class Control:
    """One control of an explorer on the page, moved by keys."""

    def __init__(self, explorer, row, control):
        self.explorer, self.control = explorer, control
        self.input = row.locator("input, select")

    @property
    def kind(self):
        return self.control.face()["kind"]

    @property
    def value(self):
        """Its value, as Python knows it."""
        kind = self.kind
        if kind == "check":
            return self.input.is_checked()
        shown = self.input.input_value()
        if kind == "range":
            return self.control.check(float(shown))
        return list(self.control.values)[int(shown)]

    def press(self, *keys):
        """Press keys on it and wait for the answer of the last."""
        self.input.focus()
        for key in keys:
            self.input.press(key)
        self.explorer.wait()

    def moves(self):
        """The keys that bring it to one end, the other, and somewhere between."""
        if self.kind == "check":
            return {"other": ("Space",), "back": ("Space",)}
        if self.kind == "choice":
            between = ("Home", *["ArrowDown"] * (len(self.control.values) // 2))
        else:
            between = ("Home", *["PageUp"] * 5)
        return {"last": ("End",), "first": ("Home",), "middle": between}


class ExplorerOnPage:
    """An explorer as its reader has it: controls, picture, summary, refusal."""

    def __init__(self, locator, twin):
        self.locator, self.twin = locator, twin
        self.name = locator.get_attribute("data-name")
        rows = locator.locator(".ie-control").all()
        controls = twin.controls.values()
        self.controls = [
            Control(self, *pair) for pair in zip(rows, controls, strict=True)
        ]

    def wait(self):
        """Until the picture answers the newest state of the controls."""
        self.locator.and_(self.locator.page.locator('[aria-busy="false"]')).wait_for(
            timeout=60_000
        )

    @property
    def picture(self):
        return self.locator.locator(".ie-picture-place").inner_html()

    @property
    def summary(self):
        return self.locator.locator(".ie-summary").inner_text()

    @property
    def problem(self):
        return self.locator.locator(".ie-problem").inner_text()

    @property
    def values(self):
        return {control.control.name: control.value for control in self.controls}

    def expected(self):
        """`(summary, problem)` that Python gives for what the controls show."""
        try:
            self.twin.values = self.values
        except ValueError as refused:
            return None, str(refused)
        return self.twin.summary, ""


class LabPage:
    """A notebook open in JupyterLab."""

    def __init__(self, page, errors):
        self.page, self.errors = page, errors

    def run_all(self):
        """Run every cell to the end, or to the first error; returns the outputs."""
        self.page.evaluate(
            "async () => { const { commands } = window.jupyterapp;"
            "await commands.execute('notebook:clear-all-cell-outputs');"
            "commands.execute('notebook:run-all-cells'); }"
        )
        self.page.wait_for_function(RAN, timeout=PATIENCE, polling=200)
        return self.outputs()

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
def notebook_open(lab, browser, path):
    """`path`, copied and opened in JupyterLab on a 1280x720 page."""
    path = Path(path)
    target = lab.folder / f"{secrets.token_hex(4)}_{path.name}"
    shutil.copy(path, target)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(60_000)
    errors = []

    def note(message):
        known = any(word in message.text for word in NOT_OURS)
        if message.type == "error" and not known:
            errors.append(f"{message.text} ({message.location.get('url')})")

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(lab.url(target.name))
        page.wait_for_function(READY, timeout=PATIENCE, polling=200)
        yield LabPage(page, errors)
    finally:
        page.evaluate(f"() => {{ {PANEL} return panel?.sessionContext.shutdown(); }}")
        page.close()


@pytest.fixture
def open_notebook(lab, chromium):
    """A function that opens a notebook file in JupyterLab and returns its page."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(notebook_open(lab, chromium, path))


@pytest.fixture(scope="module")
def share_notebook(lab, chromium):
    """Like `open_notebook`, for a page that the tests of a file share."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(notebook_open(lab, chromium, path))
