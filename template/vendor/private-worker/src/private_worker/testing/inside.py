"""The part of the host that is Python and runs inside Pyodide, next to the Worker.

host.mjs runs this file; nothing imports it. It does what workerd's own Python does around
a Worker (imports it, makes instances, converts arguments and results) and holds the guards that
have to be in Python.
"""

import asyncio
import importlib
import json
import os
import random
import re
import site
import sys
from collections.abc import Callable, Coroutine
from inspect import isawaitable, isclass
from types import FrameType, ModuleType
from typing import Any

# host.mjs makes it: current(), die(reason), hung(id, why), importing()
import _kit_host as host  # type: ignore[import-not-found]
from pyodide.code import relaxed_call  # type: ignore[import-not-found]

# In workerd json.loads survives 5 647 levels of {"a": and 6 593 of [, and a few levels more end
# the isolate for everybody: a stack overflow in WebAssembly, which no `try` can catch. In Node
# the same happens somewhere between 4 900 levels and many more, by version and by what else is
# on the stack, and takes all of Pyodide along. So it is played out here, a little earlier.
DEEPEST_JSON = 4_000

_packages = ""
_place = 0  # of a Worker's folder in sys.path
_mains: dict[str, ModuleType] = {}  # a Worker's name -> its main module


def prepare(metadata: str, packages: str) -> None:
    """Put the Worker's folder and its packages on sys.path and install the guards."""
    global _packages, _place
    _packages = packages
    at = next(i for i, entry in enumerate(sys.path) if "site-packages" in entry)
    sys.path[at:at] = [metadata, packages]
    _place = at
    random.seed()  # the snapshot's numbers would be the same in every run
    site.addsitedir(packages)  # runs the packages' .pth files, as workerd does
    _guard_tasks()
    _guard_json()
    _guard_randomness()


def import_worker(worker: str, folder: str, module: str) -> None:
    """Import a Worker afresh; raises whatever its modules raise.

    Each Worker has its own modules. Only the last one can still import some of them later.
    """
    for name, loaded in list(sys.modules.items()):
        if _is_worker_file(getattr(loaded, "__file__", None) or _folder(loaded)):
            del sys.modules[name]
    importlib.invalidate_caches()
    sys.path[_place] = folder
    _mains.pop(worker, None)
    sys.dont_write_bytecode = False  # compiling is most of the time that a load takes
    try:
        _mains[worker] = importlib.import_module(module)
    finally:
        sys.dont_write_bytecode = True


def _folder(module: ModuleType) -> str:
    # A package without __init__.py has no file, only a path.
    return next(iter(getattr(module, "__path__", ())), "")


def _is_worker_file(name: str) -> bool:
    return name.startswith("/session/") and not name.startswith(_packages + "/")


def entrypoint(worker: str, name: str) -> type[Any]:
    """The entrypoint class `name` of a Worker's main module; TypeError if there is none.

    In workerd a Workflow's class is one, too: another Worker can bind to it.
    """
    from workers import WorkerEntrypoint, WorkflowEntrypoint

    return _exported(worker, name, WorkerEntrypoint, WorkflowEntrypoint)


def instance(name: str, state: Any, env: Any, is_workflow: bool) -> Any:
    """A new instance of a Durable Object or Workflow of the project's own Worker."""
    from workers import DurableObject, WorkflowEntrypoint

    return _exported("", name, WorkflowEntrypoint if is_workflow else DurableObject)(state, env)


def _exported(worker: str, name: str, *kinds: type[Any]) -> type[Any]:
    main = _mains.get(worker)
    found = getattr(main, name, None)
    listed = name in getattr(main, "__all__", [name])  # workerd exports nothing else
    if not (listed and isclass(found) and issubclass(found, kinds)) or name.startswith("_"):
        raise TypeError(f"There is no '{name}' class defined in the Python Worker's main module")
    return found


def make(name: str, source: str) -> Any:
    """What a test puts in the place of a binding: an instance of its class `name`."""
    return _defined(name, source)()


async def run(name: str, source: str, *args: Any) -> Any:
    """Call a test's own function with the Worker's `env` and return its value."""
    from workers import env, python_from_rpc, python_to_rpc

    result = _defined(name, source)(env, *map(python_from_rpc, args))
    return python_to_rpc(await result if isawaitable(result) else result)


