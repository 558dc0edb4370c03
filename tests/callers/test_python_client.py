"""The Python client, against servers that answer like Access, Cloudflare or an API.

What it does through Access and against the guard: in_project/test_python_client.py.
"""

import asyncio
import time
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import private_worker_client as pwc
import pytest

from client_calls import Call, Serve, call, environment, following, pauses, refused, serve
from loopback import MACHINE, SECRET, Answer

pytestmark = pytest.mark.slow

__all__ = ["call", "environment", "pauses", "serve"]  # fixtures

OK: Answer = (200, {}, b"ok")
DOWN: Answer = (503, {}, b"down")
HANG_UP: Answer = (None, {}, b"")


@pytest.mark.parametrize("status", [400, 404, 405, 409, 429])
def test_other_statuses_are_the_apis(call: Call, serve: Serve, status: int) -> None:
    response = call(serve((status, {}, b"")).url)
    with pytest.raises(httpx.HTTPStatusError):
        response.raise_for_status()


@pytest.mark.parametrize("failure", [(502, {}, b""), DOWN, (504, {}, b""), HANG_UP])
def test_repeated(call: Call, serve: Serve, pauses: list[float], failure: Answer) -> None:
    """A server that fails twice, with a pause that grows."""
    for method in ("GET", "PUT", "DELETE"):
        server = serve(failure, failure, OK)
        assert call(server.url, method=method, content=b"x" if method == "PUT" else None).is_success
        assert [command for command, _, _ in server.came] == [method] * 3
    assert len(pauses) == 6 and all(0.25 <= pause <= 1 for pause in pauses)


def test_not_repeated(call: Call, serve: Serve, pauses: list[float]) -> None:
    """POST and PATCH may have done their work already; a body that is read is gone."""
    server = serve(DOWN, OK)
    assert call(server.url, method="POST", content=b"x").status_code == 503
    lost = serve(HANG_UP, OK)
    with pytest.raises(httpx.TransportError):
        call(lost.url, method="POST")
    broken = serve((500, {}, b"oops"), OK)
    assert call(broken.url).status_code == 500
    assert pauses == [] and len(server.came) == len(lost.came) == len(broken.came) == 1


def test_body_that_is_read_is_sent_once(serve: Serve) -> None:
    server = serve(DOWN, OK)
    with pwc.Client(server.url) as client:
        assert client.put("/", content=iter([b"x"])).status_code == 503
    assert len(server.came) == 1


def test_repeated_a_few_times_only(call: Call, serve: Serve, pauses: list[float]) -> None:
    server = serve(DOWN)
    assert call(server.url).status_code == 503
    assert len(server.came) == 3
    assert call(server.url, client={"retries": 0}).status_code == 503
    assert len(server.came) == 4
    with pytest.raises(ValueError, match="0 to 10"):
        call(server.url, client={"retries": 1000})


def test_retry_after(call: Call, serve: Serve, pauses: list[float]) -> None:
    """The server's wish is heard; one for more than 30 s ends the attempts."""
    server = serve((503, {"Retry-After": "7"}, b""), OK)
    assert call(server.url).is_success and pauses == [7]
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 20))
    server = serve((503, {"Retry-After": soon}, b""), OK)
    assert call(server.url).is_success and 15 < pauses[-1] <= 20
    for wish in ("31", "Fri, 31 Dec 9999 23:59:59 GMT"):
        server = serve((503, {"Retry-After": wish}, b""), OK)
        assert call(server.url).status_code == 503 and len(server.came) == 1
    huge = "1 Jan 2027 99999999999999999999:2:3"
    for wish in ("-1", "soon", "Fri, 99 Foo 1999", "9" * 400, huge):
        server = serve((503, {"Retry-After": wish}, b""), OK)
        assert call(server.url).is_success and pauses[-1] < 1


