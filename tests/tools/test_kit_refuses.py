"""What workerd refuses, the kit refuses too: docs/reference/kit-and-workerd.md names these tests.

How workerd behaves was seen there; what a test wants is its outcome, not its words.
"""

import base64
from pathlib import Path
from typing import Any

import pytest

from kit_run import HANDLER, Upstream, Variant, raised
from private_worker.testing.runtime import Worker, WorkerError

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin", "kit_fixtures"]


def not_loaded(variant: Variant, text: str) -> str:
    """What is said when this cannot be imported."""
    with pytest.raises(WorkerError) as caught:
        variant(text)
    return str(caught.value)


def failure(worker: Worker, function: Any, *args: Any) -> WorkerError:
    """What a function that runs in the Worker raises."""
    with pytest.raises(WorkerError) as caught:
        worker.run(function, *args)
    return caught.value


# -- JavaScript objects at the top level


@pytest.mark.parametrize(
    "line",
    [
        "kept = to_js(b'a')",
        "kept = js.JSON.parse('{}')",
        "kept = js.Object.new()",
        "kept = create_proxy(print)",
        "kept = js.URL.new('https://example.com')",
        "kept = js.Headers.new()",
        "kept = js.TextEncoder.new()",
        "kept = js.Date.new(0)",
        "kept = js.RegExp.new('a')",
        "kept = js.Request.new('https://example.com')",
        "def kept(value=js.Object.new()): ...",
        "kept = functools.cache(js.URL.new)\nkept('https://example.com')",
        "class kept:\n    value = [{'a': js.Object.new()}]",
        "try:\n    js.JSON.parse('{')\nexcept Exception as error:\n    kept = error",
    ],
)
def test_no_javascript_object_is_kept_at_the_top_level(variant: Variant, line: str) -> None:
    text = f"import functools, js\nfrom pyodide.ffi import create_proxy, to_js\n{line}\n"
    for _ in range(2):  # it is not forgotten
        said = not_loaded(variant, text)
        assert "Can't serialize top-level variable `kept` in src/entry.py" in said
        assert "Make it within a handler" in said


def test_what_a_deploy_can_keep(variant: Variant, stack_switching: None) -> None:
    text = """
import asyncio
import js
from js import Object, crypto
from pyodide.ffi import jsnull, run_sync, to_js
from workers import env
log, nothing, lock, promise = js.self.console.log, jsnull, asyncio.Lock(), js.Promise.resolve(1)
settings, aud = env.SETTINGS, env.POLICY_AUD
js.Object.new()
def size(encoder=None):
    return js.TextEncoder.new().encode("ab").length
made = size()
async def on(self, request):
    log("said")
    key = await crypto.subtle.digest("SHA-256", to_js(b"a"))
    pairs = to_js({"a": 1}, dict_converter=Object.fromEntries)
    return Response(f"{key.byteLength} {pairs.a} {made} {await promise} {settings.list[0]} {aud}")
"""
    worker = variant(text + HANDLER)
    assert worker.fetch().text == f"32 1 2 1 1 {worker.env['POLICY_AUD']}"
    assert "said" in worker.logs


