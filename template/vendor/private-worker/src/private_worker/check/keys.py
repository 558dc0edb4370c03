"""Which keys wrangler.jsonc has, which it must have, and which it must not.

https://developers.cloudflare.com/workers/wrangler/configuration/
"""

import re
from difflib import get_close_matches
from itertools import chain
from typing import Any

from ..config import Block, Config, Way
from ..project import Project
from ..text import shown
from .finding import Findings, at, data

DATA = data("keys.toml")
# Every key of wrangler's, by what it can do, and where which of them may stand.
KEYS = {what: names.split() for what, names in DATA["keys"].items()}
PLACES = {where: set(names.split()) for where, names in DATA["places"].items()}
ALL, TOP_ONLY = set(chain(*KEYS.values())), PLACES["only at the top level"]
NOT_INHERITED = {*KEYS["is a binding"], *PLACES["not taken from the top level"]}
PREVIEWS, EXPORTS = NOT_INHERITED | PLACES["in previews"], PLACES["in an export"]
# What must not stand there: the rule, and what to do.
UNWANTED: dict[str, tuple[str, str]] = DATA["unwanted"]
# What must stand there, as it is to be written. These an environment inherits.
WANTED: dict[str, str] = DATA["wanted"]
# Python itself, and the names by which the guard knows the runtime's own events.
TAKEN_AWAY = re.compile(
    r"python_workers_20250116|(no|disable)_(enable_)?python_.*|do_not_set_tostring_tag"
)


def findings(config: Config, project: Project) -> Findings:
    """All keys that are wrong or missing."""
    for block in config.blocks():
        there = PREVIEWS if block.is_previews else ALL - TOP_ONLY if block.path else ALL
        yield from unfit(config, block.path, block.settings, there)
        for key, wanted in () if block.is_previews else WANTED.items():
            value = block.settings.get(key)
            if not is_right(key, value) and (key in block.settings or not block.path):
                rule = "worker-name" if key == "name" else key.replace("_", "-")
                wrong = "is missing" if value is None else f"is {shown(value, 70)}"
                yield at(config, (*block.path, key), rule, wrong, f'"{key}": {wanted}')
        for name, export in block.object("exports").items():
            if isinstance(export, dict):  # such as a Durable Object, which has keys of its own
                yield from unfit(config, (*block.path, "exports", name), export, EXPORTS)
        yield from not_inherited(config, block)
    dev = config.block(None).object("dev")
    for key in ("ip", "inspector_ip"):  # where `npm run dev` listens
        if str(dev.get(key, "localhost")) not in ("localhost", "127.0.0.1", "::1"):
            wrong = "lets in other computers, as whoever access.dev names"
            yield at(config, ("dev", key), "open-dev", wrong, "Delete it.")


def unfit(config: Config, path: Way, settings: dict[str, Any], known: set[str]) -> Findings:
    """Keys that wrangler does not read here, and those that must not be set.

    Misspelt, `routes` would leave an old route on.
    """
    for key in sorted(settings.keys() - known):
        near = get_close_matches(key, known, 1, 0.8)
        fix = f'Write "{near[0]}".' if near else "Delete it, or write it where it belongs."
        yield at(config, (*path, key), "unknown-key", "is no key that wrangler reads here", fix)
    for key, (rule, fix) in UNWANTED.items():
        if key in known and is_on(settings.get(key)):
            yield at(config, (*path, key), rule, "must not be set", fix)


def not_inherited(config: Config, block: Block) -> Findings:
    """Vars and bindings of the top level that an environment or `previews` lacks."""
    for key in sorted(NOT_INHERITED):
        there = names(key, block.settings.get(key))
        for name in names(key, config.data.get(key)):
            if name not in there:
                wrong = f"lacks {name}, which the top level has"
                fix = f"Repeat {name} here, with the value that is right for {block.name}."
                yield at(config, (*block.path, key), "not-inherited", wrong, fix)


def is_on(value: Any) -> bool:
    """Whether it is set, and not in order to turn it off."""
    return bool(value) and not (isinstance(value, dict) and value.get("enabled") is False)


def is_right(key: str, value: Any) -> bool:
    """Whether a key of WANTED has a value that Python 3.14 and the guard run with."""
    if key == "compatibility_flags":
        flags = value if isinstance(value, list) else []
        lost = any(TAKEN_AWAY.fullmatch(str(flag)) for flag in flags)
        return "python_workers" in flags and not lost
    if key == "name":
        return isinstance(value, str) and value != ""
    if key == "main":
        return str(value).removeprefix("./") == "src/entry.py"
    form = re.fullmatch(r"\d{4}-\d\d-\d\d", str(value), re.ASCII)
    return bool(form) and value >= "2026-09-08"  # Cloudflare refuses one in the future


def names(key: str, value: Any) -> list[str]:
    """The vars, secrets or bindings under a key. The key stands for one without a name."""
    if key == "vars":
        return list(value) if isinstance(value, dict) else []
    found = value if isinstance(value, list) else [value] if value else []
    if isinstance(value, dict):  # such as {"bindings": [...]} of durable_objects
        lists = [each for each in value.values() if isinstance(each, list)]
        found = [item for each in lists for item in each] or found
    # A container's `name` is no binding, but that of an application at Cloudflare.
    name = "binding" if key == "containers" else "name"
    named = [item if isinstance(item, dict) else {"binding": item} for item in found]
    return [str(item.get("binding", item.get(name, key))) for item in named]
