"""`local` plays Access's Managed OAuth: an agent gets in as its person, and by no other way.

Real clients and a real browser are in test_local_oauth_clients.py.
"""

import base64
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from command_run import environment, project, refused
from conftest import Render
from local_run import ASSERTION, LOGIN, Backend, Stand, form_of, log_in, raw, settings
from oauth_run import (
    ANN,
    CALLBACK,
    CLAUDE,
    ENDPOINTS,
    VERIFIER,
    Agent,
    Played,
    answered,
    challenge,
    error,
    served,
)

ANSWERS = {"profile": "production", "agents": ["local", "claude"]}
FOREIGN = "https://agent.example.com/callback"
SECRET_IN = ["client_secret_basic", "client_secret_post"]


@pytest.fixture(scope="module")
def folder(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(rendered, tmp_path_factory.mktemp("local"), **ANSWERS)


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def running(folder: Path, backend: Backend) -> Iterator[Played]:
    played = Played(folder, backend.url)
    with served(played.front, played.port):
        yield played


@pytest.fixture
def played(running: Played, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Played:
    """The one that runs, with nothing that came before; what is changed in it is changed back."""
    backend.came.clear()
    for name in ("access_lasts", "code_lasts", "grant_lasts"):
        monkeypatch.setattr(running.oauth, name, getattr(running.oauth, name))
    monkeypatch.setattr(running.access, "people", True)
    monkeypatch.setattr(running.access.team, "skew", 0)
    return running


@pytest.fixture
def agent(played: Played) -> Iterator[Agent]:
    agent = Agent(played.url)
    yield agent
    agent.close()


@pytest.fixture
def other(played: Played) -> Iterator[Agent]:
    agent = Agent(played.url)
    yield agent
    agent.close()


# -- where an agent begins


def metadata_of(refused: httpx.Response) -> str:
    """Where the 401 says that the agent shall look."""
    assert refused.status_code == 401
    scheme, _, rest = refused.headers["www-authenticate"].partition(" ")
    found: dict[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    assert (scheme, found["realm"], found["error"]) == ("Bearer", "OAuth", "invalid_token")
    return found["resource_metadata"]


@pytest.mark.parametrize("path", ["/mcp", "/", "/a%20b/c%22d?x=1", "/a:b;c=d@e,f"])
def test_no_credentials(agent: Agent, backend: Backend, path: str) -> None:
    """An agent gets a 401 that says where to begin, as Access sends it."""
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        where = metadata_of(agent.http.request(method, path))
        on = "/.well-known/cloudflare-access-protected-resource"
        assert where == f"{agent.url}{on}{path.partition('?')[0]}"
    assert backend.came == []


@pytest.mark.parametrize(
    "headers",
    [{"Accept": "text/html,*/*;q=0.8"}, {"Sec-Fetch-Mode": "navigate"}],
    ids=["html", "navigates"],
)
def test_a_browser_still_gets_the_login(agent: Agent, headers: dict[str, str]) -> None:
    answer = agent.http.get("/mcp", headers=headers)
    assert answer.status_code == 302 and answer.headers["location"].startswith(LOGIN)
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_discovery(played: Played, name: str) -> None:
    """From the 401 to the endpoints; all by the name that the agent has called."""
    url = f"http://{name}:{played.port}"
    with httpx.Client(base_url=url, trust_env=False) as client:
        found = client.get(metadata_of(client.post("/invoices/mcp"))).json()
        assert found == {"resource": f"{url}/invoices/mcp", "authorization_servers": [url]}
        standard = "/.well-known/oauth-protected-resource"
        assert client.get(f"{standard}/invoices/mcp").json() == found
        server = client.get("/.well-known/oauth-authorization-server").json()
    assert server["issuer"] == url  # RFC 8414 section 3.3
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert set(server["token_endpoint_auth_methods_supported"]) == {"none", *SECRET_IN}
    for name, path in {"registration": "registration", "revocation": "revoke"}.items():
        assert server[f"{name}_endpoint"] == f"{url}{ENDPOINTS}/{path}"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "[::1]:{port}"])
@pytest.mark.parametrize("path", ["/mcp", "/.well-known/oauth-authorization-server"])
def test_another_host(played: Played, host: str, path: str) -> None:
    """A name of somebody else's that leads here (DNS rebinding)."""
    host = host.format(port=played.port)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = raw(played, request)  # type: ignore[arg-type]
    assert answer.startswith("HTTP/1.1 421 ") and "resource_metadata" not in answer


# -- registration


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1/cb?x=1",
        "http://localhost:65535/",
        "http://[::1]:99/cb",
        CLAUDE,
    ],
)
def test_redirect_uris_that_are_let_in(agent: Agent, uri: str) -> None:
    done = agent.register(redirect_uris=[uri])
    assert done.status_code == 201, done.text
    assert done.json()["redirect_uris"] == [uri] and done.json()["client_id"]


