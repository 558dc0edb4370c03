"""What works in workerd works the same in the kit, or stays different on purpose:
docs/reference/kit-and-workerd.md names these tests."""

import gzip
import socket
import threading
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from kit_run import HANDLER, Upstream, Variant, listening
from private_worker.testing.runtime import RpcError, Worker, WorkerError

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin", "kit_fixtures"]

UPSTREAM = "https://upstream.example.com"


def exchanged(url: str, request: bytes) -> bytes:
    """What a server answers to exactly these bytes."""
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 80), timeout=20) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


class Raw:
    """A server that reads one request and answers with exactly these bytes."""

    def __init__(self, answer: bytes) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(20)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.answer = answer

    def serve(self) -> bytes:
        client, _ = self._server.accept()
        with client:
            seen = client.recv(65536)
            client.sendall(self.answer)
        self._server.close()
        return seen


# -- streams of the process


def test_input_is_at_its_end(worker: Worker) -> None:
    async def read(env: Any) -> list[str]:
        import sys

        try:
            input()
        except EOFError:
            return ["EOFError", sys.stdin.read()]
        return []

    assert worker.run(read) == ["EOFError", ""]


# -- what the Worker sends


async def get(env: Any, url: str, options: dict[str, Any]) -> list[Any]:
    import js  # type: ignore[import-not-found]
    from pyodide.ffi import to_js  # type: ignore[import-not-found]

    answer = await js.fetch(url, to_js(options, dict_converter=js.Object.fromEntries))
    headers = {pair[0]: pair[1] for pair in answer.headers}
    return [answer.status, (await answer.bytes()).to_bytes(), headers]


def test_authorization_stays_with_its_origin(worker: Worker, upstream: Upstream) -> None:
    upstream.answer = (302, [("Location", "https://other.example.com/b")], b"")
    worker.load(routes={UPSTREAM: upstream.url, "https://other.example.com": upstream.url})
    with pytest.raises(WorkerError, match="Too many redirects"):
        worker.run(get, UPSTREAM + "/a", {"headers": {"Authorization": "secret", "X-A": "1"}})
    sent = [dict(each["headers"]) for each in worker.outbound[:2]]
    assert sent == [{"authorization": "secret", "x-a": "1"}, {"x-a": "1"}]


def test_headers_are_utf_8(worker: Worker, upstream: Upstream, variant: Variant) -> None:
    text = """
async def on(self, request):
    said = request.headers["X-Name"] + " 你好"
    answer = await fetch("https://upstream.example.com/", headers={"X-Name": said})
    return Response(answer.headers["X-Back"], headers={"X-Name": said})
"""
    upstream.answer = (200, [("X-Back", "ä你".encode().decode("latin-1"))], b"-")
    variant(text + HANDLER)
    worker.load(routes={UPSTREAM: upstream.url})
    answer = worker.fetch(headers={"X-Name": "Zoë"})
    assert (answer.headers["X-Name"], answer.text) == ("Zoë 你好", "ä你")
    assert upstream.seen[0][2]["X-Name"].encode("latin-1").decode() == "Zoë 你好"
    bytes_of_it = "Zoë".encode().decode("latin-1")
    _, headers, _ = listening(worker.listen(), "GET", "/", headers={"X-Name": bytes_of_it})
    assert headers["X-Name"].encode("latin-1").decode() == "Zoë 你好"


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_answers_are_decompressed(worker: Worker, upstream: Upstream, coding: str) -> None:
    hello_in_br = bytes.fromhex("0b028068656c6c6f03")
    packed = gzip.compress(b"hello") if coding == "gzip" else hello_in_br
    upstream.answer = (200, [("Content-Encoding", coding)], packed)
    worker.load(routes={UPSTREAM: upstream.url})
    assert worker.run(get, UPSTREAM, {})[1] == b"hello"


def test_the_workers_answers_are_compressed_as_they_say(variant: Variant) -> None:
    text = """
import js
from pyodide.ffi import to_js
async def on(self, request):
    if "manual" not in request.url:
        return Response("hello", headers={"Content-Encoding": "gzip"})
    options = {"encodeBody": "manual", "headers": {"Content-Encoding": "gzip"}}
    return js.Response.new("hello", to_js(options, dict_converter=js.Object.fromEntries))
"""
    worker = variant(text + HANDLER)
    url = worker.listen()
    assert gzip.decompress(listening(url, "GET", "/")[2]) == b"hello"
    assert listening(url, "GET", "/manual")[2] == b"hello"
    assert worker.fetch().text == "hello"  # what a client has unpacked


