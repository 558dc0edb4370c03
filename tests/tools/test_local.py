"""`local` lets in and refuses as Cloudflare Access does, and hands on what the client and the
Worker say, unchanged. Browsers and the real Worker are in guard/in_project/test_local_chain.py,
what it must refuse in test_local_refusals.py.
"""

import hashlib
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest

from command_run import project
from conftest import Render
from local_run import ASSERTION, LOGIN, Backend, Stand, form_of, log_in, raw

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(rendered, tmp_path_factory.mktemp("local"), profile="production")


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def running(folder: Path, backend: Backend) -> Iterator[Stand]:
    stand = Stand(folder, backend.url)
    yield stand
    stand.stop()


@pytest.fixture
def stand(running: Stand, backend: Backend) -> Stand:
    """The one that runs, with nothing that came before."""
    backend.came.clear()
    return running


@pytest.fixture
def client(stand: Stand) -> Iterator[httpx.Client]:
    with stand.client() as client:
        yield client


# -- what it says


def test_start(stand: Stand) -> None:
    """Where to go, as whom, with which token, how to stop; on 80 columns."""
    text = "".join(stand.said)
    for part in (f"{stand.url}/", "dev@example.com", "npm run dev"):
        assert part in text
    assert stand.exported("URL") == stand.url
    assert stand.exported("CF_ACCESS_CLIENT_ID").endswith(".access")
    assert text.count(stand.exported("CF_ACCESS_CLIENT_SECRET")) == 1
    assert all(len(line.rstrip("\n")) <= 80 for line in stand.said[:20])


def test_a_line_for_each_request(stand: Stand, client: httpx.Client) -> None:
    """Method, path, who and status. No query, which may be secret; nothing steers the terminal."""
    log_in(client, to="/first")
    client.get("/a%1b%5b31m?token=secret-in-query")
    assert stand.heard(r"200 GET /a") == r"200 GET /a\x1b[31m dev@example.com"
    stand.heard(r"^302 GET /first -$")
    stand.heard(r"^dev@example.com has logged in$")
    client.get("/machine", headers=stand.program())
    stand.heard(rf"^200 GET /machine {stand.exported('CF_ACCESS_CLIENT_ID')}$")
    said = "".join(stand.said)
    assert "secret-in-query" not in said and "\x1b" not in said
    assert said.count(stand.exported("CF_ACCESS_CLIENT_SECRET")) == 1


# -- people


def test_nobody_has_logged_in(client: httpx.Client, backend: Backend) -> None:
    for method in ("GET", "POST", "HEAD"):
        answer = client.request(method, "/private?x=1&y=2")
        assert answer.status_code == 302
        location = httpx.URL(answer.headers["location"])
        assert location.is_relative_url and location.path.startswith(LOGIN)
        assert location.params["redirect_url"] == "/private?x=1&y=2"
    assert backend.came == []


def test_log_in(stand: Stand, client: httpx.Client, backend: Backend) -> None:
    """Back to where it was, with a cookie; the Worker gets a token that the keys have signed."""
    done = log_in(client, to="/private?x=1&y=2")
    assert (done.status_code, done.headers["location"]) == (303, "/private?x=1&y=2")
    name, *attributes = done.headers["set-cookie"].split("; ")
    assert name.startswith("CF_Authorization=")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert client.get("/private?x=1&y=2").status_code == 200
    seen = backend.last()
    assert seen["cf-access-authenticated-user-email"] == "dev@example.com"
    claims = stand.claims(seen[ASSERTION])
    assert (claims["email"], claims["iss"]) == ("dev@example.com", stand.url)
    assert (claims["aud"], claims["type"]) == (["local"], "app")
    assert abs(claims["exp"] - time.time() - 3600) < 30


def test_somebody_of_a_whole_domain(folder: Path, backend: Backend) -> None:
    """The login page offers a person whom the guard lets in, and no address without a name."""
    stand = Stand(folder, backend.url, ALLOWED_EMAILS="@staff.example.org")
    try:
        with stand.client() as client:
            page = client.get(client.get("/").headers["location"]).text
            offered = re.findall(r'name="email" value="([^"]+)"', page)
            assert [re.sub("^[a-z]+@", "", email) for email in offered] == ["staff.example.org"]
            assert log_in(client, offered[0]).status_code == 303
            assert client.get("/").status_code == 200
            assert stand.claims(backend.last()[ASSERTION])["email"] == offered[0]
    finally:
        stand.stop()


