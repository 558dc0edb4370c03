"""`private-worker provision`: the real command and SDK against a stateful stand-in.

What must be created is written here from the facts about Cloudflare Access, not from the command.
"""

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterable
from typing import Any

import pytest

from cloudflare_api import Json
from command_run import COMMAND, environment, mind_ctrl_c, refused
from private_worker.project import FILE
from provisioned import PRODUCTION, WHOLE, Make, Setup, stopped, well

pytestmark = pytest.mark.slow

pytest_plugins = ["provision_fixtures"]

MACHINES_AND_PEOPLE = {"profile": "custom", "callers": ["human", "machine"]}
TEAM = "https://acme-labs.cloudflareaccess.com"


def test_the_plan_changes_nothing(make: Make) -> None:
    setup = make()
    state, files = setup.api.state(), setup.files()
    other_credentials = {
        "CLOUDFLARE_API_KEY": "k" * 37,
        "CLOUDFLARE_EMAIL": "eve@example.net",
        "CLOUDFLARE_API_USER_SERVICE_KEY": "v1.0-x",
    }
    done = setup.run_apart(CLOUDFLARE_LOG="debug", **other_credentials)
    well(
        done,
        '+ create login method "One-time PIN login"',
        '+ create service token "my-api (private-worker)"',
        '+ create policy "my-api: people (private-worker)"',
        '+ create policy "my-api: service tokens (private-worker)"',
        '+ create application "my-api (private-worker)"',
        f'vars.TEAM_DOMAIN: "REPLACE_WITH_TEAM_DOMAIN" -> "{TEAM}"',
        "Nothing was changed. To carry this out, add --apply.",
        "npm run deploy",
        "npm run probe",
    )
    assert "bob@example.org" in done.stdout and setup.worker["id"] in done.stdout
    assert setup.api.writes == []
    assert setup.api.state() == state and setup.files() == files
    # The SDK's own log was on, and must not hold the token.
    assert "HTTP Request: GET" in done.stderr
    assert setup.api.token not in done.stderr + done.stdout
    for headers in setup.api.authorizations:
        assert headers["authorization"] == f"Bearer {setup.api.token}"
        assert not {"x-auth-key", "x-auth-email", "x-auth-user-service-key"} & set(headers)


def test_first_run_creates_and_second_run_writes_nothing(make: Make) -> None:
    setup = make()
    before = setup.wrangler.read_text()
    first = setup.run_apart("--apply", "--secret-to", setup.secret_to, CLOUDFLARE_LOG="debug")
    well(first, "done: create service token", "npm run deploy", "npm run probe")

    account = setup.account
    [login] = account.identity_providers.values()
    assert (login["type"], login["config"]) == ("onetimepin", {})
    [token] = account.service_tokens.values()
    assert (token["name"], token["duration"]) == ("my-api (private-worker)", "8760h")
    people, machines = setup.policy("allow"), setup.policy("non_identity")
    assert people["include"] == [
        {"email": {"email": "ann@example.net"}},
        {"email": {"email": "bob@example.org"}},
    ]
    assert people["session_duration"] == "24h"
    assert machines["include"] == [{"service_token": {"token_id": token["id"]}}]
    for policy in (people, machines):
        assert policy["exclude"] == policy["require"] == []
    app = setup.app
    assert {name: app[name] for name in app if name not in ("id", "uid", "aud", "name")} == {
        "type": "self_hosted",
        "destinations": [{"type": "public", "uri": "invoices.example.net"}],
        "domain": "invoices.example.net",  # these two come from Cloudflare
        "self_hosted_domains": ["invoices.example.net"],
        "policies": [
            {"id": people["id"], "precedence": 1},
            {"id": machines["id"], "precedence": 2},
        ],
        "allowed_idps": [login["id"]],
        "auto_redirect_to_identity": True,
        "session_duration": "24h",
        "app_launcher_visible": False,
        "service_auth_401_redirect": True,
        "http_only_cookie_attribute": True,
        "same_site_cookie_attribute": "lax",
        "options_preflight_bypass": False,
        "allow_authenticate_via_warp": False,
    }

    # Three values of wrangler.jsonc, and nothing else in it.
    assert setup.wrangler.read_text() == (
        before.replace("REPLACE_WITH_TEAM_DOMAIN", TEAM)
        .replace("REPLACE_WITH_AUD_TAG", app["aud"])
        .replace("REPLACE_WITH_CLIENT_ID", token["client_id"])
    )

    # The secret was on the command's standard input, once, and is nowhere else.
    [secret] = setup.api.secrets
    assert setup.handed_over == [[secret, token["client_id"], "my-api"]]
    for hidden in (secret, setup.api.token):
        assert hidden not in first.stdout + first.stderr
        assert not [path for path, data in setup.files().items() if hidden.encode() in data]

    people["include"].reverse()  # the order means nothing
    state, files = setup.api.state(), setup.files()
    second = setup.apply()
    well(second, "Nothing to do")
    assert "npm run deploy" not in second.stdout
    assert setup.api.writes == []
    assert setup.api.state() == state and setup.files() == files
    assert len(setup.handed_over) == 1


