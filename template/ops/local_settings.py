# Managed by the private-worker template: do not edit, an update replaces it.
"""The settings that the Worker has under `npm run dev`: .dev.vars over `vars` of wrangler.jsonc."""

import re
from pathlib import Path
from typing import Any

from .check_config import is_local
from .project import LARGEST, ROOT, Config, Problem, guard_settings

# As dotenv reads a line, which is what wrangler does: a name, then a value in quotes, over several
# lines if need be, or the rest up to a #.
_QUOTED = "|".join(rf"\s*{quote}(?:\\{quote}|[^{quote}])*{quote}" for quote in "'\"`")
_LINE = re.compile(
    rf"^[^\S\n]*(?:export\s+)?([\w.-]+)(?:\s*=|:\s+?)({_QUOTED}|[^#\n]+)?\s*(?:#.*)?$",
    re.MULTILINE | re.ASCII,
)


def settings_of(config: Config, environment: str | None, host: str, port: int) -> Any:
    """The guard's own Settings, whose issuer is http://<host>:<port>. Raises Problem."""
    for block in config.blocks():
        if isinstance(deployed := block.settings.get("vars"), dict) and is_local(deployed):
            where = f"{config.path.name}, {block.name}"
            raise Problem(f"{where}: TEAM_DOMAIN is for your own machine. It belongs in .dev.vars")
    file = _file(environment)
    given = config.block(environment).settings.get("vars")
    variables = {**(given if isinstance(given, dict) else {}), **dev_vars(_text(file))}
    rules = guard_settings()
    # The guard takes no IPv6 address; "localhost" is one as well.
    names = ["localhost"] if host == "::1" else ["127.0.0.1", "localhost"]
    expected = [f"http://{name}:{port}" for name in names]
    elsewhere = Problem(f'{file.name}: the keys must come from here: TEAM_DOMAIN="{expected[0]}"')
    if not is_local(variables):
        raise elsewhere
    try:
        settings = rules.load(variables)
    except rules.NotConfigured as error:
        raise Problem(f"{error}; compare {file.name} with .dev.vars.example") from None
    if settings.issuer not in expected:
        raise elsewhere
    return settings


def dev_vars(text: str) -> dict[str, str]:
    """Name to value, as wrangler takes them from a .dev.vars file.

    https://developers.cloudflare.com/workers/configuration/secrets/#local-development-with-secrets
    """
    found = {}
    for match in _LINE.finditer(re.sub(r"\r\n?", "\n", text)):
        value = (match[2] or "").strip()
        quote = value[:1]
        value = re.sub(r"^(['\"`])([\s\S]*)\1$", r"\2", value, flags=re.MULTILINE)
        if quote == '"':
            value = value.replace("\\n", "\n").replace("\\r", "\r")
        found[match[1]] = value
    return found


def _file(environment: str | None) -> Path:
    """.dev.vars, or the environment's own in its place."""
    own = ROOT / f".dev.vars.{environment}"
    return own if environment and own.is_file() else ROOT / ".dev.vars"


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Problem(f"{file.name} has more than {LARGEST} bytes: make it shorter")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise Problem("there is no .dev.vars: cp .dev.vars.example .dev.vars") from None
    except (OSError, UnicodeDecodeError):
        raise Problem(f"{file.name} cannot be read as UTF-8 text") from None
