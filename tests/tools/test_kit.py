"""The kit runs Workers as workerd does: the sample in kit_worker/, in real Pyodide.

What it says when something is missing, and that it is found by itself, is in test_kit_in_project.
"""

import base64
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from conftest import Render
from kit_run import SAMPLE, Upstream, Variant, listening, raised, until
from private_worker import lock
from private_worker.standin.team import SigningKey, b64url
from private_worker.testing import runtime
from private_worker.testing.access import Access
from private_worker.testing.needs import Project
from private_worker.testing.runtime import (
    Cancelled,
    NeverLoaded,
    OtherWorker,
    RpcError,
    Runtime,
    Worker,
    WorkerDied,
    WorkerError,
)

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin", "kit_fixtures"]

Beside = Callable[..., Worker]


# -- HTTP requests


def test_fetch_passes_method_url_headers_and_body(worker: Worker) -> None:
    headers = [("X-A", "1"), ("X-A", "2"), ("Cookie", "c=1")]
    seen = worker.fetch("/echo?q=1", method="PURGE", headers=headers, body=b"\x00\xff").json()
    assert seen["method"] == "PURGE"
    assert seen["url"] == "https://worker.example.com/echo?q=1"
    assert sorted(seen["headers"]) == [["content-length", "2"], ["cookie", "c=1"], ["x-a", "1, 2"]]
    assert seen["body"] == "\x00\xff"
    assert seen["token"] == "jsnull"
    assert seen["cf"] == {}
    assert worker.fetch("https://other.example/echo").json()["url"] == "https://other.example/echo"


def test_fetch_returns_status_headers_and_bytes(worker: Worker) -> None:
    response = worker.fetch("/bytes")
    assert response.status == 201
    assert response.body == bytes(range(256))
    assert response.headers["x-ONE"] == "1, 2"
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2, c"]
    assert "missing" not in response.headers
    assert response.error is None
    assert worker.fetch("/bytes", method="HEAD").body == b""


def test_exception_is_a_bare_500(worker: Worker) -> None:
    response = worker.fetch("/raise")
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert raised(response).name == "PythonError"
    assert raised(response).type == "LookupError"
    assert "a secret of the inside" in raised(response).message
    assert any("on_raise" in line for line in worker.logs)
    assert raised(worker.fetch("/nothing")).name == "TypeError"


def test_listen_is_real_http(worker: Worker) -> None:
    url = worker.listen()
    sent = {"body": iter([b"da", b"ta"]), "encode_chunked": True}
    headers = {"X-A": "1", "Transfer-Encoding": "chunked"}
    status, _, body = listening(url, "PUT", "/echo?q=1", headers=headers, **sent)
    seen = json.loads(body)
    assert (status, seen["method"], seen["body"]) == (200, "PUT", "data")
    assert seen["url"] == "https://worker.example.com/echo?q=1"
    assert ["x-a", "1"] in seen["headers"]
    status, sent_back, body = listening(url, "GET", "/bytes")
    assert (status, sent_back["X-One"], body) == (201, "1, 2", bytes(range(256)))
    assert sent_back.get_all("Set-Cookie") == ["a=1", "b=2, c"]
    assert listening(url, "HEAD", "/bytes")[::2] == (201, b"")
    assert listening(url, "GET", "/raise")[::2] == (500, b"Internal Server Error")
    _, _, body = listening(worker.listen(props={"caller": "x"}), "GET", "/context")
    assert json.loads(body)["props"] == {"caller": "x"}


def test_load_ends_listening(worker: Worker) -> None:
    url = worker.listen()
    worker.load()
    with pytest.raises(ConnectionRefusedError):
        listening(url, "GET", "/bytes")


def test_a_request_that_cannot_be_made_is_the_tests_fault(worker: Worker) -> None:
    with pytest.raises(ValueError, match="no such HTTP request"):
        worker.fetch("/", headers={"X-Bad": "a\nb"})


def test_run_sync_and_node_modules(worker: Worker, stack_switching: None) -> None:
    assert worker.fetch("/run-sync").text == hashlib.sha256(b"x").hexdigest() + "7"


# -- env, props and ctx.access


def test_env_holds_json_values(worker: Worker) -> None:
    seen = worker.fetch("/env").json()
    assert seen["settings"] == "JsProxy"
    assert seen["list"] == [1, "two", "jsnull"]
    assert seen["nothing"] == "jsnull"
    assert seen["missing"] == "no such variable"
    assert seen["aud"] == seen["module"] == worker.env["POLICY_AUD"]


