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
from .refusal import Reason, Refused

# JavaScript finds these on any object of Python's, and so the runtime calls Python's of that name.
OF_EVERY_OBJECT = """
    constructor copy destroy hasOwnProperty isPrototypeOf propertyIsEnumerable toJs toLocaleString
    toString valueOf __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__
""".split()


async def refuse(*arguments: object) -> dict[str, object]:
    """The answer to a call of what is no method. An exception would cross with its traceback."""
    log.refused(Refused(Reason.NOT_A_METHOD), None)
    return {"ok": False, "error": "forbidden"}


class NoClass:
    """Stands for the class, which would make another entrypoint out of a caller's arguments."""

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
