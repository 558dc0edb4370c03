"""Which addresses wrangler.jsonc opens.

https://developers.cloudflare.com/workers/configuration/routing/
"""

import json
import re
from typing import Any

from ..config import Block, Config, Route, Way, routes_of
from ..project import Project
from ..text import shown
from .finding import Findings, at

HOSTNAME = re.compile(r"[^/*:\s]+")
ROUTE = re.compile(r"(\*\.)?[^/*:\s]+(/[^/*\s]+)*/\*")
# The exposures that have routes, and how one is written.
EXAMPLES = {
    "custom_domain": '{"pattern": "api.example.com", "custom_domain": true, "enabled": true, '
    '"previews_enabled": false}',
    "route": '{"pattern": "api.example.com/*", "zone_name": "example.com"}',
}


def findings(config: Config, project: Project) -> Findings:
    """All that does not fit the exposure that the project was made for, block by block."""
    exposure = project.shape.exposure
    # Previews may be on where the Access application protects the whole Worker, else off.
    previews = None if project.shape.access_scope == "worker" else False
    owners: dict[str, str] = {}  # pattern -> name of the first block that has it
    for block in config.blocks():
        if block.is_previews:  # that has no addresses of its own
            continue
        needed = {"workers_dev": exposure == "workers_dev", "preview_urls": previews}
        yield from switches(config, block.path, block.settings, needed, exposure)
        yield from routes(config, block, exposure, previews)
        for route in routes_of(block.settings):
            path: Way = (*block.path, *route.way)
            owner = owners.setdefault(normal(route.pattern), block.name)
            if route.pattern and owner != block.name:
                wrong = f"is {shown(route.pattern, 70)}, which {owner} has as well"
                yield at(config, path, "shared-hostname", wrong, "Give it a hostname of its own.")
        # Previews that are on need a `previews` block, which an environment inherits.
        # https://developers.cloudflare.com/workers/previews/
        given = [block.settings.get("preview_urls")]
        given += [route.fields.get("previews_enabled") for route in routes_of(block.settings)]
        there = block.settings.get("previews", config.data.get("previews"))
        if True in given and previews is None and not isinstance(there, dict):
            path, wrong = (*block.path, "previews"), "is missing, and previews are on"
            fix = '"previews": {"vars": ...}, with the same vars as the top level.'
            yield at(config, path, "previews-block", wrong, fix)


def switches(
    config: Config, path: Way, settings: Any, needed: dict[str, bool | None], exposure: str
) -> Findings:
    """Settings that must be written out, as `needed`; with None, as true or false."""
    for key, right in needed.items():
        value, fix = settings.get(key), f'"{key}": {json.dumps(key == "enabled" or bool(right))},'
        if not isinstance(value, bool):
            wrong = "is not set to true or false"
            yield at(config, (*path, key), "implicit-exposure", wrong, fix)
        elif right is not None and value is not right:
            rule = "open-preview" if "preview" in key else "wrong-exposure"
            wrong = f"is {json.dumps(value)}, which does not fit exposure {exposure}"
            yield at(config, (*path, key), rule, wrong, fix)


def routes(config: Config, block: Block, exposure: str, previews: bool | None) -> Findings:
    """A list in each block, since an environment would inherit the hostname, and each item."""
    value, path = block.settings.get("routes"), (*block.path, "routes")
    wanted = exposure in EXAMPLES
    fix = f'"routes": [{EXAMPLES.get(exposure, "")}],'
    if not isinstance(value, list):
        yield at(config, path, "implicit-exposure", "is not a list", fix)
    elif bool(value) is not wanted:
        wrong = f"must {'not ' * wanted}be empty for exposure {exposure}"
        yield at(config, path, "wrong-exposure", wrong, fix)
    for route in routes_of({"routes": value}) if wanted else ():
        way: Way = (*block.path, *route.way)
        if not is_right(route, exposure):
            wrong = f"is {shown(route.value, 70)}, which does not fit exposure {exposure}"
            yield at(config, way, "route-form", wrong, f"Write it as: {EXAMPLES[exposure]}")
        elif exposure == "custom_domain":
            needed = {"enabled": None, "previews_enabled": previews}
            yield from switches(config, way, route.fields, needed, exposure)


def is_right(route: Route, exposure: str) -> bool:
    """A custom domain is a hostname alone. A route covers all below its path, in a zone."""
    fields = route.fields
    if exposure == "custom_domain":
        return fields.get("custom_domain") is True and bool(HOSTNAME.fullmatch(route.pattern))
    zone = fields.get("zone_name") or fields.get("zone_id")
    host = normal(route.pattern).partition("/")[0].removeprefix("*.")
    below = f".{host}".endswith("." + normal(str(fields.get("zone_name") or host)))
    right = bool(zone and below and ROUTE.fullmatch(route.pattern))
    return right and fields.get("custom_domain") is not True


def normal(pattern: str) -> str:
    """A pattern with its hostname in lower case and without the dot that may end it."""
    host, slash, path = pattern.partition("/")
    return host.lower().removesuffix(".") + slash + path
