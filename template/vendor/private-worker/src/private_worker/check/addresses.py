"""Which addresses wrangler.jsonc opens.

https://developers.cloudflare.com/workers/configuration/routing/
"""

import json
import re
from typing import Any

from ..config import Block, Config, Route, Way, routes_of
from ..project import Project
from ..text import shown
from .finding import Findings, Rules

HOSTNAME = re.compile(r"[^/*:\s]+")
ROUTE = re.compile(r"(\*\.)?[^/*:\s]+(/[^/*\s]+)*/\*")
DOMAIN_EXAMPLE = (
    '{"pattern": "api.example.com", "custom_domain": true, "enabled": true, '
    '"previews_enabled": false}'
)
ROUTE_EXAMPLE = '{"pattern": "api.example.com/*", "zone_name": "example.com"}'


class Addresses(Rules):
    """The rules for the exposure that the project was made for."""

    def __init__(self, config: Config, project: Project) -> None:
        super().__init__(config, project)
        self.exposure = project.shape.exposure
        self.custom_domain = self.exposure == "custom_domain"
        self.on_hostname = self.exposure in ("custom_domain", "route")
        self.example = DOMAIN_EXAMPLE if self.custom_domain else ROUTE_EXAMPLE
        # Previews may be on where the Access application protects the whole Worker, else off.
        self.preview_urls = None if project.shape.access_scope == "worker" else False

    def findings(self) -> Findings:
        """All that is wrong with the addresses of the top level and of each environment."""
        for block in self.config.blocks():
            if not block.is_previews:  # that has no addresses of its own
                dev, settings = self.exposure == "workers_dev", block.settings
                yield from self.switch(block.path, settings, "workers_dev", dev)
                yield from self.switch(block.path, settings, "preview_urls", self.preview_urls)
                yield from self.routes(block)
                yield from self.previews(block)
        yield from self.shared()

    def switch(self, path: Way, settings: Any, key: str, needed: bool | None) -> Findings:
        """A setting that must be written out, as `needed`; with None, as true or false."""
        value, path = settings.get(key), (*path, key)
        fix = f'"{key}": {json.dumps(key == "enabled" or bool(needed))},'
        if not isinstance(value, bool):
            yield self.at(path, "implicit-exposure", "is not set to true or false", fix)
        elif needed is not None and value is not needed:
            rule = "open-preview" if "preview" in key else "wrong-exposure"
            wrong = f"is {json.dumps(value)}, which does not fit exposure {self.exposure}"
            yield self.at(path, rule, wrong, fix)

    def routes(self, block: Block) -> Findings:
        """A list in each block, since an environment would inherit the hostname, and each item."""
        value, path = block.settings.get("routes"), (*block.path, "routes")
        fix = f'"routes": [{self.example if self.on_hostname else ""}],'
        if not isinstance(value, list):
            yield self.at(path, "implicit-exposure", "is not a list", fix)
        elif bool(value) is not self.on_hostname:
            wrong = f"must {'not ' * self.on_hostname}be empty for exposure {self.exposure}"
            yield self.at(path, "wrong-exposure", wrong, fix)
        elif self.on_hostname:
            for route in routes_of({"routes": value}):
                yield from self.route((*block.path, *route.way), route)

    def route(self, path: Way, route: Route) -> Findings:
        """One item of the list."""
        if not self.is_right(route):
            wrong = f"is {shown(route.value, 70)}, which does not fit exposure {self.exposure}"
            yield self.at(path, "route-form", wrong, f"Write it as: {self.example}")
        elif self.custom_domain:
            yield from self.switch(path, route.fields, "enabled", None)
            yield from self.switch(path, route.fields, "previews_enabled", self.preview_urls)

    def is_right(self, route: Route) -> bool:
        """A custom domain is a hostname alone. A route covers all below its path, in a zone."""
        fields = route.fields
        if not fields or (fields.get("custom_domain") is True) is not self.custom_domain:
            return False
        if self.custom_domain:
            return bool(HOSTNAME.fullmatch(route.pattern))
        zone = fields.get("zone_name") or fields.get("zone_id")
        host = normal(route.pattern).partition("/")[0].removeprefix("*.")
        below = f".{host}".endswith("." + normal(str(fields.get("zone_name") or host)))
        return bool(zone and below and ROUTE.fullmatch(route.pattern))

    def previews(self, block: Block) -> Findings:
        """Previews that are on need a `previews` block. An environment inherits it.

        https://developers.cloudflare.com/workers/previews/
        """
        given = [block.settings.get("preview_urls")]
        given += [route.fields.get("previews_enabled") for route in routes_of(block.settings)]
        there = block.settings.get("previews", self.config.data.get("previews"))
        if True in given and self.preview_urls is None and not isinstance(there, dict):
            fix = '"previews": {"vars": ...}, with the same vars as the top level.'
            path = (*block.path, "previews")
            yield self.at(path, "previews-block", "is missing, and previews are on", fix)

    def shared(self) -> Findings:
        """Routes that two blocks have."""
        owners: dict[str, str] = {}  # pattern -> name of the block that has it
        for block in self.config.blocks():
            for route in routes_of(block.settings):
                owner = owners.setdefault(normal(route.pattern), block.name)
                if route.pattern and owner != block.name:
                    wrong = f"is {shown(route.pattern, 70)}, which {owner} has as well"
                    path = (*block.path, *route.way)
                    fix = "Give it a hostname of its own."
                    yield self.at(path, "shared-hostname", wrong, fix)


def normal(pattern: str) -> str:
    """A pattern with its hostname in lower case and without the dot that may end it."""
    host, slash, path = pattern.partition("/")
    return host.lower().removesuffix(".") + slash + path
