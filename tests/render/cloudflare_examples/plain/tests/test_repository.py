"""The examples of cloudflare/python-workers-examples, by their numbers."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from private_worker.testing.runtime import OtherWorker

CALLER = {"caller": "caller"}


@pytest.fixture
def ask(worker, access):
    def ask(path, method="GET", **request):
        return worker.fetch(path, method=method, headers=access.person(), **request)

    return ask


def test_01_hello(worker, ask):
    assert ask("/hello").text == "Hello world!"
    assert worker.fetch("/hello").status == 403


def test_02_binding(ask):
    assert ask("/binding").text == "hello"


def test_04_query_d1(ask):
    quote = {"text": "Simple is better than complex.", "author": "Tim Peters"}
    assert ask("/quote").json() == quote


def test_06_assets(worker, ask):
    style = ask("/asset/style.css")
    assert (style.text, style.headers["Content-Type"]) == (
        "p { color: green }\n",
        "text/css; charset=utf-8",
    )
    assert "An asset" in ask("/asset/").text
    assert ask("/asset/nothing.js").status == 404
    assert worker.fetch("/style.css").status == 403


def test_07_durable_objects(worker, ask):
    assert ask("/messages/lobby").json() == []
    assert ask("/messages/lobby/hi", "POST").json() == ["hi"]
    assert ask("/messages/lobby").json() == ["hi"]
    assert ask("/messages/cellar").json() == []
    assert worker.durable_object("LISTS", "lobby").call("all") == ["hi"]


def test_08_cron(worker):
    worker.scheduled("*/5 * * * *")
    assert "it is time for */5 * * * *" in worker.logs


class Model:
    async def run(self, model, options):
        return {"response": f"{model} was asked: {options['input']}"}


def test_09_workers_ai(worker, ask):
    worker.load(fakes={"AI": Model})
    answer = ask("/ai").json()["answer"]
    assert answer == "@cf/openai/gpt-oss-120b was asked: Where does tea come from?"


def test_10_workflows(worker, ask):
    run = worker.workflow("GRAPH").start()
    assert (run.status, run.output) == ("complete", 30)
    assert sorted(run.steps) == ["both", "left", "right"]
    started = ask("/start").json()["id"]
    assert ask(f"/status/{started}").json()["status"] in ("running", "complete")


def test_13_pygments(worker):
    html = worker.call("highlight", "a = 1", "python", props=CALLER)
    assert html["ok"] and '<span class="n">a</span>' in html["value"]
    assert worker.call("highlight", "a", "nothing", props=CALLER)["error"] == "bad_request"
    assert worker.call("highlight", "a", "python")["error"] == "forbidden"


def test_13_pygments_from_typescript(worker):
    main = Path(__file__).with_name("callers") / "colours.ts"
    env = {"CODE": {"$entrypoint": "Internal", "props": CALLER}}
    worker.load(beside={"colours": OtherWorker(main, env)})
    assert '<span class="nx">a</span>' in worker.fetch("/", worker="colours").text


def test_14_durable_object_that_wakes_up(worker):
    feed = worker.durable_object("FEED", "news")
    assert feed.call("look") == 0
    feed.alarm()
    feed.alarm()
    assert feed.call("look") == 2


@pytest.fixture
def site():
    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_16_sync_http_clients(worker, ask, site):
    worker.load(routes={**worker.routes, "https://api.example.com": site})
    assert ask("/clients").json() == {"answers": ["hello", "hello"]}


class Loader:
    def get(self, name, code):
        self.code = code()
        return self

    def getEntrypoint(self):
        return self

    async def fetch(self, request):
        from workers import Response

        return Response(self.code["mainModule"])


def test_17_dynamic_workers(worker, ask):
    worker.load(fakes={"LOADER": Loader})
    assert ask("/load").text == "main.py"


def test_18_django(worker, ask):
    assert ask("/django/you").json() == {"hello": "you", "method": "GET"}
    assert ask("/django").status == 404
    assert worker.fetch("/django/you").status == 403