def test_time_limit(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """There always is one. 192.0.2.1 is nobody's address (RFC 5737)."""
    assert pwc.TIMEOUT.read == 30 and pwc.TIMEOUT.connect == 10
    with pytest.raises(httpx.TransportError):
        call("https://192.0.2.1", client={"timeout": 0.05, "retries": 0})


@pytest.mark.parametrize(
    "location",
    [
        "https://team.cloudflareaccess.com/cdn-cgi/access/login/api.example.com?kid=x",
        "https://team.cloudflareaccess.com/another/page",
        "https://login.example.com/cdn-cgi/access/login/api.example.com",
        "/cdn-cgi/access/login/api.example.com",
    ],
)
def test_login_page(call: Call, serve: Serve, location: str) -> None:
    server = serve((302, {"Location": location}, b""))
    refused(call, server.url, pwc.LoginRedirect, "")


def test_no_redirect_is_followed(call: Call, serve: Serve) -> None:
    """Not even if asked: the secret would go along."""
    other = serve(OK)
    server = serve((302, {"Location": other.url + "/"}, b""))
    with pytest.raises(TypeError, match="follow_redirects"):
        call(server.url, follow_redirects=True)
    response = call(server.url)
    assert response.status_code == 302 and other.came == []
    with pwc.Client(server.url) as client, pytest.raises(pwc.AddressError):
        client.send(following(response))


HTML = {"Content-Type": "text/html; charset=UTF-8"}
ERROR_1020 = b"<h1><span>Error</span>\n <span class='cf-error-code'>1020</span></h1>"


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({}, b"error code: 1010", "1010, before Access .* User-Agent"),
        (HTML, b"<h1>Error 1020</h1>", "1020"),
        (HTML, ERROR_1020, "1020"),
        (HTML, b"<h1>Sorry, you have been blocked</h1>", "security rules"),
        ({**HTML, "cf-mitigated": "challenge"}, b"<title>Just a moment...</title>", "browser"),
    ],
)
def test_firewall(
    call: Call, serve: Serve, headers: dict[str, str], body: bytes, words: str
) -> None:
    refused(call, serve((403, headers, body)).url, pwc.Blocked, words)


def test_challenge_without_a_body(call: Call, serve: Serve) -> None:
    server = serve((403, {**HTML, "cf-mitigated": "challenge"}, b"x"))
    refused(call, server.url, pwc.Blocked, "browser", method="HEAD")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/plain"}, b"see error 1020 in the manual"),
        ({"Content-Type": "text/plain"}, b"you have been blocked by our moderators"),
        (HTML, b"<h1>Error 1234</h1>"),
    ],
)
def test_not_the_firewall(call: Call, serve: Serve, headers: dict[str, str], body: bytes) -> None:
    """The words alone prove nothing."""
    refused(call, serve((403, headers, body)).url, pwc.TokenRefused, "API itself")


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_other_json_is_the_apis(call: Call, serve: Serve, status: int) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    for body in (b'{"error": "quota"}', b'{"error": "forbidden", "more": 1}', b"[]", deep):
        server = serve((status, {"Content-Type": "application/json"}, body))
        assert call(server.url, client={"retries": 0}).status_code == status
    words = {"Content-Type": "application/json", "cf-mitigated": "challenge"}
    server = serve((status, words, b'{"error": "you have been blocked", "code": "error 1020"}'))
    assert call(server.url, client={"retries": 0}).status_code == status
    server = serve((status, {"Content-Type": "application/problem+json"}, b""))
    assert call(server.url, method="HEAD", client={"retries": 0}).status_code == status


@pytest.mark.parametrize("kind", ["application/json", ""])
def test_access_refuses_in_json_where_agents_log_in(call: Call, serve: Serve, kind: str) -> None:
    """By the challenge (RFC 9728). One of the API's own is the API's, and so is another status."""
    metadata = "https://api.example.com/.well-known/cloudflare-access-protected-resource/"
    challenge = f'Bearer realm="OAuth", error="invalid_token", resource_metadata="{metadata}"'
    body = b'{"error": "invalid_token"}'
    headers = {"Content-Type": kind, "WWW-Authenticate": challenge}
    refused(call, serve((401, headers, body)).url, pwc.TokenRefused, "expired or disabled")
    others = [(401, {"WWW-Authenticate": 'Bearer realm="api"'}), (404, headers)]
    for status, more in others:
        server = serve((status, {"Content-Type": "application/json", **more}, body))
        assert call(server.url, client={"retries": 0}).status_code == status


async def stream_async(url: str) -> list[bytes]:
    async with pwc.AsyncClient(url, retries=0) as client:
        async with client.stream("GET", "/") as response:
            return [chunk async for chunk in response.aiter_raw()]


