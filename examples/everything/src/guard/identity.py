# Managed by the private-worker template: do not edit, an update replaces it.
"""Who is calling. The guard hands exactly one of these to the API. `roles`: see `roles.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from . import roles
from .refusal import Reason, Refused
from .settings import Settings
from .shape import HUMANS, MACHINES
from .values import domain_of, fold


@dataclass(frozen=True, slots=True)
class Human:
    """A person who logged in through Cloudflare Access."""

    kind: ClassVar[str] = "human"
    email: str
    roles: frozenset[str] = frozenset()

    def as_dict(self) -> dict[str, str | None]:
        return {"kind": self.kind, "email": self.email}


@dataclass(frozen=True, slots=True)
class Machine:
    """A program with an Access service token.

    client_id is None where the runtime's `ctx.access` was the only proof: it does not tell.
    """

    kind: ClassVar[str] = "machine"
    client_id: str | None
    roles: frozenset[str] = frozenset()

    def as_dict(self) -> dict[str, str | None]:
        return {"kind": self.kind, "client_id": self.client_id}


@dataclass(frozen=True, slots=True)
class BoundWorker:
    """Another Worker of the same Cloudflare account, through a service binding."""

    kind: ClassVar[str] = "binding"
    name: str
    roles: frozenset[str] = frozenset()

    def as_dict(self) -> dict[str, str | None]:
        return {"kind": self.kind, "worker": self.name}


Identity = Human | Machine | BoundWorker


def from_claims(claims: Mapping[str, object], settings: Settings) -> Human | Machine:
    """The identity in a verified application token. Raises Refused.

    A person's token has `email` and no `common_name`. A service token's has `common_name` (its
    Client ID), no `email` and an empty `sub`. Whatever is both or neither is refused, so a machine
    never passes as a person.
    https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/application-token/
    """
    has_email = "email" in claims
    has_common_name = "common_name" in claims
    if has_email == has_common_name:
        raise Refused(Reason.IDENTITY_UNCLEAR)
    if has_email:
        return human(claims["email"], settings)
    if claims.get("sub", "") != "":
        raise Refused(Reason.IDENTITY_UNCLEAR)
    return _machine(claims["common_name"], settings)


def human(email: object, settings: Settings) -> Human:
    """A person on the list. Raises Refused."""
    if not isinstance(email, str) or not email:
        raise Refused(Reason.IDENTITY_UNCLEAR)
    if not HUMANS:
        raise Refused(Reason.CALLER_KIND, "human", email)
    if not settings.allows_email(email):
        raise Refused(Reason.NOT_ALLOWED, "human", email)
    known_by = ("human", fold(email)), ("domain", domain_of(email))
    return Human(email, roles.of(settings.roles, *known_by))


def unnamed_machine(settings: Settings) -> Machine:
    """A service token that `ctx.access` vouches for without saying which. Raises Refused."""
    if not MACHINES:
        raise Refused(Reason.CALLER_KIND, "machine")
    if not settings.allows_any_service_token:
        raise Refused(Reason.NOT_ALLOWED, "machine")
    return Machine(None)


def _machine(client_id: object, settings: Settings) -> Machine:
    if not isinstance(client_id, str) or not client_id.endswith(".access"):
        raise Refused(Reason.IDENTITY_UNCLEAR)
    if not MACHINES:
        raise Refused(Reason.CALLER_KIND, "machine", client_id)
    if not settings.allows_service_token(client_id):
        raise Refused(Reason.NOT_ALLOWED, "machine", client_id)
    return Machine(client_id, roles.of(settings.roles, ("machine", client_id)))
