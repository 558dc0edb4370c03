"""For `pytest_plugins = ["kit.plugin"]` and `-p kit.plugin`; pytest refuses one module twice."""

from private_worker.testing.access import TEST_VARS

__all__ = ["TEST_VARS", "pytest_plugins"]

pytest_plugins = ["private_worker.testing.plugin"]
