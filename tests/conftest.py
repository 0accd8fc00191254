"""What every test here stands on."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Examples are few, and the same every time where nobody watches: a failure there
# is one that anybody can repeat. Time is never a failure, since machines are busy.
settings.register_profile(
    "inception_edu",
    deadline=None,
    max_examples=40,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("inception_edu")


@pytest.fixture(scope="module")
def one_thread():
    """Small tensors: on a busy machine, threads that wait for each other are slow."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
