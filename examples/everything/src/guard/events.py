# Managed by the private-worker template: do not edit, an update replaces it.
"""What the runtime calls without a caller: cron, queues, Durable Objects and Workflows.

`scheduled` and `queue` on an entrypoint are called by the runtime, and can be called by any Worker
that binds to it. So the owner's handler runs only for an event that is the runtime's own: what a
Worker hands over is copied or wrapped on its way, and neither is ever of these classes.
https://developers.cloudflare.com/workers/runtime-apis/handlers/
"""

from collections.abc import Awaitable, Callable
from inspect import isclass
from types import ModuleType
from typing import Any

from workers import DurableObject, WorkerEntrypoint, WorkflowEntrypoint, python_to_rpc

from . import log, platform
from .entrypoint import Entrypoint
from .refusal import Reason

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
    found = []
    for each in getattr(events, "CLASSES", ()):
        right = isclass(each) and issubclass(each, DurableObject | WorkflowEntrypoint)
        if not right or issubclass(each, WorkerEntrypoint):
            raise TypeError(f"events.CLASSES: {each!r} is no DurableObject and no Workflow")
        if each.__name__ in names or each.__name__.startswith("_"):
            raise ValueError(f"events.CLASSES: a class cannot be called {each.__name__} here")
        names[each.__name__] = each
        found.append(each.__name__)
    return found


def _on_instance(handler: Handler) -> Handler:
    async def method(self: Entrypoint, event: Any) -> None:
        await handler(event, self.env)

    return method


def _guarded(method: Handler, event_class: str) -> Handler:
    async def answer(self: Entrypoint, event: Any = None, *rest: Any) -> Any:
        if platform.class_of(event) != event_class:
            log.refused(Reason.NOT_AN_EVENT, None, None)
            return python_to_rpc({"ok": False, "error": "forbidden"})
        await method(self, event)

    return answer
