"""The Python client of callers/python, through the stand-in for Access, against the guard."""

import logging
import traceback
from typing import Any

import httpx
import private_worker_client as pwc
import pytest

from client_calls import Call, call, environment, following, pauses, refused
from in_front import Load
from loopback import MACHINE, SECRET
from private_worker.testing.access import Access
from private_worker.testing.edge import COOKIE, ID, KEY, Edge

__all__ = ["call", "environment", "pauses"]  # fixtures

OTHER = "fedcba9876543210fedcba9876543210.access"
WHO = {"kind": "machine", "client_id": MACHINE}


def test_let_in(call: Call, edge: Edge) -> None:
    """Both headers go to Access on every request, and Access's own proof to the Worker."""
    for strict in (False, True):
        edge.strict = strict
        response = call(edge.url)
        assert (response.status_code, response.json()["identity"]) == (200, WHO)
        assert [(name, value) for name, value in edge.came[-1] if name in (ID, KEY)] == [
            (ID, MACHINE),
            (KEY, SECRET),
        ]
        assert SECRET not in str(edge.reached)
    assert [dict(headers)["user-agent"] for headers in edge.came] == [pwc.USER_AGENT] * 2


def test_answers_of_the_api(call: Call, edge: Edge) -> None:
    """What the API itself says comes back as it is."""
    echo = call(edge.url, "/json", "POST", json={"a": [1, 2]})
    assert (echo.status_code, echo.json()) == (200, {"body": {"a": [1, 2]}})
    failed = call(edge.url, "/raise")
    assert (failed.status_code, failed.json()["error"]) == (500, "internal_error")
    assert call(edge.url, "/", "HEAD").status_code == 200


def test_no_session_is_kept(edge: Edge) -> None:
    """Outside strict mode Access gives a cookie for the token. It is not sent back."""
    with pwc.Client(edge.url) as client:
        assert COOKIE in client.get("/").headers["set-cookie"]
        client.get("/")
        assert not client.cookies
    assert [dict(headers).get("cookie") for headers in edge.came] == [None, None]
    assert dict(edge.came[1])[KEY] == SECRET


def test_not_service_auth(call: Call, edge: Edge) -> None:
    """The policy that names the token is an Allow policy."""
    edge.service_auth = set()
    error = refused(call, edge.url, pwc.LoginRedirect, "Service Auth")
    assert error.response and error.response.status_code == 302
    assert edge.reached == [] and len(edge.came) == 1


