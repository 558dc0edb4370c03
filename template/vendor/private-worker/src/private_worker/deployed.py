"""Which files of src/ a deploy takes along: those whose names a rule of wrangler.jsonc has.

https://developers.cloudflare.com/workers/wrangler/bundling/#including-non-javascript-modules
"""

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

# What wrangler adds to the rules that are written out.
DEFAULTS = [
    {"type": "PythonModule", "globs": ["**/*.py"]},
    {"type": "Text", "globs": ["**/*.txt", "**/*.html", "**/*.sql"]},
    {"type": "Data", "globs": ["**/*.bin"]},
    {"type": "CompiledWasm", "globs": ["**/*.wasm"]},
]


def taken(folder: Path, rules: Any) -> tuple[list[str], list[str]]:
    """The files below `folder` that a deploy takes and those that it leaves out, as paths with /.

    rules: what wrangler.jsonc has there. Caches of Python's and hidden files are in neither list.
    """
    pattern = _pattern(tuple(_globs(rules)))
    both: tuple[list[str], list[str]] = ([], [])
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__" and name[0] != "."]
        below = Path(parent).relative_to(folder).as_posix()
        for file in files:
            name = file if below == "." else f"{below}/{file}"
            if file[0] != ".":
                both[not pattern.fullmatch(name)].append(name)
    return sorted(both[0]), sorted(both[1])


@cache
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_regex, globs)))


def rule_for(name: str) -> str:
    """The rule that would take a file along, as it stands in wrangler.jsonc."""
    ending = Path(name).suffix
    glob = f"**/*{ending}" if ending else f"**/{Path(name).name}"
    return json.dumps({"type": "Data", "globs": [glob], "fallthrough": True})


def not_deployed(name: str) -> str:
    """One line about a file of src/ that is left out."""
    return f'src/{name} would not be deployed: add {rule_for(name)} to "rules" in wrangler.jsonc'


def _globs(rules: Any) -> Iterator[str]:
    """Of several rules with one type, only those up to the first without `fallthrough` count."""
    own = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
    complete = set()
    for rule in [*own, *DEFAULTS]:
        kind, globs = str(rule.get("type")), rule.get("globs")
        if kind not in complete and isinstance(globs, list):
            yield from (glob for glob in globs if isinstance(glob, str))
        if rule.get("fallthrough") is not True:
            complete.add(kind)


def _regex(glob: str) -> str:
    """`**` is any number of folders where it stands alone, `*` is a part of a name."""
    parts = re.split(r"((?:(?<=/)|^)\*\*(?:/|$))", glob)
    made = (re.escape(part).replace(r"\*", "[^/]*") for part in parts[::2])
    return "(?:[^/]*(?:/|$))*".join(made)
