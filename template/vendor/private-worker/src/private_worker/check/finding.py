"""What `check` looks for, rule by rule, and one finding of it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Config, Way


def data(name: str) -> dict[str, Any]:
    """What a TOML file beside this one holds."""
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


WHY: dict[str, str] = data("rules.toml")  # each rule and why it matters


class Finding(NamedTuple):
    """One thing that is wrong. `line` counts from 1; 0 stands for the whole file."""

    rule: str
    file: str
    line: int
    wrong: str
    fix: str


Findings = Iterator[Finding]


def at(config: Config, path: Way, rule: str, wrong: str, fix: str) -> Finding:
    """A finding in wrangler.jsonc. `wrong` goes on after the name of what stands at `path`."""
    wrong = f"{'.'.join(map(str, path))} {wrong}"
    return Finding(rule, config.path.name, config.line(path), wrong, fix)
