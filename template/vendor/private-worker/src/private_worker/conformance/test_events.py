"""Events without a caller: the runtime's own are handled, and whatever a Worker makes up is not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from private_worker.testing.runtime import RpcError, Worker, WorkerError

from .lib import Load, shape

HANDLERS = ("scheduled", "queue")
REFUSED = {"ok": False, "error": "forbidden"}
# Bindings to the classes of the probe.
CLASSES: dict[str, Any] = {
    "ROOM": {"$object": "Room", "sql": False},
    "FLOW": {"$workflow": "Flow", "name": "flow"},
}
CRON = {"cron": "* * * * *", "scheduledTime": 0, "type": "scheduled"}
# Arguments of a call over RPC: what an attacker may hope to be taken for an event.
FORGED: dict[str, tuple[Any, ...]] = {
    "nothing": (),
    "null": (None,),
    "text": ("[object ScheduledController]",),
    "an empty object": ({},),
    "a cron": (CRON,),
    "a batch": ({"queue": "jobs", "messages": [{"id": "1", "body": {"n": 1}}]},),
    "a class by name": ({**CRON, "constructor": {"name": "ScheduledController"}},),
    "a tag by name": ({**CRON, "Symbol(Symbol.toStringTag)": "QueueController"},),
    "a list": ([CRON],),
    "an env of its own": (CRON, {"TEAM_DOMAIN": "https://evil.example.com"}, {}),
}


def ran(worker: Worker) -> list[dict[str, Any]]:
    """What the handlers printed."""
    lines = [json.loads(line) for line in worker.logs if line.startswith("{")]
    return [line for line in lines if line["event"] == "ran"]


@pytest.fixture
def classes(load: Load) -> Worker:
    return load(**CLASSES, NAME="the secret")


def test_classes_are_exported(load: Load) -> None:
    worker = load(**CLASSES, NAME="you")
    lobby = worker.durable_object("ROOM", "lobby")
    assert lobby.call("hello") == "hello you"
    lobby.call("later")
    lobby.alarm()
    assert ran(worker) == [{"event": "ran", "alarm": True}]
    done = worker.workflow("FLOW").start({"n": 1})
    assert done.output == {"was": {"n": 1}, "helped": "yes"}


def test_nothing_else_of_an_object_answers(classes: Worker) -> None:
    """Any Worker of the account can bind to it. With `__setattr__` it could give the object an
    `env` of its own, with a store of its own in it."""
    room = classes.durable_object("ROOM", "lobby")
    names = {*dir(object), *dir(type), "_secret", "_inner", "_x", "rules", "env", "ctx"}
    tried: list[tuple[Any, ...]] = [(), ("env",), ("env", {"NAME": "forged"})]
    for name in sorted(names - {"__class__"}):
        for arguments in tried:
            with pytest.raises(RpcError):
                room.call(name, *arguments)
    assert room.call("hello") == "hello the secret"


def test_nobody_makes_an_object(classes: Worker) -> None:
    """`__class__` stays for the runtime. It must not make another object, of the owner's class and
    with an `env` of the caller's."""
    room = classes.durable_object("ROOM", "lobby")
    tried: list[tuple[Any, ...]] = [(), ({}, {"NAME": "forged"}), ({}, {"NAME": "forged"}, {})]
    for arguments in tried:
        assert room.call("__class__", *arguments) == REFUSED
        assert classes.call("__class__", *arguments, entrypoint="Flow") == REFUSED
        with pytest.raises(RpcError):
            room.call("Inner", *arguments)
        with pytest.raises(RpcError):
            classes.call("Inner", *arguments, entrypoint="Flow")
    assert ran(classes) == []


def test_nothing_else_of_a_workflow_answers(classes: Worker) -> None:
    """Another Worker can bind to its class as if it were an entrypoint."""
    for name in ("help", "fetch", "_secret", "__setattr__", "__init__", "env", "ctx"):
        with pytest.raises(RpcError):
            classes.call(name, entrypoint="Flow")
        with pytest.raises(RpcError):
            classes.call(name, {}, entrypoint="Flow")


