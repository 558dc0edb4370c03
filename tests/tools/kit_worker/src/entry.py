"""A Worker that shows what a Worker sees, and does what workerd refuses, one route each."""

import asyncio
import datetime
import json
import logging
import time

import helper
from js import AbortSignal, Array, Object, crypto, setTimeout
from pyodide.ffi import create_once_callable, jsnull, run_sync, to_js
from workers import Request, Response, WorkerEntrypoint, fetch, import_from_javascript, wait_until
from workers import env as module_env

imported_at = time.time()
lock = asyncio.Lock()
kept = {}


def show(value):
    if value is jsnull:
        return "jsnull"
    return value


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = request.url.split("://", 1)[1]
        path, _, query = url[url.index("/") :].partition("?")
        return await globals()["on_" + path.strip("/").replace("-", "_")](self, request, query)

    async def hidden(self):
        return "Default.hidden"


async def on_echo(self, request, query):
    headers = request.js_object.headers
    return Response.json(
        {
            "method": request.js_object.method,
            "url": request.url,
            "headers": [[k, v] for k, v in headers],
            "token": show(headers.get("Cf-Access-Jwt-Assertion")),
            "body": (await request.bytes()).decode("latin-1"),
            "cf": request.cf.to_py(),
        }
    )


async def on_bytes(self, request, query):
    headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2, c"), ("X-One", "1"), ("X-One", "2")]
    return Response(bytes(range(256)), status=201, headers=headers)


async def on_env(self, request, query):
    settings = self.env.SETTINGS
    return Response.json(
        {
            "settings": str(type(settings).__name__),
            "list": [show(item) for item in settings.list],
            "nothing": show(settings.nothing),
            "module": module_env.POLICY_AUD,
            "aud": self.env.POLICY_AUD,
            "missing": getattr(self.env, "MISSING", "no such variable"),
        }
    )


async def on_context(self, request, query):
    access = self.ctx.access
    identity = None if access is None else await access.getIdentity()
    return Response.json(
        {
            "props": self.ctx.props.to_py(),
            "aud": None if access is None else access.aud,
            "identity": None if identity is None else str(identity.to_py()),
        }
    )


async def on_count(self, request, query):
    return Response(str(helper.count()))


async def on_raise(self, request, query):
    raise LookupError("a secret of the inside")


async def on_nothing(self, request, query):
    return None


async def on_exit(self, request, query):
    raise SystemExit("enough")


async def on_time(self, request, query):
    now = datetime.datetime.now(datetime.UTC).timestamp()
    return Response.json([time.time(), now, time.monotonic(), imported_at])


async def on_log(self, request, query):
    print("printed\nand more")
    logging.getLogger("sample").warning("a warning")

    async def later():
        await asyncio.sleep(0.02)
        print("in the background")

    if query == "wait":
        self.ctx.waitUntil(later())
    if query == "module":
        task = asyncio.ensure_future(later())
        wait_until(task)
    return Response("logged")


async def on_get(self, request, query):
    try:
        answer = await fetch(query)
    except OSError as error:
        return Response(f"{type(error).__name__}: {error}", status=502)
    return Response.json([answer.status, await answer.text(), answer.url])


async def on_timeout(self, request, query):
    way, _, url = query.partition("=")
    try:
        if way == "signal":
            await fetch(url, signal=AbortSignal.timeout(100))
        else:
            async with asyncio.timeout(0.1):
                await fetch(url)
    except (TimeoutError, OSError):
        return Response("gave up")


async def on_manual(self, request, query):
    answer = await fetch(query, redirect="manual")
    return Response.json([answer.status, answer.headers["location"]])


async def on_private(self, request, query):
    """Forward to the private upstream: streams in both directions."""
    own = request.js_object
    url = "http://any-host.internal/base/" + query
    options = {"method": own.method, "redirect": "manual"}
    if query != "bare":
        options["headers"] = own.headers
    if own.body is not jsnull and own.body is not None:
        options["body"] = own.body
    try:
        return await self.env.PRIVATE_API.fetch(Request(url, **options))
    except OSError:
        return Response("unreachable", status=502)


async def on_first_chunk(self, request, query):
    """Answers with the first piece while the upstream still holds the rest back."""
    answer = await self.env.PRIVATE_API.fetch("http://any-host.internal" + query)
    piece = await answer.js_object.body.getReader().read()
    return Response(piece.value.to_bytes())


async def on_immutable(self, request, query):
    if query == "request":
        request.js_object.headers.set("x", "y")
    answer = await fetch(query)
    answer.js_object.headers.set("x", "y")
    return Response("changed")


async def on_self(self, request, query):
    try:
        value = await self.env.INTERNAL.add(2, 3)
        who = await self.env.INTERNAL.who()
        answer = await self.env.INTERNAL.fetch("https://internal/path")
        text = await answer.text()
        await self.env.INTERNAL.fail()
    except Exception as error:
        return Response.json([value, who, text, type(error).__name__, error.name, error.message])