def test_token_not_accepted(call: Call, edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong secret, unknown Client ID, expired: from outside they look alike, and it says so."""
    monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", "cfast_wrong")
    refused(call, edge.url, pwc.LoginRedirect, "wrong, .*expired or disabled, .*not tell which")
    edge.answer_401 = True
    refused(call, edge.url, pwc.TokenRefused, "with 401: .*wrong.* or the API itself answered so")
    edge.answer_401, edge.people = False, False
    refused(call, edge.url, pwc.TokenRefused, "with 403: .*admits nobody else.* or the API itself")
    monkeypatch.setenv("CF_ACCESS_CLIENT_ID", OTHER)
    monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", SECRET)
    edge.people = True
    refused(call, edge.url, pwc.LoginRedirect, "Client ID")
    monkeypatch.setenv("CF_ACCESS_CLIENT_ID", MACHINE)
    edge.expired = {MACHINE}
    refused(call, edge.url, pwc.LoginRedirect, "expired")
    assert edge.reached == []


def test_strict_mode(call: Call, edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """401 for a bad token, 403 for one that no Service Auth policy names; never a login page."""
    edge.strict = True
    edge.expired = {MACHINE}
    refused(call, edge.url, pwc.TokenRefused, "with 401: .*expired")
    edge.expired, edge.service_auth = set(), set()
    refused(call, edge.url, pwc.TokenRefused, "with 403: no Service Auth policy")
    monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", "cfast_wrong")
    refused(call, edge.url, pwc.TokenRefused, "with 401: .*wrong")
    assert edge.reached == [] and len(edge.came) == 3


def test_no_access_in_front(call: Call, edge: Edge) -> None:
    """The Worker's guard refuses what Access did not vouch for."""
    edge.in_front = False
    error = refused(call, edge.url, pwc.GuardRefused, "Access is not in front")
    assert error.response and error.response.json() == {"error": "forbidden"}
    assert len(edge.came) == 1, "a refusal is not repeated"
    refused(call, edge.url, pwc.GuardRefused, "the API answered", method="HEAD")


def test_not_on_the_guards_list(call: Call, edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Access takes the token, the Worker does not know it."""
    edge.tokens[OTHER] = SECRET
    edge.service_auth.add(OTHER)
    monkeypatch.setenv("CF_ACCESS_CLIENT_ID", OTHER)
    refused(call, edge.url, pwc.GuardRefused, "ALLOWED_SERVICE_TOKENS")
    assert len(edge.reached) == 1


def test_single_header(call: Call, edge: Edge) -> None:
    """The one header that the application was told to read, as JSON with lower-case names."""
    edge.strict = True
    options: dict[str, Any] = {"client": {"single_header": "Authorization"}}
    refused(call, edge.url, pwc.LoginRedirect, "did not take", **options)
    edge.single_header = "Authorization"
    response = call(edge.url, **options)
    assert response.json()["identity"] == WHO
    assert not {ID, KEY} & {name for name, _ in edge.came[-1]}
    assert SECRET not in str(edge.reached) + str(response.request.headers.raw)
    # Without it, Authorization is the API's own.
    call(edge.url, headers={"Authorization": "Bearer mine"})
    assert dict(edge.came[-1])["authorization"] == "Bearer mine"


def test_worker_not_ready(
    call: Call, edge: Edge, load: Load, access: Access, pauses: list[float]
) -> None:
    """The guard's two other answers; only the second is worth another attempt."""
    edge.worker = load(POLICY_AUD="")
    refused(call, edge.url, pwc.NotConfigured, "its log names the missing")
    assert len(edge.came) == 1
    edge.worker = load()
    access.answer(500)
    refused(call, edge.url, pwc.KeysUnavailable, "TEAM_DOMAIN")
    assert len(edge.came) == 4 and pauses == [30, 30]


def test_rotated_token(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is asked for every request."""
    with pwc.Client(edge.url) as client:
        client.get("/")
        edge.tokens[MACHINE] = "cfast_next"
        monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", "cfast_next")
        assert client.get("/").json()["identity"] == WHO
    with pwc.Client(edge.url, token=lambda: pwc.ServiceToken(MACHINE, "cfast_next")) as client:
        monkeypatch.delenv("CF_ACCESS_CLIENT_SECRET")
        assert client.get("/").json()["identity"] == WHO


def test_secret_is_nowhere(call: Call, edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """Everything that Python logs at DEBUG, what a caller keeps, and what an error carries."""
    caplog.set_level(logging.DEBUG)
    for single in (None, "Authorization"):
        edge.single_header = single
        with pwc.Client(edge.url) as client:
            kept = [repr(client), str(client.headers), str(vars(client))]
        response = call(edge.url, client={"single_header": single})
        kept += [repr(response), str(response.request.headers.raw), str(vars(response.request))]
        edge.people, edge.expired = True, {MACHINE}
        try:
            call(edge.url, client={"single_header": single})
        except pwc.LoginRedirect as error:
            next_one = following(error.response)
            kept += [repr(error), *traceback.format_exception(error), str(next_one.headers.raw)]
            kept += [str(error.response.request.headers.raw) if error.response else ""]
        edge.expired = set()
        with pytest.raises(httpx.ConnectError) as caught:
            call("http://127.0.0.1:1", client={"single_header": single, "retries": 0})
        kept += [str(caught.value), str(caught.value.request.headers.raw)]
        assert SECRET not in "".join(kept)
    assert "HTTP Request" in caplog.text and "send_request_headers" in caplog.text
    assert SECRET not in caplog.text
