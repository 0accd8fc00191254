"""What the claims are measured with: the networks and their traces, built once."""

from functools import cache, wraps

import inception_edu as ie
from inception_edu import papers


def shows(id, verdict, *facts):
    """Mark a test as the evidence for a claim of the ledger.

    The second entry of the bookkeeping: the test also fails when the ledger
    gives another verdict, or no longer states these facts.
    """

    def mark(test):
        @wraps(test)
        def marked(*args, **kwargs):
            claim = papers.claim(id)
            assert claim.verdict == verdict, f"{id} is {verdict}"
            for fact in facts:
                assert fact in claim.correct, f"{id} should state {fact}"
            return test(*args, **kwargs)

        marked.shown = {*getattr(test, "shown", ()), id}
        return marked

    return mark


@cache
def network(name, **options):
    return ie.create_model(name, **options).eval()


@cache
def traced(name, **options):
    model = network(name, **options)
    return ie.trace(model, (1, 3, model.input_size, model.input_size))


def weights(name, **options):
    """Weights without biases and norms: convolutions and linear layers."""
    return sum(p.numel() for p in network(name, **options).parameters() if p.dim() > 1)


def value(id):
    return papers.figure(id).value