@pytest.mark.parametrize("email", ["other@example.com", "jörg@example.com", "名@example.com"])
def test_anybody_may_log_in(
    stand: Stand, client: httpx.Client, backend: Backend, email: str
) -> None:
    """It is the Worker that refuses, so that one sees it."""
    assert log_in(client, email).status_code == 303
    assert client.get("/").status_code == 200
    seen = backend.last()
    assert stand.claims(seen[ASSERTION])["email"] == email
    assert seen["cf-access-authenticated-user-email"].encode("latin-1").decode() == email


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        ("", "nothing"),
        ("dev", "dev"),
        ("@example.com", "@example.com"),
        ("dev@example", "dev@example"),
        ("a b@example.com", "a b@example.com"),
        ("a@b@example.com", "a@b@example.com"),
        ("a@example.com\r\nX-Evil: 1", "a@example.com\\r\\nX-Evil: 1"),
        ("a\x1b@example.com", "a\\x1b@example.com"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("x" * 250 + "@example.com", "x" * 197 + "..."),
    ],
)
def test_bad_address(client: httpx.Client, email: str, shown: str) -> None:
    """The page says what is wrong, and is still a form."""
    page = log_in(client, email)
    assert page.status_code == 400 and "set-cookie" not in page.headers
    assert f"This is not an e-mail address: {shown}</p>" in page.text
    assert "<script" not in page.text and form_of(page)
    assert client.get("/").status_code == 302


def test_page_without_script(client: httpx.Client) -> None:
    page = client.get(LOGIN)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert '<label for="email">' in page.text and 'id="email"' in page.text


def test_cloudflared(stand: Stand, client: httpx.Client) -> None:
    """A session in the header that cloudflared sends."""
    log_in(client)
    token = client.cookies["CF_Authorization"]
    with stand.client() as other:
        assert other.get("/", headers={"Cf-Access-Token": token}).status_code == 200
        assert other.get("/", headers={"Cf-Access-Token": token[:-2]}).status_code == 302


def test_cookies_of_other_servers(stand: Stand, client: httpx.Client) -> None:
    """Cookies belong to a host without its port, so those of other servers come along."""
    log_in(client)
    cookie = f'odd={{"a": [1]}}; =; x; CF_Authorization={client.cookies["CF_Authorization"]}'
    with stand.client() as other:
        assert other.get("/", headers={"Cookie": cookie}).status_code == 200


# Without its header the Worker would believe the `access.dev` of wrangler.jsonc.
HOP = [("Connection", "Cf-Access-Jwt-Assertion, Cf-Access-Authenticated-User-Email")]


@pytest.mark.parametrize("more", [[], HOP], ids=["plain", "hop-by-hop"])
def test_what_access_adds_cannot_be_sent(
    stand: Stand, client: httpx.Client, backend: Backend, more: list[tuple[str, str]]
) -> None:
    log_in(client)
    forged = [("Cf-Access-Jwt-Assertion", "forged"), ("Cf-Access-Jwt-Assertion", "again"), *more]
    forged += [("Cf-Access-Authenticated-User-Email", "boss@example.com")]
    assert client.get("/", headers=forged).status_code == 200
    names = [name for name, _ in backend.came[-1]["headers"]]
    assert names.count(ASSERTION) == names.count("cf-access-authenticated-user-email") == 1
    assert stand.claims(backend.last()[ASSERTION])["email"] == "dev@example.com"
    with stand.client() as other:
        assert other.get("/", headers=forged).status_code == 302


def test_logout(client: httpx.Client) -> None:
    log_in(client)
    token = client.cookies["CF_Authorization"]
    page = client.get("/cdn-cgi/access/logout")
    assert page.status_code == 200 and "Logged out" in page.text
    assert "CF_Authorization" not in client.cookies
    assert client.get("/").status_code == 302
    assert client.get("/", headers={"Cookie": f"CF_Authorization={token}"}).status_code == 302


