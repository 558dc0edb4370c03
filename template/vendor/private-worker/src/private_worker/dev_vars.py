"""The file .dev.vars: settings and secrets for this computer only."""

import re

# As dotenv reads a line, which is what wrangler does: a name, then a value in quotes, over several
# lines if need be, or the rest up to a #.
_QUOTED = "|".join(rf"\s*{quote}(?:\\{quote}|[^{quote}])*{quote}" for quote in "'\"`")
_LINE = re.compile(
    rf"^[^\S\n]*(?:export\s+)?([\w.-]+)(?:\s*=|:\s+?)({_QUOTED}|[^#\n]+)?\s*(?:#.*)?$",
    re.MULTILINE | re.ASCII,
)


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