def test_drift_is_shown_then_repaired_and_unknown_fields_survive(make: Make) -> None:
    setup = make()
    well(setup.apply())
    wanted = setup.api.state()
    people, app = setup.policy("allow"), setup.app
    future = {"of": ["tomorrow"]}
    people["future_field"] = app["future_field"] = future
    people["purpose_justification_required"] = True
    people["approval_groups"] = app["custom_pages"] = None
    people["include"].append({"email": {"email": "eve@example.net"}})
    people["exclude"] = [{"email": {"email": "ann@example.net"}}]
    setup.policy("non_identity")["include"] = [{"any_valid_service_token": {}}]
    guests = {"id": "0" * 8, "name": "guests", "decision": "allow", "include": [{"everyone": {}}]}
    setup.account.policies["0" * 8] = guests
    app["policies"].append({"id": "0" * 8, "precedence": 3})
    app["session_duration"] = "720h"
    app["options_preflight_bypass"] = True
    setup.replace(app["aud"], "a" * 64)

    drifted = setup.api.state()
    plan = setup.run()
    well(
        plan,
        "eve@example.net",
        "any_valid_service_token",
        'session_duration: "720h" -> "24h"',
        "options_preflight_bypass: true -> false",
        f'"{"a" * 64}" -> "{app["aud"]}"',
    )
    assert setup.api.state() == drifted and setup.api.writes == []

    well(setup.apply())
    puts = [request for request in setup.api.writes if request.method == "PUT"]
    assert len(puts) == len(setup.api.writes) == 3
    for put in puts:
        assert not {"id", "aud", "created_at", "updated_at", "account_id"} & set(put.body)
        assert None not in put.body.values()  # the API may refuse what it gives
    people, app = setup.policy_named("people"), setup.app
    assert people.pop("future_field") == app.pop("future_field") == future
    assert people.pop("purpose_justification_required") is True
    # What provision did not make is still there, but no longer attached.
    assert setup.account.policies.pop("0" * 8) == guests
    assert _stable(setup.api.state()) == _stable(wanted)
    assert app["aud"] in setup.wrangler.read_text() and "a" * 64 not in setup.wrangler.read_text()
    well(setup.apply(), "Nothing to do")


def _stable(state: Any) -> Any:
    """Without what the server sets when something changes, and without what is not set."""
    data = json.loads(json.dumps([vars(account) for account in state[0].values()], sort_keys=True))
    for account in data:
        for kind in ("policies", "apps"):
            for key, row in account[kind].items():
                kept = {k: v for k, v in row.items() if v not in (None, False, [])}
                account[kind][key] = kept
                for name in ("updated_at", "domain", "self_hosted_domains"):
                    kept.pop(name, None)
    return data


# Each write, and whether it was carried out although no answer came.
WRITES = (
    ("/access/identity_providers$", True),
    ("/access/service_tokens$", False),
    ("/access/policies$", True),
    ("/access/policies$", False),
    ("/access/apps$", True),
)


def test_an_interrupted_run_is_gone_on_with(make: Make) -> None:
    """Each write fails in turn. What was done is found again, and nothing is there twice."""
    setup = make()
    for path, lost in WRITES:
        setup.api.fail("POST", path, 500, carried_out=lost, drop=lost)
        done = setup.apply()
        stopped(done, "whether it was done is not known" if lost else "HTTP 500")
        assert len(setup.api.writes) == len(done.stdout.split("done: "))
        assert "REPLACE_WITH_AUD_TAG" in setup.wrangler.read_text()
    well(setup.apply())
    account = setup.account
    kinds = account.identity_providers, account.service_tokens, account.policies, account.apps
    assert [len(kind) for kind in kinds] == [1, 1, 2, 1]
    assert len(setup.handed_over) == 1
    well(setup.apply(), "Nothing to do")


