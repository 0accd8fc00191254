"""Latencies of the family on this machine, measured while the explorer goes on."""

from dataclasses import replace
from threading import Thread

from inception_edu.explorers.family_figures import SETS, build_of, key_of

ROUNDS = 5


class Stopwatch:
    """The latencies of one explorer, by what a network is built with.

    `progress` says how far a measurement is while one runs, else it is empty;
    `problem` says why the last one failed.
    """

    def __init__(self):
        self.times, self.progress, self.problem = {}, "", ""
        self.thread = None
        self.changed = lambda: None

    def start(self, values):
        """Time the networks of the error set in a thread; ValueError if one is."""
        if self.progress:
            raise ValueError("still measuring; the picture changes when it is done")
        self.progress = "starting"
        self.thread = Thread(target=self.run, args=(values["figures"],), daemon=True)
        self.thread.start()

    def run(self, error_set):
        """Measure, keep what went wrong, and have the picture drawn again."""
        self.problem = ""
        try:
            self.measure(error_set)
        except Exception as error:
            self.problem = f"the measurement failed: {error}"
        self.progress = ""
        self.changed()

    def measure(self, error_set):
        """Time every network of this error set, in turns, round by round."""
        from inception_edu.cost import latency
        from inception_edu.networks import create_model

        builds = {key_of(error_set, n): build_of(error_set, n) for n in SETS[error_set]}
        builds.pop(None, None)  # references
        models, found = {}, {}
        for key, (network, options) in builds.items():
            self.report(f"building {network}")
            models[key] = create_model(network, **options)
        for turn in range(ROUNDS):
            self.report(f"measuring latency, round {turn + 1} of {ROUNDS}")
            timed = latency(models, rounds=1, warm_up=int(turn == 0), threads=1)
            for key, one in timed.items():
                before = found[key].times if turn else ()
                found[key] = replace(one, times=before + one.times)
        self.times |= found

    def report(self, words):
        self.progress = words
        self.changed()
