"""Between the guard and the API: bodies are safe to parse, mistakes in the API stay inside."""

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from private_worker.testing.access import Access
from private_worker.testing.runtime import Worker

from .lib import Load, decisions, only, shape

LIMIT = 1000  # bytes, for some paths of the probe
ERROR = {"error": "internal_error"}


def post(
    worker: Worker,
    inside: dict[str, Any],
    body: Any,
    path: Any = "/json",
    content_type: Any = "application/json",
) -> Any:
    headers = {**inside.get("headers", {}), "Content-Type": content_type}
    return worker.fetch(path, **{**inside, "method": "POST", "headers": headers, "body": body})


def failed(response: Any) -> Any:
    """The API did not get a body."""
    return (response.status, response.json()) == (400, {"error": "bad_request"})


def too_large(response: Any) -> Any:
    return (response.status, response.json()) == (413, {"error": "content_too_large"})


def test_json(worker: Worker, inside: dict[str, Any]) -> None:
    body: Any = {"a": [None, True, 1, 1.5, "\u00e9\U0001f600", {"b": {}}]}
    assert post(worker, inside, json.dumps(body)).json() == {"body": body}
    assert post(worker, inside, "[]", content_type="Application/JSON; charset=utf-8").status == 200


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b"x", b'{"a":1}x', b"\xff", b"\xef\xbb\xbf{}", b'{"a":1,"a":2}'),
        *(b"[NaN]", b"[Infinity]", b"[-Infinity]", b"[1e999]", b"[" + b"9" * 400 + b"]"),
        *(rb'["\ud800"]', rb'["\udc00\ud800"]', rb'{"\uD800":1}', "[]".encode("utf-16-le")),
    ],
    ids=ascii,
)
def test_no_json(body: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert failed(post(worker, inside, body))
    assert failed(post(worker, inside, body, "/any-json", "text/plain"))


@pytest.mark.parametrize(
    "body",
    [
        '{"x":"' + "[{" * 40 + '"}',
        '{"x":"\\"' + "[{" * 40 + '"}',
        '{"x":"\\\\","y":"' + "[{" * 40 + '"}',
        "[" + "[]," * 100 + "{}]",
    ],
    ids=["in a string", "after a quote", "after a backslash", "side by side"],
)
def test_brackets_that_are_not_nested(body: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert post(worker, inside, body).json() == {"body": json.loads(body)}


@pytest.mark.parametrize(
    "body",
    [
        "[" * 33 + "]" * 33,
        '{"":' * 33 + "1" + "}" * 33,
        '{"x":"\\\\","y":' + "[" * 33 + "]" * 33 + ',"z":"\\\\"}',
        '{"x":"' + "]" * 50 + '","y":' + "[" * 33 + "]" * 33 + "}",
    ],
    ids=["arrays", "objects", "after a backslash", "after closing brackets in a string"],
)
def test_nested_too_deeply(body: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert failed(post(worker, inside, body))


def test_longest_body(worker: Worker, inside: dict[str, Any]) -> None:
    assert post(worker, inside, "{}".ljust(LIMIT), "/short").status == 200
    assert too_large(post(worker, inside, "{}".ljust(LIMIT + 1), "/short"))
    assert post(worker, inside, "{}".ljust(1024 * 1024)).status == 200
    assert too_large(post(worker, inside, "{}".ljust(1024 * 1024 + 1)))


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/json"],
)
def test_other_content_type(content_type: Any, worker: Worker, inside: dict[str, Any]) -> None:
    """A page of another site could send these with somebody's cookie."""
    assert failed(post(worker, inside, "{}", content_type=content_type))


@pytest.mark.parametrize("path", ["/json", "/form"])
def test_no_content_type(path: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert failed(worker.fetch(path, **{**inside, "method": "POST", "body": b"{}"}))


def test_deep_bodies_do_not_end_the_isolate(fresh: Worker, inside: dict[str, Any]) -> None:
    """In workerd some 6 000 levels end it, and no `try` catches that."""
    lists, objects = "[" * 7_000 + "]" * 7_000, '{"a":' * 7_000 + "1" + "}" * 7_000
    quoted = f'["\u2200",{lists}]'.encode("utf-16-le")  # a byte of this letter is like a quote
    for body in ("[" * 100_000, lists, objects, quoted):
        for _ in range(5):
            assert failed(post(fresh, inside, body))
            assert failed(post(fresh, inside, body, "/any-json", "application/octet-stream"))
        assert post(fresh, inside, "[]").status == 200
        assert post(fresh, inside, "[]", "/any-json", "text/plain").json() == {"body": []}


@pytest.mark.parametrize("kind", ["", "text/plain", "image/png", "application/json"])
def test_body_of_any_type(kind: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert post(worker, inside, b"\xff" * LIMIT, "/body", kind).json() == {"length": LIMIT}
    assert post(worker, inside, b"", "/body", kind).json() == {"length": 0}
    assert too_large(post(worker, inside, b"\xff" * (LIMIT + 1), "/body", kind))


FORM = (
    '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda\r\n'
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n{}\r\n--x--\r\n'
)
MULTIPART = "multipart/form-data; boundary=x"


def test_form(worker: Worker, inside: dict[str, Any]) -> None:
    answer = post(worker, inside, FORM.format("hello"), "/form", MULTIPART)
    assert answer.json() == {"name": "Ada", "file": "hello"}
    answer = post(worker, inside, "name=Ada+L", "/form", "application/x-www-form-urlencoded")
    assert answer.json() == {"name": "Ada L", "file": None}
    assert too_large(post(worker, inside, FORM.format("x" * LIMIT), "/form", MULTIPART))


@pytest.mark.parametrize(
    "body, kind", [("--y", MULTIPART), ("name=Ada", "text/plain"), ("{}", "application/json")]
)
def test_no_form(body: Any, kind: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert failed(post(worker, inside, body, "/form", kind))


@only(shape().edge)
@pytest.mark.parametrize(
    "headers, own",
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "https://worker.example.com"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://worker.example.com"}, False),
        ({"Origin": "null"}, False),
    ],
    ids=str,
)
def test_pages_of_other_sites_post_nothing(
    headers: Any, own: bool, worker: Worker, inside: dict[str, Any]
) -> None:
    """A browser would send the person's cookie along, and ask nobody before."""
    forms = (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")

    def status(method: str, kind: str | None, path: str = "/") -> int:
        types = {} if kind is None else {"Content-Type": kind}
        whole = {**inside["headers"], **headers, **types}
        return worker.fetch(path, method=method, headers=whole).status

    for path in ("/", "/body"):
        assert [status("POST", kind, path) for kind in forms] == [200 if own else 403] * 4
    assert own or decisions(worker)[-1]["reason"] == "another_site"
    asked = [("PUT", None), ("DELETE", None), ("POST", "application/json"), ("POST", "a/b+json")]
    assert [status(*each) for each in [("GET", None), ("HEAD", None), *asked]] == [200] * 6


@only(shape().edge)
@pytest.mark.parametrize("path", ["/body", "/json", "/read"])
def test_client_that_hangs_up(path: Any, fresh: Worker, inside: dict[str, Any]) -> None:
    """In the middle of its body. That is no mistake of anybody's, and worth one line."""
    url = urlsplit(fresh.listen())
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Length: 1000"]
    lines += ["Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in inside["headers"].items()]
    with socket.create_connection((url.hostname, url.port)) as client:
        client.sendall("\r\n".join([*lines, "", "{"]).encode())
        wait_for(lambda: any('"allow"' in line for line in fresh.logs))
    wait_for(lambda: len(fresh.logs) > 1)
    assert [json.loads(line)["event"] for line in fresh.logs] == ["guard", "error"]
    assert "Traceback" not in fresh.logs[-1] and "the connection was lost" in fresh.logs[-1]


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        time.sleep(0.02)


@only(shape().fastapi)
def test_body_for_the_framework(worker: Worker, inside: dict[str, Any]) -> None:
    """Looked at before FastAPI parses it, and handed on as it was."""
    assert post(worker, inside, '{"a": 1}', "/checked").body == b'{"a": 1}'
    assert post(worker, inside, "", "/checked").body == b""
    assert post(worker, inside, b"\xff\x00", "/checked", "application/octet-stream").status == 200
    deep = "[" * 40
    for content_type in ("application/json", "application/x+json", "text/plain", "", "TEXT/JSON"):
        assert failed(post(worker, inside, deep, "/checked", content_type))
    large = post(worker, inside, "x" * (LIMIT + 1), "/checked", "application/octet-stream")
    assert too_large(large)
    assert post(worker, inside, "{}\n{}", "/checked", "application/x-ndjson").status == 200
    for body in (b"[NaN]", b'{"a":1,"a":2}', rb'["\ud800"]', b"{"):
        assert failed(post(worker, inside, body, "/checked"))
        assert post(worker, inside, body, "/checked", "text/plain").status == 200


@only(shape().fastapi)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_body_for_the_framework_is_utf8(
    encoding: Any, worker: Worker, inside: dict[str, Any]
) -> None:
    """`request.json()` takes other encodings as well, where U+2200 has a byte like a quote."""
    deep = ('["\u2200",' + "[" * 40 + "]" * 40 + "]").encode(encoding)
    for content_type in ("application/json", "application/x+json", "text/plain", ""):
        assert failed(post(worker, inside, deep, "/checked", content_type))


@only(shape().fastapi)
def test_no_body_for_the_framework(worker: Worker, inside: dict[str, Any]) -> None:
    """GET cannot have one, whatever the runtime makes of this header."""
    headers = {**inside.get("headers", {}), "Content-Length": "0"}
    assert worker.fetch("/checked", **{**inside, "headers": headers}).body == b""


@pytest.mark.parametrize("path", ["/raise", "/none", "/cancelled", "/exit"])
def test_mistake_in_the_api(path: Any, worker: Worker, inside: dict[str, Any]) -> None:
    """The caller gets a reference, the log the rest, once."""
    before = len(worker.logs)
    response = worker.fetch(path, **inside)
    answer = response.json()
    reference = answer.pop("reference")
    assert (response.status, answer, response.error) == (500, ERROR, None)
    assert response.headers["Cache-Control"] == "private, no-store"
    lines = [json.loads(line) for line in worker.logs if reference in line]
    assert [line["event"] for line in lines] == ["error"]
    if path == "/raise":
        assert "only for the log" in lines[0]["detail"]
        assert sum("only for the log" in line for line in worker.logs[before:]) == 1


@pytest.mark.parametrize(
    "path, words",
    [("/row", "src/api.py returned dict, not a Response"), ("/none", "returned NoneType, not a")],
)
def test_no_response(path: Any, words: Any, worker: Worker, inside: dict[str, Any]) -> None:
    assert worker.fetch(path, **inside).status == 500
    assert words in worker.logs[-1]


def test_why_a_body_is_bad_is_in_the_log(worker: Worker, inside: dict[str, Any]) -> None:
    assert failed(post(worker, inside, "{"))
    line = json.loads(worker.logs[-1])
    assert (line["event"], line["detail"]) == ("error", "BadRequest: the body is not JSON")


def test_no_answer_is_cached(worker: Worker, inside: dict[str, Any]) -> None:
    """Unless the API says otherwise."""
    for path in ("/", "/plain"):
        assert worker.fetch(path, **inside).headers["Cache-Control"] == "private, no-store"
    answer = worker.fetch("/cached", **inside)
    assert answer.headers.get_all("Cache-Control") == ["public, max-age=60"]


class Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(201)
        self.send_header("X-From", "elsewhere")
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(b"x")

    def log_message(self, *_: Any) -> None:
        pass


def test_fetched_answer_is_not_cached_either(
    load: Load, access: Access, inside: dict[str, Any]
) -> None:
    """Headers of an answer that was fetched cannot be changed in place."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    there = "https://elsewhere.example"
    routes = {access.team_domain: access.url, there: f"http://127.0.0.1:{server.server_port}"}
    answer = load(ELSEWHERE=there, routes=routes).fetch("/fetched", **inside)
    server.shutdown()
    server.server_close()
    assert (answer.status, answer.body, answer.headers["X-From"]) == (201, b"x", "elsewhere")
    assert answer.headers["Cache-Control"] == "private, no-store"