def test_events_of_the_runtime(fresh: Worker) -> None:
    fresh.scheduled("0 3 * * *")
    assert fresh.queue("jobs", [{"n": 1}, "two"]) == ["ack", "ack"]
    assert ran(fresh) == [
        {"event": "ran", "cron": "0 3 * * *"},
        {"event": "ran", "bodies": [{"n": 1}, "two"]},
    ]


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("handler", HANDLERS)
def test_forged_event(handler: str, forged: str, worker: Worker) -> None:
    before = len(ran(worker))
    assert worker.call(handler, *FORGED[forged], entrypoint="Default") == REFUSED
    assert len(ran(worker)) == before
    line = json.loads(worker.logs[-1])
    assert (line["event"], line["decision"], line["reason"], line["ray"]) == (
        *("guard", "refuse", "not_an_event"),
        None,
    )


@pytest.mark.parametrize("handler", HANDLERS)
def test_only_one_door_has_events(handler: str, worker: Worker) -> None:
    if shape().binding:
        with pytest.raises(RpcError, match=f"{handler} does not exist|no attribute '{handler}'"):
            worker.call(handler, CRON, props={"caller": "gateway"})


def test_a_real_event_cannot_be_handed_on(load: Load) -> None:
    """A Worker that has a cron of its own gets nowhere with that event."""
    worker = load(SELF={"$entrypoint": "Default"})
    worker.scheduled()
    assert len(ran(worker)) == 1
    last = json.loads(worker.logs[-1])
    assert last["event"] == "handed on" and "'ok': True" not in last["answer"]


# ---------------------------------------------------------------- what a deploy refuses


@pytest.fixture
def with_events(load: Load, probe_source: Path) -> Iterator[Callable[[str], Worker]]:
    """Loads the Worker with another src/events.py."""
    file = probe_source / "events.py"
    before = file.read_text(encoding="utf-8")

    def with_events(text: str) -> Worker:
        file.write_text(text, encoding="utf-8")
        return load()

    yield with_events
    file.write_text(before, encoding="utf-8")


BASES = "from workers import DurableObject, WorkerEntrypoint, WorkflowEntrypoint\n"


@pytest.mark.parametrize(
    "text",
    [
        "class Door(WorkerEntrypoint): pass\nCLASSES = (Door,)",
        "def room(ctx, env): pass\nCLASSES = (room,)",
        "class Plain: pass\nCLASSES = (Plain,)",
        "class Both(DurableObject, WorkerEntrypoint): pass\nCLASSES = (Both,)",
        "class Default(DurableObject): pass\nCLASSES = (Default,)",
        "class WithEvents(WorkflowEntrypoint): pass\nCLASSES = (WithEvents,)",
        "class _Room(DurableObject): pass\nCLASSES = (_Room,)",
        "class Room(DurableObject): pass\nCLASSES = (Room, Room)",
        "class Room(DurableObject): pass\nCLASSES = (Room)",
    ],
)
def test_no_other_door(text: str, with_events: Callable[[str], Worker]) -> None:
    """Whatever is no Durable Object or Workflow, or takes the place of one of the doors."""
    with pytest.raises(WorkerError, match="events.CLASSES"):
        with_events(BASES + text)


def test_list_of_classes(with_events: Callable[[str], Worker]) -> None:
    with_events(f"{BASES}class Room(DurableObject): pass\nCLASSES = [Room]")


def test_no_events(with_events: Callable[[str], Worker]) -> None:
    """What src/events.py does not define cannot be called at all."""
    worker = with_events("")
    for handler in HANDLERS:
        with pytest.raises(RpcError, match=f"{handler} does not exist|no attribute '{handler}'"):
            worker.call(handler, CRON, entrypoint="Default")


def test_what_a_handler_raises(with_events: Callable[[str], Worker]) -> None:
    """Cloudflare must hear of it: it counts the run as failed, and delivers a batch again."""
    raising = "async def {}(event, env):\n    raise ValueError('no')\n"
    worker = with_events("".join(map(raising.format, HANDLERS)))
    with pytest.raises(WorkerError, match="ValueError: no"):
        worker.scheduled()
    with pytest.raises(WorkerError, match="ValueError: no"):
        worker.queue("jobs", [1])
