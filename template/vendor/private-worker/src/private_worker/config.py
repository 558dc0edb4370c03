"""wrangler.jsonc: read as wrangler reads it, with the place of each value, and written back.

https://developers.cloudflare.com/workers/wrangler/configuration/
"""

import json
import os
import re
import shutil
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .project import Problem
from .text import plain, read

PLACEHOLDER = "REPLACE_WITH"  # every placeholder that the template renders starts with this

STRING = r'"(?:\\[^\n]|[^"\\\n])*"'
# The last is what does not end: without it, each further quote would be tried to the end.
_COMMENT = re.compile(rf'{STRING}|//[^\r\n]*|/\*.*?\*/|(?P<open>"|/\*)', re.DOTALL)
# A comma before the end of a list or object, but not one that has nothing before it.
_TRAILING_COMMA = re.compile(rf"{STRING}|[\[{{,:]\s*,|,(?=\s*[}}\]])")
# A key, or else a value or one character between values.
_TOKEN = re.compile(rf"({STRING})\s*:|{STRING}|[\[\]{{}},]|[^\s\[\]{{}},]+")

# The way to a value from the top of wrangler.jsonc. A number counts a list's items, from 0.
Way = tuple[str | int, ...]


class Block(NamedTuple):
    """A part of wrangler.jsonc with settings of its own."""

    name: str  # for a person
    path: tuple[str, ...]  # the way to it from the top, such as ("env", "staging")
    settings: dict[str, Any]

    @property
    def is_previews(self) -> bool:
        return len(self.path) in (1, 3)  # ("previews",) or ("env", "staging", "previews")

    @property
    def vars(self) -> dict[str, Any]:
        return self.object("vars")

    def object(self, key: str) -> dict[str, Any]:
        """What stands in an object; nothing when it is no object."""
        found = self.settings.get(key)
        return found if isinstance(found, dict) else {}

    def items(self, *path: str) -> list[Any]:
        """What stands in a list; nothing when it is no list."""
        found: Any = self.settings
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, list) else []


class Route(NamedTuple):
    """One item of `routes`, or `route`.

    https://developers.cloudflare.com/workers/configuration/routing/
    """

    way: Way  # from the block on: ("routes", 0) or ("route",)
    pattern: str  # such as "api.example.com/*"; "" when it has none
    fields: dict[str, Any]  # {} when it is a pattern alone
    value: Any  # as it stands there