def test_a_token_whose_secret_was_never_seen_is_told_of(make: Make) -> None:
    setup = make()
    without = b'{"success": true, "result": {"id": "x", "client_id": "y.access"}}'
    setup.api.fail("POST", "/access/service_tokens$", 200, body=without)
    first = setup.apply()
    stopped(first, 'service token "my-api" came without its secret', "--rotate my-api --grace 0")
    assert "done: create login method" in first.stdout
    assert "done: create service token" in first.stdout
    setup.api.fail("POST", "/access/service_tokens$", 0, carried_out=True, drop=True)
    stopped(setup.apply(), "whether it was done is not known")
    done = setup.apply()
    well(done, 'Service token "my-api (private-worker)" (', "was there already", "--rotate my-api")
    assert len(setup.account.service_tokens) == 1 and setup.handed_over == []


def _interrupt(setup: Setup, path: str) -> tuple[int, str, str]:
    """Ctrl-C while the POST to `path` waits for its answer: exit status and what was said."""
    setup.api.requests.clear()
    setup.later()
    running = subprocess.Popen(
        [*COMMAND, "provision", "--apply", "--secret-to", setup.secret_to],
        cwd=setup.folder,
        env=environment(**setup.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=mind_ctrl_c,
    )
    deadline = time.monotonic() + 60
    while not any(request.path.endswith(path) for request in setup.api.writes):
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.05)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    return running.wait(60), *running.communicate()


def test_ctrl_c(make: Make) -> None:
    """A token that is being created is handed over first; what was done is listed."""
    setup = make()
    for path in ("/service_tokens", "/policies"):
        setup.api.fail("POST", f"{path}$", 0, delay=1.5, late=True)
        status, said, errors = _interrupt(setup, path)
        assert status == 130 and "Traceback" not in errors
        assert (
            "private-worker: stopped" in errors and "run it again: it goes on from there" in errors
        )
        assert ("done: create service token" in said) is (path == "/service_tokens")
        assert "done: create policy" not in said
    [secret] = setup.api.secrets
    assert [row[0] for row in setup.handed_over] == [secret]
    well(setup.apply())
    assert len(setup.account.service_tokens) == 1


def test_rate_limits(make: Make) -> None:
    """A read waits as long as Cloudflare asks. A write was not carried out, and is not repeated."""
    setup = make()
    wait = {"Retry-After": "1"}
    setup.api.fail("GET", "/access/apps$", 429, headers=wait)
    setup.api.fail("POST", "/access/service_tokens$", 429, headers={"Retry-After": "77"})
    first = setup.apply()
    stopped(first, "HTTP 429", "rate limit, wait 77 s")
    assert "done: create login method" in first.stdout
    assert "done: create service token" not in first.stdout
    assert [write.path.split("/")[-1] for write in setup.api.writes][1:] == ["service_tokens"]
    well(setup.apply())
    assert len(setup.account.service_tokens) == len(setup.handed_over) == 1


def test_wrong_answers(make: Make) -> None:
    """`success: false` with 200, HTML, empty, and JSON that is not what it should be."""
    setup = make()
    forbidden = [{"code": 12130, "message": "access.api.error.policy_limit"}]
    setup.api.fail("POST", "/access/policies$", 200, forbidden)
    stopped(setup.apply(), "creating the Access policies", "12130 access.api.error.policy_limit")
    assert [write.path.rsplit("/")[-1] for write in setup.api.writes][2:] == ["policies"]
    state = setup.api.state()
    null = b'{"success": true, "errors": [], "result": null}'
    odd = b'{"success": true, "errors": [], "result": [{"name": 3}, 4]}'
    nameless = b'{"success": true, "errors": [], "result": [{"name": 3}]}'
    html = b"<!doctype html><title>Log in</title>"
    empty = b'{"success": true, "result": {}}'
    wrong = {
        "organizations$": (html, "proxy"),
        "service_tokens$": (odd, "/access/service_tokens"),
        "policies$": (nameless, "access/policies has no usable id"),
        "apps$": (null, "/access/apps"),
        "workers/workers/": (empty, "the Worker has no usable id"),
    }
    for path, (body, named) in wrong.items():
        setup.api.fail("GET", path, 200, body=body)
        refused(setup.run(), named)
    # Nor is a redirect followed: it could lead the token somewhere else.
    away = {"Location": f"{setup.api.url}/elsewhere"}
    setup.api.fail("GET", "workers/workers/", 302, headers=away, body=b'{"errors": 5}')
    refused(setup.run(), "HTTP 302")
    assert not [request for request in setup.api.requests if "elsewhere" in request.path]
    setup.api.fail("POST", "/access/policies$", 200, body=null)
    stopped(setup.apply(), "no usable id")
    assert setup.api.state() == state
    setup.api.fail("POST", "/access/apps$", 200, body=b'{"success": true, "result": {"id": "x"}}')
    stopped(setup.apply(), "aud")
    assert "REPLACE_WITH_AUD_TAG" in setup.wrangler.read_text()


