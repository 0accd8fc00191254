"""Options that make a plain `pytest --nbval` right, from any folder."""

import os
import runpy
import signal
import tempfile

import pytest

from tools.notebooks import kernel_environment

CELL_SECONDS = 300


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    option = config.option
    if hasattr(option, "nbval"):
        option.nbval_sanitize_with = str(config.rootpath / "tests" / "sanitize.cfg")
        if option.nbval_kernel_name is None:
            option.nbval_current_env = True
        if option.nbval_cell_timeout == 2000:  # nbval's default
            option.nbval_cell_timeout = CELL_SECONDS
    elif not getattr(option, "nbmake", False):
        raise pytest.UsageError(
            "nbval is not installed in this environment; run `make test`, or "
            "`pip install -e '.[test]'`"
        )
    # Workers take files in order, not those with the most tests first: lessons in a
    # browser are few tests and long ones, and would all be left for the end.
    option.loadscopereorder = False

    # Kernels inherit these. The package must be found from notebooks/ even
    # where it was not installed; nothing may reach for a network.
    profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    config.add_cleanup(profile.cleanup)
    os.environ.update(kernel_environment(profile.name))
    os.environ.pop("MPLBACKEND", None)
    guard = config.rootpath / "tests" / "no_network"
    runpy.run_path(str(guard / "sitecustomize.py"))
    paths = [str(guard), str(config.rootpath), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    # A run in the background of a shell ignores Ctrl-C, and so would every process
    # that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    # Workers beside each other share the cores; more threads than cores are
    # slower than one each.
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        threads = max(1, (os.cpu_count() or 1) // workers)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
