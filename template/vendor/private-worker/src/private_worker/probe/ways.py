"""Every way in to this Worker, from Cloudflare's API and from wrangler.jsonc.

What could not be looked at is said, and never taken for closed.
"""

import argparse
import os
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from ..config import Config, routes_of
from ..project import Problem
from ..text import plain
from ..token_life import warning

_LABEL = r"[a-z0-9_-]{1,63}"
_PREVIEWS = "Previews (wrangler preview): Cloudflare lists none, give --url"


class Way(NamedTuple):
    """An address. `wanted`: wrangler.jsonc names it. `example`: one of many under a wildcard.

    `asset`: the path of a static asset there, b"" if there is none.
    """

    url: str
    source: str
    wanted: bool
    example: bool = False
    asset: bytes = b""


class Ways:
    """What was found, each address once, what could not be looked at, and what ends soon."""

    def __init__(self) -> None:
        self.found: dict[str, Way] = {}
        self.not_tried: list[str] = []
        self.unread: list[str] = []  # why the exit status is 1 although all that was tried is well
        self.warnings: list[str] = []

    def add(self, pattern: object, source: str, wanted: bool = False) -> None:
        """An address that a route's pattern covers. A hostname alone is such a pattern, too.

        https://developers.cloudflare.com/workers/configuration/routing/routes/
        """
        text = str(pattern or "").strip()
        host, _, path = re.sub(r"^(\*|https?)://", "", text).partition("/")
        wildcard = host.startswith("*")
        if wildcard:
            self.not_tried.append(f"other names under {plain(text)}: give each with --url")
        if host.startswith("*."):
            # Nobody configures this name: it stands for all that the wildcard covers.
            host, wanted = f"private-worker-probe{host[1:]}", False
        url = checked(f"https://{host.removeprefix('*')}/{path.removesuffix('*')}")
        if url:  # wrangler.jsonc comes first, so what it says about an address stays
            self.found.setdefault(url, Way(url, source, wanted, wildcard))
        else:
            why = f'"{plain(text)}" cannot be made into an address' if text else "there is none"
            self.not_tried.append(f"{source}: {why}")


def find(options: argparse.Namespace, config: Config, client_ids: frozenset[str]) -> Ways:
    """Look everywhere, also for the end of the service tokens of `client_ids`.

    Raises Problem, also when there is nothing to try and no API to ask.
    """
    ways = Ways()
    name = quote(config.worker_name(options.env), safe="")
    settings = config.inherited(options.env)
    for route in routes_of(settings):
        source = "custom domain" if route.fields.get("custom_domain") is True else "route"
        if route.pattern:
            ways.add(route.pattern, source, route.fields.get("enabled") is not False)
        if route.fields.get("previews_enabled"):
            ways.not_tried.append(_PREVIEWS)
    if options.subdomain:
        if not re.fullmatch(_LABEL, options.subdomain):
            raise Problem("--subdomain must be the NAME in <worker>.NAME.workers.dev")
        host = f"{name}.{options.subdomain}.workers.dev"
        ways.add(host, "workers.dev", settings.get("workers_dev") is True)
    if os.environ.get("CLOUDFLARE_API_TOKEN"):
        _from_api(ways, options, config, name, client_ids)
    else:
        if not options.subdomain:
            ways.not_tried.append("workers.dev: give --subdomain, or set CLOUDFLARE_API_TOKEN")
        ways.not_tried.append("forgotten addresses, Version URLs: set CLOUDFLARE_API_TOKEN")
        ways.not_tried.append(_PREVIEWS)
    for text in options.url:
        url = checked(text)
        if not url:
            raise Problem(f"--url {plain(text)} is no address like https://HOSTNAME/PATH")
        ways.found.setdefault(url, Way(url, "--url", False))
    if not ways.found and not os.environ.get("CLOUDFLARE_API_TOKEN"):
        raise Problem("no address to try: give CLOUDFLARE_API_TOKEN, --subdomain or --url")
    ways.not_tried = list(dict.fromkeys(ways.not_tried))  # each once
    files = _assets(config.path.parent, settings)
    for url, way in ways.found.items():
        # Only what lies below the address: the rest of its hostname may be another Worker's.
        below = [quote(os.fsencode(file)) for file in files if file.startswith(httpx.URL(url).path)]
        ways.found[url] = way._replace(asset="".join(below[:1]).encode())
    return ways


