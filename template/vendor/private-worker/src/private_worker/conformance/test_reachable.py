"""What another Worker could call, counted out: all that Python knows of a front door is tried.

Any Worker of the account can bind to a door, and `Default` is one in every shape. Through
`__setattr__`, `__init__` or `__getattribute__` it could give the guard a `ctx` or `env` of its own,
and be whoever it likes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from private_worker.testing.runtime import RpcError, Runtime, Worker

from .lib import Load, decisions, shape

# Runs in the Worker, beside the real doors, and lists what a call could name: what stands in a
# class or above it, in the class of the class, and what instances hold.
LOOK = """
from js import Array, Boolean, Object
from pyodide.ffi import create_proxy
from workers import WorkerEntrypoint

from entry import *


class Look(WorkerEntrypoint):
    async def names(self, door):
        kind = globals()[door]
        found = {name for base in (*kind.__mro__, type(kind)) for name in vars(base)}
        instance = kind(self.ctx, self.env)
        found |= set(object.__getattribute__(instance, "__dict__"))
        above = Array.of(create_proxy(instance))  # in JavaScript; one array for each level there
        while (above := above.map(Object.getPrototypeOf).filter(Boolean)).length:
            found |= set(above.map(Object.getOwnPropertyNames).flat())
        return sorted(found)
"""

# What other proxies have in JavaScript, and what promises would look for.
OF_PROXIES = {"callKwargs", "get", "then"}

METHODS = ("whoami", "add", "give", "fail", "cancel", "leave", "complain", "needs")  # of the probe
# `fetch` takes requests and asks the guard, `scheduled` and `queue` refuse what is no event of the
# runtime's own.
DOORS = {
    "Default": {"fetch", "scheduled", "queue"},
    "Internal": {
        *(("fetch",) if shape().bound_fetch else ()),
        *(METHODS if shape().rpc else ()),
    },
}
if not shape().binding:
    del DOORS["Internal"]

# What Python gives to everything, what the SDK keeps in an instance, and a name that is nowhere.
NAMES = {name for kind in (object, type, dict) for name in dir(kind)} | {"_x", "env", "ctx"}
OF_EVERY_OBJECT = {"__class__", "constructor", "copy", "destroy", "toJs", "toString", "valueOf"}
REFUSED = {"ok": False, "error": "forbidden"}
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
    assert {"env", "ctx", "__init__", "__setattr__", "mro", "toJs", "valueOf"} <= names
    found = {name for name in names if reaches(look, door, name)}
    assert found == DOORS[door]


def reaches(worker: Worker, door: str, name: str) -> bool:
    """Whether something is called: any answer counts, and any error but that it is not there."""
    try:
        answer = worker.call(name, entrypoint=door, props={"caller": "gateway"})
    except RpcError as error:
        # Python has most of these, and the runtime does not get to see them.
        return not error.message.startswith(f"Method {name} does not exist")
    return bool(answer != REFUSED or decisions(worker)[-1]["reason"] != "not_a_method")


@pytest.mark.parametrize(
    "arguments", [(), ("ctx",), ("ctx", FORGED), (FORGED, {})], ids=["0", "1", "set", "init"]
)
def test_nothing_of_python_answers_on_default(arguments: Any, worker: Worker) -> None:
    for name in sorted(NAMES - OF_EVERY_OBJECT):
        with pytest.raises(RpcError, match=f"Method {name} does not exist"):
            worker.call(name, *arguments, entrypoint="Default")


@pytest.mark.parametrize("door", DOORS)
def test_what_every_object_has(door: str, fresh: Worker) -> None:
    """`__class__` must stay for the runtime, and JavaScript has its own of the others. None of them
    makes anything out of what a caller hands over, or answers with a traceback."""
    several: list[tuple[Any, ...]] = [(), ("ctx",), (FORGED, {}), ("a", "b", "c")]
    for name in sorted(OF_EVERY_OBJECT):
        for arguments in several:
            assert fresh.call(name, *arguments, entrypoint=door) == REFUSED
    assert {line["reason"] for line in decisions(fresh)} == {"not_a_method"}
    assert len(decisions(fresh)) == len(OF_EVERY_OBJECT) * len(several)
