"""The forwarder in front of a private service that misbehaves, with callers who do so, too."""

import json
import posixpath
import random
import re
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from http.client import HTTPConnection, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

from private_worker.testing.access import PERSON, Access
from private_worker.testing.runtime import Worker

from .lib import Load

SENT_ON = {"accept", "accept-language", "content-language", "content-type", "if-match"}
SENT_ON |= {"if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"}
SENT_ON |= {"private-worker-caller"}
FRAMING = {"host", "connection", "content-length", "transfer-encoding", "user-agent"}
FRAMING |= {"accept-encoding", "sec-fetch-mode"}  # what the runtime adds by itself
POLICY = "Content-Security-Policy"
SENT_BACK = {"accept-ranges", "allow", "content-disposition", "content-language", "content-range"}
SENT_BACK |= {"content-security-policy", "content-type", "etag", "last-modified", "retry-after"}
SENT_BACK |= {"x-frame-options", "x-content-type-options", "cache-control", "content-length"}
SENT_BACK |= {"cross-origin-resource-policy"}


class Service:
    """A real HTTP server. It keeps what reached it, and answers what a test tells it to."""

    def __init__(self) -> None:
        service = self
        self.requests: list[Any] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"the inside"
        self.release = threading.Event()
        self.release.set()
        self.hang_up = False
        self.act = None  # takes the place of everything below, for one that streams

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if service.act:
                    service.act(self)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                names = [(name.lower(), value) for name, value in self.headers.items()]
                service.requests.append((self.command, self.path, dict(names), body))
                service.release.wait(9)
                if service.hang_up:
                    self.connection.close()
                    return
                self.send_response(service.status)
                for name, value in service.headers.items():
                    self.send_header(name, value)
                if service.body:
                    self.send_header("Content-Length", str(len(service.body)))
                self.end_headers()
                self.wfile.write(service.body if self.command != "HEAD" else b"")

            do_HEAD = do_POST = do_PUT = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Any]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def other() -> Iterator[Any]:
    """A second service, beside the first."""
    service = Service()
    yield service
    service.close()


@pytest.fixture
def worker(load: Load, service: Any, other: Any) -> Any:
    return load(BEHIND={"$fetcher": service.url}, BESIDE={"$fetcher": other.url})