def stream_sync(url: str) -> list[bytes]:
    with pwc.Client(url, retries=0) as client, client.stream("GET", "/") as response:
        return list(response.iter_raw())


@pytest.mark.parametrize("stream", [stream_sync, lambda url: asyncio.run(stream_async(url))])
def test_long_answer_in_a_stream(serve: Serve, stream: Callable[[str], list[bytes]]) -> None:
    """Is not read into memory, unless its type is one of Access or the guard."""
    long = b"x" * (64 * 1024 + 1)
    for status in (401, 403, 500, 503):
        server = serve((status, {"Content-Type": "text/plain"}, long))
        assert b"".join(stream(server.url)) == long
    for headers, body in ((HTML, long), ({}, long[:-1])):
        with pytest.raises(pwc.TokenRefused):
            stream(serve((403, headers, body)).url)


def test_refusal_in_a_stream(serve: Serve) -> None:
    server = serve((403, {}, b'{"error": "forbidden"}'))
    with pwc.Client(server.url) as client:
        with pytest.raises(pwc.GuardRefused):
            with client.stream("GET", "/"):
                pass


def test_request_itself_has_no_token(call: Call, serve: Serve) -> None:
    """Not even while it is sent: hooks, logs and other tasks may have the same object."""
    server = serve(DOWN, (302, {"Location": "/next"}, b""))
    mine = httpx.Request("GET", server.url + "/", headers={"Authorization": "mine"})
    for single in (None, "Authorization"):
        server.came.clear()
        seen: list[str] = []
        before = mine.headers.copy()
        server.meanwhile = lambda seen=seen: seen.append(str(mine.headers.raw))  # type: ignore[misc]
        response = call(server.url, send=mine, client={"single_header": single})
        assert [SECRET in str(headers) for _, _, headers in server.came] == [True, True]
        assert len(seen) == 2 and SECRET not in "".join(seen)
        assert response.request is mine and mine.headers == before
        assert SECRET not in str(following(response).headers.raw)
    mine.url = httpx.URL("http://127.0.0.1:1")
    with pytest.raises(httpx.ConnectError) as caught:
        call("http://127.0.0.1:1", send=mine, client={"retries": 0})
    assert caught.value.request is mine