IDENTITY = "Access: Organizations, Identity Providers, and Groups"
PERMISSIONS = (
    ("GET", "access/organizations", f"{IDENTITY}: Read"),
    ("GET", "workers/workers/", "Workers Scripts: Read"),
    ("GET", "access/service_tokens", "Access: Service Tokens: Read"),
    ("GET", "access/apps", "Access: Apps and Policies: Read"),
    ("POST", "access/identity_providers", f"{IDENTITY}: Edit"),
    ("POST", "access/service_tokens", "Access: Service Tokens: Edit"),
    ("POST", "access/policies", "Access: Apps and Policies: Edit"),
    ("POST", "access/apps", "Access: Apps and Policies: Edit"),
)


def _permissions_are_named(setup: Setup, permissions: Iterable[tuple[str, str, str]]) -> None:
    for method, path, permission in permissions:
        setup.api.denied = {f"{method} /accounts/{setup.account.id}/{path}"}
        before, check = setup.api.state(), refused if method == "GET" else stopped
        check(
            setup.apply(), "HTTP 403", f'"{permission}"', "dash.cloudflare.com/profile/api-tokens"
        )
        assert method == "POST" or setup.api.state() == before


def test_a_missing_permission_is_named(make: Make) -> None:
    setup = make()
    _permissions_are_named(setup, PERMISSIONS[3:5])
    setup.api.denied = set()
    setup.api.token += "-of-another-time"
    expired = setup.run(CLOUDFLARE_API_TOKEN="expired" * 6)
    refused(expired, "HTTP 401", "CLOUDFLARE_API_TOKEN")


@pytest.mark.slow
def test_each_missing_permission_is_named(make: Make) -> None:
    _permissions_are_named(make(), (*PERMISSIONS[:3], *PERMISSIONS[5:]))


@pytest.mark.slow
def test_variables_that_lead_nowhere(make: Make) -> None:
    """Of the SDK and of httpx."""
    setup = make()
    for name in ("HTTPS_PROXY", "SSL_CERT_FILE", "CLOUDFLARE_BASE_URL"):
        refused(setup.run_apart(**{name: "nonsense://["}), name)
    refused(
        setup.run(CLOUDFLARE_BASE_URL="https://api.invalid/v4"), "api.invalid", "cannot connect"
    )


def test_what_stops_it_before_anything_is_changed(make: Make) -> None:
    setup = make()
    state, files = setup.api.state(), setup.files()
    refused(setup.run("--apply"), "--secret-to", '"my-api"')
    refused(setup.run("--apply", "--secret-to", "no-such-command x"), "--secret-to", "no-such-com")
    refused(setup.run("--env", "staging"), "--env staging")
    refused(setup.run("--account-id", "../../zones"), "--account-id", "32 hexadecimal")
    refused(setup.run("--account-id", "0" * 32), "no account 00000", "--account-id")
    refused(setup.run("--adopt", "nothing"), "--adopt", "not there yet")
    no_token = setup.run(CLOUDFLARE_API_TOKEN=" ")
    refused(no_token, "CLOUDFLARE_API_TOKEN", "docs/SETUP.md", "dash.cloudflare.com")
    split = setup.run(CLOUDFLARE_API_TOKEN="first\nsecond")
    refused(split, "CLOUDFLARE_API_TOKEN")
    assert "second" not in split.stderr and setup.api.requests == []
    refused(setup.run(CLOUDFLARE_BASE_URL="http://192.0.2.1/client/v4"), "https://")

    assert setup.account.organization is not None
    setup.account.organization["auth_domain"] = "evil.example.com/x.cloudflareaccess.com"
    refused(setup.run(), "organisation", "auth_domain", "evil.example.com")
    setup.account.organization = None
    refused(setup.run(), "Zero Trust is not enabled", "dashboard")
    setup.account.zero_trust = False
    refused(setup.run(), "Zero Trust is not enabled", "dashboard")
    setup.account.zero_trust, setup.account.organization = (
        True,
        state[0][setup.account.id].organization,
    )
    workers, setup.account.workers = setup.account.workers, {}
    refused(setup.apply(), 'no Worker "my-api"', "npm run deploy", "--account-id")
    setup.account.workers = workers
    assert setup.api.state() == state and setup.files() == files

    setup.replace('"ann@example.net"', '"REPLACE_WITH_YOUR_EMAIL"')
    refused(setup.apply(), "ALLOWED_EMAILS", "placeholder")
    setup.replace('"REPLACE_WITH_YOUR_EMAIL"', '"ann@example.net"')
    setup.replace('"REPLACE_WITH_CLIENT_ID"', '"a.access", "REPLACE_WITH_CLIENT_ID"')
    refused(setup.apply(), "ALLOWED_SERVICE_TOKENS", "placeholder")
    setup.replace('"a.access", ', "")
    setup.replace("REPLACE_WITH_CLIENT_ID", "unknown.access")
    refused(setup.apply(), "unknown.access", "ALLOWED_SERVICE_TOKENS")
    setup.replace("unknown.access", "REPLACE_WITH_CLIENT_ID")
    setup.replace("REPLACE_WITH_TEAM_DOMAIN", "another-team")
    refused(setup.apply(), "TEAM_DOMAIN is another-team", TEAM, "--account-id")
    assert setup.api.state() == state


