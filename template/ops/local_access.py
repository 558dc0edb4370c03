# Managed by the private-worker template: do not edit, an update replaces it.
"""What `local` plays: an Access application that admits everybody, so that the guard decides.

The decision is the test kit's, in tests/kit/admission.py. `ACTIONS` changes what callers see.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from . import shape
from .project import kit_module

kit, admission = kit_module("access"), kit_module("admission")
MOST = 9_999_999  # seconds, almost four months


class Local(admission.Application):
    """`settings` are the guard's, whose issuer is this computer."""

    def __init__(self, settings: Any, name: str) -> None:
        team = kit.Team(kit.SigningKey())
        team.team_domain, team.aud = settings.issuer, min(settings.audiences)
        super().__init__(team)
        self.name = name
        self.people = shape.HUMANS
        self.answer_401 = not shape.HUMANS  # as provision sets it up
        self.login_at = ""  # this server, by whichever of its names it was called
        # Not Secure: on loopback it is plain http, where some clients would not send it back.
        self.attributes = "Path=/; HttpOnly; SameSite=Lax"
        self.keys_up = True
        self.emails = sorted(settings.emails - {"*"}) or ["dev@example.com"]
        self.client_id = min(settings.service_tokens - {"*"}, default=kit.MACHINE)
        self.secret = "cfast_" + secrets.token_hex(16)  # of every service token

    def _accepts(self, client_id: str, secret: str) -> bool:
        known = re.fullmatch(r"[\w-]+\.access", client_id, re.ASCII)
        return bool(known) and hmac.compare_digest(secret.encode(), self.secret.encode())

    def _authorised(self, client_id: str) -> bool:
        return True  # the guard has the list

    def state(self) -> dict[str, object]:
        """What `ACTIONS` has changed, for a person."""
        published = [jwk["kid"][:8] for jwk in self.team.keys]
        state = {
            "Signing key": self.team.signer.kid[:8],
            "Published keys": ", ".join(published) if self.keys_up else "not to be had (503)",
            "A new token lasts": f"{self.team.lasts} s",
            "The clock is ahead by": f"{self.team.skew} s",
            "Sessions": len(self.sessions),
        }
        strict = {"Service tokens are strict": "yes" if self.strict else "no"}
        return state | strict if shape.MACHINES else state


class Action(NamedTuple):
    """`run` gets the value that was sent and returns what has happened. Raises ValueError."""

    does: str
    run: Callable[[Local, str], str]
    value: str = ""  # what it needs, for a person; empty: nothing


def _rotate(local: Local, _: str) -> str:
    local.team.sign_with(kit.SigningKey())
    del local.team.keys[2:]  # Access, too, publishes two
    return "a new key signs new tokens, the one before it stays published"


def _withdraw(local: Local, _: str) -> str:
    local.team.keys[:] = [local.team.signer.jwk]
    return "only the key that signs is published"


def _unpublished(local: Local, _: str) -> str:
    local.team.sign_with(kit.SigningKey(), publish=False)
    return "a key signs new tokens that is not published; rotate makes it good again"


def _session(local: Local, value: str) -> str:
    local.team.lasts = _seconds(value, 1)
    return f"new tokens last {local.team.lasts} s"


def _skew(local: Local, value: str) -> str:
    local.team.skew = _seconds(value, -MOST)
    return f"the clock of Access is {local.team.skew} s ahead"


def _expire(local: Local, _: str) -> str:
    local.sessions.clear()
    return "all sessions are over"


def _strict(local: Local, value: str) -> str:
    local.strict = _one_of(value, "on", "off")
    return f"service tokens are {'strict' if local.strict else 'exchanged for a cookie'}"


def _keys(local: Local, value: str) -> str:
    local.keys_up = _one_of(value, "up", "down")
    return "the keys can be had" if local.keys_up else "the keys cannot be had: 503"


def _seconds(value: str, least: int) -> int:
    if not re.fullmatch(r"-?[0-9]{1,7}", value) or not least <= int(value) <= MOST:
        raise ValueError(f"needs whole seconds from {least} to {MOST}, such as value=60")
    return int(value)


def _one_of(value: str, yes: str, no: str) -> bool:
    if value not in (yes, no):
        raise ValueError(f"needs value={yes} or value={no}")
    return value == yes


ACTIONS = {
    "rotate": Action("Sign with a new key; the old one stays published", _rotate),
    "withdraw": Action("Take the old keys out of the published set", _withdraw),
    "unpublished": Action("Sign with a key that is not published", _unpublished),
    "session": Action("How long a new token lasts", _session, "seconds"),
    "skew": Action("Put the clock of Access ahead, or behind", _skew, "seconds"),
    "expire": Action("End all sessions", _expire),
    "strict": Action("Take service tokens strictly", _strict, "on or off"),
    "keys": Action("Whether the published keys can be had", _keys, "up or down"),
}
if not shape.MACHINES:
    del ACTIONS["strict"]
