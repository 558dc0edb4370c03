"""What the tests of in_project/ share: how the Worker is loaded behind Access."""

from collections.abc import Callable

from private_worker.testing.runtime import Worker

Load = Callable[..., Worker]  # changes in the settings -> the Worker, loaded with them