class Config:
    """JSON with comments, trailing commas and perhaps a byte order mark.

    `data` is what it holds. Raises Problem when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Line ends and a byte order mark stay as they are, so that `save` gives them back.
        self.text = read(path)
        self._parse()

    def _parse(self) -> None:
        # Comments become blanks: a position in `plain` is one in `text`.
        plain = " " + self.text[1:] if self.text[:1] == "\ufeff" else self.text
        try:
            for pattern in (_COMMENT, _TRAILING_COMMA):
                plain = pattern.sub(_blank, plain)
            # `int` refuses NaN and Infinity, which Python would take and wrangler does not.
            self.data = json.loads(plain, object_pairs_hook=_object, parse_constant=int)
        except (ValueError, RecursionError) as error:
            wrong = f"is not JSON: {error}"
            if merge := re.search(r"^(<{7}|={7}|>{7})( |\r?$)", self.text, re.MULTILINE):
                line = self.text.count("\n", 0, merge.start()) + 1
                wrong = f"is half merged, line {line}. To find all: git grep -n '^<<<<<<<'"
            raise Problem(f"{self.path.name} {wrong}") from None
        if not isinstance(self.data, dict):
            raise Problem(f"{self.path.name} must hold one object")
        self.plain, self._places = plain, _places(plain)
        self._line_ends = [match.start() for match in re.finditer("\n", plain)]
        if max(map(len, self._places)) > 64:  # more than Python can follow would be a traceback
            raise Problem(f"{self.path.name} is nested too deeply")

    def blocks(self) -> list[Block]:
        """The top level and each environment, each with its `previews`, as far as they are objects.

        An environment without `previews` of its own inherits those of the top level.
        """
        environments, found = self.data.get("env"), []
        paths: list[tuple[str, ...]] = [(), ("previews",)]
        for name in environments if isinstance(environments, dict) else ():
            paths += [("env", name), ("env", name, "previews")]
        for path in paths:
            settings = self.get(path)
            if isinstance(settings, dict):
                found.append(Block(".".join(path) or "the top level", path, settings))
        return found

    def block(self, environment: str | None) -> Block:
        """The top level or one environment. Raises Problem when there is none of this name."""
        path = ("env", environment) if environment else ()
        for block in self.blocks():
            if block.path == path:
                return block
        raise Problem(f"--env {plain(environment)}: {self.path.name} has no such environment")

    def inherited(self, environment: str | None) -> dict[str, Any]:
        """A block's settings over those of the top level. Raises Problem.

        Right for routes, workers_dev and preview_urls; vars and bindings are not inherited.
        """
        return {**self.data, **self.block(environment).settings}

    def worker_name(self, environment: str | None) -> str:
        """The Worker's name at Cloudflare. An environment's is `<name>-<environment>`."""
        own, top = self.block(environment).settings.get("name"), self.data.get("name")
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

    def line(self, path: Way) -> int:
        """The line of the value at `path`, or of the last part of the path that is there."""
        while path not in self._places:
            path = path[:-1]
        return self.line_at(self._places[path][0])

    def line_at(self, position: int) -> int:
        return bisect_left(self._line_ends, position) + 1

    def put(self, path: tuple[str, ...], value: Any) -> None:
        """Replace or add the value at `path` and nothing else. Problem: no object is there."""
        parent, new = self.get(path[:-1]), json.dumps(value)
        if not isinstance(parent, dict):
            raise Problem(f'{self.path.name} has no object "{".".join(path[:-1])}": add it')
        if path in self._places:
            start, end = self._places[path]
        else:
            start = end = self._places[path[:-1]][0] + 1
            rest = self.text[start:]
            gap = rest[: -len(rest.lstrip())]
            new = f"{gap}{json.dumps(path[-1])}: {new}" + ("," if parent else "")
        self.text = self.text[:start] + new + self.text[end:]
        self._parse()

    def append(self, path: tuple[str, ...], value: Any) -> None:
        """Add a value to the end of the list at `path` and change nothing else, comments included.

        The list must have something in it.
        """
        end = self._places[path][1]
        start, last = self._places[(*path, len(self.get(path)) - 1)]
        own_line = re.search(r"\r?\n", self.text[last:end])
        if own_line is None:
            before, rest, new = self.text[:last], self.text[last:], f", {json.dumps(value)}"
        else:  # below the last one, with the same indent
            comma = "" if self.text[last:].lstrip().startswith(",") else ","
            at, line = last + own_line.start(), self.text[:start].rpartition("\n")[2]
            before = self.text[:last] + comma + self.text[last:at]
            indent = line[: -len(line.lstrip()) or None]
            rest, new = self.text[at:], f"{own_line[0]}{indent}{json.dumps(value)}"
        self.text = before + new + rest
        self._parse()

    def save(self) -> None:
        """Write the file whole or not at all. Raises Problem when it cannot be written."""
        target = self.path.resolve()  # a link stays a link
        scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            try:
                scratch.write_bytes(self.text.encode("utf-8"))
                shutil.copymode(target, scratch)
                os.replace(scratch, target)
            finally:
                scratch.unlink(missing_ok=True)
        except OSError as error:
            raise Problem(f"{self.path.name} cannot be written: {error.strerror}") from None


def routes_of(settings: Mapping[str, Any]) -> list[Route]:
    """The addresses that a block asks for, those under `routes` first."""
    listed, alone = settings.get("routes"), settings.get("route")
    found: list[tuple[Way, Any]] = []
    if isinstance(listed, list):
        found += [(("routes", index), item) for index, item in enumerate(listed)]
    if alone is not None:
        found.append((("route",), alone))
    routes = []
    for way, item in found:
        fields = item if isinstance(item, dict) else {}
        pattern = fields.get("pattern") if fields else item
        routes.append(Route(way, pattern if isinstance(pattern, str) else "", fields, item))
    return routes


def _blank(match: re.Match[str]) -> str:
    """A comment or a trailing comma as blanks; what else the patterns find stays as it is."""
    found = match[0]
    if match.re is _COMMENT and match["open"]:
        line = match.string.count("\n", 0, match.start()) + 1
        raise ValueError(f"a text or a comment does not end: line {line}")
    return re.sub(r"[^\r\n]", " ", found) if found == "," or found[0] == "/" else found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:  # wrangler takes the last; who reads the first is misled
            raise ValueError(f"a key stands twice: {name!a}")
        if name == "__proto__":  # JavaScript takes what is in it for the file's own
            raise ValueError('a key is called "__proto__"')
        found[name] = value
    return found


def _places(plain: str) -> dict[Way, tuple[int, int]]:
    """Where each value of a JSON text starts and ends, by the way to it."""
    found: dict[Way, tuple[int, int]] = {}
    way: list[str | int] = []
    starts: list[int] = []  # of the objects and lists that are not closed yet
    for token in _TOKEN.finditer(plain):
        start, first = token.start(), token[0][0]
        if token[1]:
            way[-1] = json.loads(token[1])
        elif first == "," and isinstance(way[-1], int):
            way[-1] += 1
        elif first in "[{":
            starts.append(start)
            way.append(0)  # the first item of a list; an object's key replaces it
        elif first != ",":
            if first in "]}":
                start, _ = starts.pop(), way.pop()
            found[tuple(way)] = (start, token.end())
    return found