@pytest.mark.parametrize(
    "uris",
    [
        [FOREIGN],
        [f"{CLAUDE}/"],
        [f"{CLAUDE}?x=1"],
        [f"{CLAUDE}/../auth_callbacks"],
        [CLAUDE.replace("https", "http")],
        [CLAUDE.replace("claude.ai", "claude.ai:8443")],
        [CLAUDE.replace("claude.ai", "claude.ai.example.com")],
        ["https://127.0.0.1/cb"],
        ["http://127.0.0.1.example.com/cb"],
        ["http://localhost.example.com/cb"],
        ["http://127.0.0.1@example.com/cb"],
        ["http://127.0.0.2/cb"],
        ["http://127.0.0.1:3334/cb#part"],
        ["cursor://anysphere.cursor-mcp/oauth/callback"],
        ["javascript:alert(1)"],
        [CALLBACK, FOREIGN],
        [],
    ],
)
def test_foreign_redirect_uris(agent: Agent, uris: list[str]) -> None:
    """One that is not in the project's list sinks the whole registration."""
    assert error(agent.register(redirect_uris=uris)) == "invalid_client_metadata"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'"x"', b"\xff", b"[" * 9000])
def test_registrations_that_are_none(agent: Agent, body: bytes) -> None:
    answer = agent.http.post(f"{ENDPOINTS}/registration", content=body)
    assert error(answer) == "invalid_client_metadata"


def test_a_registration_that_is_too_long(agent: Agent) -> None:
    assert agent.register(client_name="x" * 20_000).status_code == 413


