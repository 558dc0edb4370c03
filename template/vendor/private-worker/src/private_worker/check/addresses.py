# Managed by the private-worker template: do not edit, an update replaces it.
"""Which addresses wrangler.jsonc opens. Each function is one idea and yields what is wrong.

https://developers.cloudflare.com/workers/configuration/routing/
"""

import json
import re
from typing import Any

from . import shape
from .finding import Findings, at, items, shown
from .project import Block, Config, Way

CUSTOM_DOMAIN = shape.EXPOSURE == "custom_domain"
ON_HOSTNAME = CUSTOM_DOMAIN or shape.EXPOSURE == "route"
# Previews may be on where the Access application protects the whole Worker. Elsewhere: off.
PREVIEWS = None if getattr(shape, "ACCESS_SCOPE", None) == "worker" else False
HOSTNAME = re.compile(r"[^/*:\s]+")
ROUTE = re.compile(r"(\*\.)?[^/*:\s]+(/[^/*\s]+)*/\*")
EXAMPLE = '{"pattern": "api.example.com/*", "zone_name": "example.com"}'
if CUSTOM_DOMAIN:
    EXAMPLE = '{"pattern": "api.example.com", "custom_domain": true, "enabled": true, '
    EXAMPLE += '"previews_enabled": false}'


def findings(config: Config) -> Findings:
    """All that is wrong with the addresses of the top level and of each environment."""
    for block in config.blocks():
        if not block.is_previews:  # that has no addresses of its own
            dev = shape.EXPOSURE == "workers_dev"
            yield from switch(config, block.path, block.settings, "workers_dev", dev)
            yield from switch(config, block.path, block.settings, "preview_urls", PREVIEWS)
            yield from routes(config, block)
            yield from previews(config, block)
    yield from shared(config)


def switch(config: Config, path: Way, settings: Any, key: str, needed: bool | None) -> Findings:
    """A setting that must be written out. `needed` is its value; None: true and false are right."""
    value, path = settings.get(key), (*path, key)
    fix = f'"{key}": {json.dumps(key == "enabled" or bool(needed))},'
    if not isinstance(value, bool):
        yield at(config, path, "implicit-exposure", "does not say true or false", fix)
    elif needed is not None and value is not needed:
        rule = "open-preview" if "preview" in key else "wrong-exposure"
        wrong = f"is {json.dumps(value)}, for exposure {shape.EXPOSURE}"
        yield at(config, path, rule, wrong, fix)


def routes(config: Config, block: Block) -> Findings:
    """A list in each block, since an environment would inherit the hostname, and each item."""
    value, path = block.settings.get("routes"), (*block.path, "routes")
    fix = f'"routes": [{EXAMPLE if ON_HOSTNAME else ""}],'
    if not isinstance(value, list):
        yield at(config, path, "implicit-exposure", "is no list", fix)
    elif bool(value) is not ON_HOSTNAME:
        wrong = f"has {len(value)} items, for exposure {shape.EXPOSURE}"
        yield at(config, path, "wrong-exposure", wrong, fix)
    for index, item in enumerate(items(block, "routes") if ON_HOSTNAME else ()):
        way: Way = (*path, index)
        if not is_right(item):
            wrong = f"is {shown(item)}, for exposure {shape.EXPOSURE}"
            yield at(config, way, "route-form", wrong, f"Write it as: {EXAMPLE}")
        elif CUSTOM_DOMAIN:
            yield from switch(config, way, item, "enabled", None)
            yield from switch(config, way, item, "previews_enabled", PREVIEWS)


def is_right(item: Any) -> bool:
    """A custom domain is a hostname alone. A route covers all below its path, in a zone."""
    if not isinstance(item, dict) or (item.get("custom_domain") is True) is not CUSTOM_DOMAIN:
        return False
    if CUSTOM_DOMAIN:
        return bool(HOSTNAME.fullmatch(pattern_of(item)))
    zone = item.get("zone_name") or item.get("zone_id")
    host = normal(pattern_of(item)).partition("/")[0].removeprefix("*.")
    below = f".{host}".endswith("." + normal(str(item.get("zone_name") or host)))
    return bool(zone and below and ROUTE.fullmatch(pattern_of(item)))


def normal(pattern: str) -> str:
    """A pattern with its hostname in lower case and without the dot that may end it."""
    host, slash, path = pattern.partition("/")
    return host.lower().removesuffix(".") + slash + path


def pattern_of(item: Any) -> str:
    """The pattern of a route; "" when it has none."""
    pattern = item.get("pattern") if isinstance(item, dict) else item
    return pattern if isinstance(pattern, str) else ""


def previews(config: Config, block: Block) -> Findings:
    """Previews that are on need a `previews` block. An environment inherits it.

    https://developers.cloudflare.com/workers/previews/
    """
    given = [block.settings.get("preview_urls")]
    given += [item.get("previews_enabled") for item in items(block, "routes") if type(item) is dict]
    there = block.settings.get("previews", config.data.get("previews"))
    if True in given and PREVIEWS is None and not isinstance(there, dict):
        fix = '"previews": {"vars": ...}, with the same vars as the top level.'
        path = (*block.path, "previews")
        yield at(config, path, "previews-block", "is missing, and previews are on", fix)


def shared(config: Config) -> Findings:
    """Routes that two blocks have."""
    owners: dict[str, str] = {}  # pattern -> name of the block that has it
    for block in config.blocks():
        for index, pattern in enumerate(map(pattern_of, items(block, "routes"))):
            owner = owners.setdefault(normal(pattern), block.name)
            if pattern and owner != block.name:
                wrong = f"is {shown(pattern)}, as in {owner}"
                path: Way = (*block.path, "routes", index)
                yield at(config, path, "shared-hostname", wrong, "Give it a hostname of its own.")