def _from_api(
    ways: Ways, options: argparse.Namespace, config: Config, name: str, client_ids: frozenset[str]
) -> None:
    """What Cloudflare says. Raises Problem.

    https://developers.cloudflare.com/api/resources/workers/
    """
    from .. import api  # takes seconds, so only when it is needed

    client, settings = api.client(), config.inherited(options.env)
    account = api.account_id(client, options.account_id, config)
    workers = f"/accounts/{account}/workers"
    try:
        worker = api.get(client, f"{workers}/workers/{name}")
        deployed = api.get(client, f"{workers}/scripts/{name}/deployments")
    except api.NotFound as problem:
        raise Problem(f"{problem}; is {name} deployed, and in this account?") from None
    try:
        subdomain = dict(worker["subdomain"])
        newest = deployed["deployments"][:1]  # none before the first deploy
        version = newest[0]["versions"][0]["version_id"][:8] if newest else ""
    except (LookupError, TypeError, ValueError):
        raise Problem("reading the Worker: Cloudflare's answer is not what it should be") from None
    # Both are named whether they are on or off, unless the account has no name at workers.dev.
    ways.add(subdomain.get("url"), "workers.dev", settings.get("workers_dev") is True)
    suffix = subdomain.get("preview_url_suffix")
    if version:
        host = f"{version}{suffix}" if suffix else None
        ways.add(host, "Version URL", settings.get("preview_urls") is True)
    else:
        ways.not_tried.append(f"Version URL: {name} has no deployment, type: npm run deploy")
    if subdomain.get("previews_enabled") is not False:
        ways.not_tried.append(_PREVIEWS)
    for row in api.rows(client, f"{workers}/domains", service=name):
        if row.get("service") == name:
            ways.add(row.get("hostname"), "custom domain")
    zones = api.rows(client, "/zones", **{"account.id": account})
    sees = "does not see" if zones else "does not see (it sees none)"
    ways.not_tried.append(f"routes in zones that the API token {sees}")
    unread: dict[str, list[str]] = {}  # why -> the zones
    for zone in zones:
        try:
            for row in api.rows(client, f"/zones/{zone.get('id')}/workers/routes"):
                if row.get("script") == name:
                    ways.add(row.get("pattern"), "route")
        except Problem as problem:  # the other zones are still tried
            unread.setdefault(str(problem), []).append(plain(zone.get("name")))
    for why, names in unread.items():
        ways.unread.append(f"Not known to be closed: routes in {', '.join(names)}: {why}")
    if client_ids:
        try:
            for row in api.rows(client, f"/accounts/{account}/access/service_tokens"):
                if row.get("client_id") in client_ids and (said := warning(row)):
                    ways.warnings.append(said)
        except Problem as problem:
            ways.warnings.append(f"It is not known when the service tokens end: {problem}")


def _assets(root: Path, settings: dict[str, Any]) -> list[str]:
    """The paths of the static assets, such as "/app.css", sorted. Hidden files are left out.

    https://developers.cloudflare.com/workers/static-assets/
    """
    given = settings.get("assets")
    if not isinstance(given, dict) or not isinstance(given.get("directory"), str):
        return []
    folder = root / given["directory"]
    files = (file for file in folder.rglob("*") if file.is_file())
    paths = {f"/{file.relative_to(folder).as_posix()}" for file in files}
    return sorted(path for path in paths - {"/_headers", "/_redirects"} if "/." not in path)


def checked(text: str) -> str:
    """An address in the form that is asked, in ASCII, or "" when it is none that may be."""
    try:
        url = httpx.URL(text)
        here = url.host in ("127.0.0.1", "localhost")
    except (httpx.InvalidURL, ValueError):  # ValueError: a name in punycode that is none
        return ""
    host = re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", url.raw_host.decode())
    valid = host and (url.port or 0) < 65536 and not url.userinfo
    return str(url) if valid and (url.scheme == "https" or (url.scheme == "http" and here)) else ""