@pytest.mark.parametrize("status", [101, 999])
def test_an_answer_of_any_status(worker: Worker, status: int) -> None:
    raw = Raw(f"HTTP/1.1 {status} Odd\r\nContent-Length: 0\r\n\r\n".encode())
    threading.Thread(target=raw.serve, daemon=True).start()
    worker.load(routes={UPSTREAM: raw.url})
    assert worker.run(get, UPSTREAM, {})[0] == status


def test_no_connection_header_is_sent(worker: Worker) -> None:
    raw, seen = Raw(b"HTTP/1.1 204 No Content\r\n\r\n"), []
    thread = threading.Thread(target=lambda: seen.append(raw.serve()), daemon=True)
    thread.start()
    worker.load(routes={UPSTREAM: raw.url})
    worker.run(get, UPSTREAM, {})
    thread.join(20)
    assert b"connection" not in seen[0].lower()


def test_a_body_of_text_follows_a_redirect(worker: Worker, upstream: Upstream) -> None:
    upstream.answer = (307, [("Location", "/b")], b"")
    worker.load(routes={UPSTREAM: upstream.url})
    with pytest.raises(WorkerError, match="Too many redirects"):
        worker.run(get, UPSTREAM + "/a", {"method": "POST", "body": "again"})
    assert [(seen[1], seen[3]) for seen in upstream.seen[:2]] == [
        ("/a", b"again"),
        ("/b", b"again"),
    ]


def test_data_urls_need_no_network(worker: Worker) -> None:
    assert worker.run(get, "data:text/plain,hello", {})[1] == b"hello"


def test_user_info_in_a_url_is_dropped(worker: Worker, upstream: Upstream) -> None:
    worker.load(routes={UPSTREAM: upstream.url})
    assert worker.run(get, "https://me:secret@upstream.example.com/a", {})[0] == 200
    assert upstream.seen[0][2]["Authorization"] is None


# -- what the Worker answers


def test_lengths_are_the_runtimes(variant: Variant) -> None:
    text = """
async def on(self, request):
    name = "Transfer-Encoding" if "chunked" in request.url else "Content-Length"
    return Response("hello", headers={name: "chunked" if "chunked" in request.url else "99"})
"""
    url = variant(text + HANDLER).listen()
    for path in ("/", "/chunked"):
        status, headers, body = listening(url, "GET", path)
        assert (status, headers["Content-Length"], body) == (200, "5", b"hello")
        assert headers["Transfer-Encoding"] is None


@pytest.mark.parametrize("length", ["abc", "-1", "1, 2"])
def test_a_wrong_length_never_reaches_the_worker(worker: Worker, length: str) -> None:
    request = f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    assert exchanged(worker.listen(), request.encode()).startswith(b"HTTP/1.1 400 ")
    answer = worker.fetch("/echo", method="POST", headers={"Content-Length": length}, body="x")
    assert ["content-length", length] in answer.json()["headers"]  # as from another Worker
    assert worker.logs == []


def test_a_bare_500_has_no_type(worker: Worker) -> None:
    answer = worker.fetch("/raise")
    assert (answer.status, dict(answer.headers)) == (500, {})
    connection = HTTPConnection(urlsplit(worker.listen()).netloc, timeout=20)
    connection.request("GET", "/raise")
    assert connection.getresponse().headers["Content-Type"] is None
    connection.close()


def test_headers_of_fetch_are_as_the_worker_set_them(worker: Worker) -> None:
    assert "Content-Length" not in worker.fetch("/bytes").headers
    assert listening(worker.listen(), "GET", "/bytes")[1]["Content-Length"] == "256"


def test_an_empty_text_has_no_body(worker: Worker) -> None:
    async def make(env: Any) -> int:
        import js
        from pyodide.ffi import to_js

        options = to_js({"status": 204}, dict_converter=js.Object.fromEntries)
        return int(js.Response.new("", options).status)

    assert worker.run(make) == 204


# -- what the Worker finds


def test_cf_is_an_object(worker: Worker) -> None:
    assert worker.fetch("/echo").json()["cf"] == {}


