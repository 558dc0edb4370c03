"""States of Access that open the Worker: `provision` shows each as a change, or refuses to go on
and names what is wrong and where. It never says that there is nothing to do."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from cloudflare_api import Json
from command_run import refused
from conftest import ROOT
from private_worker.provision.addresses import is_first, overlap
from private_worker.provision.application import opens
from provisioned import PRODUCTION, WHOLE, Make, Setup, well

pytestmark = pytest.mark.slow

pytest_plugins = ["provision_fixtures"]

APPLICATIONS = "Zero Trust > Access controls > Applications"
EVERYONE: Json = {"everyone": {}}


def policy(setup: Setup, name: str, decision: str, **rules: Any) -> Json:
    path = f"/accounts/{setup.account.id}/access/policies"
    return setup.api.create(path, name=name, decision=decision, **{"include": [EVERYONE], **rules})


def application(setup: Setup, name: str, *policies: Json, **fields: Any) -> Json:
    links = [{"id": row["id"], "precedence": n} for n, row in enumerate(policies, 1)]
    path = f"/accounts/{setup.account.id}/access/apps"
    return setup.api.create(path, name=name, type="self_hosted", policies=links, **fields)


def public(uri: str, **more: Any) -> list[Json]:
    return [{"type": "public", "uri": uri, **more}]


def attach(setup: Setup, row: Json) -> None:
    setup.app["policies"].append({"id": row["id"], "precedence": 9})


# A state, and what the plan shows of it.
CHANGES: dict[str, tuple[Callable[[Setup], object], str]] = {
    "a part of it is public": (
        lambda setup: setup.app["destinations"][0].update(
            overrides=[{"behavior": "public", "path_pattern": "/*"}]
        ),
        '"path_pattern": "/*"',
    ),
    "bypass": (lambda setup: attach(setup, policy(setup, "out", "bypass")), 'bypass \\"out\\"'),
    "everyone": (lambda setup: attach(setup, policy(setup, "all", "allow")), 'allow \\"all\\"'),
    "our own policy for everyone": (
        lambda setup: setup.policy_named("people")["include"].append(EVERYONE),
        '"everyone"',
    ),
    "our own policy turned into bypass": (
        lambda setup: setup.policy_named("people").update(decision="bypass"),
        'decision: "bypass" -> "allow"',
    ),
    "any service token": (
        lambda setup: setup.policy_named("service tokens")["include"].append(
            {"any_valid_service_token": {}}
        ),
        "any_valid_service_token",
    ),
    "any origin with credentials": (
        lambda setup: setup.app.update(
            cors_headers={"allow_all_origins": True, "allow_credentials": True, "max_age": 60}
        ),
        "cors_headers.allow_credentials: true -> false",
    ),
    "the same in other words": (
        lambda setup: setup.app.update(
            cors_headers={"allowed_origins": ["https://a.example", "*"], "allow_credentials": True}
        ),
        "cors_headers.allow_credentials: true -> false",
    ),
    "preflights go through": (
        lambda setup: setup.app.update(options_preflight_bypass=True),
        "options_preflight_bypass: true -> false",
    ),
    "a device is enough": (
        lambda setup: setup.app.update(allow_authenticate_via_warp=True),
        "allow_authenticate_via_warp: true -> false",
    ),
    "any login method": (lambda setup: setup.app.update(allowed_idps=[]), "allowed_idps: [] -> ["),
    "agents that nobody asked for": (
        lambda setup: setup.app.update(oauth_configuration={"enabled": True}),
        "oauth_configuration.enabled: true -> false",
    ),
    "strict mode is off": (
        lambda setup: setup.account.organization.update(  # type: ignore[union-attr]
            strict_service_token_auth=False
        ),
        "strict_service_token_auth: false -> true",
    ),
}


@pytest.mark.parametrize("state", CHANGES)
def test_it_is_shown_and_changed(make: Make, state: str) -> None:
    """Plan, apply, second run."""
    setup = make(**WHOLE)
    well(setup.apply())
    opened, shown = CHANGES[state]
    opened(setup)
    before = setup.api.state()
    plan = setup.run()
    well(plan, "~ change", shown, "Nothing was changed")
    assert "Nothing to do" not in plan.stdout and setup.api.state() == before
    done = setup.apply()
    well(done)
    planned = re.findall(r"^~ (change .*)$", plan.stdout, re.MULTILINE)
    assert planned and re.findall(r"^done: (.*)$", done.stdout, re.MULTILINE) == planned
    well(setup.apply(), "Nothing to do: everything is as it should be.")
    assert setup.api.writes == []


def _in_front(uri: str, **more: Any) -> Callable[[Setup], object]:
    """An application for this address, with a policy that lets nobody in by itself."""

    def opened(setup: Setup) -> object:
        staff = policy(setup, "staff", "allow", include=[{"email": {"email": "eve@example.net"}}])
        return application(setup, "in front", staff, destinations=public(uri, **more))

    return opened


def _bypassed(uri: str) -> Callable[[Setup], object]:
    return lambda setup: application(
        setup, "in front", policy(setup, "out", "bypass"), destinations=public(uri)
    )


# A state, and what the one line says of it, besides the page to open.
REFUSED: dict[str, tuple[Callable[[Setup], object], list[str]]] = {
    "bypass on workers.dev": (
        _bypassed("my-api.acme.workers.dev"),
        ['"in front"', "my-api.acme.workers.dev", "lets anybody in"],
    ),
    "bypass on a path": (
        _bypassed("invoices.example.net/health"),
        ['"in front"', "invoices.example.net/health", "lets anybody in"],
    ),
    "bypass on previews": (_bypassed("*.acme.workers.dev"), ['"in front"', "lets anybody in"]),
    "everyone who can log in": (
        lambda setup: application(
            setup, "open", policy(setup, "all", "allow"), domain="INVOICES.example.net/"
        ),
        ['"open"', "lets anybody in"],
    ),
    "a range of all addresses": (
        lambda setup: application(
            setup,
            "open",
            policy(setup, "all", "allow", include=[{"ip": {"ip": "0.0.0.0/0"}}]),
            destinations=public("*.example.net"),
        ),
        ['"open"', "lets anybody in"],
    ),
    "bypass on some of the previews": (
        _bypassed("pr-*.acme.workers.dev"),
        ['"in front"', "pr-*.acme.workers.dev", "lets anybody in"],
    ),
    "bypass on a name beside the destinations": (
        lambda setup: application(
            setup,
            "in front",
            policy(setup, "out", "bypass"),
            destinations=public("other.example.net"),
            domain="invoices.example.net",
        ),
        ['"in front"', "invoices.example.net", "lets anybody in"],
    ),
    "public in part": (
        _in_front("invoices.example.net", overrides=[{"behavior": "public", "path_pattern": "/x"}]),
        ['"in front"', "lets anybody in"],
    ),
    "other people on a hostname": (
        _in_front("invoices.example.net"),
        ['"in front"', "invoices.example.net", "POLICY_AUD"],
    ),
    "other people on a wildcard": (_in_front("*.example.net"), ['"in front"', "*.example.net"]),
    "the previews apart": (
        lambda setup: application(
            setup,
            "previews",
            policy(setup, "out", "bypass"),
            destinations=[{"type": "preview_worker", "worker_id": setup.worker["id"]}],
        ),
        ['"previews"', "its previews", "lets anybody in"],
    ),
    "all Workers in ours": (
        lambda setup: setup.app["destinations"].append({"type": "all_workers"}),
        ['"my-api (private-worker)"', "all_workers", "--adopt"],
    ),
    "another address in ours": (
        lambda setup: setup.app["destinations"].append(
            {"type": "public", "uri": "wiki.example.net"}
        ),
        ["wiki.example.net", "--adopt"],
    ),
    "another Worker in ours": (
        lambda setup: setup.app["destinations"].append(
            {
                "type": "worker",
                "worker_id": setup.api.worker(setup.account, "another")["id"],
            }
        ),
        ["also covers", "--adopt"],
    ),
}


@pytest.mark.parametrize("state", REFUSED)
def test_it_is_refused_with_the_page_to_open(make: Make, state: str) -> None:
    """A person has to decide: it may be that something else would be open afterwards."""
    setup = make(**WHOLE)
    well(setup.apply())
    opened, said = REFUSED[state]
    opened(setup)
    before = setup.api.state()
    for _ in range(2):
        refused(setup.run(), *said, APPLICATIONS)
        refused(setup.apply(), *said, APPLICATIONS)
    assert setup.api.state() == before


def test_the_page_has_every_state() -> None:
    """docs/reference/what-opens.md: plan, apply, second run."""
    page = (ROOT / "docs" / "reference" / "what-opens.md").read_text(encoding="utf-8")
    for states, columns in (
        (CHANGES, "changed | done | nothing to do"),
        (REFUSED, "refused | refused | refused"),
    ):
        found = re.findall(rf"^\| ([^|]+) \| {re.escape(columns)} \|", page, re.MULTILINE)
        assert sorted(found) == sorted(states)


def test_the_previews_of_all_workers_in_an_older_form(make: Make) -> None:
    """Without an id. The SDK does not know it, and it is not a Worker that is gone."""
    setup = make(**WHOLE)
    well(setup.apply())
    setup.app["destinations"].append({"type": "preview_worker"})
    refused(setup.apply(), "preview_worker", "also covers", "--adopt")
    setup.api.exchanges.clear()


def test_other_applications_that_change_nothing_here(make: Make) -> None:
    """Elsewhere, behind ours, a bookmark; and one in front whose AUD is listed."""
    setup = make(**WHOLE)
    well(setup.apply())
    out = policy(setup, "out", "bypass")
    for uri in (
        "wiki.example.net",
        "example.net",
        "a.invoices.example.net",
        "other.acme.workers.dev",
    ):
        application(setup, uri, out, destinations=public(uri))
    application(setup, "everything", out, destinations=[{"type": "all_workers"}])
    link = application(setup, "link", domain="invoices.example.net")
    setup.account.apps[link["id"]]["type"] = "bookmark"
    well(setup.apply(), "Nothing to do")
    _in_front("invoices.example.net/ws")(setup)
    [front] = [row for row in setup.account.apps.values() if row["name"] == "in front"]
    refused(setup.run(), "POLICY_AUD")
    aud = setup.policy_aud
    setup.replace(f'"{aud}"', f'["{aud}", "{front["aud"].upper()}"]')
    well(setup.apply(), '= keep application "in front"', "Nothing to do")
    made = setup.account.apps[front["id"]]
    for field, value in (
        ("options_preflight_bypass", True),
        ("allow_authenticate_via_warp", True),
        ("cors_headers", {"allow_all_origins": True, "allow_credentials": True}),
    ):
        made[field] = value
        refused(setup.apply(), '"in front"', "and opens it", field, APPLICATIONS)
        del made[field]


def test_previews_of_a_custom_domain(make: Make) -> None:
    """Their names are below it. Without previews, nothing answers there."""
    setup = make(**WHOLE)
    well(setup.apply())
    out = policy(setup, "out", "bypass")
    application(setup, "below", out, destinations=public("*.invoices.example.net"))
    well(setup.apply(), "Nothing to do")
    setup.replace('"previews_enabled": false', '"previews_enabled": true')
    refused(setup.apply(), '"below"', "*.invoices.example.net", "lets anybody in")


def test_hostnames_in_front_of_hostnames(make: Make) -> None:
    """Of two applications for hostnames, the one that says more comes first."""
    setup = make(**PRODUCTION, access_scope="hostname")
    well(setup.apply())
    out = policy(setup, "out", "bypass")
    wider = application(setup, "wider", out, destinations=public("*.example.net"))
    well(setup.apply(), "Nothing to do")
    del setup.account.apps[wider["id"]]
    application(setup, "path", out, destinations=public("invoices.example.net/health"))
    refused(setup.apply(), '"path"', "lets anybody in", APPLICATIONS)


def test_what_the_dashboard_opened_beside_the_hostnames(make: Make) -> None:
    """Only the guard is in front there. With Access on the Worker it would be covered."""
    setup = make(**PRODUCTION, access_scope="hostname")
    well(setup.apply(), "Left to do by hand")
    well(setup.apply(), "Nothing to do")
    zone = setup.api.zone(setup.account, "example.org")
    setup.api.domain(setup.account, zone, "old.example.org", "my-api")
    setup.worker["subdomain"] |= {"enabled": True, "previews_enabled": True}
    done = setup.apply()
    well(done, "Nothing to change.")
    for address in ("old.example.org", "my-api.acme.workers.dev", "*-my-api.acme.workers.dev"):
        assert f"- Access is not in front of {address}, which is on." in done.stdout
    assert "invoices.example.net, which" not in done.stdout


def test_the_owners_own_policies(make: Make) -> None:
    """With ["*"] they stay, but not one that lets in whoever comes."""
    setup = make(**WHOLE)
    setup.replace('["ann@example.net", "Bob@Example.org"]', '["*"]')
    well(setup.apply())
    narrow = policy(setup, "in the house", "allow", require=[{"ip": {"ip": "192.0.2.0/24"}}])
    attach(setup, narrow)
    well(setup.apply())
    for decision in ("allow", "bypass"):
        row = policy(setup, f"all {decision}", decision)
        setup.app["policies"].append({"id": row["id"], "precedence": 8})
        refused(setup.apply(), f'{decision} "all {decision}"', "lets anybody in", APPLICATIONS)
        setup.app["policies"].pop()
    well(setup.apply(), "Nothing to change")


EMAIL = {"email": {"email": "ann@example.net"}}
GROUP = {"group": {"id": "f" * 32}}
PIN = {"login_method": {"id": "f" * 32}}


def ip(of: str) -> Json:
    return {"ip": {"ip": of}}


@pytest.mark.parametrize(
    ("decision", "include", "require", "open_to_all"),
    [
        ("bypass", [EMAIL], [], True),
        ("deny", [EVERYONE], [], False),
        ("allow", [EVERYONE], [], True),
        ("allow", [EMAIL], [], False),
        ("allow", [EMAIL, EVERYONE], [], True),
        ("allow", [EVERYONE], [EMAIL], False),
        ("allow", [EVERYONE], [EVERYONE], True),
        ("allow", [EVERYONE], [GROUP, EVERYONE], False),
        ("allow", [PIN], [], True),
        ("allow", [PIN], [PIN], True),
        ("allow", [{"geo": {"country_code": "DE"}}], [], True),
        ("allow", [{"auth_method": {"auth_method": "mfa"}}], [], True),
        ("allow", [{"email_domain": {"domain": "example.net"}}], [], False),
        ("allow", [{"something_new": {}}], [], True),
        ("non_identity", [EVERYONE], [ip("0.0.0.0/0")], True),
        ("non_identity", [ip("0.0.0.0/1"), ip("128.0.0.0/1")], [], True),
        ("non_identity", [ip("0:0:0:0:0:0:0:0/0")], [], True),
        ("non_identity", [ip("::/1")], [], True),
        ("non_identity", [ip("nonsense")], [], True),
        ("non_identity", [ip("192.0.2.0/24")], [], False),
        ("non_identity", [ip("10.0.0.0/8"), ip("2001:db8::/32")], [], False),
        ("non_identity", [{"service_token": {"token_id": "f" * 32}}], [], False),
    ],
)
def test_who_a_policy_lets_in(
    decision: str, include: list[Json], require: list[Json], open_to_all: bool
) -> None:
    row = {"decision": decision, "include": include, "require": require}
    assert opens(row) is open_to_all


def test_adopted_with_what_else_it_covers(make: Make) -> None:
    """What is named on the command line stays as it is, and this Worker's part is closed."""
    setup = make(**WHOLE)
    well(setup.apply())
    other = {"type": "public", "uri": "wiki.example.net", "overrides": None}
    path = {
        "type": "public",
        "uri": "invoices.example.net/ws",
        "overrides": [{"behavior": "public", "path_pattern": "/ws/*"}],
    }
    setup.app["destinations"] += [other, path]
    well(setup.apply("--adopt", setup.app["id"]), "~ change")
    ours = {"type": "worker", "worker_id": setup.worker["id"]}
    assert setup.app["destinations"] == [
        ours,
        {"type": "public", "uri": "wiki.example.net"},
        {"type": "public", "uri": "invoices.example.net/ws"},
    ]
    well(setup.apply("--adopt", setup.app["id"]), "Nothing to do")


