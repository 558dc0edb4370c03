"""`local`: play Cloudflare Access on this computer, in front of `npm run dev`.

The guard runs as it is deployed, with tokens that are really signed: no account, no internet and no
bypass. Whoever reaches this server is let in as anybody they like, so only this computer may:
`front` refuses all else. `access` is what it plays, `settings` what it reads.
"""

import argparse
import asyncio
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from ..config import Config
from ..project import WRANGLER, Problem, Project
from ..text import plain
from .access import Local
from .front import Front
from .settings import settings_of

Address = tuple[Any, ...]
NAMES = ("127.0.0.1", "localhost", "::1")
LARGEST = 128 * 1024  # bytes of a request's headers, as at Cloudflare
SHOWN = 8  # addresses of people


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Ctrl-C stops it. The settings come from .dev.vars, as for npm run dev."
    parser.add_argument("--port", type=int, default=8788, help="where it listens (8788)")
    parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1, ::1 or localhost")
    parser.add_argument(
        "--worker",
        metavar="URL",
        default="http://127.0.0.1:8787",
        help="the local server behind it (http://127.0.0.1:8787)",
    )
    parser.add_argument("--env", metavar="NAME", help="an environment of wrangler.jsonc")
    # Organisations made since 2026-10-05 are strict, and it cannot be turned off there.
    parser.add_argument(
        "--strict",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="how service tokens are taken: strict, as in new accounts (the default)",
    )


def run(options: argparse.Namespace) -> int:
    """Serves until Ctrl-C. Raises Problem."""
    project: Project = options.project
    config = Config(project.root / WRANGLER)
    name = config.worker_name(options.env)
    addresses = _loopback(options.host, options.port, "--host")
    worker = _worker(options.worker, options.port)
    settings = settings_of(config, options.env, options.host, options.port)
    access = Local(settings, name, project.shape, options.strict)
    front = Front(access, worker, options.port)
    sockets = [_listen(family, address) for family, address in addresses]
    print(_start(access, settings.issuer, worker), flush=True)
    asyncio.run(_Server(_configured(front)).serve(sockets))
    return 0


class _Server(uvicorn.Server):
    """Leaves Ctrl-C to Python, which ends at once: streams that are open are not waited for."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _configured(front: Front) -> uvicorn.Config:
    """Nothing is added to an answer, nothing of a proxy is believed, no log but our own."""
    return uvicorn.Config(
        front,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=LARGEST,
    )


def _loopback(name: str, port: int, option: str) -> list[tuple[socket.AddressFamily, Address]]:
    """The addresses of a name, none of which another computer can reach. Raises Problem."""
    if name not in NAMES:
        raise Problem(f"{option} {plain(name)}: only this computer: {', '.join(NAMES)}")
    if not 1 <= port <= 65535:
        raise Problem(f"{option}: there is no port {port}")
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Problem(f"{option} {name}: {error.strerror}") from None
    for *_, address in found:
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise Problem(f"{option} {name} is {address[0]} here, which is not this computer alone")
    return list(dict.fromkeys((family, address[:2]) for family, *_, address in found))


def _worker(url: str, own_port: int) -> str:
    """The origin of the local server. Raises Problem."""
    wrong = Problem(f"--worker {plain(url)}: write it as http://127.0.0.1:8787, without a path")
    try:
        parts = urlsplit(url)
        port = 80 if parts.port is None else parts.port
    except ValueError:
        raise wrong from None
    host = parts.hostname or ""
    origin = f"http://[{host}]" if ":" in host else f"http://{host}"
    if url.rstrip("/").lower() not in (origin, f"{origin}:{port}"):
        raise wrong
    _loopback(host, port, "--worker")
    if port == own_port:
        raise Problem(f"--worker {plain(url)} is the address of this command itself")
    return url.rstrip("/")


def _listen(family: socket.AddressFamily, address: Address) -> socket.socket:
    try:
        return socket.create_server(address, family=family)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else "cannot be opened"
        hint = f"stop what listens on port {address[1]}, or take another with --port"
        raise Problem(f"{address[0]}, port {address[1]}: {why.lower()}: {hint}") from None


def _start(access: Local, url: str, worker: str) -> str:
    """What is said when it is ready: where to go, as whom, how to stop."""
    lines = [f"Cloudflare Access for {plain(access.name, 40)}, played on this computer only.", ""]
    lines += [f"  Open       {url}/", f"  Behind it  {worker} (npm run dev, in another terminal)"]
    if access.people:
        people = [*map(plain, access.emails[:SHOWN]), "or any other e-mail address"]
        lines.append("  People     " + "\n             ".join(people))
    if access.machines:
        how = "strict, as in new accounts" if access.strict else "exchanged for a cookie"
        lines += ["", f"Programs ({how}): any Client ID with this secret, such as", ""]
        lines += [f"  export URL={url}", f"  export CF_ACCESS_CLIENT_ID={access.client_id}"]
        lines += [f"  export CF_ACCESS_CLIENT_SECRET={access.secret}"]
    return "\n".join([*lines, "", "Ctrl-C stops it. Each request is a line:", ""])
