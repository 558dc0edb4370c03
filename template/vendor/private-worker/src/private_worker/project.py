"""The project around these tools: where it is and what it was made for."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

FILE = ".private-worker.toml"  # rendered by the template, with the shape and the managed files
WRANGLER = "wrangler.jsonc"
RENDER_AGAIN = "render it again: uvx copier recopy --vcs-ref=:current:"
ON_HOSTNAME = (
    "Type: uvx copier update --vcs-ref=:current: --defaults --data access_scope=hostname, "
    "and follow docs/SETUP.md again."
)


class Problem(Exception):
    """It cannot go on. The message is one line and says what to type."""


@dataclass(frozen=True)
class Shape:
    """The answers that decide what there is, as they were rendered.

    exposure: "workers_dev", "custom_domain", "route" or "none"
    callers: some of "human", "machine", "binding"
    access_scope: "worker" or "hostname"; "" without an exposure
    identity_provider: "otp", "cloudflare" or "existing"; "" without human callers
    session_duration: how long a login lasts, such as "24h"; "" without human callers
    rpc, bound_fetch: how other Workers call it
    fastapi: whether src/api.py is a FastAPI application
    limited: whether there is a limit for each caller
    upstreams: the names of the private services
    base: the path in front of every other one, such as "/invoices"; "" without
    agents: those that people may connect, some of "local", "claude", "cursor", "vscode", "other"
    other_redirect_uris: the redirect URIs of the agents that are "other"
    """

    exposure: str
    callers: tuple[str, ...]
    access_scope: str
    identity_provider: str
    session_duration: str
    rpc: bool
    bound_fetch: bool
    fastapi: bool
    limited: bool
    upstreams: tuple[str, ...]
    base: str
    agents: tuple[str, ...]
    other_redirect_uris: tuple[str, ...]

    @property
    def edge(self) -> bool:
        """Whether public HTTP reaches it."""
        return self.exposure != "none"

    @property
    def humans(self) -> bool:
        return "human" in self.callers

    @property
    def machines(self) -> bool:
        return "machine" in self.callers

    @property
    def nameless(self) -> bool:
        """Whether a program may come without the header that names it.

        With Access on the whole Worker there may be only `ctx.access`, which names no program:
        https://github.com/anolilab/lunora/pull/417
        """
        return self.machines and self.access_scope == "worker"

    @property
    def binding(self) -> bool:
        return "binding" in self.callers

    @property
    def serves(self) -> bool:
        """Whether it answers HTTP at all, so that there is a src/api.py."""
        return self.edge or self.bound_fetch

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        """Where the agents want the code of a login sent, each once.

        Agents on the person's own computer take any port of it, and are let in by Access's switch
        for that (loopback).
        """
        known = tomllib.loads(Path(__file__).with_name("agents.toml").read_text(encoding="utf-8"))
        chosen = (known[agent]["redirect_uris"] for agent in self.agents if agent in known)
        return tuple(dict.fromkeys(chain(*chosen, self.other_redirect_uris)))


@dataclass(frozen=True)
class Project:
    """root: the folder with wrangler.jsonc. files: managed files -> SHA-256 as rendered."""

    root: Path
    shape: Shape
    files: Mapping[str, str]


def find_root(start: Path) -> Path:
    """The rendered project that `start` is in. Raises Problem."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise Problem(f"{start} is in no private-worker project: no {FILE} in it or in a folder above")


def read(root: Path) -> Project:
    """What the template wrote about the project in `root`. Raises Problem."""
    try:
        found: dict[str, Any] = tomllib.loads((root / FILE).read_text(encoding="utf-8"))
        values = {field.name: found["shape"][field.name] for field in fields(Shape)}
        for field in fields(Shape):
            value = values[field.name]
            if field.type == tuple[str, ...]:
                right = isinstance(value, list) and all(isinstance(one, str) for one in value)
                values[field.name] = tuple(value) if right else ()
            else:
                right = type(value) is field.type
            if not right:
                raise ValueError(f"{field.name} is {value!r}")
        files = {name: str(digest) for name, digest in found.get("files", {}).items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Problem(f"{FILE} cannot be read ({error}); {RENDER_AGAIN}") from None
    return Project(root, Shape(**values), files)
