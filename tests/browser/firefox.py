"""Debian's Firefox, driven by WebDriver BiDi: a JSON protocol over one WebSocket."""

import json
import os
import re
import shutil
import subprocess
from itertools import count
from tempfile import TemporaryDirectory

import pytest

NAMES = ("firefox-esr", "firefox")


class Firefox:
    """A browser with an empty profile; a test is skipped where there is none."""

    def __enter__(self):
        websocket = pytest.importorskip("websocket", reason="websocket-client missing")
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if not program:
            pytest.skip("no Firefox on this machine")
        self.home = TemporaryDirectory(ignore_cleanup_errors=True)
        options = ["--headless", "--no-remote", "--remote-debugging-port=0"]
        self.process = subprocess.Popen(
            [program, *options, "--profile", self.home.name],
            env=os.environ | {"HOME": self.home.name},
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        said = (re.search(r"BiDi listening on (\S+)", li) for li in self.process.stderr)
        address = next(filter(None, said))[1] + "/session"
        self.socket = websocket.create_connection(
            address, timeout=180, suppress_origin=True
        )
        self.serials, self.events = count(), []
        self.send("session.new", capabilities={})
        events = ["log.entryAdded", "network.beforeRequestSent"]
        self.send("session.subscribe", events=events)
        self.tab = self.send("browsingContext.create", type="tab")["context"]
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.communicate()
        self.home.cleanup()

    def send(self, method, **params):
        """The result of a command; events that come in between are kept."""
        serial = next(self.serials)
        self.socket.send(json.dumps({"id": serial, "method": method, "params": params}))
        while (message := json.loads(self.socket.recv())).get("id") != serial:
            self.events.append(message)
        assert message["type"] == "success", message
        return message["result"]

    def open(self, address):
        self.events.clear()
        where = {"context": self.tab, "url": address}
        self.send("browsingContext.navigate", **where, wait="complete")

    def evaluate(self, expression):
        """The value of a JavaScript expression, waited for if it is a promise."""
        where = {"target": {"context": self.tab}, "awaitPromise": True}
        answer = self.send("script.evaluate", expression=expression, **where)
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return answer["result"].get("value")

    def faults(self):
        """Addresses asked for, files and blobs aside; errors and warnings."""
        found = []
        for event in self.events:
            told = event.get("params", {})
            if told.get("level") in ("error", "warn"):
                found.append(told["text"])
            elif event.get("method") == "network.beforeRequestSent":
                found.append(told["request"]["url"])
        return [one for one in found if not one.startswith(("file:", "blob:", "data:"))]
