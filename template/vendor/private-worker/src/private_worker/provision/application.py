"""The Access application in front of the Worker, its policies and its login method.

https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/
"""

from contextlib import suppress
from ipaddress import ip_network
from typing import Any

from ..api import APPLICATIONS, Row, list_of
from ..guard_rules import ANYONE
from ..project import Problem
from ..text import plain, shown
from . import agents
from .addresses import answers, destinations_of, everywhere, hostnames, is_first, overlap
from .walk import KEEP, Walk, called, differences, only, without_nulls

WORKERS = ("worker", "preview_worker")  # destinations that are one Worker
# The kinds of rules that say who it is.
WHO = set(
    """
    any_valid_service_token azureAD certificate cloudflare_account_member common_name device_posture
    email email_domain email_list external_evaluation github-organization group gsuite ip_list
    linked_app_token oidc okta saml service_token
    """.split()
)
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
    walk: Walk, worker: Row, emails: list[str], tokens: list[Row], login: str | None, theirs: bool
) -> Row:
    """The application, created or repaired. `theirs`: the owner's own policies stay on it."""
    reusable = walk.listed("access/policies")
    ours = _policies(walk, emails, tokens, reusable)
    own = own_destinations(walk, worker)
    _tell_of_others(walk, worker, own)
    listed = walk.listed("access/apps")
    found = _find(walk, listed, own)
    _refuse_what_comes_first(walk, [row for row in listed if row is not found], worker, own)
    found = agents.explicit(found) if found else None
    attached = list_of(found or {}, "policies")
    attached.sort(key=lambda row: str(row.get("precedence")).zfill(9))
    ids = [row["id"] for row in ours]
    policies = [row for row in attached if theirs and row.get("id") not in ids]
    if anybody := [_policy(row) for row in policies if opens(row)]:
        said = f"lets anybody in with {', '.join(anybody)}: take that out in {APPLICATIONS}"
        raise Problem(f"application {called(found or {})} {said}")
    policies += ours
    links = [{"id": row.get("id"), "precedence": n} for n, row in enumerate(policies, 1)]
    destinations = _destinations(walk, found or {}, worker, own)
    wanted = {**_fields(walk, found or {}, destinations, login), "policies": links}
    if theirs:
        walk.by_hand.append(f'["*"] lets in whom your own policies admit: {APPLICATIONS}')
    if found is None:
        return walk.create("access/apps", "application", {"name": walk.name(), **wanted})
    there = {str(row.get("id")): row for row in attached}  # repaired by themselves
    details = differences(
        {**found, "policies": [_policy(row) for row in attached]},
        {**wanted, "policies": [_policy(there.get(str(row.get("id")), row)) for row in policies]},
    )
    inline = [row for row in attached if row.get("id") not in [one["id"] for one in reusable]]
    if details and found.get("name") != walk.name() and found["id"] != walk.options.adopt:
        said = f"was not created by provision, add --adopt {found['id']} to let it change"
        raise Problem(f"application {called(found)} {said}: {'; '.join(details)}")
    if details and inline:
        said = f"would lose {', '.join(map(_policy, inline))}: make these policies reusable"
        raise Problem(f"application {called(found)} {said} in {APPLICATIONS}")
    ends = agents.ends(found, wanted)
    if ends:  # before as well, in case that the run is interrupted in between
        agents.revoke(walk, found)
    walk.update("access/apps", "application", found, wanted, details)
    if ends:
        agents.revoke(walk, found)
        agents.note(walk)
    return found


def own_destinations(walk: Walk, worker: Row) -> list[Row]:
    """What the application of this Worker has to cover. Raises Problem."""
    if walk.shape.access_scope == "hostname":
        return [{"type": "public", "uri": uri} for uri in hostnames(walk)]
    return [{"type": "worker", "worker_id": worker.get("id")}]


