# Managed by the private-worker template: do not edit, an update replaces it.
"""The Python client, through the stand-in for Access, against this project's guard."""

import asyncio
import logging
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import httpx
import pytest

import private_worker_client as pwc
from kit.access import MACHINE
from kit.edge import COOKIE, ID, KEY, SECRET

OTHER = "fedcba9876543210fedcba9876543210.access"
WHO = {"kind": "machine", "client_id": MACHINE}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """A program with the token in its environment."""
    monkeypatch.setenv("CF_ACCESS_CLIENT_ID", MACHINE)
    monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", SECRET)


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The seconds that the client would have waited."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(pwc, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setattr(pwc, "asyncio", SimpleNamespace(sleep=sleep))
    return waited


def call_sync(url, path="/", method="GET", client=None, send=None, **options):
    with pwc.Client(url, **(client or {})) as caller:
        if send:
            return caller.send(send, **options)
        return caller.request(method, path, **options)


def call_async(url, path="/", method="GET", client=None, send=None, **options):
    async def run():
        async with pwc.AsyncClient(url, **(client or {})) as caller:
            if send:
                return await caller.send(send, **options)
            return await caller.request(method, path, **options)

    return asyncio.run(run())


@pytest.fixture(params=[call_sync, call_async], ids=["Client", "AsyncClient"])
def call(request):
    """Make one request with either client."""
    return request.param


def refused(call, url, error, words, **options):
    """Call, and get this very error, on one line that has the words and no secret."""
    with pytest.raises(pwc.AccessError, match=words or None) as caught:
        call(url, **options)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value) + repr(caught.value)
    return caught.value


# ---------------------------------------------------------------- through Access


def test_let_in(call, edge):
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


def test_answers_of_the_api(call, edge, serve):
    """What the API itself says comes back as it is."""
    echo = call(edge.url, "/json", "POST", json={"a": [1, 2]})
    assert (echo.status_code, echo.json()) == (200, {"body": {"a": [1, 2]}})
    failed = call(edge.url, "/raise")
    assert (failed.status_code, failed.json()["error"]) == (500, "internal_error")
    assert call(edge.url, "/", "HEAD").status_code == 200
    for status in (400, 404, 405, 409, 429):
        response = call(serve((status, {}, b"")).url)
        with pytest.raises(httpx.HTTPStatusError):
            response.raise_for_status()


def test_no_session_is_kept(edge):
    """Outside strict mode Access gives a cookie for the token. It is not sent back."""
    with pwc.Client(edge.url) as client:
        assert COOKIE in client.get("/").headers["set-cookie"]
        client.get("/")
        assert not client.cookies
    assert [dict(headers).get("cookie") for headers in edge.came] == [None, None]
    assert dict(edge.came[1])[KEY] == SECRET


def test_not_service_auth(call, edge):
    """The policy that names the token is an Allow policy."""
    edge.service_auth = set()
    error = refused(call, edge.url, pwc.LoginRedirect, "Service Auth")
    assert error.response.status_code == 302
    assert edge.reached == [] and len(edge.came) == 1


def test_token_not_accepted(call, edge, monkeypatch):
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


def test_strict_mode(call, edge, monkeypatch):
    """401 for a bad token, 403 for one that no Service Auth policy names; never a login page."""
    edge.strict = True
    edge.expired = {MACHINE}
    refused(call, edge.url, pwc.TokenRefused, "with 401: .*expired")
    edge.expired, edge.service_auth = set(), set()
    refused(call, edge.url, pwc.TokenRefused, "with 403: no Service Auth policy")
    monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", "cfast_wrong")
    refused(call, edge.url, pwc.TokenRefused, "with 401: .*wrong")
    assert edge.reached == [] and len(edge.came) == 3


