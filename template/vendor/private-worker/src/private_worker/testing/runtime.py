"""The Worker as a test holds it."""

import base64
import json as jsonlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bindings import fake, hint, source_of
from .objects import DurableObject, Workflow, WorkflowRun
from .process import (
    ANSWER_TIMEOUT,
    Cancelled,
    NeverLoaded,
    RpcError,
    Runtime,
    WorkerDied,
    WorkerError,
)
from .wire import Headers, Response, from_wire, to_wire

__all__ = [
    "Cancelled",
    "DurableObject",
    "Headers",
    "NeverLoaded",
    "OtherWorker",
    "Pending",
    "Response",
    "RpcError",
    "Runtime",
    "Worker",
    "WorkerDied",
    "WorkerError",
    "Workflow",
    "WorkflowRun",
]

SOON = 5.0  # seconds; Node answers at once, unless the Worker is in an endless loop
ORIGIN = "https://worker.example.com"  # of the requests a test sends by path

Pairs = Mapping[str, str] | list[tuple[str, str]]


class Pending:
    """A request that is running."""

    def __init__(self, runtime: Runtime, future: "Future[Any]") -> None:
        self._runtime = runtime
        self._future = future

    def done(self) -> bool:
        return self._future.done()

    def result(self, timeout: float = ANSWER_TIMEOUT) -> Response:
        """Wait up to `timeout` seconds. Raises TimeoutError, Cancelled or WorkerDied."""
        try:
            wire = self._future.result(timeout)
        except TimeoutError:
            raise TimeoutError(
                f"the Worker did not answer within {timeout:g} s: it is in an endless loop, or "
                "waits for something nobody finishes, and workerd would cancel it with 500"
            ) from None
        except (WorkerDied, Cancelled):
            raise
        except WorkerError as error:
            # workerd tells HTTP clients nothing; the traceback only goes to the log.
            return Response(500, [], b"Internal Server Error", error)
        response: Response = from_wire(wire)
        return response

    def cancel(self) -> None:
        """The client hangs up: the Worker's code stops where it is, unless waitUntil holds it."""
        target = self._future.id  # type: ignore[attr-defined]
        self._runtime.send("cancel", target=target).result(ANSWER_TIMEOUT)


@dataclass(frozen=True)
class OtherWorker:
    """A second Worker that runs beside this project's, such as one that calls it.

    main: its main file in Python, TypeScript or JavaScript, with what it imports beside it
    env: as in `Worker.load`; `$entrypoint` is a service binding to this project's Worker
    """

    main: Path
    env: dict[str, Any]