def _tell_of_others(walk: Walk, worker: Row, own: list[Row]) -> None:
    """An application for hostnames does not cover what somebody has turned on in the dashboard."""
    uris = [str(one["uri"]) for one in own if one["type"] == "public"]
    for address in answers(worker, off=False) if uris else ():
        if not any(overlap(uri, address) for uri in uris if "/" not in uri):
            said = f"Access is not in front of {plain(address)}, which is on. Turn it off in the"
            walk.by_hand.append(f"{said} dashboard: the Worker > Settings > Domains & Routes")


def opens(policy: Row) -> bool:
    """Whether it lets in whoever comes, or whoever can log in: no rule says who they are."""
    decision, include = policy.get("decision"), list_of(policy, "include")
    closed = all(map(_names, include)) or any(map(_names, list_of(policy, "require")))
    return decision == "bypass" or (decision != "deny" and not closed)


def _names(rule: Row) -> bool:
    """Whether a rule means certain people or programs, or no more than a sixteenth of an Internet.

    What a group, a list or an identity provider holds is not looked into.
    """
    ip = rule.get("ip")
    with suppress(ValueError):
        if isinstance(ip, dict) and ip_network(str(ip.get("ip")), strict=False).prefixlen > 3:
            return True
    return not WHO.isdisjoint(rule)


def _policies(walk: Walk, emails: list[str], tokens: list[Row], reusable: list[Row]) -> list[Row]:
    """People need an Allow policy and service tokens a Service Auth policy, which names each.

    "Any valid service token" would let in those of other projects.
    https://developers.cloudflare.com/cloudflare-one/access-controls/policies/
    """
    wanted: dict[str, Row] = {}
    if emails and ANYONE not in emails:
        rules: list[Row] = [{"email": {"email": email}} for email in emails if email[0] != "@"]
        rules += [{"email_domain": {"domain": one[1:]}} for one in emails if one[0] == "@"]
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


def _find(walk: Walk, listed: list[Row], own: list[Row]) -> Row | None:
    """The application that covers one of the destinations, else the one that is ours by name.

    Or the one that is adopted, if it was for a Worker that is gone: this one under its older id.
    """
    adopt, wanted = walk.options.adopt, set(map(_key, own))
    covering = [row for row in listed if wanted & set(map(_key, destinations_of(row)))]
    named = [row for row in listed if row.get("name") == walk.name()]
    given = [row for row in listed if row["id"] == adopt]
    if given and any(_is_gone(walk, one) for one in destinations_of(given[0])):
        named = given
    found = only(covering or named, "applications")
    there = found["id"] if found else "not there yet"
    if adopt not in (None, there):
        raise Problem(f"--adopt: the application of this Worker is {there}")
    return found


def _refuse_what_comes_first(walk: Walk, others: list[Row], worker: Row, own: list[Row]) -> None:
    """Applications that Access asks before ours, so that ours decides nothing there.

    One that lets nobody in by itself may stay if the guard takes its AUD. Raises Problem.
    """
    of_worker = walk.shape.access_scope == "worker"
    addresses = everywhere(walk, worker) if of_worker else [one["uri"] for one in own]
    before = overlap if of_worker else is_first
    previews, wrong = f"preview_worker {worker['id']}", []
    for row in map(agents.explicit, others):
        there = destinations_of(row, whole=True)
        where = [one for one in there if _key(one) == previews or _is_at(one, addresses, before)]
        if not where or row.get("type") == "bookmark":
            continue
        at = ", ".join(plain(one.get("uri") or "its previews") for one in where)
        said = f"application {called(row)} comes before this Worker's own at {at}"
        open_in_part = any(one.get("overrides") for one in where)
        unasked = {} if walk.shape.agents else agents.configuration(walk.shape, row)
        loose = differences(row, {**_tight(row), **unasked})
        if any(map(opens, list_of(row, "policies"))) or open_in_part:
            wrong.append(f"{said} and lets anybody in")
        elif loose:
            wrong.append(f"{said} and opens it: {'; '.join(loose)}")
        elif str(row.get("aud") or "?").lower() in str(walk.block.vars.get("POLICY_AUD")).lower():
            walk.note(KEEP, said)
        else:
            wrong.append(f"{said}, and POLICY_AUD does not list its AUD")
    if wrong:
        raise Problem(f"{'; '.join(wrong)}: change or delete it in {APPLICATIONS}")