def test_only_variables_of_the_project_are_set(worker: Worker) -> None:
    assert set(worker.env) == {"TEAM_DOMAIN", "POLICY_AUD", "SETTINGS"}


def test_load_takes_another_env(worker: Worker) -> None:
    worker.load(env={**worker.env, "POLICY_AUD": ""})
    assert worker.fetch("/env").json()["aud"] == worker.fetch("/env").json()["module"] == ""


def test_props_and_access_absent(worker: Worker) -> None:
    assert worker.fetch("/context").json() == {"props": {}, "aud": None, "identity": None}


def test_props_and_access_present(worker: Worker) -> None:
    identity = {"email": "person@example.com", "groups": [{"id": "1"}]}
    seen = worker.fetch(
        "/context", props={"caller": "me"}, access={"aud": "tag", "identity": identity}
    ).json()
    assert seen == {"props": {"caller": "me"}, "aud": "tag", "identity": str(identity)}


def test_access_without_identity(worker: Worker) -> None:
    seen = worker.fetch("/context", access={"aud": "tag", "identity": None}).json()
    assert (seen["aud"], seen["identity"]) == ("tag", None)


# -- RPC


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        1.5,
        -(2**60),
        "text ü",
        [1, [2, None]],
        {"a": {"b": [1, None]}},
        b"\x00\xff",
        {1, 2},
    ],
    ids=str,
)
def test_call_carries_values_both_ways(worker: Worker, value: Any) -> None:
    if isinstance(value, bytes):  # arrives as memoryview, as in workerd
        assert worker.call("received_type", value) == "memoryview"
        assert worker.call("make", "bytes") == value
    else:
        assert worker.call("same", value) == value


def test_call_converts_results(worker: Worker) -> None:
    assert worker.call("make", "set") == {1, 2}
    assert worker.call("make", "big") == 2**60
    assert worker.call("make", "date").timestamp() == 1_700_000_000
    assert worker.call("make", "nested") == {"a": [1, None, {"b": True}], "f": 1.5}
    response = worker.call("make", "response")
    assert (response.status, response.text) == (202, "r")


@pytest.mark.parametrize("what, name", [("object", "DataCloneError"), ("tuple", "PythonError")])
def test_call_refuses_what_cannot_cross(worker: Worker, what: str, name: str) -> None:
    with pytest.raises(RpcError) as caught:
        worker.call("make", what)
    assert caught.value.name == name


def test_call_reaches_every_callable_attribute(worker: Worker) -> None:
    assert worker.call("_private") == "private"
    assert worker.call("__init__", {}, {}) is None
    assert worker.call("hidden", entrypoint="Default") == "Default.hidden"
    assert "add" in worker.call("__dir__")


@pytest.mark.parametrize("method", ["nope", "env", "ctx", "hidden"])
def test_call_reaches_nothing_else(worker: Worker, method: str) -> None:
    with pytest.raises(RpcError, match="does not exist"):
        worker.call(method)


@pytest.mark.parametrize("entrypoint", ["Nope", "WorkerEntrypoint2", "helper", "_private"])
def test_call_needs_an_entrypoint(worker: Worker, entrypoint: str) -> None:
    with pytest.raises(RpcError, match="There is no"):
        worker.call("add", 1, 2, entrypoint=entrypoint)


def test_call_props(worker: Worker) -> None:
    assert worker.call("who") is None
    assert worker.call("who", props={"caller": "me"}) == "me"


def test_call_exception_shows_the_traceback(worker: Worker) -> None:
    with pytest.raises(RpcError) as caught:
        worker.call("fail")
    assert (caught.value.name, caught.value.type) == ("PythonError", "KeyError")
    assert '/session/metadata/entry.py"' in caught.value.message


def test_binding_to_itself(worker: Worker) -> None:
    marker = {"$entrypoint": "Internal", "props": {"caller": "me"}}
    worker.load(env={**worker.env, "INTERNAL": marker})
    value, who, text, kind, name, message = worker.fetch(
        "/self", access={"aud": "tag", "identity": None}
    ).json()
    assert (value, who, text) == (5, "me", "Internal.fetch https://internal/path")
    assert (kind, name) == ("JsException", "PythonError")
    assert "KeyError: 'inside'" in message
    assert worker.call("access") is True  # ctx.access does not cross a binding


# -- other Workers beside the project's