def test_no_connection_is_lost(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong between an answer and its return, the connection is given back."""

    def broken(response: httpx.Response) -> float:
        raise RuntimeError

    monkeypatch.setattr(pwc, "_retry_after", broken)
    one: dict[str, Any] = {"limits": httpx.Limits(max_connections=1), "timeout": 1, "retries": 1}
    with pwc.Client(serve(DOWN, OK).url, **one) as client:
        with pytest.raises(RuntimeError):
            client.get("/")
        assert client.get("/").is_success

    async def run() -> None:
        async with pwc.AsyncClient(serve(DOWN, OK).url, **one) as client:
            with pytest.raises(RuntimeError):
                await client.get("/")
            assert (await client.get("/")).is_success

    asyncio.run(run())


# ---------------------------------------------------------------- before anything is sent


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("auth", ("user", "password")),
        ("cookies", {"a": "b"}),
        ("event_hooks", {"request": [print]}),
        ("follow_redirects", True),
        ("http2", True),
    ],
)
def test_options_of_httpx_that_are_refused(call: Call, serve: Serve, name: str, value: Any) -> None:
    """Said aloud, not dropped, for a client and for a request."""
    server = serve(OK)
    with pytest.raises(TypeError, match=f"{name} is not for this client"):
        call(server.url, client={name: value})
    if name in ("auth", "follow_redirects"):
        with pytest.raises(TypeError, match=f"{name} is not for this client"):
            call(server.url, **{name: value})
    assert server.came == []
    assert call(server.url, auth=None, follow_redirects=False).is_success


@pytest.mark.parametrize("kind", [pwc.Client, pwc.AsyncClient])
def test_no_hooks_later(kind: type[pwc.Client] | type[pwc.AsyncClient]) -> None:
    client = kind("https://api.example.com")
    with pytest.raises(TypeError, match="event_hooks"):
        client.event_hooks = {"request": [print]}
    with pytest.raises(TypeError, match="event_hooks"):
        client.event_hooks["request"].append(print)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://127.0.0.1.example.com",
        "https://user:password@api.example.com",
        "https://api.example.com/?x=1",
        "https://api.example.com/#x",
        "https://api.<your-subdomain>.workers.dev",
        "api.example.com",
        "https://",
        "ftp://api.example.com",
        "",
    ],
)
def test_base_url(call: Call, url: str) -> None:
    refused(call, url, pwc.AddressError, "the base URL")


def test_no_proxy_for_this_computer(
    call: Call, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = serve(OK), serve(OK)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    assert call(server.url).is_success
    assert len(server.came) == 1 and proxy.came == []


@pytest.mark.parametrize("path", ["//evil.example.com/x", "\\\\evil.example.com/x", "/\\evil"])
def test_path_names_another_host(call: Call, serve: Serve, path: str) -> None:
    server = serve(OK)
    refused(call, server.url, pwc.AddressError, "another host", path=path)
    assert server.came == []


def test_another_origin(call: Call, serve: Serve) -> None:
    server, other = serve(OK), serve(OK)
    secure = server.url.replace("http", "https")
    for url in (other.url, "https://evil.example.com", secure):
        words = f"{url} is not the base URL's origin, {server.url}:"
        refused(call, server.url, pwc.AddressError, words, path=url + "/x")
    there = server.url.replace("//", "//user:password@")
    error = refused(call, server.url, pwc.AddressError, "a user or a password", path=there)
    assert "user:password" not in str(error)
    assert call(server.url, path=server.url + "/x").is_success
    assert len(server.came) == 1 and other.came == []


@pytest.mark.parametrize(
    ("client_id", "secret", "words"),
    [
        (None, SECRET, "CF_ACCESS_CLIENT_ID is not set"),
        (MACHINE, None, "CF_ACCESS_CLIENT_SECRET is not set"),
        ("", SECRET, "Client-Id is empty"),
        (MACHINE, "  ", "Client-Secret is empty"),
        (MACHINE, SECRET + "\n", "Client-Secret has a space"),
        (MACHINE, f"{SECRET}\r\nX-Other: 1", "Client-Secret has a space"),
        (MACHINE, SECRET + "é", "Client-Secret has a space"),
        (f" {MACHINE}", SECRET, "Client-Id has a space"),
        (MACHINE, "$CF_ACCESS_CLIENT_SECRET", "placeholder"),
        ("<client id>.access".replace(" ", "-"), SECRET, "placeholder"),
        ("REPLACE_WITH_CLIENT_ID", SECRET, "placeholder"),
        ("0123456789abcdef", SECRET, "must end in .access"),
        (SECRET, MACHINE, "mixed up"),
    ],
)
def test_credentials(
    call: Call,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    client_id: str | None,
    secret: str | None,
    words: str,
) -> None:
    server = serve(OK)
    for name, value in (("CF_ACCESS_CLIENT_ID", client_id), ("CF_ACCESS_CLIENT_SECRET", secret)):
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    refused(call, server.url, pwc.CredentialsError, words)
    assert server.came == []


@pytest.mark.parametrize(
    "token",
    [
        lambda: SimpleNamespace(client_id=MACHINE, client_secret=SECRET + "\n"),
        lambda: pwc.ServiceToken(None, SECRET),  # type: ignore[arg-type]
        lambda: pwc.ServiceToken(MACHINE, None),  # type: ignore[arg-type]
        lambda: pwc.ServiceToken(MACHINE, SECRET + "\n"),
        lambda: pwc.ServiceToken(SECRET, MACHINE),
        pwc.from_environment,
    ],
)
def test_bad_token_is_not_shown(
    call: Call, serve: Serve, monkeypatch: pytest.MonkeyPatch, token: Callable[[], pwc.ServiceToken]
) -> None:
    """Not in a traceback with the variables, as some error reports have it."""
    monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", f"{SECRET}\n")
    server = serve(OK)
    error = refused(call, server.url, pwc.CredentialsError, "", client={"token": token})
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "with_token" in (text := "".join(shown.format())) and SECRET not in text
    assert server.came == []


def test_repr_of_a_token() -> None:
    assert repr(pwc.ServiceToken(MACHINE, SECRET)) == f"ServiceToken(client_id='{MACHINE}')"
