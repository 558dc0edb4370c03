# Managed by the private-worker template: do not edit, an update replaces it.
"""Reading the project: wrangler.jsonc with its comments, its blocks, and the guard's own rules."""

import importlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
WRANGLER = ROOT / "wrangler.jsonc"
PLACEHOLDER = "REPLACE_WITH"  # every placeholder that the template renders starts with this

_STRING = r'"(?:\\.|[^"\\\n])*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_STRING}|,(?=\s*[}}\]])")
_SPACE = re.compile(r"\s*")


class Problem(Exception):
    """The command cannot go on. The message is one line for the person who started it."""


class Block(NamedTuple):
    """A part of wrangler.jsonc with settings of its own.

    `path` leads to it from the top, such as ("env", "staging"); `name` is how a person calls it.
    """

    name: str
    path: tuple[str, ...]
    settings: dict[str, Any]


class Config:
    """wrangler.jsonc: JSON with comments and trailing commas.

    https://developers.cloudflare.com/workers/wrangler/configuration/
    Raises Problem when it cannot be read.
    """

    def __init__(self, path: Path = WRANGLER) -> None:
        self.path = path
        try:
            # Line ends and a byte order mark stay as they are, so that `save` gives them back.
            self.text = path.read_bytes().decode("utf-8")
        except OSError as error:
            raise Problem(f"{path.name} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise Problem(f"{path.name} is not UTF-8, at byte {error.start}") from None
        self._parse()

    def _parse(self) -> None:
        # Comments become blanks, so that every position in `plain` is one in `text`.
        plain = self.text.replace("\ufeff", " ", 1) if self.text[:1] == "\ufeff" else self.text
        for pattern in (_COMMENT, _TRAILING_COMMA):
            plain = pattern.sub(_blank, plain)
        self.repeated: list[str] = []  # keys that stand twice in one object
        try:
            self.data = json.loads(plain, object_pairs_hook=self._object)
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise Problem(f"{self.path.name} is not JSON, {where}: {error.msg}") from None
        except RecursionError:
            raise Problem(f"{self.path.name} is nested too deeply") from None
        if not isinstance(self.data, dict):
            raise Problem(f"{self.path.name} must hold one object")
        self._plain = plain

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        self.repeated += sorted({name for name in names if names.count(name) > 1})
        return dict(pairs)

    def blocks(self) -> list[Block]:
        """The top level, `previews` and each environment, as far as they are objects."""
        found = [Block("the top level", (), self.data)]
        environments = self.data.get("env")
        paths = [("previews",)]
        if isinstance(environments, dict):
            paths += [("env", name) for name in environments]
        for path in paths:
            settings = self.get(path)
            if isinstance(settings, dict):
                found.append(Block(".".join(path), path, settings))
        return found

    def block(self, environment: str | None) -> Block:
        """The top level or one environment. Raises Problem when there is none of this name."""
        path = ("env", environment) if environment else ()
        for block in self.blocks():
            if block.path == path:
                return block
        raise Problem(f"--env {environment}: {self.path.name} has no such environment")

    def worker_name(self, environment: str | None) -> str:
        """The Worker's name at Cloudflare. An environment's is `<name>-<environment>`."""
        block, top = self.block(environment), self.data.get("name")
        own = block.settings.get("name")
        name = own or (f"{top}-{environment}" if environment and isinstance(top, str) else top)
        if not isinstance(name, str) or not name:
            raise Problem(f'{self.path.name} has no "name"')
        return name

    def get(self, path: tuple[str, ...]) -> Any:
        """The value at `path`, or None."""
        value: Any = self.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def line(self, path: tuple[str, ...]) -> int:
        """The line of the value at `path`, or of the last part of the path that is there."""
        at = _skip(self._plain, 0)
        for key in path:
            there = _members(self._plain, at)
            if key not in there:
                break
            at = there[key][0]
        return self.text.count("\n", 0, at) + 1

    def put(self, path: tuple[str, ...], value: Any) -> None:
        """Replace the value at `path`, or add it as the first of its object, and nothing else.

        Raises Problem when the object that holds it is missing.
        """
        at = _skip(self._plain, 0)
        for key in path[:-1]:
            there = _members(self._plain, at)
            if key not in there or self._plain[there[key][0]] != "{":
                raise Problem(f'{self.path.name} has no object "{".".join(path[:-1])}": add it')
            at = there[key][0]
        there, key, new = _members(self._plain, at), path[-1], json.dumps(value)
        if key in there:
            start, end = there[key]
        else:
            start = end = at + 1
            first = _skip(self._plain, start)
            gap = self.text[start : start + len(_SPACE.match(self.text, start)[0])]
            new = f"{gap}{json.dumps(key)}: {new}" + ("," if self._plain[first] != "}" else "")
        self.text = self.text[:start] + new + self.text[end:]
        self._parse()

    def save(self) -> None:
        """Write the file whole or not at all."""
        with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as scratch:
            scratch.write(self.text.encode("utf-8"))
        os.chmod(scratch.name, self.path.stat().st_mode)
        os.replace(scratch.name, self.path)


def guard_settings() -> ModuleType:
    """`src/guard/settings.py`, without the rest of the guard, which needs the Worker's runtime."""
    package = ModuleType("guard")
    package.__path__ = [str(ROOT / "src" / "guard")]
    sys.modules["guard"] = package
    return importlib.import_module("guard.settings")


def _blank(match: re.Match[str]) -> str:
    found = match[0]
    return found if found.startswith('"') else re.sub(r"[^\r\n]", " ", found)


def _skip(plain: str, at: int) -> int:
    return _SPACE.match(plain, at).end()


def _members(plain: str, at: int) -> dict[str, tuple[int, int]]:
    """Where the values of the object at `at` start and end; none when there is no object."""
    read = json.JSONDecoder().raw_decode
    found: dict[str, tuple[int, int]] = {}
    while plain[at] in "{,":
        at = _skip(plain, at + 1)
        if plain[at] == "}":
            break
        key, at = read(plain, at)
        start = _skip(plain, _skip(plain, at) + 1)
        _, end = read(plain, start)
        found[key] = (start, end)
        at = _skip(plain, end)
    return found
