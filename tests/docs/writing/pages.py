"""The recipes for requests. tests/docs/test_writing.py runs this in a project that has them."""

import re
from ast import literal_eval
from pathlib import Path

import pytest

from private_worker.project import read

SHAPE = read(Path(__file__).parents[1]).shape
BASE = SHAPE.base


@pytest.fixture
def ask(worker, access):
    """A request of somebody who may come in."""
    proof = access.person() if SHAPE.humans else access.machine()

    def ask(path, headers=(), **request):
        return worker.fetch(BASE + path, headers={**proof, **dict(headers)}, **request)

    return ask


def test_routes(ask):
    assert ask("/").json()["ok"] is True
    assert ask("/hello/a%20b").json() == {"hello": "a b"}
    assert (ask("/nowhere").status, ask("/nowhere").json()) == (404, {"error": "not_found"})
    assert ask("/hello/a", method="DELETE").status == 405
    if not SHAPE.fastapi:
        answer = ask("/hello/a", method="HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert ask("/hello", method="DELETE").headers["Allow"] == "POST"
        answer = ask("/hello", method="POST", json={"a": 1})
        assert (answer.status, answer.json()) == (201, {"said": {"a": 1}})
        answer = ask("/hello", method="POST", body="{", headers={"Content-Type": "text/plain"})
        assert (answer.status, answer.json()) == (400, {"error": "bad_request"})


def test_routes_of_a_test_leave_the_one_to_the_keys(worker, ask):
    worker.load(routes={"https://api.example.com": "http://127.0.0.1:9"})
    assert ask("/").status == 200


def test_pages(ask):
    answer = ask("/page/%3Cscript%3E")
    assert "<p>Hello &lt;script&gt;</p>" in answer.text and "<script" not in answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert answer.headers["Cache-Control"] == "private, no-store"
    [href] = [part for part in answer.text.split('"') if part.endswith(".css")]
    style = ask(href.removeprefix(BASE))
    assert style.text == "p { color: green }"
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"


def test_assets(worker, ask):
    """With the file that test_writing.py has put there."""
    assert worker.fetch(f"{BASE}/assets/logo.svg").status == 403
    answer = ask("/assets/logo.svg")
    assert (answer.status, answer.text) == (200, "<svg/>")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert ask("/assets/gone.svg").status == 404
    if not SHAPE.fastapi:
        again = ask("/assets/logo.svg", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status, again.text) == (304, "")


FORM = (
    b'--the-boundary\r\nContent-Disposition: form-data; name="title"\r\n\r\nA title\r\n'
    b'--the-boundary\r\nContent-Disposition: form-data; name="%s"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n%s\r\n--the-boundary--\r\n"
)
MULTIPART = {"Content-Type": "multipart/form-data; boundary=the-boundary"}


def test_uploads(ask):
    def send(data, name=b"file", headers=()):
        headers = {**MULTIPART, **dict(headers)}
        return ask("/upload", method="POST", headers=headers, body=FORM % (name, data))

    answer = send(b"\xff" * 1000)
    assert answer.status == 200
    assert answer.json().items() >= {"name": "a.bin", "bytes": 1000}.items()
    assert send(b"", name=b"other").status == 400
    large = send(b"x" * 11 * 1024 * 1024)
    assert (large.status, large.json()) == (413, {"error": "content_too_large"})
    for sender in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://other.example.com"}):
        assert send(b"", headers=sender).status == 403
    if not SHAPE.fastapi:
        answer = send(b"x" * 2 * 1024 * 1024)
        assert (answer.status, answer.json()["bytes"]) == (200, 2 * 1024 * 1024)


def test_a_form_as_it_is_shown(ask):
    text = (Path(__file__).parents[1] / "docs" / "WRITING.md").read_text(encoding="utf-8")
    [body] = re.findall(r"`body=('.+?')`", text)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = ask("/upload", method="POST", headers=headers, body=literal_eval(body))
    assert answer.json().items() >= {"name": "a.txt", "bytes": 5}.items()


def test_streaming(ask):
    answer = ask("/ticks")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_websockets(worker, ask):
    """As far as the kit goes: who may open one, and that the next step is the runtime's."""
    url = "https://worker.example.com"
    upgrade = {"Upgrade": "websocket"}
    for origin in ({}, {"Origin": "https://other.example.com"}):
        assert ask("/socket_echo", headers={**upgrade, **origin}).status == 400
    assert ask("/socket_echo", headers={**upgrade, "Origin": url}).status == 500
    assert any("WebSocketPair" in line for line in worker.logs)


@pytest.mark.skipif(not SHAPE.fastapi, reason="FastAPI's own")
def test_background_tasks(worker):
    async def asked(env):
        from fastapi import BackgroundTasks, FastAPI
        from workers import Request

        import bridge
        from guard import Human

        app = FastAPI()

        async def work(text):
            print("counted", len(text))

        @app.get("/")
        async def start(tasks: BackgroundTasks):
            tasks.add_task(work, "four")

        request = Request("https://my-api.example.com/")
        return (await bridge.run(app, request, Human("a@example.com"), env)).status

    assert worker.run(asked) == 200
    assert worker.logs == ["counted 4"]


def test_rate_limits(ask, access):
    assert [ask("/limited").status for _ in range(3)] == [200, 200, 429]
    assert ask("/limited").json() == {"error": "too_many_requests"}


def test_openapi_json(ask):
    """What the document's own test has written."""
    assert ask("/docs").status == 404
    assert '"/hello/{name}"' in (Path(__file__).parents[1] / "openapi.json").read_text()