def test_requests_of_a_page(stand: Stand, client: httpx.Client, backend: Backend) -> None:
    """When the session is over they get a 401 instead of a redirect that they cannot follow."""
    log_in(client)
    over = {"Cookie": f"CF_Authorization={client.cookies['CF_Authorization']}"}
    client.get("/cdn-cgi/access/logout")
    assert client.get("/", headers=over).status_code == 302
    asked = {**over, "X-Requested-With": "XMLHttpRequest"}
    assert client.get("/", headers=asked).status_code == 401
    assert backend.came == []


# -- programs


def test_program(stand: Stand, client: httpx.Client, backend: Backend) -> None:
    """Strict from the start: a machine's token for the Worker, no cookie, no secret handed on."""
    answer = client.get("/", headers=stand.program())
    assert answer.status_code == 200 and "set-cookie" not in answer.headers
    seen = backend.last()
    claims = stand.claims(seen[ASSERTION])
    assert claims["common_name"] == stand.exported("CF_ACCESS_CLIENT_ID")
    assert claims["sub"] == "" and "email" not in claims
    assert not {"cf-access-client-id", "cf-access-client-secret"} & set(seen)
    assert "cf-access-authenticated-user-email" not in seen
    other = {**stand.program(), "CF-Access-Client-Id": "another.access"}
    assert client.get("/", headers=other).status_code == 200
    assert stand.claims(backend.last()[ASSERTION])["common_name"] == "another.access"


def bad_tokens(stand: Stand) -> list[list[tuple[str, str]]]:
    client_id, secret = stand.program().items()
    return [
        [client_id],
        [secret],
        [client_id, (secret[0], "")],
        [client_id, (secret[0], "wrong")],
        [client_id, (secret[0], "schlüssel")],
        [("CF-Access-Client-Id", "no-client-id"), secret],
        [("CF-Access-Client-Id", "a b.access"), secret],
        [client_id, client_id, secret],
        [client_id, secret, secret],
    ]


def test_bad_tokens(stand: Stand, client: httpx.Client, backend: Backend) -> None:
    """Strict: 401 and never a login, not even with the cookie of somebody who has logged in."""
    log_in(client)
    for headers in bad_tokens(stand):
        raw_headers = [(name.encode(), value.encode()) for name, value in headers]
        assert client.get("/", headers=raw_headers).status_code == 401, headers
    assert backend.came == []


# -- what is handed on


def test_bodies_stream_both_ways(stand: Stand, client: httpx.Client, backend: Backend) -> None:
    log_in(client)
    backend.go_on.clear()
    backend.first_piece.clear()
    with client.stream("GET", "/stream") as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"data: 1\n\n"  # before the Worker has said the rest
        backend.go_on.set()
        assert b"".join(pieces) == b"data: 2\n\n"

    def upload() -> Iterator[bytes]:
        yield b"first"
        assert backend.first_piece.wait(20), "held back until the client had sent all"
        yield b"second"

    answer = client.post("/upload", content=upload())
    assert answer.json()["sha256"] == hashlib.sha256(b"firstsecond").hexdigest()
    big = bytes(range(256)) * 40_000  # 10 MB
    assert client.put("/big", content=big).json()["sha256"] == hashlib.sha256(big).hexdigest()
    assert backend.last()["content-length"] == str(len(big))


def test_answers_are_not_changed(stand: Stand, client: httpx.Client, backend: Backend) -> None:
    log_in(client)
    assert client.get("/cookies").headers.get_list("set-cookie") == ["a=1", "b=2; Path=/"]
    redirect = client.get("/redirect")
    assert (redirect.status_code, redirect.headers["location"]) == (302, "/elsewhere")
    assert [one["path"] for one in backend.came] == ["/cookies", "/redirect"]
    head = client.head("/anything")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0 and backend.came[-1]["method"] == "HEAD"
    assert client.get("/204").status_code == 204
    not_modified = client.get("/304")
    assert (not_modified.status_code, not_modified.headers["etag"]) == (304, '"x"')
    with client.stream("GET", "/packed") as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert b"".join(packed.iter_raw()) == b"not really gzip"
    hop = client.get("/hop").headers
    assert "x-hop" not in hop and hop["x-end"] == "1" and "server" not in hop