@pytest.fixture
def connect(worker: Worker, inside: dict[str, Any]) -> Iterator[Any]:
    """Open an HTTP connection to the Worker whose bodies stream, and begin a request."""
    target = {name: value for name, value in inside.items() if name != "headers"}
    origin = urlsplit(worker.listen(**target))
    connections: list[HTTPConnection] = []

    def connect(method: Any, path: Any, **headers: Any) -> Any:
        connection = HTTPConnection(str(origin.hostname), origin.port, timeout=20)
        connections.append(connection)
        connection.putrequest(method, path)
        for name, value in {**inside.get("headers", {}), **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return connection

    yield connect
    for connection in connections:
        connection.close()


def ask(
    worker: Worker,
    inside: dict[str, Any],
    path: Any = "/behind/a",
    headers: Any = (),
    **request: Any,
) -> Any:
    sent = {**inside.get("headers", {}), **dict(headers)}
    return worker.fetch(path, **{**inside, "headers": sent, **request})


def failed(response: Any, status: Any, error: Any) -> None:
    """A short, fixed answer that shows nothing of the inside."""
    assert (response.status, response.json()) == (status, {"error": error})
    assert dict(response.headers) == {
        "content-type": "application/json",
        "cache-control": "private, no-store",
    }


def test_good_service(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    assert ask(worker, inside).body == b"the inside"
    assert [request[:2] for request in service.requests] == [("GET", "/a")]


def test_each_service_has_its_own_rules(
    worker: Worker, inside: dict[str, Any], service: Any, other: Any
) -> None:
    """Prefix, methods, paths and limits of one do not count for the other."""
    assert ask(worker, inside, "/beside/files/a").status == 200
    assert ask(worker, inside, "/behind/files/a", method="POST", body=b"x").status == 200
    assert ask(worker, inside, "/beside/files/a", method="PUT", body=b"x").status == 200
    assert ask(worker, inside, "/behind/elsewhere").status == 200
    assert [request[:2] for request in other.requests] == [("GET", "/files/a"), ("PUT", "/files/a")]
    assert [request[:2] for request in service.requests] == [
        ("POST", "/files/a"),
        ("GET", "/elsewhere"),
    ]
    failed(ask(worker, inside, "/beside/elsewhere"), 404, "not_found")
    for path, method, allowed in (
        ("/behind/a", "PUT", "GET, HEAD, POST"),
        ("/beside/files/a", "POST", "GET, PUT"),
        ("/beside/files/a", "HEAD", "GET, PUT"),
    ):
        answer = ask(worker, inside, path, method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    for path in ("/behindx", "/besides/files/a", "/be/side", "/Behind/a", "/%62ehind/a"):
        assert ask(worker, inside, path).json().get("identity"), path  # the API's own
    assert len(service.requests) == len(other.requests) == 2


@pytest.mark.parametrize(
    "fields",
    [
        *({"paths": "/a"}, {"paths": ["a"]}, {"paths": ["/a", "/%61"]}, {"methods": "GET"}),
        *({"prefix": ""}, {"prefix": "/"}, {"prefix": "a"}, {"prefix": "/a/"}, {"prefix": "//a"}),
        *({"paths": ["//"]}, {"paths": ["/a//b"]}, {"origin": "x"}, {"origin": "http://x/"}),
        *({"origin": "http://x?y="}, {"origin": "http://a@x"}, {"origin": "ftp://x"}),
    ],
    ids=str,
)
def test_mistakes_in_the_list(fields: Any, worker: Worker, inside: dict[str, Any]) -> None:
    """They end the import, so that no deploy opens more than was meant."""
    headers = {"Content-Type": "application/json"}
    for more, wrong in (({}, False), (fields, True)):
        body = json.dumps({"prefix": "/a", **more})
        answer = ask(worker, inside, "/upstream", method="POST", headers=headers, body=body)
        assert (answer.json() is not None) == wrong


# ---------------------------------------------------------------- what goes wrong there


def test_slow_service(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    """The caller learns that it took too long, and no more."""
    service.release.clear()
    started = time.monotonic()
    failed(ask(worker, inside), 504, "upstream_timeout")
    assert time.monotonic() - started < 4
    service.release.set()
    assert ask(worker, inside).status == 200


def test_service_that_hangs_up(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    service.hang_up = True
    failed(ask(worker, inside), 502, "upstream_unreachable")
    service.hang_up = False
    assert ask(worker, inside).status == 200


def test_no_service(load: Load, inside: dict[str, Any]) -> None:
    worker = load(BEHIND={"$fetcher": "http://127.0.0.1:9"})
    failed(ask(worker, inside), 502, "upstream_unreachable")


def test_redirects_and_errors_are_not_passed_on(
    worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    """Cloudflare's own error pages, such as 1101, come with these."""
    service.headers = {"Location": "http://the-inside.example/", "Retry-After": "7"}
    statuses = (101, 300, 301, 302, 303, 305, 307, 308, 500, 501, 502, 503, 504, 520, 530)
    for service.status in statuses:
        failed(ask(worker, inside), 502, "upstream_failed")
        line = json.loads(worker.logs[-1])
        wanted = {"event": "upstream", "binding": "BEHIND", "problem": f"status {service.status}"}
        assert line == wanted  # so the log says which and why
    assert len(service.requests) == len(statuses)


def test_other_answers_are(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    for service.status in (201, 202, 400, 401, 403, 404, 409, 410, 422, 429):
        answer = ask(worker, inside)
        assert (answer.status, answer.body) == (service.status, b"the inside")


@pytest.mark.parametrize(("method", "status"), [("GET", 204), ("GET", 304), ("HEAD", 200)])
def test_answer_without_a_body(
    method: Any, status: Any, worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    """The runtime's null, which is not Python's None."""
    service.status, service.body = status, b""
    service.headers = {"ETag": '"1"'}
    answer = ask(worker, inside, method=method)
    assert (answer.status, answer.body, answer.headers["ETag"]) == (status, b"", '"1"')


def test_get_without_a_body(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    """Whatever the runtime makes of this header: fetch takes no body for GET."""
    assert ask(worker, inside, headers={"Content-Length": "0"}).status == 200
    assert [request[0] for request in service.requests] == ["GET"]


def test_headers_that_come_back(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    """By list, so that one nobody thought of stays inside."""
    service.headers = {
        "Set-Cookie": "session=1",
        "Location": "http://the-inside.example/",
        "Content-Location": "http://the-inside.example/",
        "Refresh": "0; url=http://the-inside.example/",
        "Link": "<http://the-inside.example/>; rel=preload",
        "Via": "1.1 the-inside",
        "X-Powered-By": "the-inside",
        "X-Debug": "the-inside",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Credentials": "true",
        "Cache-Control": "public, max-age=60",
        "Age": "9",
        "Connection": "X-Named",
        "X-Named": "the-inside",
        "Keep-Alive": "timeout=9",
        "Upgrade": "h2c",
        "Trailer": "X-Debug",
        "Proxy-Authenticate": "Basic",
        "WWW-Authenticate": "Basic",
        "Strict-Transport-Security": "max-age=9",
        "Clear-Site-Data": '"*"',
        "Service-Worker-Allowed": "/",
        "Cf-Access-Jwt-Assertion": "the-inside",
        "ETag": '"1"',
    }
    answer = ask(worker, inside)
    assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
    assert {name.lower() for name in answer.headers} <= SENT_BACK
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "the-inside" not in str(answer.headers)


def test_scripts_do_not_run(
    worker: Worker, inside: dict[str, Any], service: Any, other: Any
) -> None:
    """They could call all that is at this address, as the person who looks at the page."""
    for own, policy in {"": "sandbox", "default-src 'self'": "default-src 'self', sandbox"}.items():
        service.headers = {"Content-Type": "text/html", **({POLICY: own} if own else {})}
        for service.status in (200, 404):
            assert ask(worker, inside).headers[POLICY] == policy
    other.headers = {POLICY: "default-src 'self'"}  # `pages` is on there
    assert ask(worker, inside, "/beside/files").headers[POLICY] == "default-src 'self'"


# ---------------------------------------------------------------- what callers try


def test_headers_that_go_along(
    worker: Worker, inside: dict[str, Any], service: Any, access: Access
) -> None:
    """By list, so that neither proof nor tricks reach the service."""
    more = {
        **access.person(PERSON),
        "Cookie": "CF_Authorization=x; session=1",
        "Authorization": "Bearer x",
        "Proxy-Authorization": "Basic x",
        "CF-Access-Client-Id": "x.access",
        "CF-Access-Client-Secret": "x",
        "Cf-Access-Token": "x",
        "Cf-Access-Authenticated-User-Email": "boss@example.com",
        "Private-Worker-Caller": "human boss%40example.com",
        "Forwarded": "for=192.0.2.1",
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-User": "boss",
        "X-Real-Ip": "192.0.2.1",
        "X-Original-Url": "/other",
        "X-Rewrite-Url": "/other",
        "X-Http-Method-Override": "DELETE",
        "X-Http-Method": "DELETE",
        "X-Method-Override": "DELETE",
        "Connection": "close, X-Named",
        "X-Named": "x",
        "Keep-Alive": "timeout=9",
        "TE": "trailers",
        "Trailer": "X-Named",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "x",
        "Expect": "100-continue",
        "Origin": "https://worker.example.com",
        "Referer": "https://worker.example.com/?secret",
        "Range": "bytes=0-1",
        "Accept-Language": "en",
    }
    proof = inside.get("headers", {})
    assert ask(worker, inside, headers={**more, **proof}).status == 200
    ((method, path, names, _),) = service.requests
    assert (method, path, names["range"]) == ("GET", "/a", "bytes=0-1")
    assert set(names) <= SENT_ON | FRAMING
    assert "boss" not in names["private-worker-caller"]
    assert names.get("connection") in (None, "close", "keep-alive")


@pytest.mark.parametrize("named", ["If-Match", "x, iF-mATCH ,", "private-worker-caller, if-match"])
def test_headers_that_connection_names(
    named: Any, worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    """RFC 9110 section 7.6.1: they end here, even those on the list; ours is not one of them."""
    sent = {"Connection": named, "If-Match": '"1"', "If-None-Match": '"2"'}
    assert ask(worker, inside, headers=sent).status == 200
    ((*_, names, _),) = service.requests
    assert ("if-match" in names, names["if-none-match"]) == (False, '"2"')
    assert names["private-worker-caller"]


LOGIN = "Bearer not-of-access"
SERVICE_TOKENS = [
    '{"cf-access-client-id": "x.access", "cf-access-client-secret": "x"}',
    '{"CF-Access-Client-Id":"x.access","CF-ACCESS-CLIENT-SECRET":"x"}',
    '  {  "cf-access-client-secret"\t:  "x"  }  ',
    '{"\\u0063f-access-client-secret": "x", "\\u0063f-access-client-id": "x"}',
    '[{"\\u0063f-access-client-secret": "x"}]',
    'Bearer {"cf-access-client-secret": "x"}',
    'Bearer x, {"\\u0063f-access-client-secret": "x"}',
    "\u00ef\u00bb\u00bf{}",
    "cf-access-client-secret: x",
    "Cf-Access-Client-Secret x",
]


def test_login_goes_along_only_where_configured(
    worker: Worker, inside: dict[str, Any], service: Any, other: Any
) -> None:
    """`Authorization` may be meant for this Worker."""
    login = {"Authorization": LOGIN}
    assert ask(worker, inside, "/beside/files", headers=login).status == 200
    assert other.requests[0][2]["authorization"] == LOGIN
    assert ask(worker, inside, "/behind/files", headers=login).status == 200
    assert "authorization" not in service.requests[0][2]
    named = {**login, "Connection": "authorization"}
    assert ask(worker, inside, "/beside/files", headers=named).status == 200
    assert "authorization" not in other.requests[1][2]


@pytest.mark.parametrize("value", SERVICE_TOKENS)
def test_service_token_never_goes_along(
    value: Any, worker: Worker, inside: dict[str, Any], other: Any
) -> None:
    """Access can be told to take a service token from `Authorization`, as JSON."""
    assert ask(worker, inside, "/beside/files", headers={"Authorization": value}).status == 200
    ((*_, names, _),) = other.requests
    assert "authorization" not in names


# What the path of a service must not be read as, in plain characters.
OUTSIDE = [
    *("//evil.example", "/http://evil.example", "/a/http://evil.example", "/\\evil.example"),
    *("/../x", "/a/../../b", "/./x/./../../y", "/a/./b", "/a//b", "/a/b//", "/a\\..\\b", "/..\\x"),
    *("/;..", "/..;/x", "/..;a=b/x", "/a/;../b", "/;/evil.example", "/a;/b", "/a;;v=1/b"),
    *("/.. ", "/ ../x", "/a; ../b", "/\t../x", "/..\t/x", "/..\u00a0/x", "/a/ /b"),
    *("/a/.../b", "/a/. ./b", "/a/\0", "/a/\r\nX-Y:z", "/a/\n", "/a/\x7f", "/a/\x85"),
    *("/a/..?x=1/../b", "/..#/../b"),
    *("/\uff0e\uff0e/x", "/\u2025/x", "/a/..\uff0fb", "/a\uff0f\uff0fb", "/a/\uff3c..\uff3cb"),
    *("/..\u00a5x", "/..\u20a9x", "/\uffe5..\uffe6x"),
    *("/..\u2215..\u2215x", "/..\u2044x", "/a\u2216..\u2216x", "/\uff052e\uff052e/x", "/C:/x"),
    *("/..\u200b/x", "/.\u200c./x", "/\u00ad../x", "/\ufeff../x", "/..?", "/..#x", "/a/c:x"),
]
ONCE = [[f"%{byte:02x}" for byte in path.encode()[1:]] for path in OUTSIDE]
TWICE = [[code.replace("%", "%25") for code in codes] for codes in ONCE]
MIXED = [
    [codes[place % 2][place] for place in range(len(codes[0]))]
    for codes in zip(ONCE, TWICE, strict=True)
]
SPELLINGS = {
    "once": ["/" + "".join(codes) for codes in ONCE],
    "twice": ["/" + "".join(codes) for codes in TWICE],
    "mixed": ["/" + "".join(codes) for codes in MIXED],
    "in part": """
        /%2fevil.example /%252fevil.example /%5cevil.example /a//b /a/b// /a%5c..%5cb /a/%255c..%5cb
        /..%2f /..%252f /a/..%2f..%2fb /%252e%252e /%252e%252e/x /.%252e/x /%2e%252e/x /%252e./x
        /;.. /..;/x /..;a=b/x /a;/b /a/;%2e%2e/b /a/%3b../b /..%3b/x /a%253b.. /a%2f%2e%2e%252fb
        /..%20/x /%20../x /%09../x /..%2520 /%20 /.%20./x /a/%00 /a%0d%0aX-Y:z
        /%ff /a/%c3 /a/%c3%25a9 /a/%c0%af /%c0%ae%c0%ae/x /%C0%AE%C0%AE%C0%AFx /%e0%80%ae./x
        /%25c0%25ae%25c0%25ae/x /%ed%a0%80 /%ef%bc%8e./x /%25ef%25bc%258e./x
        /a/..%3f /a/..%3fx /..%23x /a/..%23/b /..%253f /a/%252e%252e%253f /%25252e%25252e/x
        /%u002e%u002e/x /..%u2215x /%2%35%32%65%2%35%32%65/x /C%3a/x /c%253ax /a%2f..%2fb
    """.split(),
}


@pytest.mark.parametrize("query", ["", "?a=/b/../c"], ids=["plain", "query"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_path_stays_inside(
    spelling: Any, query: Any, worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    """No spelling of a path leads out of what the service may be asked for."""
    for path in SPELLINGS[spelling]:
        answer = ask(worker, inside, f"/behind{path}{query}")
        assert (answer.status, service.requests) == (404, []), path
        failed(answer, 404, "not_found")


# Of these nothing can be seen, although they are letters and a symbol.
FILLERS = [
    *("HANGUL CHOSEONG FILLER", "HANGUL JUNGSEONG FILLER", "HANGUL FILLER"),
    *("HALFWIDTH HANGUL FILLER", "BRAILLE PATTERN BLANK"),
]
# Never to be shown, and no characters yet or for ever.
UNASSIGNED = [0x2065, *range(0xFDD0, 0xFDF0), *range(0xFFF0, 0xFFF9), 0xFFFE, 0xFFFF, 0xE0FFF]


def of_categories(*wanted: str) -> list[str]:
    """All of Unicode, as this Python knows it, that is of these categories."""
    everything = map(chr, range(sys.maxunicode + 1))
    return [each for each in everything if unicodedata.category(each) in wanted]


def passed_on(worker: Worker, inside: dict[str, Any], paths: list[str]) -> list[str]:
    """Which of these are not answered with 404."""
    found = []
    for start in range(0, len(paths), 40):
        some = paths[start : start + 40]
        asked = [{"path_or_url": f"/behind{quote(path)}", **inside} for path in some]
        answers = worker.fetch_all(asked)
        found += [path for path, each in zip(some, answers, strict=True) if each.status != 404]
    return found


def test_dots_beside_what_cannot_be_seen(worker: Worker, inside: dict[str, Any]) -> None:
    """A server may drop it, and dots remain."""
    alone = of_categories("Cc", "Cf", "Zs", "Zl", "Zp", "Me")
    alone += [*map(unicodedata.lookup, FILLERS), *map(chr, UNASSIGNED)]
    assert len(alone) > 280
    forms = ("..{}", "{}..", ".{}.")
    paths = [f"/{form.format(each)}/x" for each in alone for form in forms]
    # The others by the thousand: if one of them counted as a name, they would all make one.
    many = of_categories("Mn", "Mc", "Co")
    assert len(many) > 130_000
    paths += [f"/..{''.join(many[at : at + 1000])}" for at in range(0, len(many), 1000)]
    assert passed_on(worker, inside, paths) == []


def test_drive_beside_what_cannot_be_seen(worker: Worker, inside: dict[str, Any]) -> None:
    several = ("\ufe0f", "\u034f", "\u3164", "\ue000", "\u0335")
    assert passed_on(worker, inside, [f"/C{each}:/x" for each in several]) == []


def test_no_control_or_format_character_in_a_name(worker: Worker, inside: dict[str, Any]) -> None:
    paths = [f"/a{each}b" for each in of_categories("Cc", "Cf")]
    assert len(paths) > 200
    assert passed_on(worker, inside, paths) == []


NAMES = [
    *("\u00e9", "e\u0301", "\u0444\u0430\u0439\u043b", "\u65e5\u672c\u8a9e", "\ud55c\uae00"),
    *("\u0645\u064e\u0631\u062d", "\u05e9\u05c1\u05dc\u05d5\u05dd", "\u0e44\u0e1f\u0e25\u0e4c"),
    *("\u0928\u092e\u0938\u094d\u0924\u0947", "\u1112\u1161\u11ab", "\U0001f44d\U0001f3fd"),
    *("\u2764\ufe0f", "1\ufe0f\u20e3", "..\u00e9", ".\u0e44", "x\ue000", "A : B"),
    *("..x", "a..", ".env", "-"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_all_scripts(
    name: Any, worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    assert ask(worker, inside, f"/behind/{quote(name)}").status == 200
    assert [unquote(path) for _, path, _, _ in service.requests] == [f"/{name}"]


def test_path_that_the_url_itself_makes_plain(
    worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    """What is left of dots and backslashes, or gone with the prefix."""
    plain = [*OUTSIDE, "/..", "/.", "/a/..", "/%2e", "/%2e%2e/x", "/.%2E/x", "/a/%2e%2e/%2e%2e/b"]
    plain += ["evil", ".evil", "@evil.example", ":80", "%2f..%2fx", "%2f"]
    for path in plain:
        answer = ask(worker, inside, f"/behind{path}")
        assert answer.status in (200, 404), path
    arrived = {request[1] for request in service.requests}
    assert arrived == {"/", "/?x=1/../b", "/a/", "/a/b", "/b", "/a/X-Y:z"}


PIECES = """
    / / / // .. . %2e %2E %252e %2f %252F \\ %5c %255c ; %3b ..; ? # : @
    files files files2 %66iles my%20files %C3%BC a b %20 %09 %00 %c0%ae %25 %2525 %3f %23
    \uff0e \uff0f %EF%BC%8E
""".split()


def test_whatever_arrives_is_below_the_paths(
    worker: Worker, inside: dict[str, Any], service: Any, other: Any
) -> None:
    """On many made-up paths: the same for a service that decodes twice."""
    chance = random.Random(3986)
    paths = ["/" + "".join(chance.choices(PIECES, k=chance.randint(1, 7))) for _ in range(150)]
    paths += ["/files" + path for path in paths]
    asked = [f"{prefix}{path}" for prefix in ("/behind", "/beside") for path in paths]
    asked += [f"/behind/../beside{path}" for path in paths]
    for path in asked:
        assert ask(worker, inside, path).status in (200, 404), path
    for root, requests in (("", service.requests), ("/files", other.requests)):
        assert len(requests) > 20
        for _, path, _, _ in requests:
            once = unquote(urlsplit(path).path)
            for decoded in (once, unquote(once)):
                seen = re.split("[?#]", decoded)[0]
                there = posixpath.normpath("/root" + seen)
                assert f"{there}/".startswith(f"/root{root}/"), path


def test_paths_by_list(worker: Worker, inside: dict[str, Any], other: Any) -> None:
    """Whole segments, and no other spelling gets around it."""
    listed = """
        /files /files/ /files/a/b /files?x=/ /%66iles/a /files/a%2Fb /files/a;v=1
        /my%20files/%C3%BC /my%20files/%C3%BC/a /files/%E2%80%A6and%20so%20on
    """.split()
    for path in listed:
        assert ask(worker, inside, f"/beside{path}").status == 200, path
    assert [request[1] for request in other.requests] == listed
    for path in """
        / /files2 /file /Files /a/files /my%20files /my%20files/%C3%BC2 /my%20files/u ?/files
        /files%2Fa /files%3Fa /files%20 /files%00 /files;x/a /files%3bx/a /%2566iles/a
        /my%2520files/%C3%BC /my%20files%2F%C3%BC/a /x/..%2ffiles/a /files/..%2fa
        /files/%252e%252e/a /files/100%25
    """.split():
        failed(ask(worker, inside, f"/beside{path}"), 404, "not_found")
    failed(ask(worker, inside, "/beside"), 404, "not_found")
    assert len(other.requests) == len(listed)


def test_query_changes_nothing_but_the_query(
    worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    """Nothing in it becomes part of the path or another host."""
    query = "?url=http://evil.example/&x=../..&x=%2e%2e%2f&a=b?c=d&%00"
    assert ask(worker, inside, f"/behind/a{query}").status == 200
    assert [request[:2] for request in service.requests] == [("GET", f"/a{query}")]


def test_methods_by_list(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "PURGE"):
        assert ask(worker, inside, method=method).status == 405
    assert service.requests == []


def test_body_is_framed_by_the_runtime(
    worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    """Neither `Content-Length` nor `Transfer-Encoding` is copied."""
    assert ask(worker, inside, method="POST", body=b"x" * 1000).status == 200
    assert ask(worker, inside, method="POST").status == 200
    assert [request[3] for request in service.requests] == [b"x" * 1000, b""]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_pages_of_other_sites_change_nothing(
    headers: Any, worker: Worker, inside: dict[str, Any], service: Any
) -> None:
    """A browser sends somebody's cookie along. Of an origin that Access allows, JSON gets as far
    as the API, but not to a service.
    """
    for kind in ("text/plain", "application/json"):
        sent = {**headers, "Content-Type": kind}
        answer = ask(worker, inside, method="POST", headers=sent, body=b"x")
        failed(answer, 403, "forbidden")
    assert service.requests == []


def test_length_of_a_body(connect: Any, other: Any) -> None:
    """Decided before any of the body is there."""
    other.act = lambda handler: pytest.fail("nothing may arrive")
    for length in (LARGE + 1, 10**17):
        answer = connect("PUT", "/beside/files/a", Content_Length=length).getresponse()
        assert (answer.status, json.load(answer)) == (413, {"error": "content_too_large"})
    answer = connect("PUT", "/beside/files/a", Transfer_Encoding="chunked").getresponse()
    assert (answer.status, json.load(answer)) == (411, {"error": "length_required"})


@pytest.mark.parametrize("length", ["-1", "1, 1", "1e3", "0x10", "", "+5", "\u00b2", "9" * 5000])
def test_length_that_is_none(
    length: Any, worker: Worker, inside: dict[str, Any], other: Any
) -> None:
    headers = {"Content-Length": length}
    answer = ask(worker, inside, "/beside/files", method="PUT", headers=headers, body=b"x")
    failed(answer, 411, "length_required")
    assert other.requests == []


# ---------------------------------------------------------------- parts, and what is fresh


def test_parts(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    service.status, service.body = 206, b"in"
    service.headers = {"Content-Range": "bytes 4-5/10", "Accept-Ranges": "bytes", "ETag": '"1"'}
    sent = {"Range": "bytes=4-5", "If-Range": '"1"'}
    answer = ask(worker, inside, headers=sent)
    assert (answer.status, answer.body) == (206, b"in")
    assert answer.headers["Content-Range"] == "bytes 4-5/10"
    assert answer.headers["Accept-Ranges"] == "bytes"
    ((*_, names, _),) = service.requests
    assert (names["range"], names["if-range"]) == ("bytes=4-5", '"1"')
    service.status, service.headers = 416, {"Content-Range": "bytes */10"}
    answer = ask(worker, inside, headers={"Range": "bytes=99-"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */10")


def test_conditions(worker: Worker, inside: dict[str, Any], service: Any) -> None:
    date = "Thu, 01 Jan 2026 00:00:00 GMT"
    sent = {"If-None-Match": '"1"', "If-Modified-Since": date}
    service.status, service.body = 304, b""
    service.headers = {"ETag": '"1"', "Last-Modified": date}
    answer = ask(worker, inside, headers=sent)
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", '"1"')
    assert answer.headers["Last-Modified"] == date
    service.status = 412
    changed = {"If-Match": '"2"', "If-Unmodified-Since": date}
    assert ask(worker, inside, method="POST", headers=changed, body=b"x").status == 412
    first, second = (request[2] for request in service.requests)
    assert (first["if-none-match"], first["if-modified-since"]) == ('"1"', date)
    assert (second["if-match"], second["if-unmodified-since"]) == ('"2"', date)


# ---------------------------------------------------------------- bodies that stream

PIECE = bytes(range(256)) * 256
LARGE = 64 * 1024 * 1024  # what one upload to /beside may have


def memory(worker: Worker, inside: dict[str, Any]) -> Any:
    return ask(worker, inside, "/memory").json()


def nothing_kept(worker: Worker, inside: dict[str, Any], before: Any) -> None:
    """WebAssembly grows in large steps, so little says more about Python's objects."""
    now, peak = memory(worker, inside)
    assert (now - before[0] < LARGE // 4, peak < LARGE // 16) == (True, True)


def drain(read: Any, size: Any) -> Any:
    """Read to the end of a body, `size` bytes at most."""
    count = 0
    while count < size and (piece := read(min(len(PIECE), size - count))):
        count += len(piece)
    return count


@pytest.fixture
def before(worker: Worker, inside: dict[str, Any]) -> Any:
    memory(worker, inside)
    return memory(worker, inside)


def test_large_download(
    worker: Worker, inside: dict[str, Any], connect: Any, service: Any, before: Any
) -> None:
    """The first piece is here before the second is sent, and none of it is kept."""
    first_is_here = threading.Event()
    in_time = []

    def act(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(LARGE))
        handler.end_headers()
        handler.wfile.write(PIECE)
        in_time.append(first_is_here.wait(9))
        for _ in range(LARGE // len(PIECE) - 1):
            handler.wfile.write(PIECE)

    service.act = act
    answer = connect("GET", "/behind/a").getresponse()
    assert answer.read(len(PIECE)) == PIECE
    first_is_here.set()
    assert drain(answer.read, LARGE) == LARGE - len(PIECE)
    assert in_time == [True]
    nothing_kept(worker, inside, before)


def test_large_upload(
    worker: Worker, inside: dict[str, Any], connect: Any, other: Any, before: Any
) -> None:
    """The first piece is there before the second is sent; exactly as much as is allowed."""
    first_is_there = threading.Event()
    arrived = []

    def act(handler: Any) -> None:
        arrived.append(handler.headers["Content-Length"])
        arrived.append(handler.rfile.read(len(PIECE)) == PIECE)
        first_is_there.set()
        arrived.append(drain(handler.rfile.read, LARGE - len(PIECE)))
        handler.send_response(201)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    other.act = act
    connection = connect("PUT", "/beside/files/a", Content_Length=LARGE)
    connection.send(PIECE)
    assert first_is_there.wait(9)
    for _ in range(LARGE // len(PIECE) - 1):
        connection.send(PIECE)
    assert connection.getresponse().status == 201
    assert arrived == [str(LARGE), True, LARGE - len(PIECE)]
    nothing_kept(worker, inside, before)


def test_client_that_hangs_up(connect: Any, service: Any) -> None:
    """Nothing holds on to the connection to the service."""
    closed = threading.Event()

    def act(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(PIECE)
        except OSError:
            closed.set()

    service.act = act
    connection = connect("GET", "/behind/a")
    answer = connection.getresponse()
    assert answer.read(len(PIECE)) == PIECE
    answer.close()
    connection.close()
    assert closed.wait(9)


def test_service_that_breaks_off(connect: Any, service: Any) -> None:
    """Half an answer does not look like a whole one."""
    half_is_here = threading.Event()

    def act(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"half")
        half_is_here.wait(9)
        handler.close_connection = True

    service.act = act
    answer = connect("GET", "/behind/a").getresponse()
    assert (answer.status, answer.read(4)) == (200, b"half")
    half_is_here.set()
    with pytest.raises((IncompleteRead, ConnectionError)):
        answer.read()
