"""What other Workers may call. Yours from the first copy on: an update never touches this file.

Each function in METHODS is one RPC method: it gets the caller, the Worker's env and then the
arguments. Only what stands in METHODS can be called from outside. A caller receives
{"ok": true, "value": ...} or {"ok": false, "error": ...}. Arguments are plain data from another
Worker: check them, and raise BadRequest for those that you cannot use.
"""

from guard import BadRequest


async def whoami(caller, env):
    """Who the guard says is calling."""
    return caller.as_dict()


async def greet(caller, env, name):
    """An example with an argument."""
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise BadRequest("name must be text of 1 to 100 characters")
    return f"Hello {name}, says {caller.name}"


METHODS = (
    whoami,
    greet,
)
