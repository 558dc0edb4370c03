"""Copier with less work for the same result: in the process of the tests, as `uvx copier`, and in a
script that renders, whose path stands in the place of `copier`."""

import hashlib
import marshal
import os
import runpy
import sys
from collections.abc import Callable
from functools import cached_property
from inspect import getattr_static
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
import yaml
from copier._main import Worker

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "model"))

import compiled  # noqa: E402

if __name__ == "__main__":
    del sys.path[0]


KEPT = "PRIVATE_WORKER_COMPILED"  # the folder where processes find what others have compiled


def kept(folder: Path) -> Callable[..., Any]:
    """For jinja2.Environment.compile: each text once for all processes of a test run."""
    real = jinja2.Environment.compile

    def compile(self: jinja2.Environment, source: Any, *arguments: Any, **more: Any) -> Any:
        if not isinstance(source, str):
            return real(self, source, *arguments, **more)
        key = repr((type(self), source, arguments[:1], sorted(more.items())))
        file = folder / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        if file.exists():
            return marshal.loads(file.read_bytes())
        found = real(self, source, *arguments, **more)
        if isinstance(found, CodeType):
            scratch = file.with_suffix(f".{os.getpid()}")
            scratch.write_bytes(marshal.dumps(found))
            scratch.replace(file)
        return found

    return compile


def make(setting: Callable[[Any, str, Any], None]) -> None:
    """Each text is compiled once, YAML is read in C, and the name of the answers file is not made
    anew for each file. Nor is git asked for each file whether it keeps modes: no file of the
    template is executable, which test_repository.py sees to. `setting` is like setattr."""
    if folder := os.environ.get(KEPT):
        setting(jinja2.Environment, "compile", kept(Path(folder)))
    setting(jinja2.Environment, "compile", compiled.once())
    setting(yaml, "SafeLoader", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    name = cached_property(getattr_static(Worker, "answers_relpath").fget)
    name.__set_name__(Worker, "answers_relpath")
    setting(Worker, "answers_relpath", name)
    setting(Worker, "_sync_git_index_executable_bit", lambda *given: None)


def uvx(folder: Path) -> str:
    """Put `uvx` into a folder, where it is the Copier that is installed here, without network.
    Gives a PATH with the folder in front."""
    folder.mkdir(exist_ok=True)
    script = folder / "uvx"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])


if __name__ == "__main__":
    make(setattr)
    sys.argv.pop(0)
    if sys.argv[0] == "copier":
        runpy.run_module("copier", run_name="__main__")
    else:
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
