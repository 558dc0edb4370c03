"""`local`: play Cloudflare Access on this computer, in front of `npm run dev`.

The guard runs as it is deployed, with tokens that are really signed: no account, no internet and no
bypass. Whoever reaches this server is let in as anybody they like, so only this computer may: it
listens on 127.0.0.1 and nowhere else, and `front` refuses what came from elsewhere.
"""

import argparse
import os
import re
import socket
from typing import TYPE_CHECKING

import uvicorn

from .. import guard_rules
from ..config import Config
from ..dev_vars import dev_vars
from ..guard_rules import NotConfigured, Settings
from ..project import WRANGLER, Problem, Project, Shape
from ..text import plain, read
from .access import Local
from .front import Front

if TYPE_CHECKING:
    from .oauth import OAuth

WORKER = "http://127.0.0.1:8787"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Ctrl-C stops it. The settings come from .dev.vars, as for npm run dev."
    parser.add_argument("--port", type=port, default=8788, help="its port on 127.0.0.1 (8788)")
    said = f"the local server behind it ({WORKER})"
    parser.add_argument("--worker", type=origin, metavar="URL", default=WORKER, help=said)
    parser.add_argument("--env", metavar="NAME", help="an environment of wrangler.jsonc")


def port(text: str) -> int:
    if not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"there is no port {int(text)}")
    return int(text)


def origin(text: str) -> str:
    """The origin of a server on this computer: the tokens of all who are let in go there."""
    match = re.fullmatch(r"(http://(?:127\.0\.0\.1|localhost|\[::1\]))(?::([0-9]{1,5}))?/?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"write it as {WORKER}, without a path")
    return f"{match[1]}:{port(match[2] or '80')}"


def run(options: argparse.Namespace) -> int:
    """Serves until Ctrl-C. Raises Problem."""
    project: Project = options.project
    config = Config(project.root / WRANGLER)
    if int(options.worker.rpartition(":")[2]) == options.port:
        raise Problem(f"--worker {options.worker} is the address of this command itself")
    settings = settings_of(config, options.env, options.port)
    access = Local(settings, config.worker_name(options.env), project.shape)
    oauth = _oauth(access, project.shape, options.port) if project.shape.agents else None
    # Nothing is added to an answer, nothing of a proxy is believed, no log but our own.
    server = uvicorn.Config(
        Front(access, options.worker, options.port, oauth),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=128 * 1024,  # bytes of headers, as at Cloudflare
        timeout_graceful_shutdown=0,  # Ctrl-C ends it at once: no open stream is waited for
    )
    try:
        listening = socket.create_server(("127.0.0.1", options.port))
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        hint = f"stop what listens on port {options.port}, or take another with --port"
        raise Problem(f"127.0.0.1, port {options.port}: {why}: {hint}") from None
    # asyncio does it only for sockets of its own. Without it most answers take 40 ms longer.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    mcp = f"{settings.issuer}{project.shape.base}/mcp" if oauth else ""
    print(_start(access, settings.issuer, options.worker, mcp), flush=True)
    uvicorn.Server(server).run([listening])
    return 0


def settings_of(config: Config, environment: str | None, port: int) -> Settings:
    """The guard's own, as under `npm run dev`: .dev.vars over `vars` of wrangler.jsonc.

    The keys come from this port of 127.0.0.1. Raises Problem.
    """
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


def _oauth(access: Local, shape: Shape, port: int) -> "OAuth":
    """What plays Managed OAuth. Raises Problem without the MCP SDK."""
    try:
        from .oauth import OAuth
    except ModuleNotFoundError as error:
        add = "uv add --group commands 'private-worker[commands,agents]'"
        raise Problem(f"{error.name}, which plays the agents' login, is missing: {add}") from None
    return OAuth(access, shape.redirect_uris, port)


def _start(access: Local, url: str, worker: str, mcp: str = "") -> str:
    """What is said when it is ready: where to go, as whom, how to stop. `mcp`: for agents."""
    lines = [f"Cloudflare Access for {plain(access.name, 40)}, played on this computer only.", ""]
    lines += [f"  Open       {url}/", f"  Behind it  {worker} (npm run dev, in another terminal)"]
    if access.people:
        people = [*map(plain, access.emails[:8]), "or any other e-mail address"]
        lines.append("  People     " + "\n             ".join(people))
    if mcp:
        add = f"claude mcp add --transport http {access.name} {mcp}"
        lines.append("  Agents     " + (add if len(add) <= 67 else mcp))
    if access.machines:
        lines += ["", "Programs: any Client ID with this secret, such as", ""]
        lines += [f"  export URL={url}", f"  export CF_ACCESS_CLIENT_ID={access.client_id}"]
        lines += [f"  export CF_ACCESS_CLIENT_SECRET={access.secret}"]
    return "\n".join([*lines, "", "Ctrl-C stops it. Each request is a line:", ""])
