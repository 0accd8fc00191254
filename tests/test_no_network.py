"""The tests have no network, in any process they start, and nothing waits for one."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

from tools.publish import execute

ELSEWHERE = "192.0.2.1"  # set aside for examples (RFC 5737): nobody answers
KNOCK = f"""
import socket
try:
    socket.create_connection(("{ELSEWHERE}", 80), timeout=30)
except OSError as refused:
    print(refused)
"""


def test_another_machine_is_refused_at_once_and_this_one_is_not():
    start = time.monotonic()
    with pytest.raises(OSError, match="without a network"):
        socket.create_connection((ELSEWHERE, 443), timeout=30)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mail,
        pytest.raises(OSError, match="without a network"),
    ):
        mail.sendto(b"x", (ELSEWHERE, 443))
    with pytest.raises(urllib.error.URLError, match="was not looked up"):
        urllib.request.urlopen("https://example.org", timeout=30)
    assert time.monotonic() - start < 10  # seconds; the time-out is 30
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            address = host, server.getsockname()[1]
            socket.create_connection(address, timeout=5).close()


def test_a_kernel_has_no_network_either(tmp_path):
    cell = nbformat.v4.new_code_cell(KNOCK, id="knock")
    path = tmp_path / "knock.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert execute(path) == ([], True)
    (output,) = nbformat.read(path, 4).cells[0].outputs
    assert "the tests run without a network" in output.text


def test_the_offline_target_cuts_the_network_where_the_system_can():
    """`make test-offline`: in a namespace of its own not even a packet leaves."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare on this system")
    script = Path(__file__).with_name("no_network") / "in_namespace.sh"
    server = (
        "import socket, threading\n"
        "with socket.create_server(('127.0.0.1', 0)) as s:\n"
        "    socket.create_connection(s.getsockname(), 5).close()\n"
        "print(sorted(name for _, name in socket.if_nameindex()))"
    )
    command = ["sh", str(script), sys.executable, "-c", server]
    run = subprocess.run(command, capture_output=True, encoding="utf-8")
    if "Operation not permitted" in run.stderr or "EPERM" in run.stderr:
        pytest.skip("this system allows no namespaces")
    assert run.stdout.strip() == "['lo']", run.stderr