def test_a_module_of_the_worker_is_named(variant: Variant, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__init__.py").write_text("import js\nencoder = js.TextEncoder.new()\n")
    assert "`encoder` in src/deep/__init__.py" in not_loaded(variant, "import deep\n" + HANDLER)


def test_a_module_of_pythons_own_is_named(variant: Variant) -> None:
    try:
        said = not_loaded(variant, "import js, json\njson.kept = js.Object.new()\n")
        assert "`kept` in json, a JavaScript Object" in said
    finally:  # it stays imported, and so for other tests
        variant("import json\nvars(json).pop('kept', None)\n" + HANDLER)


def test_no_subtle_at_import(variant: Variant) -> None:
    said = not_loaded(variant, "import js\njs.crypto.subtle.digest('SHA-256', None)\n")
    assert "TypeError: Illegal invocation" in said


@pytest.mark.parametrize(
    "line",
    [
        "random.Random()",
        "js.crypto.randomUUID()",
        "js.AbortSignal.timeout(5)",
        "socket.socket().connect(('127.0.0.1', 80))",
    ],
)
def test_nothing_random_nor_later_at_import(variant: Variant, line: str) -> None:
    said = not_loaded(variant, f"import js, random, socket\n{line}\n")
    assert "outside of request context" in said or "within global scope" in said
    worker = variant("import random\nnumber = random.Random(1).random()\n" + HANDLER)
    assert worker.logs == []


# -- code that is made while the Worker runs


async def evaluate(env: Any, way: str) -> Any:
    import js  # type: ignore[import-not-found]
    from pyodide.code import run_js  # type: ignore[import-not-found]
    from pyodide.ffi import to_js  # type: ignore[import-not-found]

    empty = to_js(b"\0asm\1\0\0\0")
    ways = {
        "eval": lambda: js.eval("1"),
        "global": lambda: js.globalThis.eval("1"),
        "function": lambda: js.Function.new("return 1"),
        "constructor": lambda: js.Object.constructor("return 1"),
        "run_js": lambda: run_js("1"),
        "module": lambda: js.WebAssembly.Module.new(empty),
        "compile": lambda: js.WebAssembly.compile(empty),
        "instantiate": lambda: js.WebAssembly.instantiate(empty),
        "streaming": lambda: js.WebAssembly.compileStreaming(
            js.fetch("data:application/wasm;base64,AGFzbQEAAAA=")
        ),
    }
    result = ways[way]()
    return str(await result if hasattr(result, "then") else result)


@pytest.mark.parametrize("way", ["eval", "global", "function", "constructor", "run_js"])
def test_no_javascript_from_text(worker: Worker, way: str) -> None:
    assert (
        "EvalError: Code generation from strings disallowed"
        in failure(worker, evaluate, way).message
    )


@pytest.mark.parametrize("way", ["module", "compile", "instantiate"])
def test_no_webassembly_from_bytes(worker: Worker, way: str) -> None:
    assert "CompileError" in failure(worker, evaluate, way).message


def test_no_webassembly_from_a_stream(worker: Worker) -> None:
    assert failure(worker, evaluate, "streaming").type in {"TypeError", "AttributeError"}


# -- what Node could do


async def run_command(env: Any, command: str) -> int:
    import os

    return os.system(command)


def test_no_command_is_run(worker: Worker, tmp_path: Path) -> None:
    assert worker.run(run_command, f"echo said > {tmp_path}/made; echo said") == -1
    assert not (tmp_path / "made").exists()


async def open_socket(env: Any, host: str, port: int, way: str) -> None:
    import socket
    import urllib.request

    if way == "urllib":
        urllib.request.urlopen(f"http://{host}:{port}/")
    elif way == "connect":
        socket.create_connection((host, port), 5)
    elif way == "datagram":
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"", (host, port))
    else:
        socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize("way", ["urllib", "connect", "datagram", "server"])
def test_no_socket_leaves_the_test(worker: Worker, upstream: Upstream, way: str) -> None:
    host, port = upstream.server_address[:2]
    error = failure(worker, open_socket, str(host), port, way)
    assert "tests have no network" in error.message
    assert "tests have no network" in "".join(worker.logs)
    assert upstream.seen == []


# -- files


async def write(env: Any, path: str) -> str:
    with open(path, "w", encoding="utf-8") as file:
        file.write("x")
    return path


@pytest.mark.parametrize("name", ["entry.py", "new.txt", "python_modules/workers/new.py"])
def test_the_workers_files_are_read_only(worker: Worker, name: str) -> None:
    assert failure(worker, write, f"/session/metadata/{name}").type == "PermissionError"
    assert worker.run(write, "new.txt")
    worker.load()
    assert worker.fetch("/count").text == "1"


