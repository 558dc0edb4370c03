# Managed by the private-worker template: do not edit, an update replaces it.
"""What every front door is made of.

Any Worker of the account can bind to an entrypoint, and then every attribute that can be called
answers it, Python's own included. One that could call `__setattr__` or `__init__` could put its own
`ctx` or `env` in the place of the real ones, and the guard would believe them. So names with an
underscore in front do not exist here, and helpers are module functions, not methods.
"""

from typing import Any

from workers import WorkerEntrypoint

from . import log
from .refusal import Reason

# JavaScript finds these on what it has of any Python object, so the runtime goes on and looks for
# Python's own of that name.
OF_EVERY_OBJECT = frozenset(
    {
        *("constructor", "copy", "destroy", "hasOwnProperty", "isPrototypeOf", "toJs", "toString"),
        *("propertyIsEnumerable", "toLocaleString", "valueOf", "__defineGetter__"),
        *("__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
    }
)


async def refuse(*arguments: object) -> dict[str, object]:
    """The answer to a call of what is no method. An exception would cross with its traceback."""
    log.refused(Reason.NOT_A_METHOD, None, None)
    return {"ok": False, "error": "forbidden"}


class NoClass:
    """In the place of an entrypoint's class, which the runtime asks for.

    The real one would make another entrypoint for a caller, out of what the caller hands over.
    """

    def __new__(cls, *arguments: object) -> Any:
        return refuse()


class Entrypoint(WorkerEntrypoint):
    """An entrypoint on which nothing can be called but the methods that stand in its class."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return NoClass
        try:
            if name.startswith("_") and name != "__dict__":  # which is data, and the runtime's
                raise AttributeError(name)
            return object.__getattribute__(self, name)
        except AttributeError:
            if name in OF_EVERY_OBJECT:
                return refuse
            raise
