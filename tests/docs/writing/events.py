"""The recipes that need no caller. tests/docs/test_writing.py runs this in a project that has them.

What a test gives to `worker.run` runs in the Worker's Python, where the project's modules are.
"""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest


def test_kv(worker):
    async def visits(env):
        from visits import was_here_in_the_last_hour as was_here

        return [await was_here(env, name) for name in ("a", "a", "b")]

    assert worker.run(visits) == [False, True, False]


def test_kv_holds_json(worker):
    async def kept(env):
        import json

        await env.KV.put("a", json.dumps({"b": [1, None]}))
        return json.loads(await env.KV.get("a"))

    assert worker.run(kept) == {"b": [1, None]}


def test_d1(worker):
    async def two(env):
        import notes

        first = await notes.add(env, "first")
        await notes.add(env, "'); DROP TABLE notes; --")
        return [first, await notes.every(env)]

    first = {"id": 1, "text": "first"}
    assert worker.run(two) == [first, [first, {"id": 2, "text": "'); DROP TABLE notes; --"}]]


def test_an_error_of_d1(worker):
    async def nothing(env):
        import notes
        from pyodide.ffi import JsException, jsnull

        try:
            await notes.add(env, jsnull)
        except JsException as error:
            return str(error)

    assert "NOT NULL" in worker.run(nothing)


def test_a_redirect(worker):
    async def led(env):
        from workers import Response

        answer = Response(None, 303, headers={"Location": "/page"})
        return [answer.status, answer.headers["Location"]]

    assert worker.run(led) == [303, "/page"]


def test_r2(worker):
    async def saved(env):
        import files

        await files.save(env, "a.txt", b"hello \xff", "text/plain")
        data, kind = await files.load(env, "a.txt")
        return [list(data), kind, await files.load(env, "gone")]

    assert worker.run(saved) == [list(b"hello \xff"), "text/plain", None]


def test_queues(worker):
    async def send(env):
        await env.JOBS.send({"name": "a"})

    worker.run(send)
    assert worker.sent == [("JOBS", {"name": "a"})]
    assert worker.queue("jobs", [body for _, body in worker.sent]) == ["ack"]
    assert worker.queue("jobs", [{"name": "a"}, {"name": ""}]) == ["ack", "retry"]
    assert "job a" in worker.logs


def test_cron(worker):
    worker.scheduled("0 3 * * *")
    assert worker.logs == ["time for 0 3 * * *"]


def test_durable_objects(worker):
    async def adding(env):
        return await env.COUNTER.getByName("lobby").add(1)

    assert [worker.run(adding), worker.run(adding)] == [1, 2]
    assert worker.durable_object("COUNTER", "lobby").call("add", 3) == 5
    assert worker.durable_object("COUNTER", "other").call("add", 3) == 3


def test_workflows(worker):
    async def create(env):
        run = await env.ORDERS.create({"params": {"count": 1}})
        return run.id

    assert worker.run(create)
    run = worker.workflow("ORDERS").start({"count": 2})
    assert run.status == "waiting"
    run = worker.workflow("ORDERS").send_event(run, "approval", {"by": "me"})
    assert (run.status, run.output) == ("complete", {"total": 4, "by": "me"})
    assert run.steps == ["price", "approval"]


class Weather(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers["Authorization"] == "Bearer key" else 401)
        self.end_headers()
        self.wfile.write(b'{"degrees": 21}')

    def log_message(self, *_):
        pass


def test_other_sites(worker):
    async def asked(env):
        import weather

        return await weather.weather(env, "Oslo")

    with HTTPServer(("127.0.0.1", 0), Weather) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        routes = {"https://api.example.com": f"http://127.0.0.1:{server.server_port}"}
        worker.load(env={**worker.env, "WEATHER_KEY": "key"}, routes=routes)
        assert worker.run(asked) == 21
        assert [each["url"] for each in worker.outbound] == ["https://api.example.com/weather/Oslo"]
        worker.load(env={**worker.env, "WEATHER_KEY": "old"})  # the routes are those of before
        assert worker.run(asked) is None
        server.shutdown()


def test_secrets(worker):
    """The one in .dev.vars, which test_writing.py has put there."""
    assert worker.env["WEATHER_KEY"] == "from .dev.vars"


def test_background(worker):
    async def start(env):
        import asyncio

        from workers import wait_until

        async def work(text):
            await asyncio.sleep(0.1)
            print("counted", len(text))

        wait_until(asyncio.create_task(work("four")))
        return "at once"

    assert worker.run(start) == "at once"
    assert worker.logs == ["counted 4"]


def test_packages(worker):
    """`uv add --raw markdown`."""

    async def html(env):
        from markdown import markdown

        return markdown("*hello*")

    assert worker.run(html) == "<p><em>hello</em></p>"


@pytest.mark.parametrize("name", ["scheduled", "queue"])
def test_the_doors_stay_closed(worker, name):
    """With handlers and classes of the owner's own, as tests/test_doors.py says."""
    answer = worker.call(name, {"cron": "0 3 * * *"}, entrypoint="Default", props={})
    assert answer == {"ok": False, "error": "forbidden"}
    assert not [line for line in worker.logs if line.startswith(("time for", "job"))]
