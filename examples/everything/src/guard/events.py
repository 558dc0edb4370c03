# Managed by the private-worker template: do not edit, an update replaces it.
"""What the runtime calls without a caller: cron, queues, Durable Objects and Workflows.

`scheduled` and `queue` on an entrypoint are called by the runtime, and can be called by any Worker
that binds to it. So the owner's handler runs only for an event that is the runtime's own: what a
Worker hands over is copied or wrapped on its way, and neither is ever of these classes.
https://developers.cloudflare.com/workers/runtime-apis/handlers/
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import isclass, isroutine
from types import ModuleType
from typing import Any

from workers import DurableObject, WorkerEntrypoint, WorkflowEntrypoint, python_to_rpc

from . import log, platform
from .entrypoint import Entrypoint
from .refusal import Reason, Refused

Handler = Callable[..., Awaitable[object]]
HANDLERS = {"scheduled": "ScheduledController", "queue": "QueueController"}  # and their events


class WithEvents(Entrypoint):
    """An entrypoint with the handlers that `events` defines, and no others."""

    def __init_subclass__(cls, events: ModuleType, **kwargs: Any) -> None:
        names = [name for name in HANDLERS if hasattr(events, name)]
        for name in names:
            setattr(cls, name, _on_instance(getattr(events, name)))
        super().__init_subclass__(**kwargs)  # there the SDK makes a queue's batch Python's
        for name in names:
            setattr(cls, name, _guarded(getattr(cls, name), HANDLERS[name]))


def export(events: ModuleType, names: dict[str, Any]) -> list[str]:
    """Put the classes in `events.CLASSES` among the names of the main module; returns theirs.

    Raises TypeError for what is no Durable Object or Workflow, which would be one more door, and
    ValueError for a name that is taken, so that a deploy fails.
    """
    found: list[str] = []
    classes = getattr(events, "CLASSES", ())
    if not isinstance(classes, tuple | list):
        raise TypeError("events.CLASSES is a tuple: a class alone needs a comma behind it")
    for each in classes:
        right = isclass(each) and issubclass(each, DurableObject | WorkflowEntrypoint)
        if not right or issubclass(each, WorkerEntrypoint):
            raise TypeError(f"events.CLASSES: {each!r} is no DurableObject and no Workflow")
        if each.__name__ in names or each.__name__.startswith("_"):
            raise ValueError(f"events.CLASSES: a class cannot be called {each.__name__} here")
        names[each.__name__] = _outside(each)
        found.append(each.__name__)
    return found


def _outside(inner: type[Any]) -> type[Any]:
    """What others see of a class of the owner's: its methods, and no name with an underscore.

    Any Worker of the account can bind to a Durable Object, and to a Workflow as if it were an
    entrypoint. See `Entrypoint` for what they could do with `__setattr__`. Of a Workflow there is
    `run` alone.
    """
    is_workflow = issubclass(inner, WorkflowEntrypoint)
    base: type[Any] = WorkflowEntrypoint if is_workflow else DurableObject
    methods = ["run"] if is_workflow else [name for name in dir(inner) if name[0] != "_"]

    def make(self: Any, ctx: Any, env: Any) -> None:
        object.__setattr__(self, "_inner", inner(ctx, env))

    look_up = Entrypoint.__getattribute__
    names: dict[str, Any] = {"__init__": make, "__getattribute__": look_up}
    outside = type(inner.__name__, (base,), names)
    for name in methods:
        if isroutine(method := getattr(inner, name)):
            setattr(outside, name, _handing_on(method, name))
    return outside


def _handing_on(inner: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(inner)  # the runtime looks at how many arguments it takes
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        return getattr(object.__getattribute__(self, "_inner"), name)(*arguments, **named)

    return method


def _on_instance(handler: Handler) -> Handler:
    async def method(self: Entrypoint, event: Any) -> None:
        await handler(event, self.env)

    return method


def _guarded(method: Handler, event_class: str) -> Handler:
    async def answer(self: Entrypoint, event: Any = None, *rest: Any) -> Any:
        if platform.class_of(event) != event_class:
            log.refused(Refused(Reason.NOT_AN_EVENT), None)
            return python_to_rpc({"ok": False, "error": "forbidden"})
        await method(self, event)

    return answer
