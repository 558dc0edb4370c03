"""The Access application in front of the Worker, its policies and its login method.

https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/
"""

import re

from ..api import get
from ..config import routes_of
from ..guard_rules import ANYONE
from ..project import Problem
from .walk import KEEP, Row, Walk, called, differences, field_of, list_of, only

APPLICATIONS = "Zero Trust > Access controls > Applications"
LOGINS = {"otp": ("onetimepin", "One-time PIN login"), "cloudflare": ("cloudflare", "Cloudflare")}


def login_method(walk: Walk) -> str | None:
    """The id of the only login method, or None to leave the choice as it is.

    New organisations have no one-time PIN until it is added, and there can be only one.
    https://developers.cloudflare.com/cloudflare-one/integrations/identity-providers/one-time-pin/
    """
    if walk.shape.identity_provider == "existing":
        return None
    kind, name = LOGINS[walk.shape.identity_provider]
    for row in walk.listed("access/identity_providers"):
        if row.get("type") == kind:
            walk.note(KEEP, f"login method {called(row)}")
            return str(row["id"])
    body = {"name": name, "type": kind, "config": {}}
    return str(walk.create("access/identity_providers", "login method", body)["id"])


def protect(
    walk: Walk, worker: str, emails: list[str], tokens: list[Row], login: str | None, theirs: bool
) -> Row:
    """The application, created or repaired. `theirs`: the owner's own policies stay on it."""
    reusable = walk.listed("access/policies")
    ours = _policies(walk, emails, tokens, reusable)
    destinations = _destinations(walk, worker)
    found = _find(walk, destinations)
    attached = list_of(found or {}, "policies")
    attached.sort(key=lambda row: str(row.get("precedence")).zfill(9))
    ids = [row["id"] for row in ours]
    policies = [row for row in attached if theirs and row.get("id") not in ids] + ours
    links = [{"id": row.get("id"), "precedence": n} for n, row in enumerate(policies, 1)]
    wanted = {**_fields(walk, found or {}, destinations, login), "policies": links}
    if theirs:
        walk.by_hand.append(f'["*"] lets in whom your own policies admit: {APPLICATIONS}')
    if found is None:
        return walk.create("access/apps", "application", {"name": walk.name(), **wanted})
    details = differences(
        {**found, "policies": [called(row) for row in attached]},
        {**wanted, "policies": [called(row) for row in policies]},
    )
    inline = [row for row in attached if row.get("id") not in [one["id"] for one in reusable]]
    if details and found.get("name") != walk.name() and found["id"] != walk.options.adopt:
        said = f"was not created by provision, add --adopt {found['id']} to let it change"
        raise Problem(f"application {called(found)} {said}: {'; '.join(details)}")
    if details and inline:
        said = f"would lose {', '.join(map(called, inline))}: make these policies reusable"
        raise Problem(f"application {called(found)} {said} in {APPLICATIONS}")
    walk.update("access/apps", "application", found, wanted, details)
    return found


def _policies(walk: Walk, emails: list[str], tokens: list[Row], reusable: list[Row]) -> list[Row]:
    """People need an Allow policy and service tokens a Service Auth policy, which names each.

    "Any valid service token" would let in those of other projects.
    https://developers.cloudflare.com/cloudflare-one/access-controls/policies/
    """
    wanted: dict[str, Row] = {}
    if emails and ANYONE not in emails:
        rules: list[Row] = [{"email": {"email": email}} for email in emails]
        wanted["people"] = {"decision": "allow", "include": rules}
        wanted["people"]["session_duration"] = walk.shape.session_duration
    if tokens:
        rules = [{"service_token": {"token_id": row["id"]}} for row in tokens]
        wanted["service tokens"] = {"decision": "non_identity", "include": rules}
    found = []
    for who, fields in wanted.items():
        name, fields = walk.name(f": {who}"), {**fields, "exclude": [], "require": []}
        policy = only([row for row in reusable if row.get("name") == name], "policies")
        if policy is None:
            policy = walk.create("access/policies", "policy", {"name": name, **fields})
        else:
            walk.update("access/policies", "policy", policy, fields, differences(policy, fields))
        found.append(policy)
    return found


def _destinations(walk: Walk, worker: str) -> list[Row]:
    """What the application must cover: the Worker, or the public addresses in wrangler.jsonc."""
    if walk.shape.access_scope == "worker":
        return [{"type": "worker", "worker_id": worker}]
    settings = walk.config.inherited(walk.options.env)
    patterns = [route.pattern for route in routes_of(settings)]
    if "" in patterns:
        raise Problem(f"wrangler.jsonc, {walk.block.name}: a route has no pattern; npm run check")
    uris = [re.sub(r"^https?://|/\*?$", "", pattern).lower() for pattern in patterns]
    if settings.get("workers_dev") is True:
        answer = get(walk.api, walk.path("workers/subdomain"))
        name = field_of(answer, "subdomain", r"[a-z0-9-]+", "the account on workers.dev")
        uris.append(f"{walk.worker}.{name}.workers.dev")
    if not uris:
        raise Problem(f"wrangler.jsonc, {walk.block.name}: no routes, so Access has no address")
    return [{"type": "public", "uri": uri} for uri in uris]


def _find(walk: Walk, destinations: list[Row]) -> Row | None:
    """The application that covers one of the destinations, else the one that is ours by name."""
    listed = walk.listed("access/apps")
    wanted = set(map(_key, destinations))
    covering = []
    for row in listed:
        domain = {"type": "public", "uri": row.get("domain")}  # all that an older one has
        if wanted & set(map(_key, [*list_of(row, "destinations"), domain])):
            covering.append(row)
    named = [row for row in listed if row.get("name") == walk.name()]
    found = only(covering or named, "applications")
    there = found["id"] if found else "not there yet"
    if walk.options.adopt not in (None, there):
        raise Problem(f"--adopt: the application of this Worker is {there}")
    return found


def _fields(walk: Walk, found: Row, destinations: list[Row], login: str | None) -> Row:
    """The fields of the application that we manage; all others keep what they have."""
    there = list_of(found, "destinations")
    known = [_key(one) for one in there]
    wanted: Row = {
        "type": "self_hosted",
        "destinations": there + [one for one in destinations if _key(one) not in known],
        "app_launcher_visible": False,
        "http_only_cookie_attribute": True,
        "same_site_cookie_attribute": "lax",
        "options_preflight_bypass": False,
        "allow_authenticate_via_warp": False,
    }
    if walk.shape.humans:
        wanted["session_duration"] = walk.shape.session_duration
    if walk.shape.machines:  # an error, where a program could do nothing with a login page
        wanted["service_auth_401_redirect"] = True
    if login:
        wanted |= {"allowed_idps": [login], "auto_redirect_to_identity": True}
    return wanted


def _key(destination: Row) -> str:
    """What tells destinations apart."""
    address = destination.get("worker_id") or destination.get("uri")
    return f"{destination.get('type')} {address}".lower().rstrip("/")