def test_two_accounts(make: Make) -> None:
    setup = make()
    other = setup.api.account("Other \x1b[31m[bold]", "other-team")
    both = setup.run()
    refused(both, "--account-id", setup.account.id, other.id)
    assert "\x1b" not in both.stderr and "[bold]" in both.stderr
    well(setup.run("--account-id", setup.account.id, CLOUDFLARE_ACCOUNT_ID=other.id))
    refused(setup.run(CLOUDFLARE_ACCOUNT_ID=other.id), other.id, "no Worker")
    setup.replace('"name": "my-api",', f'"name": "my-api", "account_id": "{setup.account.id}",')
    well(setup.run(), setup.account.id)
    assert not [request for request in setup.api.requests if request.path == "/accounts"]


def test_only_what_is_named_is_adopted(make: Make) -> None:
    setup = make(**WHOLE)
    account, api = setup.account, setup.api
    path = f"/accounts/{account.id}/access"
    foreign = api.create(
        f"{path}/policies", name="me", decision="allow", include=[{"everyone": {}}]
    )
    app = api.create(
        f"{path}/apps",
        name="by hand",
        type="self_hosted",
        session_duration="12h",
        destinations=[{"type": "worker", "worker_id": setup.worker["id"]}],
        policies=[{"id": foreign["id"], "precedence": 1}],
    )
    state = api.state()
    refused(
        setup.apply(),
        '"by hand"',
        app["id"],
        'session_duration: "12h" -> "24h"',
        f"--adopt {app['id']}",
    )
    assert api.state() == state

    well(
        setup.apply("--adopt", app["id"]),
        "~ change application",
        f'policies: ["allow \\"me\\" ({foreign["id"]})"] -> [',
    )
    assert setup.app["name"] == "by hand" and setup.app["session_duration"] == "24h"
    people, machines = setup.policy_named("people"), setup.policy_named("service tokens")
    assert [link["id"] for link in setup.app["policies"]] == [people["id"], machines["id"]]
    # It is in use no longer, but as it was. What fits needs no name.
    assert account.policies[foreign["id"]] == state[0][account.id].policies[foreign["id"]]
    well(setup.apply(), "Nothing to do")
    refused(setup.apply("--adopt", foreign["id"]), "--adopt", app["id"])

    # Two policies of the same name: which of them is meant is not guessed.
    account.policies["twin"] = {**machines, "id": "twin"}
    refused(setup.apply("--adopt", app["id"]), "several policies", machines["id"], "twin")


def test_policies_that_a_change_would_lose(make: Make) -> None:
    setup = make(**WHOLE)
    inline = {"name": "only here", "decision": "allow", "include": [{"everyone": {}}]}
    app = setup.api.create(
        f"/accounts/{setup.account.id}/access/apps",
        name="my-api (private-worker)",
        type="self_hosted",
        destinations=[{"type": "worker", "worker_id": setup.worker["id"]}],
        policies=[inline],
    )
    state = setup.api.state()
    refused(setup.apply("--adopt", app["id"]), '"only here"', app["id"], "reusable")
    assert setup.api.state() == state


def test_hostnames(make: Make) -> None:
    """An application on the hostname: one in an older form is found and completed."""
    setup = make(**PRODUCTION, access_scope="hostname")
    assert setup.account.apps == {}
    well(setup.apply())
    assert setup.app["destinations"] == [{"type": "public", "uri": "invoices.example.net"}]
    well(setup.apply(), "Nothing to do")
    older = setup.app
    del older["destinations"]
    older |= {"domain": "INVOICES.example.net", "name": "by hand"}
    setup.replace(
        '"routes": [', '"routes": ["www.example.net/invoices/*", "https://b.example.net/*",'
    )
    setup.replace('"workers_dev": false', '"workers_dev": true')
    well(setup.apply("--adopt", older["id"]), "~ change application")
    assert {(row["type"], row["uri"]) for row in setup.app["destinations"]} == {
        ("public", "invoices.example.net"),
        ("public", "www.example.net/invoices"),
        ("public", "b.example.net"),
        ("public", "my-api.acme.workers.dev"),
    }
    well(setup.apply(), "Nothing to do")
    copy = {**setup.app, "id": "copy", "destinations": setup.app["destinations"][1:2]}
    setup.account.apps["copy"] = copy
    refused(setup.apply(), "several applications", older["id"], "copy")


