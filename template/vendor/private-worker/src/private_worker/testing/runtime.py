"""Runs the Worker: one Node process per test session, `Worker` is what a test holds of it."""

import base64
import json as jsonlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from private_worker.project import Problem

from .needs import Project, find_node, find_pyodide

START_TIMEOUT = 120.0  # seconds; 2 to 3 on a quiet machine, more on a busy one
ANSWER_TIMEOUT = 30.0  # seconds
ORIGIN = "https://worker.example.com"  # of the requests a test sends by path

Pairs = Mapping[str, str] | list[tuple[str, str]]


class WorkerError(Exception):
    """An exception that left the Worker.

    `name` is the JavaScript name ("PythonError" for a Python exception), `type` the Python class
    or None, `message` the text: of a Python exception the whole traceback.
    """

    def __init__(self, name: str, type: str | None, message: str) -> None:
        super().__init__(f"{name}: {message}" if type is None else message)
        self.name = name
        self.type = type
        self.message = message


class NeverLoaded(WorkerError):
    """The Worker could not be imported, nor ever before in this session.

    `report` is for a person: of the traceback only what lies in `source`, the Worker's folder.
    """

    def __init__(self, error: WorkerError | TimeoutError, source: Path) -> None:
        if isinstance(error, WorkerError):
            super().__init__(error.name, error.type, error.message)
        else:
            super().__init__("TimeoutError", None, f"it takes more than {ANSWER_TIMEOUT:g} s")
        text = _own_frames(self.message, source.name)
        # What Pyodide advises for a package that it knows is not for a Worker.
        text, _, advice = text.partition("\nThe module '")
        if known := re.search(r'is included .*micropip\.install\("([^"]+)"', advice, re.DOTALL):
            text += f"\nThat is a package: `uv add {known[1]}` makes it part of the Worker"
        self.report = f"the Worker cannot be imported:\n{text}"


class RpcError(WorkerError):
    """An exception as it reaches the caller of an RPC method."""


class WorkerDied(WorkerError):
    """The isolate is gone: clients get an empty answer until `Worker.load` brings a new one."""


class Cancelled(WorkerError):
    """The request was cancelled, or the Worker was loaded again while it ran."""