def test_no_access_in_front(call, edge):
    """The Worker's guard refuses what Access did not vouch for."""
    edge.in_front = False
    error = refused(call, edge.url, pwc.GuardRefused, "Access is not in front")
    assert error.response.json() == {"error": "forbidden"}
    assert len(edge.came) == 1, "a refusal is not repeated"
    refused(call, edge.url, pwc.GuardRefused, "or the API answered", method="HEAD")


def test_not_on_the_guards_list(call, edge, monkeypatch):
    """Access takes the token, the Worker does not know it."""
    edge.tokens[OTHER] = SECRET
    edge.service_auth.add(OTHER)
    monkeypatch.setenv("CF_ACCESS_CLIENT_ID", OTHER)
    refused(call, edge.url, pwc.GuardRefused, "ALLOWED_SERVICE_TOKENS")
    assert len(edge.reached) == 1


def test_single_header(call, edge):
    """The one header that the application was told to read, as JSON with lower-case names."""
    edge.strict = True
    options = {"client": {"single_header": "Authorization"}}
    refused(call, edge.url, pwc.LoginRedirect, "did not take", **options)
    edge.single_header = "Authorization"
    response = call(edge.url, **options)
    assert response.json()["identity"] == WHO
    assert not {ID, KEY} & {name for name, _ in edge.came[-1]}
    assert SECRET not in str(edge.reached) + str(response.request.headers.raw)
    # Without it, Authorization is the API's own.
    call(edge.url, headers={"Authorization": "Bearer mine"})
    assert dict(edge.came[-1])["authorization"] == "Bearer mine"


def test_worker_not_ready(call, edge, load, access, pauses):
    """The guard's two other answers; only the second is worth another attempt."""
    edge.worker = load(POLICY_AUD="")
    refused(call, edge.url, pwc.NotConfigured, "its log names the missing")
    assert len(edge.came) == 1
    edge.worker = load()
    access.answer(500)
    refused(call, edge.url, pwc.KeysUnavailable, "TEAM_DOMAIN")
    assert len(edge.came) == 4 and pauses == [30, 30]


def test_rotated_token(edge, monkeypatch):
    """The provider is asked for every request."""
    with pwc.Client(edge.url) as client:
        client.get("/")
        edge.tokens[MACHINE] = "cfast_next"
        monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", "cfast_next")
        assert client.get("/").json()["identity"] == WHO
    with pwc.Client(edge.url, token=lambda: pwc.ServiceToken(MACHINE, "cfast_next")) as client:
        monkeypatch.delenv("CF_ACCESS_CLIENT_SECRET")
        assert client.get("/").json()["identity"] == WHO


def test_secret_is_nowhere(call, edge, caplog):
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
            request, following = error.response.request, error.response.next_request
            kept += [repr(error), *traceback.format_exception(error)]
            kept += [str(request.headers.raw), str(following.headers.raw)]
        edge.expired = set()
        with pytest.raises(httpx.ConnectError) as caught:
            call("http://127.0.0.1:1", client={"single_header": single, "retries": 0})
        kept += [str(caught.value), str(caught.value.request.headers.raw)]
        assert SECRET not in "".join(kept)
    assert "HTTP Request" in caplog.text and "send_request_headers" in caplog.text
    assert SECRET not in caplog.text


# ---------------------------------------------------------------- other servers


class Server:
    """Answers from a list: (status, headers, body); the last one again and again."""

    def __init__(self, *answers):
        self.came = []
        self.meanwhile = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def serve(self):
                outer.came.append((self.command, dict(self.headers.items())))
                outer.meanwhile()
                status, headers, body = answers[min(len(outer.came), len(answers)) - 1]
                if status is None:
                    return  # hang up
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()


@pytest.fixture
def serve():
    servers = []

    def serve(*answers):
        servers.append(Server(*answers))
        return servers[-1]

    yield serve
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


OK = (200, {}, b"ok")
DOWN = (503, {}, b"down")
HANG_UP = (None, {}, b"")