# Where a Worker with programs answers -> what Access has to cover, for production and for staging.
ANSWERS_AT: dict[str, tuple[dict[str, str], str, str]] = {
    "workers_dev": ({}, "my-api.acme.workers.dev", "my-api-staging.acme.workers.dev"),
    "custom_domain": (
        {"hostname": "api.example.net", "staging_hostname": "dev.example.net"},
        "api.example.net",
        "dev.example.net",
    ),
    "route": (
        {
            "zone_name": "example.net",
            "route_pattern": "www.example.net/api/*",
            "staging_route_pattern": "dev.example.net/api/*",
        },
        "www.example.net/api",
        "dev.example.net/api",
    ),
}


@pytest.mark.parametrize("exposure", ANSWERS_AT)
def test_in_front_of_programs(make: Make, exposure: str) -> None:
    """By default on each hostname, so that Access names them to the Worker. One that is turned on
    beside it in the dashboard is not covered, and told."""
    where, top, staging = ANSWERS_AT[exposure]
    setup = make(**MACHINES_AND_PEOPLE, **where, exposure=exposure, staging=True)
    setup.replace("REPLACE_WITH_YOUR_EMAIL", "ann@example.net")
    setup.api.worker(setup.account, "my-api-staging")
    done = [setup.apply(), setup.apply("--env", "staging")]
    covered = {app["name"]: app["destinations"] for app in setup.account.apps.values()}
    assert covered == {
        "my-api (private-worker)": [{"type": "public", "uri": top}],
        "my-api-staging (private-worker)": [{"type": "public", "uri": staging}],
    }
    for one in done:
        well(one, "Look from outside")
        assert "the header that names it" not in one.stdout
    setup.worker["subdomain"] |= {"enabled": True, "previews_enabled": True}
    told = setup.run().stdout
    assert "Access is not in front of *-my-api.acme.workers.dev, which is on" in told
    assert ("in front of my-api.acme" in told) == (exposure != "workers_dev")


def test_programs_may_come_without_a_name(make: Make) -> None:
    """With Access on the whole Worker: what to look at is said, unless all programs may come in."""
    setup = make(**WHOLE)
    done = setup.apply()
    well(done, "may come without the header that names it", "CF_ACCESS_CLIENT_SECRET")
    well(setup.apply(), "Nothing to do")
    listed = setup.policy_token("my-api")["client_id"]
    setup.replace(f'"{listed}"', '"*"')
    setup.app["session_duration"] = "1h"
    done = setup.apply()
    well(done, "Look from outside")
    assert "the header that names it" not in done.stdout


def test_from_the_worker_to_its_hostname(make: Make) -> None:
    """The same application, so that its AUD stays. What it covered stays covered."""
    setup = make(**WHOLE)
    well(setup.apply())
    aud = setup.app["aud"]
    shape = setup.folder / ".private-worker.toml"
    text = shape.read_text(encoding="utf-8")
    assert text.count('access_scope = "worker"') == 1
    shape.write_text(text.replace('access_scope = "worker"', 'access_scope = "hostname"'))
    well(setup.apply(), "~ change application")
    assert (setup.app["aud"], setup.policy_aud) == (aud, aud)
    assert setup.app["destinations"] == [
        {"type": "public", "uri": "invoices.example.net"},
        {"type": "worker", "worker_id": setup.worker["id"]},
    ]
    well(setup.apply(), "Nothing to do")


def test_routes_in_other_forms(make: Make) -> None:
    """What wrangler takes under `route` is covered as well; what has no address stops it."""
    setup = make(**PRODUCTION, access_scope="hostname")
    setup.replace('"routes": [', '"route": "www.example.net/*", "routes": [')
    well(setup.apply())
    uris = [destination["uri"] for destination in setup.app["destinations"]]
    assert uris == ["invoices.example.net", "www.example.net"]
    setup.replace('"pattern": "invoices.example.net"', '"pattern": 7')
    refused(setup.apply(), "a route has no pattern", "npm run check")


