"""Compile each template text once per process. Copier does it anew for each copy, which takes two
thirds of the time. Where Copier runs as a command it is as it is."""

from collections.abc import Callable
from typing import Any

import jinja2


def once() -> Callable[..., Any]:
    """For jinja2.Environment.compile."""
    real = jinja2.Environment.compile
    compiled: dict[Any, Any] = {}

    def compile(self: jinja2.Environment, source: Any, *arguments: Any, **more: Any) -> Any:
        key = (type(self), source, arguments[:1], tuple(sorted(more.items())))
        if not isinstance(source, str):
            return real(self, source, *arguments, **more)
        if key not in compiled:
            compiled[key] = real(self, source, *arguments, **more)
        return compiled[key]

    return compile