READS = """
from pathlib import Path
async def on(self, request):
    name = request.url.partition("?")[2]
    return Response((Path(__file__).parent / name).read_bytes())
"""


def test_only_what_is_deployed_is_there(variant: Variant, tmp_path: Path) -> None:
    for name in ("a.txt", "a.html", "a.sql", "a.bin", "a.wasm", "a.csv", "README"):
        (tmp_path / name).write_text("content")
    worker = variant(READS + HANDLER)
    for name in ("a.txt", "a.html", "a.sql", "a.bin", "a.wasm"):
        assert worker.fetch("/?" + name).text == "content"
    said = str(raised(worker.fetch("/?a.csv")))
    assert said.splitlines()[-1] == (
        'src/a.csv would not be deployed: add {"type": "Data", "globs": ["**/*.csv"], '
        '"fallthrough": true} to "rules" in wrangler.jsonc'
    )
    assert '"globs": ["**/README"]' in str(raised(worker.fetch("/?README")))
    assert "deployed" not in str(raised(worker.fetch("/?missing.csv")))


def test_rules_say_what_is_deployed(
    variant: Variant, tmp_path: Path, kit_runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("content")
    (tmp_path / "a.txt").write_text("content")
    rule = {"type": "Text", "globs": ["**/*.csv"], "fallthrough": True}
    monkeypatch.setattr(kit_runtime.project, "rules", [rule])
    worker = variant(READS + HANDLER)
    assert worker.fetch("/?a.csv").text == worker.fetch("/?a.txt").text == "content"
    monkeypatch.setattr(kit_runtime.project, "rules", [rule | {"fallthrough": False}])
    worker = variant(READS + HANDLER)  # the first rule of a type ends it, wrangler's own included
    assert worker.fetch("/?a.csv").text == "content"
    assert raised(worker.fetch("/?a.txt")).type == "FileNotFoundError"


def test_a_package_hides_a_module_of_the_worker(variant: Variant, tmp_path: Path) -> None:
    (tmp_path / "asgi.py").write_text("raise RuntimeError('the own one')\n")
    text = "import asgi\nasync def on(self, request):\n    return Response(asgi.__file__)\n"
    assert "/python_modules/" in variant(text + HANDLER).fetch().text


# -- requests and keys


async def ask_for(env: Any, options: dict[str, Any]) -> Any:
    import js
    from pyodide.ffi import to_js

    given = to_js(options, dict_converter=js.Object.fromEntries)
    return js.Request.new("https://example.com", given).method


@pytest.mark.parametrize(
    "options",
    [
        {"cache": "default"},
        {"cache": "reload"},
        {"cache": "force-cache"},
        {"integrity": "sha256-abc"},
        {"method": "UNKNOWN"},
    ],
    ids=str,
)
def test_options_that_no_request_has(worker: Worker, options: dict[str, str]) -> None:
    assert "TypeError" in failure(worker, ask_for, options).message


def test_options_that_a_request_has(worker: Worker) -> None:
    assert worker.run(ask_for, {"cache": "no-store", "integrity": ""}) == "GET"
    assert worker.run(ask_for, {"method": "propfind"}) == "PROPFIND"


async def import_key(env: Any, changed: dict[str, Any]) -> str:
    import js
    from js import Object
    from pyodide.ffi import JsException, to_js

    def plain(value: Any) -> Any:
        return to_js(value, dict_converter=Object.fromEntries)

    algorithm = plain({"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"})
    key = plain({"kty": "RSA", "alg": "RS256", **changed})
    try:
        await js.crypto.subtle.importKey("jwk", key, algorithm, False, plain(["verify"]))
    except JsException as error:
        return str(error.name)
    return "imported"


def number(bits: int) -> str:
    """An odd number of so many bits, as a JWK has it."""
    value = (1 << (bits - 1) | 0x1234567).to_bytes((bits + 7) // 8, "big")
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "changed",
    [
        {"n": "!!" + number(2048)},
        {"n": ""},
        {"n": number(40)},
        {"n": 12345},
        {"n": None},
        {"e": "AA"},
        {"e": "AQ"},
        {"e": "Ag"},
        {"e": number(64)},
        {"n": number(32_768)},
    ],
    ids=lambda changed: str(changed)[:30],
)
def test_keys_that_cannot_be_imported(worker: Worker, changed: dict[str, Any]) -> None:
    key = {"n": number(2048), "e": "AQAB", **changed}
    assert worker.run(import_key, key) in {"DataError", "OperationError"}


@pytest.mark.parametrize("changed", [{"n": number(1024)}, {"e": "Aw"}, {"alg": "PS256"}])
def test_keys_that_can(worker: Worker, changed: dict[str, Any]) -> None:
    key = {"n": number(2048), "e": "AQAB", **changed}
    assert worker.run(import_key, key) == "imported"


# -- what belongs to another request

SHARED = """
import asyncio
import js
from pyodide.ffi import create_once_callable
kept = {}

async def on(self, request):
    what = request.url.partition("?")[2]
    return await globals()[what](self, request)

async def keep_stream(self, request):
    kept["stream"] = request.js_object.body
    return Response("kept")

async def keep_reader(self, request):
    kept["reader"] = request.js_object.body.getReader()
    return Response("kept")

async def use_stream(self, request):
    kept["stream"].getReader()
    return Response("used")

async def use_tee(self, request):
    kept["stream"].tee()
    return Response("used")

async def use_pipe(self, request):
    await kept["stream"].pipeTo(js.TransformStream.new().writable)
    return Response("used")

async def use_body(self, request):
    return Response(kept["stream"])

async def use_reader(self, request):
    await kept["reader"].read()
    return Response("used")

async def wait_for_promise(self, request):
    def made(resolve, reject):
        kept["resolve"] = resolve
    kept["waiting"] = True
    await js.Promise.new(create_once_callable(made))
    return Response("went on")

async def resolve(self, request):
    kept["resolve"](1)
    return Response("resolved")

lock, semaphore = asyncio.Lock(), asyncio.Semaphore(1)

async def take_lock(self, request):
    async with lock:
        await asyncio.sleep(0.2)
    return Response("had it")

async def take_semaphore(self, request):
    async with semaphore:
        await asyncio.sleep(0.2)
    return Response("had it")
"""


@pytest.mark.parametrize("use", ["stream", "tee", "pipe", "body", "reader"])
def test_streams_belong_to_their_request(variant: Variant, use: str) -> None:
    worker = variant(SHARED + HANDLER)
    keep = "reader" if use == "reader" else "stream"
    assert worker.fetch(f"/?keep_{keep}", method="POST", body="body").text == "kept"
    assert "different request" in raised(worker.fetch(f"/?use_{use}")).message


def test_a_promise_that_another_request_resolves(variant: Variant) -> None:
    worker = variant(SHARED + HANDLER)
    first = worker.start("/?wait_for_promise")
    assert worker.fetch("/?resolve").text == "resolved"
    assert "code had hung" in raised(first.result()).message


@pytest.mark.parametrize("what", ["lock", "semaphore"])
def test_a_contended_lock_is_lost_for_good(variant: Variant, what: str) -> None:
    worker = variant(SHARED + HANDLER)
    first, second = worker.start(f"/?take_{what}"), worker.start(f"/?take_{what}")
    assert first.result().text == "had it"
    assert "code had hung" in raised(second.result()).message
    for _ in range(3):
        assert "code had hung" in raised(worker.fetch(f"/?take_{what}")).message
    worker.load()
    assert worker.fetch(f"/?take_{what}").text == "had it"


def test_upstreams_stay_in_reach(variant: Variant, upstream: Upstream) -> None:
    """What is refused above is refused to nobody else: a stream of one's own request works."""
    text = "async def on(self, request):\n    body = request.js_object.body\n"
    text += "    return Response((await body.getReader().read()).value.to_bytes())\n"
    assert variant(text + HANDLER).fetch(method="POST", body="own").text == "own"
