"""The Node process that runs the Worker: one per test session, spoken to in lines of JSON."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from private_worker.deployed import not_deployed, taken
from private_worker.project import Problem

from .needs import PYODIDE, Project, find_node, find_pyodide
from .report import readable

START_TIMEOUT = 120.0  # seconds; the first start takes 5 on a quiet machine, later ones 1
ANSWER_TIMEOUT = 30.0  # seconds


class WorkerError(Exception):
    """An exception that left the Worker.

    `name` is the JavaScript name ("PythonError" for a Python exception), `type` the Python class
    or None, `message` the text: of a Python exception the whole traceback, of which `str` shows
    the project's own part.
    """

    def __init__(self, name: str, type: str | None, message: str) -> None:
        super().__init__(f"{name}: {message}" if type is None else readable(message))
        self.name = name
        self.type = type
        self.message = message


class NeverLoaded(WorkerError):
    """The Worker could not be imported, nor ever before in this session.

    report: for a person; of the traceback only what is the project's own
    missing: the packages that could not be had, which may be the reason
    """

    def __init__(
        self,
        error: WorkerError | TimeoutError,
        timeout: float = ANSWER_TIMEOUT,
        missing: Sequence[str] = (),
    ) -> None:
        if isinstance(error, WorkerError):
            super().__init__(error.name, error.type, error.message)
        else:
            super().__init__("TimeoutError", None, f"it takes more than {timeout:g} s")
        text = readable(self.message)
        # What Pyodide advises for a package that it knows is not for a Worker.
        text, _, advice = text.partition("\nThe module '")
        if known := re.search(r'is included .*micropip\.install\("([^"]+)"', advice, re.DOTALL):
            text += f"\nThat is a package: `uv add --raw {known[1]}` and `uv run pywrangler sync` "
            text += "make it part of the Worker"
        self.missing = missing
        self.report = f"the Worker cannot be imported:\n{text}"


class RpcError(WorkerError):
    """An exception as it reaches the caller of an RPC method."""


class WorkerDied(WorkerError):
    """The isolate is gone: clients get an empty answer until `Worker.load` brings a new one."""


class Cancelled(WorkerError):
    """The request was cancelled, or the Worker was loaded again while it ran."""


class Runtime:
    """The Node process. `start` starts it, `stop` ends it and everything it started."""

    host = Path(__file__).with_name("host.mjs")
    runs = "Pyodide"  # what `start` starts, for a person
    load_timeout = ANSWER_TIMEOUT

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
        settings = self.settings()
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*find_node(), str(self.host)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # a group of its own, see stop()
        )
        self._reader = threading.Thread(target=self._read, args=[self.process], daemon=True)
        self._reader.start()
        try:
            self.send("start", **settings).result(START_TIMEOUT)
        except TimeoutError:
            self.stop()
            raise Problem(f"{self.runs} did not start within {START_TIMEOUT:.0f} s") from None
        except WorkerError as error:
            self.stop()
            if error.name in ("BundleError", "MigrationError"):
                raise Problem(error.message) from None
            lines = error.message.strip().splitlines()
            reason = next((line for line in lines if "Error" in line), lines[-1])
            raise Problem(f"{self.runs} did not start: {reason.strip()}") from None

    def settings(self) -> dict[str, Any]:
        """What the host needs to start. Raises Problem if something is missing."""
        packages = self.project.packages(self.cache)
        self.cache.mkdir(parents=True, exist_ok=True)
        return {
            "pyodide": str(find_pyodide(self.project.root)),
            "snapshot": str(self.cache / f"pyodide-{PYODIDE}.snapshot"),
            "packages": {name: str(file) for name, file in packages.items()},
            "bindings": self.project.stores,
        }

    @property
    def main(self) -> Path:
        """The Worker's main file."""
        return self.project.source / f"{self.project.module}.py"

    def send(self, op: str, **fields: Any) -> "Future[Any]":
        """Send one request; the future's result is its answer or raises a WorkerError."""
        future: Future[Any] = Future()
        with self._lock:
            self._last += 1
            future.id = self._last  # type: ignore[attr-defined]
            self._waiting[self._last] = future
            line = json.dumps({"id": self._last, "op": op, **fields})
            if self.process is None:
                self._fail(self._last, WorkerDied("Died", None, "the Node process was ended"))
                return future
            try:
                assert self.process.stdin
                self.process.stdin.write(line.encode() + b"\n")
                self.process.stdin.flush()
            except OSError:  # Node is gone
                self._fail(self._last, self._death())
        return future

    def ask(self, op: str, fields: Mapping[str, Any], timeout: float = ANSWER_TIMEOUT) -> Any:
        """Send one request and wait for its answer. Raises WorkerError and TimeoutError."""
        __tracebackhide__ = True
        try:
            return self.send(op, **fields).result(timeout)
        except WorkerError as error:
            raise error.with_traceback(None) from None  # without how it got here

    def load(self, **fields: Any) -> None:
        """Load the Worker; starts Node if it does not run (any more).

        Raises WorkerError if the import fails, and NeverLoaded if every import before it did.
        """
        if self.process is None or self.process.poll() is not None:
            self.stop()
            self.start()
        fields["main"] = str(self.main)
        fields["files"], left_out = taken(self.project.source, self.project.rules)
        fields["left_out"] = {name: not_deployed(name) for name in left_out}
        try:
            try:
                self.send("load", **fields).result(self.load_timeout)
            except TimeoutError:  # the last test left an endless loop: Node hears nothing any more
                self.stop()
                self.start()
                self.send("load", **fields).result(self.load_timeout)
        except (WorkerError, TimeoutError) as error:
            if self._loaded:
                raise
            raise NeverLoaded(error, self.load_timeout, self.project.missing) from None
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
                message = json.loads(line)
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


def _worker_error(error: dict[str, Any]) -> Exception:
    name, type_, message = error["name"], error["type"], error["message"]
    if error["kind"] == "usage":
        return ValueError(message)
    classes = {"died": WorkerDied, "cancelled": Cancelled}
    return classes.get(error["kind"], WorkerError)(name, type_, message)