def test_pages_of_other_sites(agent: Agent) -> None:
    """A page that the browser shows cannot register, ask for tokens or revoke them."""
    for endpoint in ("registration", "token", "revoke"):
        for headers in ({"Origin": "https://example.com"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = agent.http.post(f"{ENDPOINTS}/{endpoint}", json={}, headers=headers)
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers


# -- authorization: never a redirect to where the agent has not registered


@pytest.mark.parametrize(
    "uri",
    [
        FOREIGN,
        CLAUDE,
        f"{CALLBACK}/",
        f"{CALLBACK}?x=1",
        CALLBACK.upper(),
        CALLBACK.replace("127.0.0.1", "localhost"),
        CALLBACK.replace("http", "https"),
        "http://127.0.0.1:3334@example.com/oauth/callback",
        "javascript:alert(1)",
        "//example.com",
        "",
    ],
)
def test_redirect_uri_that_was_not_registered(agent: Agent, uri: str) -> None:
    for bad in ({}, {"response_type": "token"}, {"resource": "https://example.com"}):
        answer = agent.authorize(redirect_uri=uri, **bad)
        assert answer.status_code == 400 and "location" not in answer.headers


def test_another_port_of_this_computer(agent: Agent) -> None:
    """RFC 8252 section 7.3: an agent takes the port that is free."""
    uri = CALLBACK.replace("3334", "41000")
    done = agent.log_in(agent.authorize(redirect_uri=uri))
    assert done.headers["location"].startswith(f"{uri}?code=")
    code = done.headers["location"].partition("code=")[2].partition("&")[0]
    assert agent.token(code, redirect_uri=CALLBACK).status_code == 400
    assert agent.token(code, redirect_uri=uri).status_code == 200


def test_an_agent_that_is_not_known(agent: Agent) -> None:
    answer = agent.authorize(client_id="nobody")
    assert error(answer) == "invalid_request" and "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"resource": None}, "invalid_target"),
        ({"resource": ""}, "invalid_target"),
        ({"resource": "https://example.com/mcp"}, "invalid_target"),
        ({"resource": "http://127.0.0.1/mcp"}, "invalid_target"),
        ({"resource": "{https}/mcp"}, "invalid_target"),
        ({"resource": "{url}.example.com/mcp"}, "invalid_target"),
        ({"resource": "{url}/mcp#part"}, "invalid_target"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
def test_refused_authorizations(agent: Agent, changes: dict[str, str | None], code: str) -> None:
    """Told to the agent, with its state. PKCE by S256 alone: without a method it is `plain`."""
    https = agent.url.replace("http", "https")
    for name, value in changes.items():
        changes = {**changes, name: value and value.format(url=agent.url, https=https)}
    told = answered(agent.authorize(**changes))
    assert (told["error"], told["state"]) == (code, "of the agent") and "code" not in told


@pytest.mark.parametrize("resource", ["{url}", "{url}/", "{url}/other", "http://localhost:{port}"])
def test_resources_that_are_here(agent: Agent, played: Played, resource: str) -> None:
    resource = resource.format(url=played.url, port=played.port)
    assert agent.token(agent.code(resource=resource), resource=resource).status_code == 200


# -- the login


def test_login_page(agent: Agent) -> None:
    """It says which agent asks and where the answer goes, whatever that agent calls itself."""
    agent.known = agent.register(client_name="<b>Evil</b>\x1b[31m" + "x" * 99).json()
    page = agent.http.get(agent.authorize().headers["location"])
    assert "&lt;b&gt;Evil&lt;/b&gt;" in page.text and f"{CALLBACK}</p>" in page.text
    assert "<b>" not in page.text and "\x1b" not in page.text and "x" * 60 not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


def test_a_bad_address(agent: Agent) -> None:
    """The form stays the agent's."""
    sent = agent.authorize()
    page = agent.log_in(sent, "nobody")
    assert page.status_code == 400 and "This is not an e-mail address: nobody" in page.text
    assert "&quot;Tester&quot; asks to act as you" in page.text
    assert answered(agent.log_in(sent))["state"] == "of the agent"


def test_the_form_of_another_site(agent: Agent) -> None:
    """Nobody is logged in for an agent by a page that the person did not see (CSRF)."""
    page = agent.http.get(agent.authorize().headers["location"])
    target = re.search(r'name="redirect_url" value="([^"]*)"', page.text)
    assert target
    form = {"form": form_of(page), "redirect_url": target[1], "email": ANN}
    for headers in ({"Origin": "https://example.com"}, {"Sec-Fetch-Site": "cross-site"}):
        assert agent.http.post(LOGIN, data=form, headers=headers).status_code == 403
    for wrong in ("", "0" * 32):
        assert agent.http.post(LOGIN, data={**form, "form": wrong}).status_code == 400
    assert answered(agent.http.post(LOGIN, data=form))["code"]


def test_a_login_for_an_agent_is_none_for_the_browser(agent: Agent) -> None:
    agent.code()
    assert agent.http.get("/", headers={"Accept": "text/html"}).status_code == 302


def test_a_session_of_the_browser_lets_no_agent_in(agent: Agent) -> None:
    """The person is asked each time."""
    log = agent.http.get(LOGIN)
    agent.http.post(LOGIN, data={"form": form_of(log), "email": ANN})
    assert agent.http.get("/").status_code == 200
    assert agent.authorize().headers["location"].startswith(LOGIN)


def test_a_login_that_nobody_waits_for(agent: Agent) -> None:
    """As after the browser's Back: one form is good for one code."""
    sent = agent.authorize()
    page = agent.http.get(sent.headers["location"])
    target = re.search(r'name="redirect_url" value="([^"]*)"', page.text)
    assert target
    form = {"form": form_of(page), "redirect_url": target[1], "email": ANN}
    assert answered(agent.http.post(LOGIN, data=form))["code"]
    again = agent.http.post(LOGIN, data=form)
    assert again.status_code == 400 and "the agent has stopped waiting" in again.text
    assert "set-cookie" not in again.headers


# -- tokens


def test_tokens(agent: Agent) -> None:
    answer = agent.token(agent.code())
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer" and tokens["expires_in"] == 15 * 60
    assert tokens["access_token"].startswith("oauth:") and tokens["refresh_token"]


@pytest.mark.parametrize("verifier", [None, "", "wrong", VERIFIER + "x", challenge(VERIFIER)])
def test_wrong_verifier(agent: Agent, verifier: str | None) -> None:
    code = agent.code()
    refused = error(agent.token(code, code_verifier=verifier))
    assert refused == ("invalid_request" if not verifier else "invalid_grant")
    assert agent.token(code).status_code == 200


@pytest.mark.parametrize("uri", [None, f"{CALLBACK}/", CALLBACK.replace("3334", "3335"), CLAUDE])
def test_another_redirect_uri_for_the_token(agent: Agent, uri: str | None) -> None:
    assert agent.token(agent.code(), redirect_uri=uri).status_code == 400


@pytest.mark.parametrize("resource", ["https://example.com/mcp", "http://127.0.0.1:1/mcp", "x"])
def test_another_resource_for_the_token(agent: Agent, resource: str) -> None:
    assert error(agent.token(agent.code(), resource=resource)) == "invalid_target"
    refresh = agent.tokens()["refresh_token"]
    assert error(agent.refresh(refresh, resource=resource)) == "invalid_target"
    assert agent.refresh(refresh).status_code == 200


def test_code_used_twice(agent: Agent) -> None:
    """RFC 6749 section 4.1.2: what the first use has brought is dead as well."""
    code = agent.code()
    tokens = agent.token(code).json()
    assert agent.call(tokens["access_token"]).status_code == 200
    assert error(agent.token(code)) == "invalid_grant"
    metadata_of(agent.call(tokens["access_token"]))
    assert error(agent.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_code_and_token_of_another_agent(agent: Agent, other: Agent) -> None:
    code = agent.code()
    assert error(other.token(code)) == "invalid_grant"
    tokens = agent.token(code).json()
    assert error(other.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert other.post("revoke", token=tokens["refresh_token"]).status_code == 200
    second = agent.refresh(tokens["refresh_token"]).json()
    assert error(other.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert agent.call(second["access_token"]).status_code == 200  # nobody ends what is another's


def test_expired_code(agent: Agent, played: Played) -> None:
    played.oauth.code_lasts = -1
    assert error(agent.token(agent.code())) == "invalid_grant"


@pytest.mark.parametrize("grant", ["password", "client_credentials", "", None])
def test_other_grants(agent: Agent, grant: str | None) -> None:
    assert agent.token(agent.code(), grant_type=grant).status_code == 400


# -- an agent's own secret


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def test_secret_in_the_form(agent: Agent) -> None:
    agent.known = agent.register(token_endpoint_auth_method="client_secret_post").json()
    code = agent.code()
    for wrong in (None, "", "wrong"):
        assert error(agent.token(code, client_secret=wrong), 401) == "invalid_client"
    assert agent.token(code, client_secret=agent.known["client_secret"]).status_code == 200


@pytest.mark.parametrize("in_form", [True, False])
def test_secret_in_the_header(agent: Agent, in_form: bool) -> None:
    """RFC 6749 section 2.3.1: its name need not be in the form as well."""
    known = agent.known = agent.register(token_endpoint_auth_method="client_secret_basic").json()
    code, name = agent.code(), known["client_id"] if in_form else None
    for headers in ({}, basic(known["client_id"], "wrong"), {"Authorization": "Basic %%%"}):
        agent.http.headers = httpx.Headers(headers)
        assert error(agent.token(code, client_id=name), 401) == "invalid_client"
    agent.http.headers = httpx.Headers(basic(known["client_id"], known["client_secret"]))
    assert agent.token(code, client_id=name).status_code == 200


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", "multipart/form-data; boundary=x", "x"]
)
@pytest.mark.parametrize("body", [b"", b"{}", b"--x\r\n", b"\xff=%ff", b"a&" * 8000, b"%00=%00"])
def test_forms_that_are_none(agent: Agent, kind: str, body: bytes) -> None:
    for endpoint, code in (("token", "invalid_client"), ("revoke", "unauthorized_client")):
        headers = {"Content-Type": kind}
        sent = agent.http.post(f"{ENDPOINTS}/{endpoint}", content=body, headers=headers)
        assert error(sent, 401) == code


def test_a_form_of_many_fields(agent: Agent) -> None:
    form = {f"x{number}": "" for number in range(1500)}
    assert agent.token(agent.code(), **form).status_code == 200


def test_nobody_asks_for_a_token(agent: Agent) -> None:
    for client_id in (None, "", "nobody"):
        assert error(agent.token(agent.code(), client_id=client_id), 401) == "invalid_client"


# -- at the Worker


def test_at_the_worker(agent: Agent, played: Played, backend: Backend) -> None:
    """It sees the person's ordinary application token, and nothing of the agent's."""
    token = agent.tokens()["access_token"]
    assert agent.call(token).status_code == 200
    seen = backend.last()
    payload = seen[ASSERTION].split(".")[1]
    claims = base64.urlsafe_b64decode(payload + "==").decode()
    assert f'"email": "{ANN}"' in claims and '"type": "app"' in claims
    assert seen["cf-access-authenticated-user-email"] == ANN
    assert "authorization" not in seen
    agent.call(token)
    assert backend.last()[ASSERTION] == seen[ASSERTION]  # so that the guard knows it again


@pytest.mark.parametrize("token", ["x", "oauth:", "oauth:" + "A" * 43, "{refresh}", "{code}"])
def test_tokens_that_are_none(agent: Agent, backend: Backend, token: str) -> None:
    """The Worker is not asked, not even with the cookie of somebody who has logged in."""
    code = agent.code()
    token = token.format(code=code, refresh=agent.token(code).json()["refresh_token"])
    page = agent.http.get(LOGIN)
    agent.http.post(LOGIN, data={"form": form_of(page), "email": ANN})
    metadata_of(agent.call(token))
    metadata_of(agent.call(token, **{"Sec-Fetch-Mode": "navigate"}))
    assert backend.came == []


def test_a_program_with_a_header_of_its_own(agent: Agent, played: Played, backend: Backend) -> None:
    """A service token decides alone; `Authorization` is then the Worker's."""
    program = {"CF-Access-Client-Id": played.access.client_id}
    program["CF-Access-Client-Secret"] = played.access.secret
    assert agent.call("for the Worker", **program).status_code == 200
    assert backend.last()["authorization"] == "Bearer for the Worker"
    program["CF-Access-Client-Secret"] = "wrong"
    assert agent.call(agent.tokens()["access_token"], **program).status_code == 401


def test_what_access_adds_cannot_be_sent(agent: Agent, backend: Backend) -> None:
    forged = {"Cf-Access-Jwt-Assertion": "forged"}
    assert agent.call(agent.tokens()["access_token"], **forged).status_code == 200
    assert [value for name, value in backend.came[-1]["headers"] if name == ASSERTION] != ["forged"]
    assert agent.http.get("/", headers=forged).status_code == 401


# -- how it goes on, and how it ends


def test_refresh(agent: Agent, played: Played, backend: Backend) -> None:
    """Two other tokens, and another application token: the person was looked at again."""
    first = agent.tokens()
    agent.call(first["access_token"])
    before = backend.last()[ASSERTION]
    played.access.team.skew = 10
    second = agent.refresh(first["refresh_token"]).json()
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert agent.call(second["access_token"]).status_code == 200
    assert backend.last()[ASSERTION] != before
    metadata_of(agent.call(first["access_token"]))


def test_refresh_token_used_twice(agent: Agent) -> None:
    """One of the two is a thief (RFC 9700 section 4.14.2), so neither goes on."""
    first = agent.tokens()
    second = agent.refresh(first["refresh_token"]).json()
    assert error(agent.refresh(first["refresh_token"])) == "invalid_grant"
    metadata_of(agent.call(second["access_token"]))
    assert error(agent.refresh(second["refresh_token"])) == "invalid_grant"


def test_expired_access_token(agent: Agent, played: Played, backend: Backend) -> None:
    played.oauth.access_lasts = 0
    tokens = agent.tokens()
    metadata_of(agent.call(tokens["access_token"]))
    assert backend.came == []
    played.oauth.access_lasts = 60
    token = agent.refresh(tokens["refresh_token"]).json()["access_token"]
    assert agent.call(token).status_code == 200


def test_expired_grant(agent: Agent, played: Played) -> None:
    """An access token lasts no longer than what it was issued for."""
    played.oauth.grant_lasts = 5
    tokens = agent.tokens()
    assert tokens["expires_in"] <= 5
    played.oauth.grant_lasts = -1
    tokens = agent.tokens()
    metadata_of(agent.call(tokens["access_token"]))
    assert error(agent.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_the_policy_is_asked_again(agent: Agent, played: Played) -> None:
    """At each refresh, as Access does. Until then the token is good."""
    tokens = agent.tokens()
    played.access.people = False
    assert agent.call(tokens["access_token"]).status_code == 200
    assert error(agent.refresh(tokens["refresh_token"])) == "invalid_grant"
    metadata_of(agent.call(tokens["access_token"]))


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("method", ["none", *SECRET_IN])
def test_revocation(agent: Agent, which: str, method: str) -> None:
    """RFC 7009: with either token all that the person let the agent do is over."""
    known = agent.known = agent.register(token_endpoint_auth_method=method).json()
    secret = known.get("client_secret") if method == "client_secret_post" else None
    if method == "client_secret_basic":
        agent.http.headers = httpx.Headers(basic(known["client_id"], known["client_secret"]))
    tokens = agent.token(agent.code(), client_secret=secret).json()
    revoked = agent.post("revoke", token=tokens[which], client_secret=secret)
    assert revoked.status_code == 200
    metadata_of(agent.call(tokens["access_token"]))
    refused = agent.refresh(tokens["refresh_token"], client_secret=secret)
    assert error(refused) == "invalid_grant"
    again = agent.post("revoke", token=tokens[which], client_secret=secret)
    assert again.status_code == 200  # whatever the token is


@pytest.mark.parametrize("path", ["authorization", "registration", "token", "revoke", "", "certs"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_requests_to_the_endpoints(
    agent: Agent, backend: Backend, method: str, path: str
) -> None:
    assert agent.http.request(method, f"{ENDPOINTS}/{path}").status_code == 404
    assert backend.came == []


# -- the command itself


@pytest.mark.slow
def test_in_the_terminal(folder: Path, backend: Backend) -> None:
    """What to type, and a line for each event; no secret, nothing that steers the terminal."""
    stand = Stand(folder, backend.url)
    try:
        stand.heard(f"claude mcp add --transport http my-api {stand.url}/mcp$")
        assert all(len(line.rstrip("\n")) <= 80 for line in stand.said[:20])
        agent = Agent(stand.url, client_name="Evil\x1b[31m")
        assert error(agent.register(redirect_uris=[FOREIGN])) == "invalid_client_metadata"
        stand.heard(f"^An agent that is answered at {FOREIGN} was refused$")
        tokens = agent.tokens()
        assert agent.call(tokens["access_token"]).status_code == 200
        assert error(agent.refresh("wrong")) == "invalid_grant"
        agent.post("revoke", token=tokens["access_token"])
        agent.close()
        name = r"Evil\\x1b\[31m"
        stand.heard(f"^{name} has registered$")
        stand.heard(f"^{ANN} has let {name} in$")
        stand.heard(f"^{name} has new tokens as {ANN}$")
        stand.heard(f"^What {ANN} let {name} do is over: it was revoked$")
        stand.heard(f"^200 POST /mcp {ANN}$")
        said = "".join(stand.said)
        assert "\x1b" not in said and "code=" not in said and "waits=" not in said
        assert tokens["access_token"] not in said and tokens["refresh_token"] not in said
    finally:
        stand.stop()


@pytest.mark.slow
def test_without_agents(rendered: Render, tmp_path: Path, backend: Backend) -> None:
    """As it was: no 401, no endpoints, and `Authorization` is the Worker's."""
    folder = project(rendered, tmp_path, profile="production")
    stand = Stand(folder, backend.url)
    try:
        assert "gent" not in "".join(stand.said)
        with stand.client() as client:
            answer = client.post("/mcp", headers={"Authorization": "Bearer x"})
            assert answer.status_code == 302 and "www-authenticate" not in answer.headers
            for path in ("registration", "token", "revoke"):
                assert client.post(f"{ENDPOINTS}/{path}").status_code == 404
            assert client.get(f"{ENDPOINTS}/authorization").status_code == 404
            assert client.get("/.well-known/oauth-authorization-server").status_code == 302
            log_in(client)
            assert client.get("/", headers={"Authorization": "Bearer x"}).status_code == 200
            assert backend.last()["authorization"] == "Bearer x"
    finally:
        stand.stop()


@pytest.mark.slow
@pytest.mark.parametrize("agents", [[], ["local"]], ids=["none", "some"])
def test_without_the_sdk(rendered: Render, tmp_path: Path, agents: list[str]) -> None:
    """Only a project with agents needs it; there one line says what brings it."""
    folder = project(rendered, tmp_path, profile="production", agents=agents)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings(folder, port)
        words = ["private-worker", "local", "--port", str(port)]
        lines = ["import sys", "sys.modules['mcp'] = None", f"sys.argv = {words}"]
        lines += ["from private_worker.cli import main", "sys.exit(main())"]
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
        )
    add = "is missing: uv add --group commands 'private-worker[commands,agents]'"
    refused(done, add if agents else f"stop what listens on port {port}")


@pytest.mark.parametrize("agents", [[], ["local"]], ids=["none", "some"])
def test_what_a_project_installs(rendered: Render, agents: list[str]) -> None:
    """The SDK brings 16 packages, which only a project with agents gets."""
    text = (rendered(profile="production", agents=agents) / "pyproject.toml").read_text("utf-8")
    (wanted,) = tomllib.loads(text)["dependency-groups"]["commands"]
    assert wanted == f"private-worker[commands{',agents' if agents else ''}]"
