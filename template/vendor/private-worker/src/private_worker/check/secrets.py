"""Secrets in wrangler.jsonc, by the name or the form of a text. `repository` knows more forms.

https://developers.cloudflare.com/workers/configuration/secrets/
"""

import re
import shlex
from collections.abc import Iterator
from typing import Any

from ..config import Config, Way
from ..project import Project
from .finding import Findings, at, data

FORMS = {
    what: re.compile(pattern, re.VERBOSE)
    for what, pattern in data("secrets.toml")["in_wrangler"].items()
}


def findings(config: Config, project: Project) -> Findings:
    """All that look like one, wherever they stand. The secret is never part of the report."""
    for way, text in texts((), config.data):
        name, at_vars = str(way[-1]), way.index("vars") if "vars" in way[:-1] else None
        if is_secret(name, text):
            rule, fix = "secret", "Delete it here, and have a new one made."
            if at_vars is not None:
                rule, fix = "secret-in-vars", "Delete it here, have a new one made, and type: "
                fix += command(way[:at_vars], way[at_vars + 1])
            yield at(config, way, rule, "looks like a secret", fix)
        elif at_vars is not None and not text and is_secret(name, "x" * 16):
            wrong = "is empty, and a deploy puts that in place of a secret of this name"
            yield at(config, way, "secret-in-vars", wrong, "Delete it here.")


def is_secret(name: str, text: str) -> bool:
    """Whether a text looks like a secret. `name`: the key that it stands under."""
    name = name.replace("-", "_")
    by_name = text and FORMS["name"].search(name) and not FORMS["no_secret"].fullmatch(text)
    by_both = FORMS["key"].search(name) and FORMS["long"].fullmatch(text)
    return bool(by_name or by_both or FORMS["text"].search(text))


def command(block: Way, name: str | int) -> str:
    """What stores a secret in place of a var of this block."""
    preview = "preview " if block[-1:] == ("previews",) else ""
    environment = f" --env {shlex.quote(str(block[1]))}" if block[:1] == ("env",) else ""
    return f"npx wrangler {preview}secret put {shlex.quote(str(name))}{environment}"


def texts(way: Way, value: Any) -> Iterator[tuple[Way, str]]:
    """Each text in a value, with the way to it. One in a list has the list's name."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from texts((*way, name), item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(way, item)
    elif isinstance(value, str):
        yield way, value
