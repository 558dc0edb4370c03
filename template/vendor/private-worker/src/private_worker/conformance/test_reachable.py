"""What another Worker could call, counted out: all that Python knows of a front door is tried.

Any Worker of the account can bind to a door, and `Default` is one in every shape. Through
`__setattr__`, `__init__` or `__getattribute__` it could give the guard a `ctx` or `env` of its own,
and be whoever it likes.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from private_worker.testing.runtime import RpcError, Runtime, Worker

from .lib import Load, shape

# Runs in the Worker, beside the real doors, and lists what a call could name: what stands in a
# class or above it, in the class of the class, and what instances hold.
LOOK = """
from entry import *
from workers import WorkerEntrypoint


class Look(WorkerEntrypoint):
    async def names(self, door):
        kind = globals()[door]
        found = {name for base in (*kind.__mro__, type(kind)) for name in vars(base)}
        return sorted(found | set(object.__getattribute__(kind(self.ctx, self.env), "__dict__")))
"""

# What a proxy of a Python object has of its own in JavaScript, and what promises would look for.
OF_PROXIES = {"callKwargs", "constructor", "copy", "destroy", "get", "then", "toJs", "toString"}

METHODS = ("whoami", "add", "give", "fail", "cancel", "leave", "complain")  # of the probe
# `fetch` takes requests and asks the guard, `scheduled` and `queue` refuse what is no event of the
# runtime's own. `__class__` has to stay; what it makes cannot cross.
DOORS = {
    "Default": {"__class__", "fetch", "scheduled", "queue"},
    "Internal": {
        "__class__",
        *(("fetch",) if shape().bound_fetch else ()),
        *(METHODS if shape().rpc else ()),
    },
}
if not shape().binding:
    del DOORS["Internal"]

# What Python gives to everything, what the SDK keeps in an instance, and a name that is nowhere.
NAMES = {name for kind in (object, type, dict) for name in dir(kind)} | {"_x", "env", "ctx"}
FORGED = {"access": {"aud": "any", "identity": {"email": "person@example.com"}}}


@pytest.fixture
def look(
    load: Load,
    probe_source: Path,
    kit_runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Worker]:
    """The Worker with one more entrypoint, which looks at the others."""
    file = probe_source / "look.py"
    file.write_text(LOOK, encoding="utf-8")
    monkeypatch.setattr(kit_runtime.project, "module", "look")
    yield load()
    file.unlink()


@pytest.mark.parametrize("door", DOORS)
def test_reachable(door: str, look: Worker) -> None:
    """`fetch`, the events and the methods, and not one name more."""
    names = set(look.call("names", door, entrypoint="Look")) | OF_PROXIES | {"fetch"}
    assert {"env", "ctx", "__init__", "__setattr__", "mro"} <= names
    found = {name for name in names if reaches(look, door, name)}
    assert found == DOORS[door]


def reaches(worker: Worker, door: str, name: str) -> bool:
    """Whether something is called: any answer counts, and any error but that it is not there."""
    try:
        worker.call(name, entrypoint=door, props={"caller": "gateway"})
    except RpcError as error:
        absent = f"Method {name} does not exist|has no attribute '{name}'"
        return not re.search(absent, error.message)
    return True


@pytest.mark.parametrize(
    "arguments", [(), ("ctx",), ("ctx", FORGED), (FORGED, {})], ids=["0", "1", "set", "init"]
)
def test_nothing_of_python_answers_on_default(arguments: Any, worker: Worker) -> None:
    for name in sorted(NAMES - {"__class__"}):
        with pytest.raises(RpcError, match=f"Method {name} does not exist|no attribute '{name}'"):
            worker.call(name, *arguments, entrypoint="Default")


def test_no_new_instance_crosses(worker: Worker) -> None:
    """`__class__` must stay for the runtime; what it makes cannot be sent to the caller."""
    several: list[tuple[Any, ...]] = [(), ("ctx",), (FORGED, {})]
    for arguments in several:
        with pytest.raises(RpcError):
            worker.call("__class__", *arguments, entrypoint="Default")
