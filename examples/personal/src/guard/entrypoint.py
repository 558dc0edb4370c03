# Managed by the private-worker template: do not edit, an update replaces it.
"""What every front door is made of.

Any Worker of the account can bind to an entrypoint, and then every attribute that can be called
answers it, Python's own included. One that could call `__setattr__` or `__init__` could put its own
`ctx` or `env` in the place of the real ones, and the guard would believe them. So names with an
underscore in front, but for two, do not exist here, and helpers are module functions, not methods.
"""

from typing import Any

from workers import WorkerEntrypoint


class Entrypoint(WorkerEntrypoint):
    """An entrypoint on which nothing can be called but the methods that stand in its class."""

    def __getattribute__(self, name: str) -> Any:
        # The runtime asks for these two. What they give is data, or cannot cross to a caller.
        if name.startswith("_") and name not in ("__class__", "__dict__"):
            raise AttributeError(name)
        return object.__getattribute__(self, name)
