"""Whether agents are asked to log in (Managed OAuth), and whether their login can succeed.

An agent asks without credentials and follows what it is told: the challenge of a 401 (RFC 9728),
the resource's metadata there, and the authorization server's metadata (RFC 8414).
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx

from ..text import plain
from .verdicts import Answer

AGENT = {"Accept": "application/json, text/event-stream"}  # as the MCP transport asks
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "registration_endpoint")
_METADATA = re.compile(r'\bresource_metadata="([^"]*)"')

Ask = Callable[[httpx.URL, dict[str, str]], Awaitable[Answer]]


class Login(NamedTuple):
    """`offered`: whether agents are asked to log in. `wrong`: what stops them then, or ""."""

    offered: bool
    wrong: str = ""


async def login(ask: Ask, url: httpx.URL, team: str) -> Login:
    """team: the issuer of Access, such as "https://acme.cloudflareaccess.com"."""
    answer = await ask(url, AGENT)
    challenge = answer.headers.get("www-authenticate", "")
    found = _METADATA.search(challenge)
    if answer.status != 401 or not challenge.lower().startswith("bearer") or not found:
        return Login(False)
    here = f"https://{url.netloc.decode()}"
    resource = await _object(ask, found[1], here, team)
    if resource is None:
        return Login(True, f"the resource's metadata at {plain(found[1])} cannot be read")
    if not f"{url}/".startswith(f"{str(resource.get('resource')).rstrip('/')}/"):
        said = f"the resource's metadata is that of {plain(resource.get('resource'))}"
        return Login(True, f"{said}: many agents stop at that")
    servers = resource.get("authorization_servers")
    if not isinstance(servers, list) or not servers:
        return Login(True, "the metadata of the resource names no authorization server")
    issuer = str(servers[0]).rstrip("/")
    if not issuer.startswith("https://"):
        return Login(True, f"the authorization server is {plain(issuer)}, without https://")
    host, _, path = issuer.removeprefix("https://").partition("/")
    known = f"https://{host}/.well-known/oauth-authorization-server" + (f"/{path}" if path else "")
    server = await _object(ask, known, here, team)
    if server is None:
        return Login(True, f"the authorization server's metadata at {plain(known)} cannot be read")
    named = str(server.get("issuer"))
    if named.rstrip("/") != issuer:
        said = f"{plain(known)} has the issuer {plain(named)}, not {plain(issuer)}"
        return Login(True, f"{said}: many agents stop at that")
    methods = server.get("code_challenge_methods_supported")
    if not isinstance(methods, list) or "S256" not in methods:
        return Login(True, "the authorization server does not offer PKCE with S256")
    missing = [n for n in ENDPOINTS if not str(server.get(n)).startswith("https://")]
    return Login(True, f"the authorization server has no {missing[0]}" if missing else "")


async def _object(ask: Ask, address: str, *hosts: str) -> dict[str, Any] | None:
    """The JSON object at an address of this host or of the team; None for all else."""
    try:
        url = httpx.URL(address)
        if f"{url.scheme}://{url.netloc.decode()}" not in hosts:
            return None
        answer = await ask(url, {"Accept": "application/json"})
        found = json.loads(answer.body) if answer.status == 200 else None
    except (httpx.InvalidURL, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