class Headers(Mapping[str, str]):
    """Response headers; case does not matter. Repeated ones are joined, `get_all` keeps them."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = [(name.lower(), value) for name, value in pairs]

    def get_all(self, name: str) -> list[str]:
        """Every value, in order; for Set-Cookie."""
        return [value for key, value in self.pairs if key == name.lower()]

    def __getitem__(self, name: str) -> str:
        if values := self.get_all(name):
            return ", ".join(values)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(dict(self.pairs))

    def __repr__(self) -> str:
        return f"Headers({self.pairs})"


class Response:
    """What an HTTP client gets. `error` is the exception behind a bare 500, else None."""

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        error: WorkerError | None = None,
    ) -> None:
        self.status = status
        self.headers = Headers(headers)
        self.body = body
        self.error = error

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return jsonlib.loads(self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.body[:200]!r}>"


def to_wire(value: Any) -> Any:
    """A Python value as JSON for the host; bytes, sets, dates and big integers are marked."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else {"$kit": "int", "value": str(value)}
    if isinstance(value, float):
        finite = value - value == 0
        names = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
        return value if finite else {"$kit": "float", "value": names[str(value)]}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$kit": "bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"$kit": "date", "value": value.timestamp() * 1000}
    if isinstance(value, set | frozenset):
        return {"$kit": "set", "value": [to_wire(item) for item in value]}
    if isinstance(value, list):
        return [to_wire(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_wire(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} cannot be sent over RPC")


def from_wire(wire: Any) -> Any:
    """The other way round; undefined becomes None."""
    if isinstance(wire, list):
        return [from_wire(item) for item in wire]
    if not isinstance(wire, dict):
        return wire
    match wire.get("$kit"):
        case None:
            return {key: from_wire(value) for key, value in wire.items()}
        case "undefined":
            return None
        case "bytes":
            return base64.b64decode(wire["value"])
        case "int":
            return int(wire["value"])
        case "float":
            return float(wire["value"].replace("Infinity", "inf"))
        case "date":
            return datetime.fromtimestamp(wire["value"] / 1000, UTC)
        case "set":
            return {from_wire(item) for item in wire["value"]}
        case "map":
            return {from_wire(key): from_wire(value) for key, value in wire["value"]}
        case "error":
            return Exception(wire["value"])
        case "response":
            return Response(wire["status"], wire["headers"], base64.b64decode(wire["body"]))
    raise TypeError(f"a {wire['$kit']} cannot be received")


class Runtime:
    """The Node process. `start` starts it, `stop` ends it and everything it started."""

    def __init__(self, project: Project, cache: Path) -> None:
        self.project = project
        self.cache = cache
        self.process: subprocess.Popen[bytes] | None = None
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._last = 0
        self._loaded = False  # whether it ever could be

    def start(self) -> None:
        """Start Node and Pyodide; raises Problem if something is missing."""
        packages = self.project.packages(self.cache)
        pyodide = find_pyodide(self.project.root)
        host = Path(__file__).with_name("host.mjs")
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*find_node(), str(host)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # a group of its own, see stop()
        )
        self._reader = threading.Thread(target=self._read, args=[self.process], daemon=True)
        self._reader.start()
        files = {name: str(file) for name, file in packages.items()}
        started = self.send("start", pyodide=str(pyodide), packages=files)
        try:
            started.result(START_TIMEOUT)
        except TimeoutError:
            self.stop()
            raise Problem(f"Pyodide did not start within {START_TIMEOUT:.0f} s") from None
        except WorkerError as error:
            self.stop()
            lines = error.message.strip().splitlines()
            reason = next((line for line in lines if "Error" in line), lines[-1])
            raise Problem(f"Pyodide did not start: {reason.strip()}") from None

    def send(self, op: str, **fields: Any) -> "Future[Any]":
        """Send one request; the future's result is its answer or raises a WorkerError."""
        future: Future[Any] = Future()
        with self._lock:
            self._last += 1
            future.id = self._last  # type: ignore[attr-defined]
            self._waiting[self._last] = future
            line = jsonlib.dumps({"id": self._last, "op": op, **fields})
            try:
                assert self.process and self.process.stdin
                self.process.stdin.write(line.encode() + b"\n")
                self.process.stdin.flush()
            except OSError:  # Node is gone
                self._fail(self._last, self._death())
        return future

    def load(self, **fields: Any) -> None:
        """Load the Worker; starts Node if it does not run (any more).

        Raises WorkerError if the import fails, and NeverLoaded if every import before it did.
        """
        if self.process is None or self.process.poll() is not None:
            self.stop()
            self.start()
        fields["main"] = str(self.project.source / f"{self.project.module}.py")
        try:
            try:
                self.send("load", **fields).result(ANSWER_TIMEOUT)
            except TimeoutError:  # the last test left an endless loop: Node hears nothing any more
                self.stop()
                self.start()
                self.send("load", **fields).result(ANSWER_TIMEOUT)
        except (WorkerError, TimeoutError) as error:
            if self._loaded:
                raise
            raise NeverLoaded(error, self.project.source) from None
        self._loaded = True

    def stop(self) -> None:
        """End the process group: a `node` on PATH may be a script with the real one below it."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.stdin:
            try:
                process.stdin.close()  # the host exits at the end of its input
            except OSError:
                pass
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            pass
        if hasattr(os, "killpg"):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except OSError:
                pass  # all of the group has exited
        else:
            process.kill()
        process.wait()
        self._reader.join()
        self._errors.close()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                message = jsonlib.loads(line)
                if error := message.get("error"):
                    self._fail(message["id"], _worker_error(error))
                elif future := self._waiting.pop(message["id"], None):
                    future.set_result(message["ok"])
        process.wait()
        death = self._death()
        for waiting in list(self._waiting):
            self._fail(waiting, death)

    def _fail(self, waiting: int, error: Exception) -> None:
        if future := self._waiting.pop(waiting, None):
            future.set_exception(error)

    def _death(self) -> WorkerDied:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()[-2000:]
        return WorkerDied("Died", None, said or "the Node process has ended")


def _own_frames(traceback: str, folder: str) -> str:
    """A traceback from inside Pyodide without what is not the Worker's, with paths from here."""
    kept, keep = [], True
    for line in traceback.strip().splitlines():
        if frame := re.match(r'  File "(.+?)", line ', line):
            path = frame[1].removeprefix("/session/metadata/")
            keep = path != frame[1] and not path.startswith("python_modules/")
            line = line.replace(frame[1], f"{folder}/{path}", 1)
        elif not line.startswith("    "):
            keep = not line.startswith("Traceback ")
        if keep:
            kept.append(line)
    return "\n".join(kept)


def _worker_error(error: dict[str, Any]) -> Exception:
    name, type_, message = error["name"], error["type"], error["message"]
    if error["kind"] == "usage":
        return ValueError(message)
    classes = {"died": WorkerDied, "cancelled": Cancelled}
    return classes.get(error["kind"], WorkerError)(name, type_, message)


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
                f"the Worker did not answer within {timeout:g} s; if it waits for something nobody "
                "finishes, workerd would cancel the request with 500"
            ) from None
        except (WorkerDied, Cancelled):
            raise
        except WorkerError as error:
            # workerd tells HTTP clients nothing; the traceback only goes to the log.
            kind = ("content-type", "text/plain;charset=UTF-8")
            return Response(500, [kind], b"Internal Server Error", error)
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
        self.env = env
        self.routes = routes
        self.load()

    def load(
        self,
        *,
        env: dict[str, Any] | None = None,
        routes: dict[str, str] | None = None,
        beside: Mapping[str, OtherWorker] | None = None,
    ) -> None:
        """Import the Worker again, with another `env` or other `routes` if given.

        env: name -> str or any JSON value; `{"$entrypoint": "Internal", "props": {…}}` is a
        service binding to this Worker itself, `{"$fetcher": "http://127.0.0.1:8000"}` a binding
        that sends real HTTP requests to that origin, such as a VPC service.
        routes: origin the Worker asks for -> origin of the local server that answers. Any other
        origin is an error: tests have no network.
        beside: other Workers by name, for `scheduled` and `fetch` with `worker=`. They share the
        clock, the logs and the routes. Without it there are none.
        Clock, logs and outbound requests start anew. Raises WorkerError if the import fails.
        """
        self.env = self.env if env is None else env
        self.routes = self.routes if routes is None else routes
        others = [
            {"name": name, "main": str(other.main), "env": other.env}
            for name, other in (beside or {}).items()
        ]
        self._runtime.load(env=self.env, routes=self.routes, beside=others)

    def start(
        self,
        path_or_url: str = "/",
        *,
        method: str = "GET",
        headers: Pairs | None = None,
        body: bytes | str | None = None,
        access: dict[str, Any] | None = None,
        entrypoint: str = "Default",
        props: dict[str, Any] | None = None,
        worker: str = "",
    ) -> Pending:
        """Send an HTTP request and do not wait. Arguments as for `fetch`."""
        url = ORIGIN + path_or_url if path_or_url.startswith("/") else path_or_url
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers or []
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
        """Send an HTTP request: method, headers (dict or pairs), body, access, entrypoint, props.

        worker: the name of one beside this project's, see `load`.

        access: what Cloudflare Access tells the runtime, `{"aud": "…", "identity": {…} or None}`;
        it becomes `ctx.access`. None: Access did not authenticate the request.
        A Worker that raises answers a bare 500 and `Response.error` holds the exception.
        """
        return self.start(path_or_url, **request).result(timeout)

    def fetch_all(
        self, requests: list[dict[str, Any]], *, timeout: float = ANSWER_TIMEOUT
    ) -> list[Response]:
        """Send all at once and wait for all. Each is the arguments of `fetch` as a dict."""
        return [pending.result(timeout) for pending in [self.start(**each) for each in requests]]

    def listen(self, *, entrypoint: str = "Default", props: dict[str, Any] | None = None) -> str:
        """Open a real HTTP address of the Worker, until `load`. Returns its origin.

        Bodies stream both ways there, while `fetch` holds them whole. Whatever the address, the
        Worker sees requests to its usual one.
        """
        future = self._runtime.send("listen", origin=ORIGIN, entrypoint=entrypoint, props=props)
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
        future = self._runtime.send(
            "call",
            method=method,
            args=[to_wire(arg) for arg in args],
            entrypoint=entrypoint,
            props=props,
        )
        try:
            return from_wire(future.result(timeout))
        except (WorkerDied, Cancelled):
            raise
        except WorkerError as error:
            raise RpcError(error.name, error.type, error.message) from None

    def scheduled(
        self, cron: str = "* * * * *", *, worker: str = "", timeout: float = ANSWER_TIMEOUT
    ) -> None:
        """Run the `scheduled` handler as a Cron Trigger does. WorkerError for what it raises."""
        self._runtime.send("scheduled", cron=cron, worker=worker).result(timeout)

    def advance(self, seconds: float) -> None:
        """Move the Worker's clocks forward (time.time, Date.now, time.monotonic) until `load`."""
        self._runtime.send("advance", milliseconds=seconds * 1000).result(ANSWER_TIMEOUT)

    @property
    def logs(self) -> list[str]:
        """Lines printed since `load`, from print, logging and console, with tracebacks."""
        lines: list[str] = self._runtime.send("logs").result(ANSWER_TIMEOUT)
        return lines

    @property
    def outbound(self) -> list[dict[str, Any]]:
        """HTTP requests the Worker sent since `load`: method, url, headers (pairs)."""
        sent: list[dict[str, Any]] = self._runtime.send("outbound").result(ANSWER_TIMEOUT)
        return sent
