"""The part of the host that is Python and runs inside Pyodide, next to the Worker.

host.mjs runs this file; nothing imports it. It does what workerd's own Python does around
a Worker (imports it, makes instances, converts arguments and results) and holds the guards that
have to be in Python.
"""

import asyncio
import builtins
import errno
import gc
import importlib
import io
import json
import logging
import os
import random
import re
import shutil
import site
import socket
import sys
import warnings
from collections.abc import Callable, Coroutine
from functools import wraps
from importlib.machinery import FileFinder
from inspect import isawaitable, isclass
from types import ModuleType
from typing import Any

# host.mjs makes it: current(), die(reason), hung(id, why), importing()
import _kit_host as host  # type: ignore[import-not-found]
import js  # type: ignore[import-not-found]
from _cloudflare import allow_entropy, import_patch_manager  # type: ignore[import-not-found]
from pyodide.code import relaxed_call  # type: ignore[import-not-found]
from pyodide.ffi import JsException, JsProxy  # type: ignore[import-not-found]

# In workerd json.loads survives 5 647 levels of {"a": and 6 593 of [, and a few levels more end
# the isolate for everybody: a stack overflow in WebAssembly, which no `try` can catch. In Node
# the same happens somewhere between 4 900 levels and many more, by version and by what else is
# on the stack, and takes all of Pyodide along. So it is played out here, a little earlier.
DEEPEST_JSON = 4_000

HOME = "/session"  # in workerd as well
KEPT = ("/session/metadata", "/session/beside")

_environment: dict[str, str] = {}
_path: list[str] = []
_filters: list[Any] = []
_left_out: dict[str, str] = {}
_packages = ""
_place = 0  # of a Worker's folder in sys.path
_mains: dict[str, ModuleType] = {}  # a Worker's name -> its main module


def prepare(metadata: str, packages: str) -> None:
    """Put the Worker's folder and its packages on sys.path and install the guards."""
    global _packages, _place
    _packages = packages
    at = next(i for i, entry in enumerate(sys.path) if "site-packages" in entry)
    sys.path.insert(at, packages)
    random.seed()  # the snapshot's numbers would be the same in every run
    _guard_randomness()
    site.addsitedir(packages)  # runs the packages' .pth files, as workerd does
    # Last, as in workerd: a package's module hides the Worker's own of that name.
    _place = len(sys.path)
    sys.path.append(metadata)
    sys.pycache_prefix = "/lib/bytecode"  # the Worker's own folder is read-only
    _guard_tasks()
    _guard_locks()
    _guard_json()
    _guard_files()
    _guard_processes_and_sockets()
    _environment.update(os.environ)
    _path.extend(sys.path)
    _filters.extend(warnings.filters)


def renew(left_out: dict[str, str]) -> None:
    """A new isolate: what the Worker before has left is gone.

    left_out: files that no deploy takes along -> what to say to whoever opens them.
    """
    global _left_out
    _left_out = left_out
    _stuck.clear()
    if os.environ != _environment:
        os.environ.clear()
        os.environ.update(_environment)
    os.chdir(HOME)
    for folder in (HOME, "/tmp"):
        for entry in os.scandir(folder):
            if entry.path in KEPT:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    _undo_setup()


def _undo_setup() -> None:
    """Python's own modules stay imported: forget what Workers often set up in them."""
    sys.path[:] = _path
    random.seed()
    warnings.resetwarnings()
    filters: Any = warnings.filters  # a list, in which C looks as well
    filters[:] = _filters
    logging.disable(logging.NOTSET)
    root = logging.getLogger()
    for logger in (root, *root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):  # and not only part of a name
            logger.setLevel(logging.WARNING if logger is root else logging.NOTSET)
            logger.disabled, logger.propagate, logger.filters[:] = False, True, []
            # Packages put the null handler there, once.
            logger.handlers[:] = [h for h in logger.handlers if type(h) is logging.NullHandler]


def import_worker(worker: str, folder: str, module: str) -> str | None:
    """Import a Worker afresh; raises whatever its modules raise.

    Each Worker has its own modules. Only the last one can still import some of them later. Returns
    the place of a JavaScript object that no deploy can keep, such as "`name` in src/api.py".
    """
    _forget_modules()
    for place, finder in sys.path_importer_cache.items():
        # Python and the packages are as they were.
        if not place.startswith(("/lib/", _packages)) and isinstance(finder, FileFinder):
            finder.invalidate_caches()
    sys.path[_place] = folder
    _mains.pop(worker, None)
    sys.dont_write_bytecode = False  # compiling is most of the time that a load takes
    host.beforeImport()
    try:
        _mains[worker] = importlib.import_module(module)
        js.Date.now()  # Pyodide holds the object whose method was called last
        if not host.foundUnnamed():
            return None
        gc.collect()  # which some of them may only have waited for
        return _keeper() if host.foundUnnamed() else None
    finally:
        sys.dont_write_bytecode = True
        host.afterImport()


def imported() -> None:
    """The import is over, and with it what is refused in it."""
    import_patch_manager.finish()


