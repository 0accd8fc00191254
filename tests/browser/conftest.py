"""A real JupyterLab and a real Chromium, for tests that touch what readers touch.

Nothing sleeps: everything waits for a state, generously, since machines are busy.
"""

import json
import os
import re
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
from tests.browser.on_page import ExplorerOnPage
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
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
(PROMPT,) = re.findall("^PROMPT = (.+)$", MAKEFILE, re.MULTILINE)  # as `make lab`
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
    "Connection lost, reconnecting",  # likewise
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
def lab(tmp_path_factory, chromium):
    """JupyterLab on the loopback, with directories of its own and without news.

    `.folder` is what it serves, `.url(path)` opens a file.
    """
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
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port, token = probe.getsockname()[1], secrets.token_hex(16)
    log = (home / "server.log").open("w", encoding="utf-8")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            "--LabApp.expose_app_in_browser=True",
            PROMPT,
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
        tree = f"http://127.0.0.1:{port}/doc/tree"
        url = lambda path: f"{tree}/{path}?token={token}"  # noqa: E731
        yield SimpleNamespace(folder=folder, url=url)
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
            f"(index) => {{ {PANEL} panel.content.activeCellIndex = index; }}", index
        )
        self.do("notebook:run-cell")

    def do(self, command, **options):
        """One of JupyterLab's commands, as its menu does it."""
        run = "command => window.jupyterapp.commands.execute(...command)"
        self.page.evaluate(run, [command, options])

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
        self.do("apputils:change-theme", theme=name)
        self.page.wait_for_selector(
            f'body[data-jp-theme-light="{light}"]', state="attached"
        )


# Without gliding: a picture is compared as soon as it is there.
STILL = {"viewport": {"width": 1280, "height": 720}, "reduced_motion": "reduce"}


def complaints_of(page, *ignored, kinds=("error",)):
    """A list to which everything is added that this page will complain of."""
    found = []

    def note(message):
        text = f"{message.text} ({message.location.get('url')})"
        if message.type in kinds and not any(word in text for word in ignored):
            found.append(text)

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture
def new_page(chromium):
    """A function: a page without a network, empty or a file; it must not complain.

    `missing` is what a file may miss. It may ask for files beside it alone.
    """
    pages = {}

    def open_it(path=None, missing="no file", **options):
        page = chromium.new_page(**STILL | {"offline": True} | options)
        page.set_default_timeout(30_000)
        kinds = "error", "warning"
        complaints = pages[page] = complaints_of(page, missing, kinds=kinds)
        beside = [f"{folder.as_uri()}/" for folder in path.parents[:2]] if path else []

        def asked(request):
            if not request.url.startswith((*beside, "data:", "about:", "blob:")):
                complaints.append(f"asked for {request.url}")

        page.on("request", asked)
        if path:
            page.goto(path.as_uri())
        return page

    yield open_it
    for page in pages:
        page.close()
    assert [text for complaints in pages.values() for text in complaints] == []


@contextmanager
def lab_page_open(lab, browser, name):
    """The file `name` of the lab's folder on a page of its own."""
    page = browser.new_page(**STILL)
    page.set_default_timeout(60_000)
    errors = complaints_of(page, *NOT_OURS)
    try:
        page.goto(lab.url(name))
        page.wait_for_function(READY, timeout=PATIENCE, polling=200)
        yield LabPage(page, errors)
    finally:
        page.evaluate(f"() => {{ {PANEL} return panel?.sessionContext.shutdown(); }}")
        page.close()


def opener(lab, chromium):
    """A function: a copy of a notebook file opened in JupyterLab, as its page.

    With `beside` a second page on the copy that this page shows.
    """
    with ExitStack() as stack:

        def open_it(path=None, beside=None):
            if beside is None:
                name = f"{secrets.token_hex(4)}_{Path(path).name}"
                shutil.copy(path, lab.folder / name)
            else:
                name = beside.page.evaluate(
                    f"() => {{ {PANEL} return panel.context.path; }}"
                )
            return stack.enter_context(lab_page_open(lab, chromium, name))

        yield open_it


open_notebook = pytest.fixture(opener)
share_notebook = pytest.fixture(scope="module")(opener)  # for all tests of a file


@pytest.fixture(scope="session")
def write_notebook():
    """A function: a notebook at `path` with a code cell for each `{id: source}`.

    `stored` is what the first cells show, as data of an output each.
    """

    def write(path, sources, stored=()):
        make, show = nbformat.v4.new_code_cell, nbformat.v4.new_output
        book = nbformat.v4.new_notebook(
            cells=[make(text, id=name) for name, text in sources.items()]
        )
        for cell, data in zip(book.cells, stored, strict=False):
            cell.outputs = [show("display_data", data=data)]
            cell.execution_count = 1
        book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(book, path)
        return path

    return write