def test_requests_are_not_changed(stand: Stand, client: httpx.Client, backend: Backend) -> None:
    log_in(client)
    cookie = client.cookies["CF_Authorization"]
    for path in ("/a%2Fb//c?x=%7C&y='\"|{}", "/%E4%BD%A0?", "/a;b=c/..d/?q=1?2", "/~!$&'()*+,=:@"):
        raw(
            stand,
            f"PROPFIND {path} HTTP/1.1\r\nHost: localhost:{stand.port}\r\nX-Own: 1\r\nTE: gzip\r\n"
            f"Keep-Alive: 1\r\nX-Hop: 1\r\nConnection: close, x-hop\r\nX-Own: 2\r\n"
            f"Cookie: other=1; CF_Authorization={cookie}\r\n\r\n",
        )
        seen = backend.came[-1]
        assert (seen["method"], seen["path"]) == ("PROPFIND", path.removesuffix("?"))
        names = [name for name, _ in seen["headers"]]
        assert [value for name, value in seen["headers"] if name == "x-own"] == ["1", "2"]
        assert not {"te", "keep-alive", "x-hop"} & set(names)
        # The client's own, so that a redirect that the Worker makes of it leads back here.
        assert dict(seen["headers"])["host"] == f"localhost:{stand.port}"
        assert not {"accept", "user-agent", "content-length"} & set(names), "nothing is added"


def test_headers_that_the_dev_server_believes(stand: Stand, backend: Backend) -> None:
    """Its parts tell each other so which page, which Worker and which `request.cf` is meant."""
    forged = {"MF-Original-URL": "http://localhost/cdn-cgi/", "mf-cf-blob": "{", "Mf-Op": "GET"}
    with stand.client(headers={**stand.program(), **forged, "X-Mf": "kept"}) as client:
        assert client.get("/").status_code == 200
    assert [name for name, _ in backend.came[-1]["headers"] if "mf" in name] == ["x-mf"]


@pytest.mark.parametrize("length", [3, 5, 50])
def test_length_beside_chunks(stand: Stand, backend: Backend, length: int) -> None:
    """The chunks count (RFC 9112 section 6.3), in both directions: nothing can be smuggled."""
    program = "".join(f"{name}: {value}\r\n" for name, value in stand.program().items())
    answer = raw(
        stand,
        f"POST /both HTTP/1.1\r\nHost: 127.0.0.1:{stand.port}\r\n{program}Connection: close\r\n"
        f"Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )
    assert backend.came[-1]["length"] == 5 and "content-length" not in backend.last()
    assert answer.startswith("HTTP/1.1 200 ") and "content-length" not in answer.lower()
    assert answer.endswith("\r\n\r\n2\r\nok\r\n0\r\n\r\n")


def test_nothing_behind_it(folder: Path, backend: Backend) -> None:
    stand = Stand(folder, "http://127.0.0.1:9")
    try:
        with stand.client() as client:
            log_in(client)
            answer = client.get("/")
            assert answer.status_code == 502
            assert "Nothing answers at http://127.0.0.1:9: start `npm run dev`" in answer.text
            stand.heard("Nothing answers at http://127.0.0.1:9")
    finally:
        stand.stop()


def test_worker_that_breaks_off(stand: Stand, client: httpx.Client) -> None:
    """The client sees that something is missing, and the server goes on."""
    log_in(client)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/broken")
    stand.heard("broke off")
    assert client.get("/").status_code == 200


def test_websocket(stand: Stand, client: httpx.Client, backend: Backend) -> None:
    log_in(client)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    answer = client.get("/", headers={**headers, "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="})
    assert answer.status_code == 501 and "WebSocket" in answer.text
    assert answer.text.count("\n") == 1 and backend.came == []


# -- the end


def test_ctrl_c(folder: Path, backend: Backend) -> None:
    """At once, as the other commands, though somebody still waits for an answer of the Worker's."""
    stand = Stand(folder, backend.url)
    backend.go_on.clear()

    def ask() -> None:
        with suppress(httpx.TransportError):
            stand.client(headers=stand.program()).get("/hang")

    waiting = Thread(target=ask)
    waiting.start()
    while not backend.came or backend.came[-1]["path"] != "/hang":
        time.sleep(0.01)
    started = time.monotonic()
    stand.process.send_signal(signal.SIGINT)
    assert stand.process.wait(20) == 130
    assert time.monotonic() - started < 5
    backend.go_on.set()
    waiting.join()
    stand.stop()
    assert stand.said[-1] == "private-worker: stopped\n"
    assert "Traceback" not in "".join(stand.said)