# Its helper.py has the same name as the sample's, and is another module.
CALLER_PY = """
import helper
from workers import Response, WorkerEntrypoint, import_from_javascript

class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env=None, ctx=None):
        assert (env, ctx) == (None, None)
        print("cron", controller.cron, controller.scheduledTime > 1.7e12)
        if self.env.FAIL:
            raise ValueError("as asked")

    async def fetch(self, request):
        module_env = import_from_javascript("cloudflare:workers").env
        who = await self.env.API.who()
        answer = await self.env.API.fetch("https://internal/path")
        fields = [who, await answer.text(), helper.name(), module_env.FAIL is self.env.FAIL]
        return Response.json(fields)
"""
CALLER_TS = """
import { name } from "./helper";

interface Env { API: any; FAIL: boolean }
let calls = 0;

export default {
  async scheduled(controller: { cron: string; scheduledTime: number }, env: Env): Promise<void> {
    console.log("cron", controller.cron, controller.scheduledTime > 1.7e12 ? "True" : "False");
    if (env.FAIL) throw new TypeError("as asked");
  },
  async fetch(_request: Request, env: Env): Promise<Response> {
    const answer = await env.API.fetch("https://internal/path");
    return Response.json([await env.API.who(), await answer.text(), name(), calls++ === 0]);
  },
};
"""
CALLERS = {
    "main.py": (CALLER_PY, "helper.py", "def name():\n    return 'the other helper'\n"),
    "main.ts": (CALLER_TS, "helper.ts", "export const name = () => 'the other helper';\n"),
}


@pytest.fixture(params=CALLERS)
def beside(request: pytest.FixtureRequest, tmp_path: Path, worker: Worker) -> Beside:
    """Loads the sample with another Worker, named "other", that is bound to it."""
    source, helper, helper_source = CALLERS[request.param]
    (tmp_path / helper).write_text(helper_source)

    def load(source: str = source, **env: Any) -> Worker:
        (tmp_path / request.param).write_text(source)
        api = {"$entrypoint": "Internal", "props": {"caller": "me"}}
        other = OtherWorker(tmp_path / request.param, {"API": api, "FAIL": False} | env)
        worker.load(beside={"other": other})
        return worker

    return load


def test_beside_calls_the_project(beside: Beside) -> None:
    for _ in range(2):  # fresh module state each time
        answer = beside().fetch("/", worker="other").json()
        assert answer == ["me", "Internal.fetch https://internal/path", "the other helper", True]


def test_beside_leaves_the_project_alone(beside: Beside) -> None:
    worker = beside()
    assert worker.fetch("/count").text == "1"  # its own helper
    with pytest.raises(RpcError, match="has no attribute|does not exist"):
        worker.call("scheduled", entrypoint="Default")


def test_scheduled(beside: Beside) -> None:
    worker = beside()
    worker.scheduled("0 6 * * *", worker="other")
    assert worker.logs == ["cron 0 6 * * * True"]


def test_scheduled_fails(beside: Beside) -> None:
    with pytest.raises(WorkerError, match="as asked"):
        beside(FAIL=True).scheduled(worker="other")


def test_no_such_handler_or_worker(worker: Worker, beside: Beside) -> None:
    with pytest.raises(WorkerError, match="scheduled does not exist"):
        worker.scheduled()
    beside().load()  # without the other one
    with pytest.raises(ValueError, match="no Worker other is loaded"):
        worker.scheduled(worker="other")


def test_beside_that_does_not_parse(beside: Beside) -> None:
    with pytest.raises(WorkerError, match="main"):
        beside("{ ( ]")


def test_beside_is_guarded_at_import(tmp_path: Path, worker: Worker) -> None:
    (tmp_path / "main.ts").write_text("export const bytes = setTimeout(() => {}, 1);")
    with pytest.raises(WorkerError, match="Disallowed operation called within global scope"):
        worker.load(beside={"other": OtherWorker(tmp_path / "main.ts", {})})


# -- outbound requests


def test_outbound_goes_through_a_route(worker: Worker, access: Access) -> None:
    keys = access.team_domain + "/cdn-cgi/access/certs"
    status, body, url = worker.fetch(f"/get?{keys}").json()
    assert (status, json.loads(body), url) == (200, {"keys": access.keys}, keys)
    assert [(sent["method"], sent["url"]) for sent in worker.outbound] == [("GET", keys)]
    assert access.requests == 1
    worker.load()
    assert worker.outbound == []


def test_outbound_without_a_route_fails(worker: Worker) -> None:
    response = worker.fetch("/get?https://example.org/")
    assert response.status == 502
    assert response.text.startswith("AbortError")
    assert "no route for https://example.org" in "\n".join(worker.logs)