def _at_a_terminal(setup: Setup, *words: str) -> tuple[int, str]:
    """The command at a terminal: exit status, and what is shown."""
    setup.later()
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [*COMMAND, "provision", *words],
        cwd=setup.folder,
        env=environment(**setup.env, TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # what Linux says when the other side is closed
        pass
    os.close(ours)
    return running.wait(timeout=20), shown.decode()


def test_a_secret_on_the_terminal(make: Make) -> None:
    setup = make()
    named = ("--service-token", "night", "--service-token", "day", "--service-token", "day")
    status, shown = _at_a_terminal(setup, "--apply", *named)
    assert status == 0 and len(setup.account.service_tokens) == 2
    for token, secret in zip(setup.account.service_tokens.values(), setup.api.secrets, strict=True):
        assert shown.count(secret) == 1 and token["client_id"] in shown
        assert token["client_id"] in setup.wrangler.read_text()
        assert not [data for data in setup.files().values() if secret.encode() in data]


def test_a_secret_that_nobody_took(make: Make) -> None:
    """Named service tokens get one call of the command each."""
    setup = make()
    named = ("--service-token", "night", "--service-token", "day")
    lost = setup.run("--apply", "--secret-to", "false", *named)
    stopped(
        lost, "--secret-to failed (exit status 1)", '"night" is lost', "--rotate night --grace 0"
    )
    assert setup.api.secrets[0] not in lost.stdout + lost.stderr
    well(setup.apply(*named), 'Service token "my-api: night (private-worker)" (')
    assert [row[0::2] for row in setup.handed_over] == [[setup.api.secrets[1], "day"]]
    ids = [token["client_id"] for token in setup.account.service_tokens.values()]
    assert json.dumps(ids) in setup.wrangler.read_text()

    # At a terminal it is not lost.
    named = ("--service-token", "evening", "--secret-to", "false")
    status, shown = _at_a_terminal(setup, "--apply", *named)
    assert status == 1 and shown.count(setup.api.secrets[-1]) == 1 and "is shown above" in shown
    well(setup.apply("--service-token", "evening"))

    # A fourth one joins those that are listed.
    well(setup.apply("--service-token", "dawn"))
    assert len(setup.policy("non_identity")["include"]) == 4
    well(setup.apply(), "Nothing to do")


def _listed(token: Json) -> str:
    return json.dumps([token["client_id"]])


def test_an_environment_and_previews(make: Make) -> None:
    scope = {"access_scope": "worker", "preview_urls": True}
    setup = make(**MACHINES_AND_PEOPLE, **scope, exposure="route")
    setup.replace("REPLACE_WITH_YOUR_EMAIL", "ann@example.net")
    setup.replace(
        "REPLACE_WITH_CLIENT_ID", setup.api.service_token(setup.account, "x")["client_id"]
    )
    staging = setup.api.worker(setup.account, "my-api-staging")
    block = """"env": { "staging": { // our own
      "vars": { "TEAM_DOMAIN": "acme-labs", "POLICY_AUD": ["%s", "REPLACE_WITH_AUD_TAG"],
        "ALLOWED_EMAILS": [], "ALLOWED_SERVICE_TOKENS": ["REPLACE_WITH_CLIENT_ID"] } } },
  "workers_dev\"""" % ("b" * 64)
    setup.replace('"workers_dev"', block)
    # The previews let in no program, on purpose.
    top, previews = setup.wrangler.read_text().split('"previews"')
    [token] = setup.account.service_tokens.values()
    setup.wrangler.write_text(f'{top}"previews"{previews.replace(_listed(token), "[]", 1)}')
    before = setup.wrangler.read_text()
    assert before.count(_listed(token)) == 1

    done = setup.apply("--env", "staging")
    well(
        done, "unset CLOUDFLARE_API_TOKEN && npm run deploy:staging", "env.staging.vars.POLICY_AUD"
    )
    assert setup.app["destinations"] == [{"type": "worker", "worker_id": staging["id"]}]
    assert setup.app["name"] == "my-api-staging (private-worker)"
    assert "allowed_idps" not in setup.app and setup.account.identity_providers == {}
    assert setup.handed_over[0][1:] == [
        setup.policy_token("my-api-staging")["client_id"],
        "my-api-staging",
    ]
    head, tail = before.split('"workers_dev"')
    head = head.replace('"REPLACE_WITH_AUD_TAG"', f'"{setup.app["aud"]}"')
    head = head.replace("REPLACE_WITH_CLIENT_ID", setup.handed_over[0][1])
    assert setup.wrangler.read_text() == f'{head}"workers_dev"{tail}'

    staged = setup.account.apps.popitem()
    well(setup.apply(), "previews.vars.POLICY_AUD")
    tail = tail.replace("REPLACE_WITH_AUD_TAG", setup.app["aud"])
    tail = tail.replace("REPLACE_WITH_TEAM_DOMAIN", TEAM)
    assert setup.wrangler.read_text() == f'{head}"workers_dev"{tail}'
    setup.account.apps[staged[0]] = staged[1]
    well(setup.apply("--env", "staging"), "Nothing to do")


def test_lists_that_name_nobody_in_particular(make: Make) -> None:
    """["*"] leaves it to the policies of the owner's, which are kept; never any valid token."""
    setup = make()
    setup.replace('["ann@example.net", "Bob@Example.org"]', '["*"]')
    setup.replace('["REPLACE_WITH_CLIENT_ID"]', '["*"]')
    well(setup.apply(), '["*"] lets in whom your own policies admit', "Applications")
    assert setup.app["policies"] == [] and setup.account.policies == {}
    assert setup.account.service_tokens == {}
    path = f"/accounts/{setup.account.id}/access/policies"
    staff = {"email_domain": {"domain": "example.net"}}
    own = setup.api.create(path, name="staff", decision="allow", include=[staff])
    setup.app["policies"] = [{"id": own["id"], "precedence": 1}]
    well(setup.apply("--service-token", "ci"), "~ change application", "create service token")
    machines = setup.policy("non_identity")
    assert setup.app["policies"] == [
        {"id": own["id"], "precedence": 1},
        {"id": machines["id"], "precedence": 2},
    ]
    assert '"ALLOWED_SERVICE_TOKENS": ["*"]' in setup.wrangler.read_text()
    again = setup.apply("--service-token", "ci")
    well(again, "Nothing to change", '["*"] lets in whom your own policies admit')
    assert "Nothing to do" not in again.stdout and setup.api.writes == []
    # As soon as the lists name who may pass, nobody else does.
    setup.replace('"ALLOWED_EMAILS": ["*"]', '"ALLOWED_EMAILS": []')
    setup.replace('"ALLOWED_SERVICE_TOKENS": ["*"]', '"ALLOWED_SERVICE_TOKENS": []')
    refused(setup.apply(), "names nobody")
    token = setup.policy_token("ci")["client_id"]
    setup.replace('"ALLOWED_SERVICE_TOKENS": []', f'"ALLOWED_SERVICE_TOKENS": ["{token}"]')
    well(setup.apply(), "~ change application")
    assert setup.app["policies"] == [{"id": machines["id"], "precedence": 1}]


def test_a_whole_domain(make: Make) -> None:
    """As "Emails ending in" of the dashboard; a second run finds it as it should be."""
    setup = make()
    setup.replace('"Bob@Example.org"', '"@Example.org"')
    well(setup.apply(), '{"email_domain": {"domain": "example.org"}}')
    assert setup.policy("allow")["include"] == [
        {"email": {"email": "ann@example.net"}},
        {"email_domain": {"domain": "example.org"}},
    ]
    well(setup.apply(), "Nothing to do")


def test_people_only(make: Make) -> None:
    """No service tokens are looked at, and a login method of the owner's choice stays."""
    setup = make(profile="personal", allowed_emails="ann@example.net", identity_provider="existing")
    refused(setup.run("--service-token", "x"), "--service-token")
    setup.api.denied = {"service_tokens", "identity_providers"}
    well(setup.run("--apply"))
    assert "service_auth_401_redirect" not in setup.app and "allowed_idps" not in setup.app
    assert len(setup.account.policies) == 1
    well(setup.apply(), "Nothing to do")

    # The other choice: they log in with their Cloudflare accounts.
    setup.api.denied = {"service_tokens"}
    shape = setup.folder / FILE
    shape.write_text(shape.read_text().replace('"existing"', '"cloudflare"'))
    well(setup.apply())
    [login] = setup.account.identity_providers.values()
    assert login["type"] == "cloudflare" and setup.app["allowed_idps"] == [login["id"]]


def test_names_that_would_write_to_the_terminal(make: Make) -> None:
    """On an output that knows ASCII only."""
    setup = make()
    well(setup.apply())
    hostile = "\x1b]0;owned\x07[red]\u202e\u00e9"
    setup.account.identity_providers.popitem()
    path = f"/accounts/{setup.account.id}/access/identity_providers"
    setup.api.create(path, name=hostile, type="onetimepin", config={})
    setup.app["name"] = hostile
    done = setup.run_apart("--adopt", setup.app["id"], PYTHONIOENCODING="ascii")
    well(done, "[red]", "~ change application")
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
