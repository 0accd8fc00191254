"""What some tests need that is not everywhere."""

import pytest

from tools.publish.bundle import MODULES

needs_npm = pytest.mark.skipif(
    not all((MODULES / name).is_dir() for name in ("axe-core", "katex", "pyodide")),
    reason="no npm packages: run `npm ci`",
)