async def on_run_sync(self, request, query):
    digest = import_from_javascript("node:crypto").createHash("sha256").update("x").digest("hex")
    return Response(digest + str(run_sync(asyncio.sleep(0, 7))))


# -- what is shared between requests


async def on_keep(self, request, query):
    """The first request keeps something and takes a while, the next one uses it."""
    kept["request"] = request
    kept["response"] = Response("kept")
    kept["plain"] = {"a": 1}
    key = to_js({"name": "HMAC", "hash": "SHA-256"}, dict_converter=Object.fromEntries)
    usages = to_js(["sign"])
    kept["key"] = await crypto.subtle.importKey("raw", to_js(b"k" * 32), key, False, usages)
    kept["done"] = asyncio.ensure_future(asyncio.sleep(0))
    await kept["done"]
    kept["task"] = asyncio.ensure_future(asyncio.sleep(0.3))
    kept["future"] = asyncio.get_running_loop().create_future()
    kept["event"] = asyncio.Event()
    kept["promise"] = self.ctx.promise = slow_promise()
    async with lock:
        kept["state"] = "keeping"
        await kept["task"]
    kept["future"].set_result(None)
    kept["event"].set()
    await asyncio.sleep(0.1)
    return Response("kept")


def slow_promise():
    from js import Promise

    return Promise.new(create_once_callable(lambda done, fail: setTimeout(done, 300)))


async def on_use(self, request, query):
    match query:
        case "lock":
            async with lock:
                pass
        case "task":
            await kept["task"]
        case "shield":
            await asyncio.shield(kept["task"])
        case "future":
            await kept["future"]
        case "event":
            await kept["event"].wait()
        case "promise":
            await kept["promise"]
        case "swallow":
            try:
                await kept["task"]
            except Exception:
                pass
        case "request":
            return Response(await kept["request"].text())
        case "response":
            return kept["response"]
        case "clone":
            return Response(kept["response"].js_object.clone())
        case "done":
            await kept["done"]
        case "plain":
            algorithm = "HMAC"
            data = to_js(b"data")
            await crypto.subtle.sign(algorithm, kept["key"], data)
            assert kept["plain"] == {"a": 1}
            assert kept["request"].url
    return Response("used")


# -- what WebCrypto and json refuse


async def on_subtle(self, request, query):
    key = to_js({"name": "HMAC", "hash": "SHA-256"}, dict_converter=Object.fromEntries)
    usages = ["sign"] if query == "list" else to_js(["sign"])
    raw = b"k" * 32 if query == "bytes" else to_js(b"k" * 32)
    algorithm = {"name": "HMAC", "hash": "SHA-256"} if query == "dict" else key
    await crypto.subtle.importKey("raw", raw, algorithm, False, usages)
    same = crypto.subtle.timingSafeEqual(to_js(b"a"), to_js(b"a"))
    return Response(str(same))


async def on_json(self, request, query):
    opening, depth = query.split("*")
    text = '"' + "[" * 9000
    opening = {"list": "[", "dict": '{"a":', "string": f'{text}"', "unended": f"{text}\\"}[opening]
    try:
        json.loads(opening * int(depth))
    except ValueError:
        return Response("not JSON")
    except Exception as error:
        return Response(f"caught {error}")
    return Response("parsed")


async def on_held(self, request, query):
    """Like on_wait, but waitUntil holds the event until the work is done."""
    task = asyncio.ensure_future(on_wait(self, request, query))
    self.ctx.waitUntil(task)
    return await task


async def on_wait(self, request, query):
    kept["state"] = "waiting"
    try:
        await fetch(query) if query else await asyncio.sleep(0.3)
        kept["state"] = "went on"
    except BaseException:
        kept["state"] = "interrupted"
    return Response("waited")


async def on_state(self, request, query):
    return Response(kept.get("state", "none"))


class Internal(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("Internal.fetch " + request.url)

    async def add(self, a, b):
        return a + b

    def who(self):
        return getattr(self.ctx.props, "caller", None)

    def same(self, value):
        return value

    def received_type(self, value):
        return type(value).__name__

    def fail(self):
        raise KeyError("inside")

    def make(self, what):
        return {
            "none": None,
            "bytes": b"\x00\xff",
            "set": {1, 2},
            "date": datetime.datetime.fromtimestamp(1_700_000_000, datetime.UTC),
            "big": 2**60,
            "nested": {"a": [1, None, {"b": True}], "f": 1.5},
            "tuple": (1, 2),
            "object": object(),
            "response": Response("r", status=202),
            "array": Array.of(1, 2),
        }[what]

    def _private(self):
        return "private"

    def access(self):
        return self.ctx.access is None
