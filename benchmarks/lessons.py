"""What one student needs: CPU-seconds and peak memory of every lesson.

    python benchmarks/lessons.py                     all of them, into lessons.csv
    python benchmarks/lessons.py notebooks/01*.ipynb these; the other rows stay

Each notebook runs once from top to bottom in a kernel of its own, as for a
student who presses "Run All Cells" on two cores; the system counts what the
kernel used. The row `server` is a JupyterLab server without a kernel, one for
every student on a hub. Memory is resident, with the libraries that students
on one machine may share, so it is on the safe side.
"""

import argparse
import contextlib
import csv
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ("lesson", "cpu_seconds", "peak_mib")
CELL_SECONDS = 600  # on a busy machine; the CPU-seconds stay the same
MIB = 2**10 if sys.platform != "darwin" else 2**20  # of ru_maxrss


def lesson(path):
    """The row of one notebook; run in a process whose only child is the kernel."""
    from tools.publish import execute

    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(path, folder)
        problems, _ = execute(copy, timeout=CELL_SECONDS)
    if problems:
        raise RuntimeError(f"{path}: {problems[0]}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return row(path.stem, used.ru_utime + used.ru_stime, used.ru_maxrss / MIB)


def server():
    """The row of a JupyterLab server that has answered, and runs no kernel."""
    import psutil

    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--port={port}", f"--ServerApp.root_dir={folder}"]
        command += ["--IdentityProvider.token="]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            for page in ("api/status", "lab"):
                answer(f"http://127.0.0.1:{port}/{page}")
            one = psutil.Process(process.pid)
            times = one.cpu_times()
            memory = one.memory_info().rss / 2**20
        finally:
            process.kill()
            process.wait()
    return row("server", times.user + times.system, memory)


def answer(address, seconds=120):
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=30) as page:
                return page.read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def row(name, cpu_seconds, peak_mib):
    return dict(zip(COLUMNS, (name, round(cpu_seconds), round(peak_mib)), strict=True))


def apart(path):
    """The row of `lesson(path)`, from a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--one", str(path)]
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", cwd=ROOT
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def stored():
    """The rows of the table, by lesson."""
    if not TABLE.exists():
        return {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {one["lesson"]: one for one in csv.DictReader(file)}


def store(rows):
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(lesson(chosen.one.resolve())))
        return
    paths = chosen.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    rows = stored()
    if not chosen.notebooks:
        rows = {"server": server()}
        print(rows["server"], flush=True)
    for path in paths:
        rows[path.stem] = apart(path.resolve())
        print(rows[path.stem], flush=True)
        store(rows)


if __name__ == "__main__":
    main()