def _keeper() -> str:
    seen = {id(vars(module)) for module in sys.modules.values() if hasattr(module, "__dict__")}
    own, others = [], []  # a Worker can put something into Python's own modules, too
    for name, module in sys.modules.items():
        file = getattr(module, "__file__", None) or ""
        if file.startswith("/session/"):
            path = file.removeprefix(_packages + "/").replace("/session/metadata/", "src/")
            own.append((path, module))
        else:
            others.append((name, module))
    for place, module in own + others:
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if not name.startswith("__") and _leads_to_unnamed(value, seen):
                return f"`{name}` in {place}"
    return "of some module"


def _leads_to_unnamed(start: Any, seen: set[int]) -> bool:
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, ModuleType):
            continue
        seen.add(id(value))
        if isinstance(value, JsProxy) and host.isUnnamed(value):
            return True
        waiting += gc.get_referents(value)
        if isinstance(value, JsException):
            waiting.append(value.js_error)
    return False


def _forget_modules() -> None:
    for name, loaded in list(sys.modules.items()):
        if _is_worker_file(getattr(loaded, "__file__", None) or _folder(loaded)):
            del sys.modules[name]


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
    workerd never runs the waiting one again: 500 for its client.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._owner = host.current()
        self._waits_for: Any = None

    def send(self, value: Any) -> Any:
        now = host.current()
        if now and now != self._owner:
            host.hung(self._owner, "a lock, event, task or future")
            return self._never()
        # With it Python's warning about a coroutine that nobody awaited says where it was made.
        # Every call from JavaScript resets it.
        sys.set_coroutine_origin_tracking_depth(8)
        self._waits_for = self._coroutine.send(value)
        return self._waits_for

    def throw(self, *error: Any) -> Any:
        now = host.current()
        if now and now != self._owner and not isinstance(error[0], asyncio.CancelledError):
            host.hung(self._owner, "a lock, event, task or future")
            return self._never()
        self._waits_for = self._coroutine.throw(*error)
        return self._waits_for

    def _never(self) -> Any:
        # Kept, or the end of the coroutine would run what the Worker has in `finally`.
        _stuck.append(self)
        future = asyncio.get_running_loop().create_future()
        future._asyncio_future_blocking = True
        return future

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # cr_frame, cr_running ... for inspect and anyio


_stuck: list[_Bound] = []


def _guard_locks() -> None:
    """A lock stays with the one that was woken and never went on, so nobody gets it any more."""

    def guarded(plain: Callable[..., Any]) -> Callable[..., Any]:
        async def acquire(self: Any) -> Any:
            dead = {id(each._waits_for) for each in _stuck}
            if dead and any(id(waiter) in dead for waiter in self._waiters or ()):
                host.hung(host.current(), "a lock that belongs to code")
                await asyncio.get_running_loop().create_future()
            return await plain(self)

        return acquire

    for kind in (asyncio.Lock, asyncio.Semaphore):
        kind.acquire = guarded(kind.acquire)  # type: ignore[method-assign]


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
    for token in re.finditer(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[][{}]', text, re.DOTALL):
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


def _guard_randomness() -> None:
    plain, seed = os.urandom, random.Random.seed

    def urandom(size: int) -> bytes:
        allow_entropy.take()
        return plain(size)

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        # Names of temporary files need no secret.
        if a is None and sys._getframe(2).f_globals["__name__"] != "tempfile":
            allow_entropy.take()
        seed(self, a, version)

    os.urandom = random._urandom = urandom  # type: ignore[attr-defined]
    random.Random.seed = seeded  # type: ignore[method-assign]
    import_patch_manager.block_calls(random)
    import_patch_manager.register_exec_patch(
        "multiprocessing.process", lambda module: allow_entropy.allow_bad_entropy_calls(1)
    )
    sys.meta_path.insert(0, import_patch_manager.Finder())


def _guard_processes_and_sockets() -> None:
    """Under Node, Emscripten runs commands and opens WebSockets, past all routes of a test."""
    os.system = lambda command: -1  # as where there is no shell

    def refused(name: str) -> Callable[..., Any]:
        def call(self: socket.socket, *args: Any) -> Any:
            if host.importing():
                message = f"Disallowed operation called within global scope: socket.{name}"
                raise OSError(errno.EIO, message)
            where = f" to {args[-1]}" if args else ""
            message = f"no socket{where}: tests have no network"
            print(message)  # some libraries hide the exception
            raise OSError(errno.EHOSTUNREACH, message)

        return call

    for name in ("connect", "connect_ex", "listen", "sendto", "sendmsg"):
        setattr(socket.socket, name, refused(name))


def _guard_files() -> None:
    """Say it where a file is missing that is in src/, because no deploy takes it along."""
    plain_open, plain_stat = io.open, os.stat

    @wraps(plain_open)
    def opened(file: Any, *args: Any, **options: Any) -> Any:
        try:
            return plain_open(file, *args, **options)
        except FileNotFoundError as error:
            if note := _missing(file):
                error.add_note(note)
            raise

    @wraps(plain_stat)
    def stat(path: Any, *args: Any, **options: Any) -> Any:
        try:
            return plain_stat(path, *args, **options)
        except FileNotFoundError:
            if note := _missing(path):
                print(note)
            raise

    builtins.open = io.open = opened
    os.stat = stat


def _missing(file: Any) -> str | None:
    if not _left_out or not isinstance(file, str | os.PathLike):
        return None
    return _left_out.get(os.path.abspath(file))