def test_redirects_are_followed_by_route_only(
    worker: Worker, access: Access, upstream: Upstream
) -> None:
    origin = "https://api.example.org"
    keys = f"{origin}/cdn-cgi/access/certs"
    worker.load(routes={**worker.routes, origin: access.url})
    access.answer(302, headers={"Location": f"{upstream.url}/stolen"})
    assert worker.fetch(f"/get?{keys}").status == 502
    assert upstream.seen == []
    assert worker.fetch(f"/manual?{keys}").json() == [302, f"{upstream.url}/stolen"]
    worker.load(routes={**worker.routes, upstream.url: upstream.url})
    upstream.answer = (200, [], b"moved")
    assert worker.fetch(f"/get?{keys}").json() == [200, "moved", f"{upstream.url}/stolen"]


@pytest.mark.parametrize("way", ["asyncio", "signal"])
def test_a_slow_answer_can_be_given_up(worker: Worker, access: Access, way: str) -> None:
    access.answer(delay=1)
    keys = access.team_domain + "/cdn-cgi/access/certs"
    start = time.monotonic()
    assert worker.fetch(f"/timeout?{way}={keys}").text == "gave up"
    assert time.monotonic() - start < 0.9


def test_received_headers_are_immutable(worker: Worker, access: Access) -> None:
    assert "immutable" in raised(worker.fetch("/immutable?request")).message
    keys = access.team_domain + "/cdn-cgi/access/certs"
    assert "immutable" in raised(worker.fetch(f"/immutable?{keys}")).message


