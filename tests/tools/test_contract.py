"""What `provision` sends and what its stand-in answers, held against the SDK's models.

Each form that the stand-in once had, or that a command once sent, is put back here and must be
noticed: else the contract would say nothing.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

import cloudflare_api
import sdk_contract
from cloudflare_api import Exchange, Json, Request
from command_run import refused
from private_worker import api as commands_api
from provisioned import AGENTS, Make, Setup, well

pytestmark = pytest.mark.slow

pytest_plugins = ["provision_fixtures"]


def everything(setup: Setup) -> list[Exchange]:
    """Each operation of the commands, by the commands or as they would ask."""
    api, account = setup.api, setup.account
    assert account.organization is not None
    account.organization["strict_service_token_auth"] = False
    well(setup.apply())
    for row in setup.account.policies.values():
        row["include"] = [{"everyone": {}}] if row["decision"] == "allow" else row["include"]
    setup.app["session_duration"] = "1h"
    well(setup.apply())
    shape = setup.folder / ".private-worker.toml"
    with_agents = shape.read_text()
    shape.write_text(with_agents.replace('agents = ["claude"]', "agents = []"))
    well(setup.apply())
    shape.write_text(with_agents)
    well(setup.apply())
    well(setup.apply("--renew", "my-api"))
    well(setup.apply("--rotate", "my-api", "--grace", "7d"))
    zone = api.zone(account, "example.net")
    api.route(zone, "example.net/api/*", "my-api")
    api.domain(account, zone, "invoices.example.net", "my-api")
    # What `probe` asks for, and in the way in which it does.
    mine = f"/accounts/{account.id}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in setup.env.items():
            patch.setenv(name, value)
        client = commands_api.client()
    rows, get = commands_api.rows, commands_api.get
    assert len(rows(client, "/accounts")) == 1
    assert len(rows(client, "/zones", **{"account.id": account.id})) == 1
    assert len(rows(client, f"/zones/{zone['id']}/workers/routes")) == 1
    assert len(rows(client, f"{mine}/workers/domains", service="my-api")) == 1
    get(client, f"{mine}/workers/scripts")
    get(client, f"{mine}/workers/subdomain")
    get(client, f"{mine}/workers/workers/my-api")
    for kind in ("subdomain", "versions", "deployments"):
        get(client, f"{mine}/workers/scripts/my-api/{kind}")
    client.close()
    well(setup.apply("--remove"))
    return api.exchanges


def test_every_operation_is_as_the_sdk_declares_it(make: Make) -> None:
    """The fixture asserts that nothing is wrong; here, that nothing was left out."""
    done = everything(make(**AGENTS))
    assert {sdk_contract.operation(one.request) for one in done} == set(sdk_contract.OPERATIONS)
    lines = set(cloudflare_api.HANDLERS)
    assert lines == set(sdk_contract.OPERATIONS)
    assert [one.status for one in done if one.status >= 400] == []


def _answers(method: str, part: str) -> Callable[[Exchange], bool]:
    return lambda one: (
        one.request.method == method and part in one.request.path and one.status < 400
    )


def _first(result: Any) -> Json:
    row: Json = result[0] if isinstance(result, list) else result
    return row


def _without(*names: str) -> Callable[[Json], object]:
    return lambda row: [row.pop(name) for name in names]


def _with(**fields: object) -> Callable[[Json], object]:
    return lambda row: row.update(fields)


# An operation, how its answer was or could be wrong, and what must be said of it. One row or more
# for each line of what is known about the real API.
WRONG: list[tuple[str, str, Callable[[Json], object], str]] = [
    ("GET", "/workers/workers/", _without("created_on"), "created_on is missing"),
    ("GET", "/workers/workers/", _without("updated_on"), "updated_on is missing"),
    ("GET", "/workers/workers/", _without("logpush"), "logpush is missing"),
    ("GET", "/workers/workers/", _without("observability"), "observability is missing"),
    ("GET", "/workers/workers/", _without("tags"), "tags is missing"),
    ("GET", "/workers/workers/", _without("tail_consumers"), "tail_consumers is missing"),
    (
        "GET",
        "/workers/workers/",
        lambda row: row["references"].pop("dispatch_namespace_outbounds"),
        "dispatch_namespace_outbounds is missing",
    ),
    ("GET", "/access/apps", _with(uid="x"), "uid is unknown"),
    ("GET", "/access/apps", _without("cors_headers"), "cors_headers is missing"),
    ("GET", "/access/apps", _without("mfa_config"), "mfa_config is missing"),
    (
        "GET",
        "/access/apps",
        lambda row: row.update(policies=[{"id": one["id"]} for one in row["policies"]]),
        "policies: not expanded",
    ),
    (
        "GET",
        "/access/apps",
        lambda row: row["destinations"][0].update(overrides=[{"behavior": "public"}]),
        "destinations",
    ),
    ("GET", "/access/policies", _without("account_id"), "account_id is missing"),
    ("GET", "/access/policies", _without("connection_rules"), "connection_rules is missing"),
    ("GET", "/access/policies", _with(decision="service_auth"), "decision"),
    ("GET", "/access/service_tokens", _with(created_at="2026-11-01T00:00:00Z"), "created_at"),
    ("GET", "/access/service_tokens", _with(expires_at=1893456000), "expires_at"),
    ("POST", "/access/service_tokens", _with(expires_at="2030-01-01T00:00:00Z"), "expires_at"),
    ("GET", "/access/organizations", _with(auth_domain=["acme"]), "auth_domain"),
    ("GET", "/zones", _without("development_mode"), "development_mode is missing"),
    ("GET", "/workers/domains", _without("cert_id"), "cert_id is missing"),
]


def test_wrong_answers_are_noticed(make: Make) -> None:
    done = everything(make(**AGENTS))
    assert sdk_contract.broken(done) == []
    for method, part, spoil, said in WRONG:
        good = next(one for one in done if _answers(method, part)(one) and one.envelope["result"])
        bad = copy.deepcopy(good)
        spoil(_first(bad.envelope["result"]))
        assert said in "\n".join(sdk_contract.broken([bad])), (part, said)
    # What Access creates is answered with 201, and nothing else is.
    for kind in ("identity_providers", "policies", "apps", "service_tokens"):
        made = next(one for one in done if _answers("POST", f"/access/{kind}")(one))
        assert made.status == 201
        assert "answers 200" in sdk_contract.broken([made._replace(status=200)])[0]
    read = next(one for one in done if _answers("GET", "/access/apps")(one))
    assert "answers 201" in sdk_contract.broken([read._replace(status=201)])[0]


def test_wrong_requests_are_noticed(make: Make) -> None:
    done = everything(make(**AGENTS))

    def but(good: Exchange, **changed: Any) -> str:
        request = Request(**{**vars(good.request), **changed})
        return "\n".join(sdk_contract.broken([good._replace(request=request)]))

    put = next(one for one in done if _answers("PUT", "/access/policies/")(one))
    body = put.request.body
    assert "account_id belongs in the path" in but(put, body={**body, "account_id": "0" * 32})
    assert "reusable is unknown" in but(put, body={**body, "reusable": True})
    assert "name is missing" in but(put, body={k: v for k, v in body.items() if k != "name"})
    assert "mfa_config" in but(put, body={**body, "mfa_config": None})
    app = next(one for one in done if _answers("PUT", "/access/apps/")(one))
    body = app.request.body
    assert "uid is unknown" in but(app, body={**body, "uid": "x"})
    assert "session_duration" in but(app, body={**body, "session_duration": 24})
    wrong = [{"type": "worker", "worker_id": "x", "overrides": [{"behavior": "open"}]}]
    assert "destinations" in but(app, body={**body, "destinations": wrong})
    # These lists do not come in pages.
    for part in ("/workers/domains", "/workers/routes"):
        whole = next(one for one in done if _answers("GET", part)(one))
        paged = but(whole, query={**whole.request.query, "page": "1", "per_page": "50"})
        assert "page" in paged and "unknown" in paged
    lost = but(app, path="/accounts/x/access/applications")
    assert "unknown to the SDK" in lost


def test_errors_have_the_form_that_cloudflare_gives_them(make: Make) -> None:
    """And are told in words that help."""
    setup = make()
    account, token = setup.account, setup.api.token
    refused(
        setup.run(CLOUDFLARE_API_TOKEN="cut-short"),
        "6003 Invalid request headers; 6111 Invalid format for Authorization header",
        "CLOUDFLARE_API_TOKEN does not look like an API token",
        "dash.cloudflare.com/profile/api-tokens",
    )
    refused(setup.run("--account-id", "0" * 32), "7003", f"no account {'0' * 32}", "--account-id")
    # Some operations answer with 400 instead.
    routed = [{"code": 7003, "message": "Could not route"}, {"code": 7000, "message": "No route"}]
    setup.api.fail("GET", "organizations$", 400, routed)
    refused(setup.run(), "7003", f"there is no account {account.id}", "--account-id")
    unauthorized = [{"code": 9109, "message": "Unauthorized to access requested resource"}]
    setup.api.fail("GET", "organizations$", 403, unauthorized)
    refused(setup.run(), "9109", 'lacks "Access: Organizations, Identity Providers, and Groups')
    assert account.organization is not None
    account.organization.pop("auth_domain")
    refused(setup.run(), "no team domain", "Zero Trust is not enabled", "dashboard")
    account.zero_trust = False
    refused(setup.run(), "9999 access.api.error.not_enabled", "Zero Trust is not enabled")

    # Integers, an envelope, and no result: what breaks that is noticed.
    failed = [one for one in setup.api.exchanges if one.status >= 400]
    assert {one.envelope["errors"][0]["code"] for one in failed} >= {6003, 7003, 9999}
    for good in failed:
        bad = copy.deepcopy(good)
        bad.envelope["errors"][0]["code"] = "access.api.error.not_enabled"
        assert "code" in sdk_contract.broken([bad])[0]
    text = copy.deepcopy(failed[0])
    text.envelope["result"] = {}
    assert "with errors" in sdk_contract.broken([text])[0]
    assert token not in str([one.envelope for one in setup.api.exchanges])