def _defined(name: str, source: str) -> Any:
    names: dict[str, Any] = {"__name__": "the_test"}
    exec(compile(source, "the test", "exec"), names)
    return names[name]


async def answer(relaxed: bool, instance: Any, name: str, *args: Any) -> Any:
    """Call a method as workerd does: values converted both ways, fetch with fewer arguments."""
    from workers import python_from_rpc, python_to_rpc

    method = getattr(instance, name)
    converted = [python_from_rpc(arg) for arg in args]
    try:
        result = relaxed_call(method, *converted) if relaxed else method(*converted)
        if isawaitable(result):
            result = await result
    except SystemExit as error:
        host.die(f"SystemExit: {error}")
        raise
    return python_to_rpc(result)


async def handle(instance: Any, name: str, *args: Any) -> Any:
    """Call a handler other than fetch as workerd does: nothing is converted."""
    result = relaxed_call(getattr(instance, name), *args)
    return await result if isawaitable(result) else result


class _Bound(Coroutine[Any, Any, Any]):
    """A task's coroutine that may only be resumed by the request that started the task.

    A Lock, Event, Task or Future kept in a module global is finished by another request, and
    workerd never runs the waiting one again. RuntimeError here, 500 for the client.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._owner = host.current()

    def send(self, value: Any) -> Any:
        now = host.current()
        if now and now != self._owner:
            host.hung(self._owner, "a lock, event, task or future")
            return self.throw(RuntimeError("resumed on behalf of a different request"))
        # With it Python's warning about a coroutine that nobody awaited says where it was made.
        # Every call from JavaScript resets it.
        sys.set_coroutine_origin_tracking_depth(8)
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # cr_frame, cr_running ... for inspect and anyio


def _guard_tasks() -> None:
    loop = asyncio.get_event_loop()
    plain = loop.create_task

    def create_task(coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
        task: Any = plain(_Bound(coroutine) if host.current() else coroutine, **options)
        # A task that ends with its request is normal here and no reason for a log line.
        task._log_destroy_pending = False
        return task

    loop.create_task = create_task  # type: ignore[assignment, method-assign]


class _IsolateGone(BaseException):
    """Not an Exception: no `except Exception` of the Worker may carry on after it."""


def _nesting(text: str) -> int:
    """How deep the brackets outside strings nest, up to just above the limit."""
    if text.count("[") + text.count("{") <= DEEPEST_JSON:
        return 0
    depth = deepest = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[][{}]', text, re.DOTALL):
        if token[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in "]}":
            depth -= 1
    return deepest


def _guard_json() -> None:
    plain = json.JSONDecoder.raw_decode

    def raw_decode(self: json.JSONDecoder, s: str, idx: int = 0) -> tuple[Any, int]:
        if _nesting(s) > DEEPEST_JSON:
            host.die("RangeError: Maximum call stack size exceeded (deeply nested JSON)")
            raise _IsolateGone
        return plain(self, s, idx)

    json.JSONDecoder.raw_decode = raw_decode  # type: ignore[method-assign]


def _asked_by_worker() -> bool:
    """Whether the Worker's own code, maybe through the standard library, is the caller."""
    frame: FrameType | None = sys._getframe(2)
    while frame and frame.f_code.co_filename.startswith("/lib/python"):
        frame = frame.f_back
    return frame is not None and _is_worker_file(frame.f_code.co_filename)


def _guard_randomness() -> None:
    """There are no random numbers at import: every copy of a snapshot would share them.

    Packages are let through, because workerd patches those that need it.
    """

    def guarded(
        function: Callable[..., Any], error: type[Exception], *details: Any
    ) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if host.importing() and _asked_by_worker():
                raise error(*details)
            return function(*args, **options)

        return call

    urandom = guarded(os.urandom, OSError, 29, "I/O error")
    os.urandom = random._urandom = urandom  # type: ignore[attr-defined]
    refusal = "Cannot use random numbers while the Worker is imported"
    for name in random.__all__:
        if not isclass(getattr(random, name)):
            setattr(random, name, guarded(getattr(random, name), RuntimeError, refusal))