def _destinations(walk: Walk, found: Row, worker: Row, own: list[Row]) -> list[Row]:
    """Ours, with nothing that opens a part of them, and without Workers that are gone.

    Whatever else the application covers would be open without it. So it may stay with --adopt, or
    a person decides. Raises Problem.
    """
    other = foreign(walk, found, worker, own)
    if other and found["id"] != walk.options.adopt:
        said = f"application {called(found)} also covers {', '.join(map(shown, other))}"
        there = f"give it an application of its own in {APPLICATIONS}"
        raise Problem(f"{said}: {there}, or add --adopt {found['id']} to leave it here")
    keys, kept = [_key(one) for one in own], list(own)
    for one in destinations_of(found):
        if one in other:
            kept.append(without_nulls(one))
        elif _key(one) not in keys and not _is_gone(walk, one):
            kept.append({k: one[k] for k in ("type", "worker_id", "uri") if k in one})
    return kept


def foreign(walk: Walk, application: Row, worker: Row, own: list[Row]) -> list[Row]:
    """Its destinations that are neither of this Worker nor of one that is gone."""
    addresses, keys = everywhere(walk, worker), [_key(one) for one in own]
    keys += [f"{kind} {worker.get('id')}" for kind in WORKERS]
    there = [one for one in destinations_of(application) if _key(one) not in keys]
    return [one for one in there if not _is_at(one, addresses) and not _is_gone(walk, one)]


def _is_at(destination: Row, addresses: list[str], fits: Any = overlap) -> bool:
    """Whether it is a hostname or path at one of these addresses."""
    public = destination.get("type") == "public"
    return any(public and fits(destination.get("uri"), one) for one in addresses)


def _is_gone(walk: Walk, destination: Row) -> bool:
    """Whether it was a Worker. One that is deployed anew has another id."""
    key = destination.get("worker_id")  # none: an older form for the previews of all Workers
    return destination.get("type") in WORKERS and bool(key) and not walk.find_worker(str(key))


def _fields(walk: Walk, found: Row, destinations: list[Row], login: str | None) -> Row:
    """The fields of the application that we manage; all others keep what they have."""
    wanted: Row = {
        "type": "self_hosted",
        "destinations": destinations,
        "app_launcher_visible": False,
        "http_only_cookie_attribute": True,
        "same_site_cookie_attribute": "lax",
        **_tight(found),
        **agents.configuration(walk.shape, found),
    }
    if walk.shape.humans:
        wanted["session_duration"] = walk.shape.session_duration
    if walk.shape.machines:  # an error, where a program could do nothing with a login page
        wanted["service_auth_401_redirect"] = True
    if login:
        wanted |= {"allowed_idps": [login], "auto_redirect_to_identity": True}
    return wanted


def _tight(application: Row) -> Row:
    """Fields that would let requests past its policies, as they have to be."""
    wanted: Row = {"options_preflight_bypass": False, "allow_authenticate_via_warp": False}
    cors = application.get("cors_headers")
    cors = cors if isinstance(cors, dict) else {}
    any_origin = cors.get("allow_all_origins") or "'*'" in str(cors.get("allowed_origins"))
    if any_origin and cors.get("allow_credentials"):  # any page could act as who is logged in
        wanted["cors_headers"] = {**cors, "allow_credentials": False}
    return wanted


def _key(destination: Row) -> str:
    """What tells destinations apart."""
    address = destination.get("worker_id") or destination.get("uri")
    return f"{destination.get('type')} {address}".lower().rstrip("/")


def _policy(row: Row) -> str:
    return f"{plain(row.get('decision'))} {called(row)}"
