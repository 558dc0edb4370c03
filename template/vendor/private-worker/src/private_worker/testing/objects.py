"""Durable Objects and Workflows of the project's own, for a test to call. See objects.mjs."""

from dataclasses import dataclass
from typing import Any

from .process import Cancelled, RpcError, Runtime, WorkerDied, WorkerError
from .wire import Response, from_wire, to_wire


class DurableObject:
    """One object of a class of the project's own, as the Worker's stub reaches it."""

    def __init__(self, runtime: Runtime, marker: dict[str, Any], name: str) -> None:
        self._runtime = runtime
        self._fields = {"class": marker["$object"], "sql": marker.get("sql", False), "name": name}

    def call(self, method: str, *args: Any) -> Any:
        """Call a method; arguments and result are copies. Raises RpcError for what it raises."""
        __tracebackhide__ = True
        fields = {**self._fields, "method": method, "args": [to_wire(arg) for arg in args]}
        try:
            return from_wire(self._runtime.ask("object", fields))
        except (WorkerDied, Cancelled):
            raise
        except WorkerError as error:
            raise RpcError(error.name, error.type, error.message) from None

    def fetch(self, url: str) -> Response:
        """GET a URL of the object."""
        response: Response = self.call("fetch", url)
        return response

    def alarm(self) -> None:
        """Run the alarm that the object has set; ValueError if it has set none."""
        self.call("alarm")


@dataclass(frozen=True)
class WorkflowRun:
    """How far an instance of a Workflow has come.

    status: "complete", "errored" or "waiting" (for an event). output: what `run` returned.
    error: {"name": …, "message": …} or None. steps: the names of the steps in order, each attempt.
    """

    id: str
    status: str
    steps: list[str]
    output: Any = None
    error: dict[str, str] | None = None


class Workflow:
    """A Workflow of the project's own. Neither `sleep` nor the delay before a retry takes time."""

    def __init__(self, runtime: Runtime, marker: dict[str, Any]) -> None:
        self._runtime = runtime
        self._fields = {"class": marker["$workflow"], "name": marker["name"]}

    def start(self, params: Any = None) -> WorkflowRun:
        """Run a new instance until it is over or waits for an event."""
        return self._settled(params=to_wire(params))

    def send_event(self, run: WorkflowRun, type: str, payload: Any = None) -> WorkflowRun:
        """Send an event to an instance and let it go on."""
        event = {"type": type, "payload": to_wire(payload)}
        return self._settled(instance=run.id, event=event)

    def _settled(self, **fields: Any) -> WorkflowRun:
        return WorkflowRun(**from_wire(self._runtime.ask("workflow", self._fields | fields)))