def test_what_ctx_lacks(variant: Variant) -> None:
    text = "async def on(self, request):\n    return Response.json([hasattr(self.ctx, name) for "
    text += "name in ('exports', 'cache', 'tracing', 'waitUntil')])\n"
    assert variant(text + HANDLER).fetch().json() == [False, False, False, True]


def test_a_timer_without_delay_at_import(variant: Variant) -> None:
    text = "import js\nfrom pyodide.ffi import create_once_callable\n"
    text += "js.setTimeout(create_once_callable(lambda: print('done')), 0)\n"
    text += "async def on(self, request):\n    return Response('')\n"
    worker = variant(text + HANDLER)
    worker.fetch()
    assert worker.logs == ["done"]


async def digest(env: Any, data: bytes) -> str:
    import js
    from pyodide.ffi import to_js

    return bytes((await js.crypto.subtle.digest("MD5", to_js(data))).to_bytes()).hex()


def test_md5(worker: Worker) -> None:
    assert worker.run(digest, b"") == "d41d8cd98f00b204e9800998ecf8427e"


async def import_dict(env: Any) -> str:
    import js
    from pyodide.ffi import to_js

    key = {"kty": "oct", "k": "AAAA"}
    algorithm = to_js({"name": "HMAC", "hash": "SHA-256"}, dict_converter=js.Object.fromEntries)
    made = await js.crypto.subtle.importKey("jwk", key, algorithm, False, to_js(["sign"]))
    return str(made.type)


def test_a_dict_is_a_jwk(worker: Worker) -> None:
    assert worker.run(import_dict) == "secret"


# -- RPC


def test_headers_cross(variant: Variant) -> None:
    text = "from workers import Response, WorkerEntrypoint\nclass Internal(WorkerEntrypoint):\n"
    text += "    async def make(self):\n"
    text += "        return Response('', headers={'X-A': '1'}).js_object.headers\n"
    assert variant(text).call("make")["X-A"] == "1"


@pytest.mark.parametrize("what", ["lambda: 1", "Internal"])
def test_functions_and_classes_do_not_cross(variant: Variant, what: str) -> None:
    text = "from workers import WorkerEntrypoint\nclass Internal(WorkerEntrypoint):\n"
    text += f"    async def make(self):\n        return {what}\n"
    with pytest.raises(RpcError) as caught:
        variant(text).call("make")
    assert caught.value.name == "DataCloneError"


# -- a load is a new isolate

LEAVES = """
import os, tempfile, js
async def on(self, request):
    shared = tempfile.gettempdir()
    seen = [os.path.exists(f"{shared}/a"), os.path.exists("a"), "LEFT" in os.environ, os.getcwd()]
    seen.append(hasattr(js, "left"))
    open(f"{shared}/a", "w").close()
    open("a", "w").close()
    os.mkdir(f"{shared}/folder")
    os.environ["LEFT"] = "1"
    os.chdir(shared)
    js.left = 1
    return Response.json(seen)
"""


def test_nothing_is_left_of_the_worker_before(variant: Variant) -> None:
    for _ in range(2):
        worker = variant(LEAVES + HANDLER)
        assert worker.fetch().json() == [False, False, False, "/session", False]


SETS_UP = """
import logging, random, sys, warnings
handlers = len(logging.getLogger().handlers)
levels = [logging.getLogger(name).level for name in ("", "own")]
handlers += len(logging.getLogger("own").handlers)
logging.getLogger().addHandler(logging.StreamHandler())
logging.getLogger("own").addHandler(logging.StreamHandler())
for name in ("", "own"):
    logging.getLogger(name).setLevel(logging.INFO)
before = [handlers, levels, "/session/own" in sys.path, len(warnings.filters)]
sys.path.append("/session/own")
warnings.filterwarnings("error", category=FutureWarning)
async def on(self, request):
    number = random.random()
    random.seed(1)
    logging.getLogger().info("said")
    return Response.json([number, before])
"""


def test_what_a_worker_sets_up_is_set_up_once(variant: Variant) -> None:
    answers = [variant(SETS_UP + HANDLER).fetch().json() for _ in range(3)]
    numbers, before = zip(*answers, strict=True)
    assert len(set(numbers)) == 3
    assert before[0][:3] == [0, [30, 0], False]
    assert before[0] == before[1] == before[2]


def test_a_line_of_the_log_is_there_once(variant: Variant) -> None:
    for _ in range(2):
        worker = variant(SETS_UP + HANDLER)
        worker.fetch()
        assert worker.logs.count("said") == 1
