# Managed by the private-worker template: do not edit, an update replaces it.
"""Who of those who are let in may do what. Being in a role lets nobody in.

The var `ROLES` is optional: {"admin": ["ann@example.com", "@example.org", "<Client ID>", "jobs"]}.
An address or a domain only ever means a person, a Client ID a program, any other name a Worker.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .refusal import NotConfigured, Reason, Refused
from .values import CLIENT_ID, DOMAIN, EMAIL, fold, text_of

NAME = "ROLES"
WORKER = re.compile(r"[A-Za-z0-9_-]+")

Member = tuple[str, str]  # a kind of caller or "domain", and what is compared
Roles = Mapping[str, frozenset[Member]]


def load(value: object) -> Roles:
    """Each role with its members. Raises NotConfigured."""
    if isinstance(value, str):  # as .dev.vars has it
        try:
            value = json.loads(text_of(NAME, value))
        except ValueError:
            raise NotConfigured(NAME, "is not JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotConfigured(NAME, 'must look like {"admin": ["ann@example.com"]}')
    return {role: frozenset(_members(role, listed)) for role, listed in value.items()}


def of(roles: Roles, *who: Member) -> frozenset[str]:
    """The roles that somebody has who is known by one of these."""
    return frozenset(role for role, members in roles.items() if not members.isdisjoint(who))


def _members(role: str, listed: object) -> Iterator[Member]:
    if not re.fullmatch("[a-z][a-z0-9_-]{0,31}", role):
        raise NotConfigured(NAME, "has a role name with other signs than a-z, 0-9, _ and -")
    if not isinstance(listed, list):
        raise NotConfigured(NAME, f'must have a list for {role}, such as ["ann@example.com"]')
    for item in listed:
        text = fold(text_of(NAME, item)) if "@" in str(item) else text_of(NAME, item)
        if domain := DOMAIN.fullmatch(text):
            yield "domain", domain[1]
        elif EMAIL.fullmatch(text):
            yield "human", text
        elif CLIENT_ID.fullmatch(text):
            yield "machine", text
        elif WORKER.fullmatch(text):
            yield "binding", text
        else:
            said = "that is no address, @domain, Client ID or name of a Worker"
            raise NotConfigured(NAME, f"has an entry in {role} {said}")


def meant(role: str | None, kind: str | None) -> None:
    """Whether this can be required. Raises ValueError."""
    if (role, kind) == (None, None) or kind not in (None, "human", "machine", "binding"):
        raise ValueError("require a role, or a kind: human, machine or binding")


def require(identity: Any, role: str | None = None, *, kind: str | None = None) -> None:
    """Go on only if the caller has this role, and is of this kind, if they are given.

    kind: "human", "machine" or "binding". Everybody else gets the one 403, and the log says `role`.
    Raises Refused, which is not for your code to catch, and ValueError when nothing is asked for.
    """
    meant(role, kind)
    if role not in (None, *identity.roles) or kind not in (None, identity.kind):
        raise Refused(Reason.ROLE, *identity.as_dict().values())
