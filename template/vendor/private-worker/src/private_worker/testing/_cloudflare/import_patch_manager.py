"""Patches of packages, each in effect when the package is imported together with the Worker.

As in workerd, a package that a handler imports later is not patched any more.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from importlib.machinery import ModuleSpec
from inspect import isclass
from types import ModuleType
from typing import Any

import _kit_host as host  # type: ignore[import-not-found]

_patches: dict[str, dict[str, Callable[..., Any]]] = defaultdict(dict)
_imported: list[tuple[str, ModuleType]] = []  # patched modules since `finish`


def _register(kind: str) -> Callable[..., Any]:
    def register(name: str, patch: Callable[..., Any] | None = None) -> Any:
        if patch is None:
            return lambda given: register(name, given)
        _patches[name][kind] = patch
        return patch

    return register


register_create_patch = _register("create")
register_exec_patch = _register("exec")
register_after_snapshot = _register("after_snapshot")
register_before_first_request = _register("before_first_request")


def block_calls(module: ModuleType, *, allowlist: Collection[str] = ()) -> None:
    """Refuse calls of the module's functions while the Worker is imported."""
    for name, function in list(vars(module).items()):
        public = not name.startswith("_") and name not in allowlist
        if public and callable(function) and not isclass(function):
            setattr(module, name, _blocked(f"{module.__name__}.{name}", function))


def _blocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if host.importing():
            raise RuntimeError(f"Cannot use {name}() outside of request context")
        return function(*args, **options)

    return call


class _Loader:
    def __init__(self, name: str, real: Any) -> None:
        self._name, self._real = name, real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _patch(self, kind: str, given: Any) -> AbstractContextManager[Any]:
        patch = _patches[self._name].get(kind, nullcontext)
        context: AbstractContextManager[Any] = patch(given)
        return context

    def create_module(self, spec: ModuleSpec) -> Any:
        with self._patch("create", spec):
            return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        _imported.append((self._name, module))
        with self._patch("exec", module):
            self._real.exec_module(module)


class Finder:
    """Finds modules that have a patch, and has it applied."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name not in _patches or not host.importing():
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec), None)
        if spec:
            spec.loader = _Loader(name, spec.loader)  # type: ignore[assignment]
        return spec


def finish() -> None:
    """The Worker has been imported: call what is registered for after that."""
    while _imported:
        name, module = _imported.pop()
        for kind in ("after_snapshot", "before_first_request"):
            if handler := _patches[name].get(kind):
                handler(module)