@pytest.mark.parametrize("failure", [(502, {}, b""), DOWN, (504, {}, b""), HANG_UP])
def test_repeated(call, serve, pauses, failure):
    """A server that fails twice, with a pause that grows."""
    for method in ("GET", "PUT", "DELETE"):
        server = serve(failure, failure, OK)
        assert call(server.url, method=method, content=b"x" if method == "PUT" else None).is_success
        assert [command for command, _ in server.came] == [method] * 3
    assert len(pauses) == 6 and all(0.25 <= pause <= 1 for pause in pauses)


def test_not_repeated(call, serve, pauses):
    """POST and PATCH may have done their work already; a body that is read is gone."""
    server = serve(DOWN, OK)
    assert call(server.url, method="POST", content=b"x").status_code == 503
    lost = serve(HANG_UP, OK)
    with pytest.raises(httpx.TransportError):
        call(lost.url, method="POST")
    broken = serve((500, {}, b"oops"), OK)
    assert call(broken.url).status_code == 500
    assert pauses == [] and len(server.came) == len(lost.came) == len(broken.came) == 1


def test_body_that_is_read_is_sent_once(serve):
    server = serve(DOWN, OK)
    with pwc.Client(server.url) as client:
        assert client.put("/", content=iter([b"x"])).status_code == 503
    assert len(server.came) == 1


def test_repeated_a_few_times_only(call, serve, pauses):
    server = serve(DOWN)
    assert call(server.url).status_code == 503
    assert len(server.came) == 3
    assert call(server.url, client={"retries": 0}).status_code == 503
    assert len(server.came) == 4
    with pytest.raises(ValueError, match="0 to 10"):
        call(server.url, client={"retries": 1000})


def test_retry_after(call, serve, pauses):
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


def test_time_limit(call, monkeypatch):
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
def test_login_page(call, serve, location):
    server = serve((302, {"Location": location}, b""))
    refused(call, server.url, pwc.LoginRedirect, "")


def test_no_redirect_is_followed(call, serve):
    """Not even if asked: the secret would go along."""
    other = serve(OK)
    server = serve((302, {"Location": other.url + "/"}, b""))
    with pytest.raises(TypeError, match="follow_redirects"):
        call(server.url, follow_redirects=True)
    response = call(server.url)
    assert response.status_code == 302 and other.came == []
    with pwc.Client(server.url) as client, pytest.raises(pwc.AddressError):
        client.send(response.next_request)


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
def test_firewall(call, serve, headers, body, words):
    refused(call, serve((403, headers, body)).url, pwc.Blocked, words)


def test_challenge_without_a_body(call, serve):
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
def test_not_the_firewall(call, serve, headers, body):
    """The words alone prove nothing."""
    refused(call, serve((403, headers, body)).url, pwc.TokenRefused, "API itself")


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_other_json_is_the_apis(call, serve, status):
    deep = b"[" * 100_000 + b"]" * 100_000
    for body in (b'{"error": "quota"}', b'{"error": "forbidden", "more": 1}', b"[]", deep):
        server = serve((status, {"Content-Type": "application/json"}, body))
        assert call(server.url, client={"retries": 0}).status_code == status
    words = {"Content-Type": "application/json", "cf-mitigated": "challenge"}
    server = serve((status, words, b'{"error": "you have been blocked", "code": "error 1020"}'))
    assert call(server.url, client={"retries": 0}).status_code == status
    server = serve((status, {"Content-Type": "application/problem+json"}, b""))
    assert call(server.url, method="HEAD", client={"retries": 0}).status_code == status


async def stream_async(url):
    async with pwc.AsyncClient(url, retries=0) as client:
        async with client.stream("GET", "/") as response:
            return [chunk async for chunk in response.aiter_raw()]


def stream_sync(url):
    with pwc.Client(url, retries=0) as client, client.stream("GET", "/") as response:
        return list(response.iter_raw())


