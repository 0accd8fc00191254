"""Latencies of the family on this machine, measured while the explorer goes on."""

from dataclasses import replace
from threading import Thread

from inception_edu.explorers.family_figures import SETS, network_key


class Stopwatch:
    """The latencies of one explorer, by what a network is built with.

    `progress` is `(share, words)` while a measurement runs, else None.
    """

    def __init__(self, rounds):
        self.times, self.rounds, self.problem = {}, rounds, ""
        self.progress = self.thread = None
        self.changed = lambda: None

    def start(self, values):
        """Time the networks of the chosen figures in a thread; ValueError if one is."""
        if self.thread and self.thread.is_alive():
            raise ValueError("still measuring; the picture changes when it is done")
        self.progress = 0, "starting"
        self.thread = Thread(target=self.run, args=(values["figures"],), daemon=True)
        self.thread.start()

    def run(self, figures):
        """Measure, keep what went wrong, and have the picture drawn again."""
        try:
            self.measure(figures)
            self.problem = ""
        except Exception as error:
            self.problem = f"the measurement failed: {error}"
        self.progress = None
        self.changed()

    def measure(self, figures):
        """Time every network of these figures, in turns, round by round."""
        from inception_edu.cost import latency
        from inception_edu.networks import create_model

        keys = [network_key(figures, name) for name in SETS[figures]]
        keys, models = [key for key in keys if key], {}
        steps = len(keys) + self.rounds
        for done, (name, options) in enumerate(keys):
            self.report(done / steps, f"building {name}")
            models[name, options] = create_model(name, **dict(options))
        rounds = []
        for turn in range(self.rounds):
            words = f"measuring latency, round {turn + 1} of {self.rounds}"
            self.report((len(keys) + turn) / steps, words)
            order = keys[turn % len(keys) :] + keys[: turn % len(keys)]
            turned = {key: models[key] for key in order}
            rounds.append(latency(turned, rounds=1, warm_up=int(turn == 0), threads=1))
        self.times = self.times | {
            key: replace(first, times=tuple(t for r in rounds for t in r[key].times))
            for key, first in rounds[0].items()
        }

    def report(self, share, words):
        self.progress = share, words
        self.changed()
