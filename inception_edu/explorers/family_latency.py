"""Latencies of the family on this machine, measured while the explorer goes on."""

from dataclasses import replace
from threading import Thread

from inception_edu.explorers.family_figures import SETS, build_of, key_of

ROUNDS = 5


class Stopwatch:
    """The latencies of one explorer, by what a network is built with.

    `progress` is `(share, words)` while a measurement runs, else None; `problem` why
    the last one failed.
    """

    def __init__(self):
        self.times, self.problem = {}, ""
        self.progress = self.thread = None
        self.changed = lambda: None

    def start(self, values):
        """Time the networks of the chosen figures in a thread; ValueError if one is."""
        if self.progress:
            raise ValueError("still measuring; the picture changes when it is done")
        self.progress = 0, "starting"
        self.thread = Thread(target=self.run, args=(values["figures"],), daemon=True)
        self.thread.start()

    def run(self, figures):
        """Measure, keep what went wrong, and have the picture drawn again."""
        self.problem = ""
        try:
            self.measure(figures)
        except Exception as error:
            self.problem = f"the measurement failed: {error}"
        self.progress = None
        self.changed()

    def measure(self, figures):
        """Time every network of these figures, in turns, round by round."""
        from inception_edu.cost import latency
        from inception_edu.networks import create_model

        builds = {
            key_of(figures, name): build_of(figures, name) for name in SETS[figures]
        }
        builds.pop(None, None)  # references
        models, found, steps = {}, {}, len(builds) + ROUNDS
        for key, (network, options) in builds.items():
            self.report(len(models) / steps, f"building {network}")
            models[key] = create_model(network, **options)
        for turn in range(ROUNDS):
            words = f"measuring latency, round {turn + 1} of {ROUNDS}"
            self.report((len(builds) + turn) / steps, words)
            timed = latency(models, rounds=1, warm_up=int(turn == 0), threads=1)
            for key, one in timed.items():
                before = found[key].times if turn else ()
                found[key] = replace(one, times=before + one.times)
        self.times |= found

    def report(self, share, words):
        self.progress = share, words
        self.changed()