@pytest.mark.parametrize("stream", [stream_sync, lambda url: asyncio.run(stream_async(url))])
def test_long_answer_in_a_stream(serve, stream):
    """Is not read into memory, unless its type is one of Access or the guard."""
    long = b"x" * (64 * 1024 + 1)
    for status in (401, 403, 500, 503):
        server = serve((status, {"Content-Type": "text/plain"}, long))
        assert b"".join(stream(server.url)) == long
    for headers, body in ((HTML, long), ({}, long[:-1])):
        with pytest.raises(pwc.TokenRefused):
            stream(serve((403, headers, body)).url)


def test_refusal_in_a_stream(serve):
    server = serve((403, {}, b'{"error": "forbidden"}'))
    with pwc.Client(server.url) as client:
        with pytest.raises(pwc.GuardRefused):
            with client.stream("GET", "/"):
                pass


def test_request_itself_has_no_token(call, serve):
    """Not even while it is sent: hooks, logs and other tasks may have the same object."""
    server = serve(DOWN, (302, {"Location": "/next"}, b""))
    mine = httpx.Request("GET", server.url + "/", headers={"Authorization": "mine"})
    for single in (None, "Authorization"):
        server.came.clear()
        seen, before = [], mine.headers.copy()
        server.meanwhile = lambda seen=seen: seen.append(str(mine.headers.raw))
        response = call(server.url, send=mine, client={"single_header": single})
        assert [SECRET in str(headers) for _, headers in server.came] == [True, True]
        assert len(seen) == 2 and SECRET not in "".join(seen)
        assert response.request is mine and mine.headers == before
        assert SECRET not in str(response.next_request.headers.raw)
    mine.url = httpx.URL("http://127.0.0.1:1")
    with pytest.raises(httpx.ConnectError) as caught:
        call("http://127.0.0.1:1", send=mine, client={"retries": 0})
    assert caught.value.request is mine


def test_no_connection_is_lost(serve, monkeypatch):
    """Whatever goes wrong between an answer and its return, the connection is given back."""

    def broken(response):
        raise RuntimeError

    monkeypatch.setattr(pwc, "_retry_after", broken)
    one = {"limits": httpx.Limits(max_connections=1), "timeout": 1, "retries": 1}
    with pwc.Client(serve(DOWN, OK).url, **one) as client:
        with pytest.raises(RuntimeError):
            client.get("/")
        assert client.get("/").is_success

    async def run():
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
def test_options_of_httpx_that_are_refused(call, serve, name, value):
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
def test_no_hooks_later(kind):
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
def test_base_url(call, url):
    refused(call, url, pwc.AddressError, "the base URL")


def test_no_proxy_for_this_computer(call, serve, monkeypatch):
    server, proxy = serve(OK), serve(OK)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    assert call(server.url).is_success
    assert len(server.came) == 1 and proxy.came == []


@pytest.mark.parametrize("path", ["//evil.example.com/x", "\\\\evil.example.com/x", "/\\evil"])
def test_path_names_another_host(call, serve, path):
    server = serve(OK)
    refused(call, server.url, pwc.AddressError, "another host", path=path)
    assert server.came == []


def test_another_origin(call, serve):
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
def test_credentials(call, serve, monkeypatch, client_id, secret, words):
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
        lambda: pwc.ServiceToken(None, SECRET),
        lambda: pwc.ServiceToken(MACHINE, None),
        lambda: pwc.ServiceToken(MACHINE, SECRET + "\n"),
        lambda: pwc.ServiceToken(SECRET, MACHINE),
        pwc.from_environment,
    ],
)
def test_bad_token_is_not_shown(call, serve, monkeypatch, token):
    """Not in a traceback with the variables, as some error reports have it."""
    monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", f"{SECRET}\n")
    server = serve(OK)
    error = refused(call, server.url, pwc.CredentialsError, "", client={"token": token})
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "with_token" in (text := "".join(shown.format())) and SECRET not in text
    assert server.came == []


def test_repr_of_a_token():
    assert repr(pwc.ServiceToken(MACHINE, SECRET)) == f"ServiceToken(client_id='{MACHINE}')"
