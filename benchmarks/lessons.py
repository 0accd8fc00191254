"""What one student needs: CPU-seconds and peak memory of every lesson.

    python -m benchmarks.lessons                     all of them, into lessons.csv
    python -m benchmarks.lessons notebooks/01*.ipynb these; the other rows stay

Each notebook runs once from top to bottom in a kernel of its own, as for a
student who presses "Run All Cells" on two cores; the system counts what the
kernel used. The row `server` is a JupyterLab server without a kernel, one for
every student on a hub. Memory is resident, with the libraries that students
on one machine may share, so it is on the safe side.
"""

import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import psutil

from tools.publish import execute

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_suffix(".csv")
CELL_SECONDS = 600  # on a busy machine; the CPU-seconds stay the same
START_SECONDS = 120
MIB = 2**10 if sys.platform != "darwin" else 2**20  # of ru_maxrss


def lesson(path):
    """`(CPU-seconds, peak MiB)`, in a process whose only child is the kernel."""
    with tempfile.TemporaryDirectory() as folder:
        problems, _ = execute(shutil.copy(path, folder), timeout=CELL_SECONDS)
    if problems:
        raise RuntimeError(f"{path}: {problems[0]}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / MIB


def server():
    """The same of a JupyterLab server that has answered, and runs no kernel."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--port={port}", f"--ServerApp.root_dir={folder}"]
        command += ["--IdentityProvider.token="]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            for page in ("api/status", "lab"):
                wait_for(f"http://127.0.0.1:{port}/{page}")
            one = psutil.Process(process.pid)
            times = one.cpu_times()
            return times.user + times.system, one.memory_info().rss / 2**20
        finally:
            process.kill()
            process.wait()


def wait_for(address):
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return urllib.request.urlopen(address, timeout=30).read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main(names):
    paths = [Path(name) for name in names] or sorted(ROOT.glob("notebooks/*.ipynb"))
    table = pd.read_csv(TABLE, index_col="lesson").astype(float)
    if not names:
        table = table[:0]
        table.loc["server"] = server()
    for path in paths:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            table.loc[path.stem] = process.submit(lesson, path).result()
        print(table.loc[path.stem], flush=True)
        table.sort_index().round().astype(int).to_csv(TABLE, lineterminator="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