@pytest.mark.parametrize("adopted", [False, True])
def test_a_worker_that_was_made_anew(make: Make, adopted: bool) -> None:
    """It has another id. The application of the old one is taken over, without the dead id."""
    setup = make(**WHOLE)
    well(setup.apply())
    app = setup.app
    if adopted:
        app["name"] = "by hand"
    del setup.account.workers["my-api"]
    made = setup.api.worker(setup.account, "my-api")
    option = ("--adopt", app["id"]) if adopted else ()
    well(setup.run(*option), setup.worker["id"], made["id"])
    well(setup.apply(*option))
    assert setup.app["id"] == app["id"]
    assert setup.app["destinations"] == [{"type": "worker", "worker_id": made["id"]}]
    well(setup.apply(), "Nothing to do")


def test_the_answer_may_hold_nulls(make: Make) -> None:
    """They mean the same as nothing, and are not sent back."""
    setup = make(**WHOLE)
    well(setup.apply())
    setup.app["destinations"][0]["overrides"] = None
    setup.app["mfa_config"] = {"mfa_disabled": False, "session_duration": None}
    well(setup.apply(), "Nothing to do")
    setup.app["destinations"][0]["overrides"] = []
    well(setup.apply(), "Nothing to do")
    kept = copy.deepcopy(setup.app["mfa_config"])
    setup.app["session_duration"] = "1h"
    well(setup.apply(), 'session_duration: "1h" -> "24h"')
    assert setup.app["mfa_config"] == {"mfa_disabled": kept["mfa_disabled"]}


