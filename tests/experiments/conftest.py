from tests.training.conftest import own_cache  # noqa: F401, for every test here
