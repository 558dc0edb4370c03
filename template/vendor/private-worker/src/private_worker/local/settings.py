"""The settings that the Worker has under `npm run dev`: .dev.vars over `vars` of wrangler.jsonc."""

import re

from .. import guard_rules
from ..config import Config
from ..guard_rules import NotConfigured, Settings
from ..project import Problem
from ..text import read

# As dotenv reads a line, which is what wrangler does: a name, then a value in quotes, over several
# lines if need be, or the rest up to a #.
_QUOTED = "|".join(rf"\s*{quote}(?:\\{quote}|[^{quote}])*{quote}" for quote in "'\"`")
_LINE = re.compile(
    rf"^[^\S\n]*(?:export\s+)?([\w.-]+)(?:\s*=|:\s+?)({_QUOTED}|[^#\n]+)?\s*(?:#.*)?$",
    re.MULTILINE | re.ASCII,
)


def settings_of(config: Config, environment: str | None, port: int) -> Settings:
    """The guard's own settings, whose keys come from this port of 127.0.0.1. Raises Problem."""
    for block in config.blocks():
        if guard_rules.is_local(block.vars):
            where = f"{config.path.name}, {block.name}"
            raise Problem(f"{where}: TEAM_DOMAIN is for your own machine. It belongs in .dev.vars")
    root, given = config.path.parent, config.block(environment).vars
    file = root / f".dev.vars.{environment}"  # the environment's own, or else
    if not environment or not file.is_file():
        file = root / ".dev.vars"
    if not file.exists():
        raise Problem("there is no .dev.vars: cp .dev.vars.example .dev.vars")
    variables = given | dev_vars(read(file))
    here = [f"http://{name}:{port}" for name in ("127.0.0.1", "localhost")]
    if variables.get("TEAM_DOMAIN") not in here:
        raise Problem(f'{file.name}: the keys must come from here: TEAM_DOMAIN="{here[0]}"')
    try:
        return guard_rules.settings(root, variables)
    except NotConfigured as error:
        raise Problem(f"{error}; compare {file.name} with .dev.vars.example") from None


def dev_vars(text: str) -> dict[str, str]:
    """Name to value, as wrangler takes them from a .dev.vars file.

    https://developers.cloudflare.com/workers/configuration/secrets/#local-development-with-secrets
    """
    found = {}
    for match in _LINE.finditer(re.sub(r"\r\n?", "\n", text.removeprefix("\ufeff"))):
        value = (match[2] or "").strip()
        quote = value[:1]
        value = re.sub(r"^(['\"`])([\s\S]*)\1$", r"\2", value, flags=re.MULTILINE)
        if quote == '"':
            value = value.replace("\\n", "\n").replace("\\r", "\r")
        found[match[1]] = value
    return found