def test_remote_binding_is_real_http(worker: Worker, upstream: Upstream) -> None:
    worker.load(env={**worker.env, "PRIVATE_API": {"$fetcher": upstream.url}})
    upstream.answer = (418, [("X-Up", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], b"tea")
    response = worker.fetch("/private?x", method="PUT", body="data", headers={"X-Down": "2"})
    assert (response.status, response.text, response.headers["x-up"]) == (418, "tea", "1")
    assert response.headers.get_all("set-cookie") == ["a=1", "b=2"]
    [(method, path, headers, body)] = upstream.seen
    assert (method, path, headers["x-down"], body) == ("PUT", "/base/x", "2", b"data")
    assert headers["host"] == "any-host.internal"
    assert worker.outbound[0]["url"] == "http://any-host.internal/base/x"


def test_remote_binding_leaves_redirects_alone(worker: Worker, upstream: Upstream) -> None:
    worker.load(env={**worker.env, "PRIVATE_API": {"$fetcher": upstream.url}})
    upstream.answer = (302, [("Location", "/elsewhere")], b"")
    response = worker.fetch("/private?x")
    assert (response.status, response.headers["location"]) == (302, "/elsewhere")


def test_remote_binding_carries_large_bodies(worker: Worker, upstream: Upstream) -> None:
    worker.load(env={**worker.env, "PRIVATE_API": {"$fetcher": upstream.url}})
    body = os.urandom(1 << 21)
    assert worker.fetch("/private?x", method="POST", body=body).body == body


def test_remote_binding_keeps_the_length_of_a_body(worker: Worker, upstream: Upstream) -> None:
    worker.load(env={**worker.env, "PRIVATE_API": {"$fetcher": upstream.url}})
    assert worker.fetch("/private?bare", method="POST", body=b"data").body == b"data"
    assert upstream.seen[0][2]["content-length"] == "4"
    assert "x-down" not in upstream.seen[0][2]


def test_remote_binding_streams(worker: Worker, upstream: Upstream) -> None:
    worker.load(env={**worker.env, "PRIVATE_API": {"$fetcher": upstream.url}})
    assert worker.fetch("/first-chunk?/slow", timeout=10).text == "first"
    assert not upstream.release.is_set()


def test_remote_binding_unreachable(worker: Worker, unused_port: int) -> None:
    worker.load(env={**worker.env, "PRIVATE_API": {"$fetcher": f"http://127.0.0.1:{unused_port}"}})
    assert worker.fetch("/private?x").status == 502


@pytest.fixture
def unused_port() -> int:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = server.server_port
    server.server_close()
    return port


# -- logs, clock, state


def test_logs_hold_print_logging_and_background_work(worker: Worker) -> None:
    worker.fetch("/log?wait")
    assert worker.logs == ["printed", "and more", "a warning", "in the background"]
    worker.load()
    assert worker.logs == []
    worker.fetch("/log?module")
    assert worker.logs[-1] == "in the background"


def test_console_does_not_disturb_the_protocol(variant: Variant) -> None:
    text = "import js\nfrom workers import Response, WorkerEntrypoint\n"
    text += "class Default(WorkerEntrypoint):\n    async def fetch(self):\n"
    text += "        js.console.dir('a dir')\n        js.console.log('a', 1)\n"
    text += "        return Response('ok')\n"
    worker = variant(text)
    assert worker.fetch().text == "ok"
    assert worker.logs == ["'a dir'", "a 1"]


def test_advance_moves_every_clock(worker: Worker) -> None:
    before = worker.fetch("/time").json()
    assert abs(before[0] - time.time()) < 60
    worker.advance(86_400)
    after = worker.fetch("/time").json()
    assert all(86_400 <= b - a < 86_460 for a, b in zip(before[:3], after[:3], strict=True))
    worker.load()
    assert abs(worker.fetch("/time").json()[0] - time.time()) < 60


def test_clock_stands_at_1970_during_import(worker: Worker) -> None:
    assert worker.fetch("/time").json()[3] == 0


def test_load_gives_fresh_state(worker: Worker) -> None:
    assert [worker.fetch("/count").text for _ in range(3)] == ["1", "2", "3"]
    worker.load()
    assert worker.fetch("/count").text == "1"


def test_load_reads_changed_sources(variant: Variant) -> None:
    text = "from workers import Response, WorkerEntrypoint\n"
    text += "class Default(WorkerEntrypoint):\n    async def fetch(self):\n"
    text += "        return Response('{}')\n"
    assert variant(text.format("one")).fetch().text == "one"
    assert variant(text.format("two")).fetch().text == "two"  # same size, same second
    with pytest.raises(RpcError, match="There is no"):
        variant(text).call("add", 1, 2)


def test_load_reports_what_the_import_raises(variant: Variant) -> None:
    with pytest.raises(WorkerError) as caught:
        variant("import nothing_like_this")
    assert caught.value.type == "ModuleNotFoundError"


@pytest.mark.parametrize(
    "text, report",
    [
        (
            "def x(\n",
            "src/entry.py:1:\n    def x(\n         ^\nSyntaxError: '(' was never closed",
        ),
        (
            "import own\n",
            "src/entry.py:1: in <module>\n    import own\n"
            "src/own.py:2: in <module>\n    import nothing_like_this\n"
            "ModuleNotFoundError: No module named 'nothing_like_this'",
        ),
        (
            "import requests\n",
            "src/entry.py:1: in <module>\n    import requests\n"
            "ModuleNotFoundError: No module named 'requests'\n"
            "That is a package: `uv add --raw requests` and `uv run pywrangler sync` make it part "
            "of the Worker",
        ),
        (
            "try:\n    {}['a']\nexcept KeyError:\n    raise ValueError('two\\n    lines')\n",
            "src/entry.py:2: in <module>\n    {}['a']\n    ~~^^^^^\n"
            "KeyError: 'a'\n\n"
            "During handling of the above exception, another exception occurred:\n\n"
            "src/entry.py:4: in <module>\n"
            "    raise ValueError('two\\n    lines')\nValueError: two\n    lines",
        ),
    ],
    ids=["syntax", "import", "package", "chain"],
)
def test_report_of_an_import_shows_the_workers_own_lines_only(
    variant: Variant, tmp_path: Path, text: str, report: str
) -> None:
    (tmp_path / "own.py").write_text("\nimport nothing_like_this\n")
    with pytest.raises(WorkerError) as caught:
        variant(text)
    assert not isinstance(caught.value, NeverLoaded)  # it has been loaded before
    shown = NeverLoaded(caught.value).report
    assert shown == f"the Worker cannot be imported:\n{report}"


# -- many at once, and hanging up


def test_fetch_all_runs_at_once(worker: Worker) -> None:
    start = time.monotonic()
    responses = worker.fetch_all([{"path_or_url": "/wait"} for _ in range(20)])
    assert [response.text for response in responses] == ["waited"] * 20
    assert time.monotonic() - start < 20 * 0.3 / 2


def test_cancelled_request_never_continues(worker: Worker, access: Access) -> None:
    access.answer(delay=0.5)
    pending = worker.start(f"/wait?{access.team_domain}/cdn-cgi/access/certs")
    until(lambda: access.requests)
    pending.cancel()
    with pytest.raises(Cancelled):
        pending.result()
    time.sleep(0.7)
    assert worker.fetch("/state").text == "waiting"


def test_cancel_stops_timers(worker: Worker) -> None:
    pending = worker.start("/wait")
    assert worker.fetch("/state").text == "waiting"
    pending.cancel()
    time.sleep(0.5)
    assert worker.fetch("/state").text == "waiting"


def test_waituntil_outlives_the_client(worker: Worker, access: Access) -> None:
    """workerd drains an event whose client has left, for up to 30 seconds."""
    access.answer(delay=0.3)
    pending = worker.start(f"/held?{access.team_domain}/cdn-cgi/access/certs")
    until(lambda: access.requests)
    pending.cancel()
    with pytest.raises(Cancelled):
        pending.result()
    until(lambda: worker.fetch("/state").text == "went on")


def test_load_ends_what_still_runs(worker: Worker) -> None:
    pending = worker.start("/wait")
    worker.load()
    with pytest.raises(Cancelled):
        pending.result()


def test_a_hanging_request_times_out(variant: Variant) -> None:
    text = "import asyncio\nfrom workers import WorkerEntrypoint\n"
    text += "class Default(WorkerEntrypoint):\n    async def fetch(self):\n"
    text += "        await asyncio.Event().wait()\n"
    with pytest.raises(TimeoutError, match="did not answer within"):
        variant(text).fetch(timeout=0.3)


# -- guards: what workerd refuses


@pytest.mark.parametrize(
    "what", ["lock", "task", "shield", "future", "event", "promise", "swallow"]
)
def test_waiting_for_another_request_is_refused(worker: Worker, what: str) -> None:
    first = worker.start("/keep")
    until(lambda: worker.fetch("/state").text == "keeping")
    second = worker.fetch("/use?" + what)
    assert second.status == 500
    assert "code had hung" in raised(second).message
    assert first.result().text == "kept"


@pytest.mark.parametrize("what", ["request", "response", "clone"])
def test_bodies_belong_to_their_request(worker: Worker, what: str) -> None:
    worker.fetch("/keep", method="POST", body="body")
    second = worker.fetch("/use?" + what)
    assert second.status == 500
    assert "on behalf of a different request" in raised(second).message


@pytest.mark.parametrize("what", ["done", "plain", "lock", "task"])
def test_what_is_finished_may_be_shared(worker: Worker, what: str) -> None:
    worker.fetch("/keep")
    assert worker.fetch("/use?" + what).text == "used"


@pytest.mark.parametrize("what", ["list", "bytes", "dict"])
def test_webcrypto_refuses_python_objects(worker: Worker, what: str) -> None:
    assert "TypeError" in raised(worker.fetch("/subtle?" + what)).message
    assert worker.fetch("/subtle").text == "True"


@pytest.mark.parametrize(
    "line",
    [
        "js.setTimeout(print, 1)",
        "js.crypto.getRandomValues(js.Uint8Array.new(4))",
        "workers.Response('x')",
        "js.Response.new('x')",
        "workers.Response.json({})",
        "random.random()",
        "random.SystemRandom().random()",
        "secrets.token_hex()",
        "uuid.uuid4()",
        "os.urandom(4)",
    ],
)
def test_import_refuses(variant: Variant, line: str) -> None:
    names = "asyncio, js, os, random, secrets, uuid, workers"
    with pytest.raises(WorkerError) as caught:
        variant(f"import {names}\n{line}\n")
    assert caught.value.type in {"JsException", "RuntimeError", "OSError"}


def test_import_refuses_fetch(variant: Variant) -> None:
    text = "import js\njs.fetch('https://team-under-test.cloudflareaccess.com/')\n"
    worker = variant(text)
    assert worker.outbound == []
    until(lambda: "global scope" in "\n".join(worker.logs))


def test_import_allows(variant: Variant, stack_switching: None) -> None:
    text = """
import asyncio, js, random, secrets, tempfile, time, uuid, workers
from pyodide.ffi import run_sync
lock = asyncio.Lock()
js.Request.new("https://example.org")
js.Math.random()
tempfile.mktemp()
number = run_sync(asyncio.sleep(0, 7))
class Default(workers.WorkerEntrypoint):
    async def fetch(self):
        secrets.token_hex(), uuid.uuid4(), random.random()
        js.crypto.getRandomValues(js.Uint8Array.new(4))
        return workers.Response(str(number))
"""
    response = variant(text).fetch()
    assert response.error is None
    assert response.text == "7"


PACKAGE = """
import os, sys
os.mkdir("/tmp/{name}")
open("/tmp/{name}/__init__.py", "w").close()
open("/tmp/{name}/constants.py", "w").write("import os; secret = os.urandom(4)")
sys.path.insert(0, "/tmp")
import {name}.constants
sys.path.remove("/tmp")
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self):
        return Response({name}.constants.secret)
"""


def test_import_lets_packages_have_random_numbers(variant: Variant) -> None:
    """The SDK knows which packages need them, litestar among these. Others are refused."""
    assert len(variant(PACKAGE.format(name="litestar")).fetch().body) == 4
    with pytest.raises(WorkerError, match="Cannot get entropy outside of request context"):
        variant(PACKAGE.format(name="unknown"))


@pytest.mark.parametrize("what", ["list*6700", "dict*6700", "list*200000"])
def test_deeply_nested_json_ends_the_isolate(worker: Worker, what: str) -> None:
    other = worker.start("/wait")
    with pytest.raises(WorkerDied):
        worker.fetch("/json?" + what)
    with pytest.raises(WorkerDied):  # everybody else on it is cut off
        other.result()
    with pytest.raises(WorkerDied):
        worker.fetch("/count")
    worker.load()
    assert worker.fetch("/count").text == "1"


@pytest.mark.parametrize("what", ["list*3900", "dict*3900", "string*1", "unended*1"])
def test_json_that_workerd_survives(worker: Worker, what: str) -> None:
    assert worker.fetch("/json?" + what).text in {"not JSON", "parsed"}
    assert worker.fetch("/count").text == "1"


def test_exit_ends_the_isolate(worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="SystemExit"):
        worker.fetch("/exit")


def test_a_broken_pyodide_is_replaced(worker: Worker, variant: Variant) -> None:
    text = "import js\nfrom workers import Response, WorkerEntrypoint\n"
    text += "class Default(WorkerEntrypoint):\n    async def fetch(self):\n"
    text += "        js.process.exit(1)\n"
    broken = variant(text)
    with pytest.raises(WorkerDied):
        broken.fetch()
    with pytest.raises(WorkerDied):
        broken.fetch()
    variant(text.replace("js.process.exit(1)", "return Response('again')"))
    assert broken.fetch().text == "again"


@pytest.mark.slow
def test_an_endless_loop_does_not_hold_up_the_next_test(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from workers import Response, WorkerEntrypoint\n"
    text += "class Default(WorkerEntrypoint):\n    async def fetch(self):\n"
    text += "        while True:\n            pass\n"
    with pytest.raises(TimeoutError):
        variant(text).fetch(timeout=0.5)
    monkeypatch.setattr(runtime, "ANSWER_TIMEOUT", 10)
    assert variant(text.replace("pass", "return Response('next')")).fetch().text == "next"


# -- Access


def decode(headers: dict[str, str]) -> tuple[Any, Any, bytes]:
    header, payload, signature = headers["Cf-Access-Jwt-Assertion"].split(".")
    pad = [base64.urlsafe_b64decode(part + "==") for part in (header, payload, signature)]
    return json.loads(pad[0]), json.loads(pad[1]), pad[2]


def verify(headers: dict[str, str], key: SigningKey) -> None:
    signed, _, signature = headers["Cf-Access-Jwt-Assertion"].rpartition(".")
    assert b64url(decode(headers)[2]) == signature
    public = key.private.public_key()
    public.verify(decode(headers)[2], signed.encode(), padding.PKCS1v15(), SHA256())


def test_token_of_a_person(access: Access) -> None:
    headers = access.person("a@example.com", country="DE", drop=("nbf",))
    header, claims, _ = decode(headers)
    verify(headers, access.signer)
    assert header == {"alg": "RS256", "kid": access.keys[0]["kid"], "typ": "JWT"}
    assert claims["aud"] == [access.aud] and len(access.aud) == 64
    assert (claims["email"], claims["country"], claims["type"]) == ("a@example.com", "DE", "app")
    assert claims["iss"] == access.team_domain
    assert claims["iat"] <= time.time() < claims["exp"]
    assert "nbf" not in claims and "common_name" not in claims


def test_token_of_a_machine(access: Access) -> None:
    headers = access.machine(iss=None)
    claims = decode(headers)[1]
    assert claims["common_name"].endswith(".access") and claims["sub"] == ""
    assert claims["iss"] is None
    assert not {"email", "nbf", "identity_nonce"} & set(claims)


def test_raw_tokens(access: Access) -> None:
    token = access.token(b"not json", header=b"\xff")
    assert token.startswith(b64url(b"\xff") + "." + b64url(b"not json") + ".")


def test_keys_rotate(access: Access) -> None:
    old = access.signer
    new = access.rotate()
    assert new is access.signer is not old
    assert [key["kid"] for key in access.keys] == [new.kid, old.kid]
    verify(access.person(), new)
    verify(access.person(key=old), old)
    assert access.stranger.kid not in {new.kid, old.kid}


def test_keys_start_anew_with_every_test(access: Access) -> None:
    assert len(access.keys) == 1 and access.requests == 0


def test_issuer_misbehaves_on_demand(worker: Worker, access: Access) -> None:
    keys = f"/get?{access.team_domain}/cdn-cgi/access/certs"
    access.answer(503, b"raw", delay=0.2)
    start = time.monotonic()
    assert worker.fetch(keys).json()[:2] == [503, "raw"]
    assert time.monotonic() - start >= 0.2
    access.answer()
    access.keys.clear()
    assert worker.fetch(keys).json()[1] == '{"keys": []}'
    assert access.requests == 2
    assert worker.fetch(keys.replace("certs", "other")).json()[0] == 404
    assert access.requests == 2


# -- the Worker's packages

FASTAPI = """
from fastapi import FastAPI, Request
from workers import WorkerEntrypoint, asgi

app = FastAPI()


@app.post("/items/{name}")
async def item(name: str, count: int, request: Request):
    return {"name": name, "count": count, "body": (await request.body()).decode()}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(app, request.js_object, self.env)
"""


@pytest.mark.slow
def test_fastapi(
    tmp_path: Path, project_root: Path, pytestconfig: pytest.Config, rendered: Render
) -> None:
    """Wheels for Pyodide, pydantic's native one included, are installed from PyPI once."""
    root = shutil.copytree(project_root, tmp_path / "project", symlinks=True)
    (root / "src" / "entry.py").write_text(FASTAPI)
    text = (root / "pyproject.toml").read_text()
    wanted = 'dependencies = ["fastapi==0.165.0", "colorama; sys_platform == \'win32\'"]'
    (root / "pyproject.toml").write_text(text.replace("dependencies = []", wanted))
    shutil.copy(rendered(framework="fastapi") / "pylock.toml", root)
    cache = getattr(pytestconfig, "cache", None)
    folder = Path(cache.mkdir("kit-packages")) if cache else tmp_path / "packages"
    own = Runtime(Project(root), folder)
    own.start()
    try:
        fastapi = Worker(own, {}, {})
        good = fastapi.fetch("/items/a?count=2", method="POST", body="hello")
        assert good.error is None
        assert good.json() == {"name": "a", "count": 2, "body": "hello"}
        assert fastapi.fetch("/items/a?count=x", method="POST").status == 422
    finally:
        own.stop()


RANDOM = """\
import os, random, uuid
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self):
        return Response(f"{random.random()} {uuid.uuid4()} {os.urandom(8).hex()}")
"""


@pytest.mark.slow
def test_starts_from_a_snapshot(tmp_path: Path, project_root: Path) -> None:
    """The first run makes it. Later ones have no number in common, and mend a broken one."""
    root = shutil.copytree(project_root, tmp_path / "project", symlinks=True)
    (root / "src" / "entry.py").write_text(RANDOM)
    folder = tmp_path / "cache"

    def numbers() -> list[str]:
        own = Runtime(Project(root), folder)
        own.start()
        try:
            return Worker(own, {}, {}).fetch().text.split()
        finally:
            own.stop()

    seen = numbers()
    (snapshot,) = folder.iterdir()
    made = snapshot.stat()
    seen += numbers()
    assert snapshot.stat() == made
    for broken in (b"", b"no snapshot", snapshot.read_bytes()[:1_000_000]):
        snapshot.write_bytes(broken)
        seen += numbers()
        assert snapshot.stat().st_size == made.st_size
        assert list(folder.iterdir()) == [snapshot]
    assert len(set(seen)) == len(seen) == 15


def test_python_modules_are_used_if_they_are_what_is_locked(tmp_path: Path) -> None:
    root = shutil.copytree(SAMPLE, tmp_path / "project")
    vendored = root / "python_modules"
    (vendored / "own_package-1.0.dist-info").mkdir(parents=True)
    (vendored / "own_package-1.0.dist-info" / "METADATA").write_text(
        "Name: own-package\nVersion: 1.0\n"
    )
    (sdk,) = lock.read(root)
    info = vendored / f"workers_runtime_sdk-{sdk.version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {sdk.name}\nVersion: {sdk.version}\n")
    assert "workers/__init__.py" in Project(root).packages(tmp_path)  # more than that: not used
    shutil.rmtree(vendored / "own_package-1.0.dist-info")
    (vendored / "mine.py").touch()
    files = Project(root).packages(tmp_path)
    assert "mine.py" in files and "workers/__init__.py" not in files