@pytest.mark.parametrize(
    ("theirs", "ours", "both"),
    [
        ("api.example.com", "api.example.com", True),
        ("API.example.com/", "api.example.com", True),
        ("*.example.com", "api.example.com", True),
        ("*.example.com", "a.api.example.com", False),
        ("*.example.com", "example.com", False),
        ("a*.example.com", "api.example.com", True),
        ("b*.example.com", "api.example.com", False),
        ("api.example.com/admin", "api.example.com", True),
        ("api.example.com/admin", "api.example.com/open", False),
        ("api.example.com/a*", "api.example.com/admin/x", True),
        ("api.example.com", "api.example.com/admin", True),
        ("a.b.example.com", "*.example.com", True),  # a Worker's route goes over dots
        ("example.com", "*example.com", True),
        ("pr-*.acme.workers.dev", "*-my-api.acme.workers.dev", True),
        ("*-other.acme.workers.dev", "*-my-api.acme.workers.dev", False),
        ("a*c.example.com", "a*b.example.com", False),
        ("*" * 40 + "x.example.com", "*" * 40 + "y.example.com", False),
        ("a" * 5000, "a" * 5000, True),
        ("x-my-api.acme.workers.dev", "*-my-api.acme.workers.dev", True),
        ("other.acme.workers.dev", "*-my-api.acme.workers.dev", False),
        (None, "api.example.com", False),
    ],
)
def test_addresses_that_overlap(theirs: str, ours: str, both: bool) -> None:
    assert overlap(theirs, ours) is both


@pytest.mark.parametrize(
    ("theirs", "ours", "first"),
    [
        ("api.example.com/admin", "api.example.com", True),
        ("api.example.com", "api.example.com/admin", False),
        ("*.example.com", "api.example.com", False),
        ("api.example.com", "*.example.com", True),
        ("other.example.com/admin", "api.example.com", False),
    ],
)
def test_which_of_two_comes_first(theirs: str, ours: str, first: bool) -> None:
    assert is_first(theirs, ours) is first
