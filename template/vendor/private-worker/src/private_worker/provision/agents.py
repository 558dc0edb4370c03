"""Managed OAuth: how agents, which people log in, come through Access.

https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/managed-oauth/
"""

from ..api import Row, write
from ..project import Shape
from .walk import CHANGE, Walk

FIELD = "oauth_configuration"
ACCESS_TOKEN = "15m"  # after which Access asks its policies again
GRANT = "336h"  # two weeks, after which the person logs in again: some agents never refresh


def explicit(application: Row) -> Row:
    """The application with what leaving `enabled` out means: true."""
    there = application.get(FIELD)
    on = {FIELD: {"enabled": True, **there}} if isinstance(there, dict) else {}
    return application | on


def configuration(shape: Shape, application: Row) -> Row:
    """The field of the application as it has to be; nothing where it may stay as it is.

    A PUT replaces it, so what is in it and not ours is sent back.
    """
    there = _part(application, FIELD)
    if not shape.agents:
        return {FIELD: {**there, "enabled": False}} if there.get("enabled") else {}
    registration, uris = _part(there, "dynamic_client_registration"), list(shape.redirect_uris)
    listed = registration.get("allowed_uris")
    same = isinstance(listed, list) and sorted(map(str, listed)) == sorted(uris)
    registration = {
        **registration,
        "enabled": True,
        "allow_any_on_localhost": True,
        "allow_any_on_loopback": True,
        "allowed_uris": listed if same else uris,
    }
    grant = {"access_token_lifetime": ACCESS_TOKEN, "session_duration": GRANT}
    grant = {**_part(there, "grant"), **grant}
    wanted = {"enabled": True, "dynamic_client_registration": registration, "grant": grant}
    return {FIELD: {**there, **wanted}}


def ends(application: Row, wanted: Row) -> bool:
    """Whether some agent is no longer to log in, who may today."""
    before, after = _part(application, FIELD), _part(wanted, FIELD)
    return bool(after) and (after.get("enabled") is False or not _uris(before) <= _uris(after))


def _uris(configuration: Row) -> set[str]:
    listed = _part(configuration, "dynamic_client_registration").get("allowed_uris")
    return set(map(str, listed)) if isinstance(listed, list) else set()


def revoke(walk: Walk, application: Row) -> None:
    """End what was issued, which outlives the switch: of agents, and the sessions of people.

    https://developers.cloudflare.com/api/resources/zero_trust/subresources/access/subresources/applications/methods/revoke_tokens/
    """
    if walk.apply:
        write(walk.api, "POST", walk.path("access/apps", application["id"]) + "/revoke_tokens")


def note(walk: Walk) -> None:
    walk.note(CHANGE, "tokens of the application are revoked: agents are out, people log in again")


def _part(row: Row, name: str) -> Row:
    value = row.get(name)
    return value if isinstance(value, dict) else {}
