# Managed by the private-worker template: do not edit, an update replaces it.
"""Nothing but `fetch` can be called on the public door, also not by a Worker that binds to it.

Through `__setattr__`, `__init__` or `__getattribute__` it could give the guard a `ctx` or `env` of
its own, and be whoever it likes.
"""

import pytest

from kit.runtime import RpcError

NAMES = {name for kind in (object, type, dict) for name in dir(kind)} | {"_x", "env", "ctx"}
FORGED = {"access": {"aud": "any", "identity": {"email": "person@example.com"}}}


@pytest.mark.parametrize(
    "arguments", [(), ("ctx",), ("ctx", FORGED), (FORGED, {})], ids=["0", "1", "set", "init"]
)
def test_nothing_of_python_answers_on_default(arguments, worker):
    """Threat 12."""
    for name in sorted(NAMES - {"__class__"}):
        with pytest.raises(RpcError, match=f"Method {name} does not exist|no attribute '{name}'"):
            worker.call(name, *arguments, entrypoint="Default")


def test_no_new_instance_crosses(worker):
    """`__class__` must stay for the runtime; what it makes cannot be sent to the caller."""
    for arguments in ((), ("ctx",), (FORGED, {})):
        with pytest.raises(RpcError):
            worker.call("__class__", *arguments, entrypoint="Default")