class Worker:
    """This project's Worker, running. Every `load` is a new isolate: fresh module state."""

    def __init__(self, runtime: Runtime, env: dict[str, Any], routes: dict[str, str]) -> None:
        self._runtime = runtime
        self._always = routes
        self.env = env
        self.routes = routes
        self.load()

    def load(
        self,
        *,
        env: dict[str, Any] | None = None,
        fakes: Mapping[str, type] | None = None,
        routes: dict[str, str] | None = None,
        beside: Mapping[str, OtherWorker] | None = None,
    ) -> None:
        """Import the Worker again, with another `env` or other `routes` if given. Stores are empty.

        env: name -> str or any JSON value; `{**worker.env, "NAME": "value"}` adds one.
        `{"$entrypoint": "Internal", "props": {…}}` is a service binding to this Worker itself,
        `{"$fetcher": "http://127.0.0.1:8000"}` a binding that sends real HTTP requests to that
        origin, such as a VPC service.
        fakes: classes of the test's own by the name of a binding, for what only Cloudflare has. The
        Worker finds an instance there. Its source runs in the Worker's Python, where nothing of the
        test around it exists: it imports what it needs inside.
        routes: origin the Worker asks for -> origin of the local server that answers, besides
        those of Access. Any other origin is an error: tests have no network.
        beside: other Workers by name, for `scheduled` and `fetch` with `worker=`. They share the
        clock, the logs and the routes. Without it there are none.
        Clock, logs and outbound requests start anew. Raises WorkerError if the import fails.
        """
        self.env = self.env if env is None else env
        if fakes:
            self.env = {**self.env, **{name: fake(cls) for name, cls in fakes.items()}}
        self.routes = self.routes if routes is None else self._always | routes
        others = [
            {"name": name, "main": str(other.main), "env": other.env}
            for name, other in (beside or {}).items()
        ]
        self._said: list[str] = []
        self._runtime.load(env=self.env, routes=self.routes, beside=others)

    def start(
        self,
        path_or_url: str = "/",
        *,
        method: str = "GET",
        headers: Pairs | None = None,
        body: bytes | str | None = None,
        json: Any = None,
        access: dict[str, Any] | None = None,
        entrypoint: str = "Default",
        props: dict[str, Any] | None = None,
        worker: str = "",
    ) -> Pending:
        """Send an HTTP request and do not wait. Arguments as for `fetch`."""
        __tracebackhide__ = True
        url = ORIGIN + path_or_url if path_or_url.startswith("/") else path_or_url
        if not re.match("https?://", url):
            raise ValueError(f'"{url}" is neither a path nor a URL: write "/{url}"')
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers or []
        if json is not None:
            body = jsonlib.dumps(json)
            pairs = [*pairs, ("Content-Type", "application/json")]
        if not isinstance(body, str | bytes | None):
            kind = type(body).__name__
            raise TypeError(f"body is text or bytes, not {kind}: json= sends it as JSON")
        raw = body.encode() if isinstance(body, str) else body
        names = {name.lower() for name, _ in pairs}
        if raw is not None and not names & {"content-length", "transfer-encoding"}:
            pairs = [*pairs, ("Content-Length", str(len(raw)))]  # as HTTP clients do
        future = self._runtime.send(
            "fetch",
            url=url,
            method=method,
            headers=pairs,
            body=None if raw is None else base64.b64encode(raw).decode(),
            access=access,
            entrypoint=entrypoint,
            props=props,
            worker=worker,
        )
        return Pending(self._runtime, future)

    def fetch(
        self, path_or_url: str = "/", *, timeout: float = ANSWER_TIMEOUT, **request: Any
    ) -> Response:
        """Send an HTTP request: method, headers (dict or pairs), body (text or bytes) or json,
        access, entrypoint, props.

        worker: the name of one beside this project's, see `load`.

        access: what Cloudflare Access tells the runtime, `{"aud": "…", "identity": {…} or None}`;
        it becomes `ctx.access`. None: Access did not authenticate the request.
        A Worker that raises answers a bare 500 and `Response.error` holds the exception.
        """
        __tracebackhide__ = True
        return self.start(path_or_url, **request).result(timeout)

    def fetch_all(
        self, requests: list[dict[str, Any]], *, timeout: float = ANSWER_TIMEOUT
    ) -> list[Response]:
        """Send all at once and wait for all. Each is the arguments of `fetch` as a dict."""
        return [pending.result(timeout) for pending in [self.start(**each) for each in requests]]

    def listen(
        self,
        *,
        entrypoint: str = "Default",
        props: dict[str, Any] | None = None,
        origin: str = ORIGIN,
    ) -> str:
        """Open a real HTTP address of the Worker, until `load`. Returns its origin.

        Bodies stream both ways there, while `fetch` holds them whole. Whatever the address, the
        Worker sees requests to `origin`.
        """
        future = self._runtime.send("listen", origin=origin, entrypoint=entrypoint, props=props)
        return f"http://127.0.0.1:{future.result(ANSWER_TIMEOUT)}"

    def call(
        self,
        method: str,
        *args: Any,
        entrypoint: str = "Internal",
        props: dict[str, Any] | None = None,
        timeout: float = ANSWER_TIMEOUT,
    ) -> Any:
        """Call a method over RPC, as another Worker would, and return its value.

        As in workerd every callable attribute answers, `_private` and `__init__` too. Raises
        RpcError with what the caller would see: the type and the whole traceback.
        """
        __tracebackhide__ = True
        wires = [to_wire(arg) for arg in args]
        fields = {"method": method, "args": wires, "entrypoint": entrypoint, "props": props}
        try:
            return from_wire(self._runtime.ask("call", fields, timeout))
        except (WorkerDied, Cancelled):
            raise
        except WorkerError as error:
            raise RpcError(error.name, error.type, error.message) from None

    def scheduled(
        self, cron: str = "* * * * *", *, worker: str = "", timeout: float = ANSWER_TIMEOUT
    ) -> None:
        """Run the `scheduled` handler as a Cron Trigger does. WorkerError for what it raises."""
        __tracebackhide__ = True
        self._runtime.ask("scheduled", {"cron": cron, "worker": worker}, timeout)

    def queue(
        self, name: str, bodies: list[Any], *, worker: str = "", timeout: float = ANSWER_TIMEOUT
    ) -> list[str]:
        """Run the `queue` handler with a batch of messages from the queue `name`.

        Returns for each message "ack" or "retry". WorkerError for what the handler raises: then
        Cloudflare delivers all of the batch again, but for the messages that were acknowledged.
        """
        __tracebackhide__ = True
        wires = [to_wire(body) for body in bodies]
        fields = {"queue": name, "bodies": wires, "worker": worker}
        outcomes: list[str] = self._runtime.ask("queue", fields, timeout)
        return outcomes

    @property
    def sent(self) -> list[tuple[str, Any]]:
        """What the Worker sent to queues since `load`: name of the binding, body of the message."""
        sent = self._runtime.ask("sent", {})
        return [(each["binding"], from_wire(each["body"])) for each in sent]

    def run(self, function: Callable[..., object], *args: Any) -> Any:
        """Call `function(env, *args)` in the Worker's Python, to fill a store or look into it.

        As with `fakes` its source is sent there. Arguments and result are plain data.
        """
        __tracebackhide__ = True
        wires = [to_wire(arg) for arg in args]
        fields = {"name": function.__name__, "source": source_of(function), "args": wires}
        return from_wire(self._runtime.ask("run", fields))

    def durable_object(self, binding: str, name: str) -> "DurableObject":
        """The Durable Object called `name`, by its binding in wrangler.jsonc."""
        return DurableObject(self._runtime, self._own(binding, "$object"), name)

    def workflow(self, binding: str) -> "Workflow":
        """A Workflow by its binding in wrangler.jsonc."""
        return Workflow(self._runtime, self._own(binding, "$workflow"))

    def _own(self, binding: str, kind: str) -> dict[str, Any]:
        marker = self.env.get(binding)
        if isinstance(marker, dict) and kind in marker:
            return marker
        key = {"$object": "durable_objects", "$workflow": "workflows"}[kind]
        raise LookupError(f'wrangler.jsonc has no binding "{binding}" in "{key}" to a class here')

    def advance(self, seconds: float) -> None:
        """Move the Worker's clocks forward (time.time, Date.now, time.monotonic) until `load`."""
        self._runtime.ask("advance", {"milliseconds": seconds * 1000})

    @property
    def logs(self) -> list[str]:
        """Lines printed since `load`, from print, logging and console, with tracebacks."""
        lines: list[str] = self._runtime.ask("logs", {})
        return lines

    def hint(self, name: str, misspelt: bool) -> str:
        """What to do where the Worker asked for `env.<name>` and there is none; maybe nothing."""
        return "" if name in self.env else hint(self._runtime.project.config, name, misspelt)

    def last_words(self) -> list[str]:
        """`logs`, or what was last seen of it when the Worker is gone. Ends an endless loop."""
        try:
            self._said = self._runtime.ask("logs", {}, SOON)
        except TimeoutError:
            self._runtime.stop()
        except WorkerError:
            pass
        return self._said

    @property
    def outbound(self) -> list[dict[str, Any]]:
        """HTTP requests the Worker sent since `load`: method, url, headers (pairs)."""
        sent: list[dict[str, Any]] = self._runtime.ask("outbound", {})
        return sent
