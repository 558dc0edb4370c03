# Managed by the private-worker template: do not edit, an update replaces it.
"""Everything that touches JavaScript: headers, vars, the clock, fetch, WebCrypto, the log.

No JavaScript object is made while this module is imported: a deploy takes a memory snapshot of the
imported Worker and would fail on it.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from typing import Any

from js import AbortSignal, Object, Response, console, crypto, fetch
from pyodide.ffi import JsException, JsProxy, jsnull, to_js

CryptoKey = Any  # the runtime's object; opaque here


def now() -> float:
    """Seconds since 1970. In workerd the clock stands still while a request computes."""
    return time.time()


def variable(env: Any, name: str) -> object:
    """A var as plain Python, None when there is none. JavaScript's null inside stays as it is."""
    value = getattr(env, name, None)
    return value.to_py() if isinstance(value, JsProxy) else value


def class_of(value: Any) -> str:
    """The class of one of the runtime's own objects, "" for what is none. No caller can forge it."""
    tag: str = Object.prototype.toString.call(value) if isinstance(value, JsProxy) else ""
    return tag.removeprefix("[object ").removesuffix("]")


def is_limiter(binding: Any) -> bool:
    """Whether it can count. A Fetcher only seems to: it takes any name for a method."""
    raw = getattr(binding, "_binding", binding)  # of what the SDK wraps
    return callable(getattr(binding, "limit", None)) and class_of(raw) != "Fetcher"


def is_lost_connection(error: object) -> bool:
    """Whether the other side went away while one of the Worker's reads or writes went on."""
    return isinstance(error, JsException) and str(error.message) == "Network connection lost."


def header(request: Any, name: str) -> str | None:
    """A request header, or None. Read from the raw request: `request.headers` copies them all."""
    value = request.js_object.headers.get(name)
    return value if isinstance(value, str) else None  # a missing header is JavaScript's null


async def read(stream: Any, limit: int) -> bytes | None:
    """A whole body of at most `limit` bytes, None when it is longer."""
    if not isinstance(stream, JsProxy):
        return b""  # JavaScript's null: there is no body
    reader = stream.getReader()
    body = bytearray()
    while len(body) <= limit:
        chunk = await reader.read()
        if chunk.done:
            return bytes(body)
        body += chunk.value.to_bytes()
    await reader.cancel()
    return None


async def form(data: bytes, media_type: str) -> Any:
    """The runtime's FormData of a body that was read, or None when it is none."""
    try:
        headers = Object.fromEntries(to_js([["Content-Type", media_type]]))
        return await Response.new(to_js(data), headers=headers).formData()
    except JsException:
        return None


async def finish(ctx: Any, work: Coroutine[Any, Any, None]) -> None:
    """Await work that goes on when the client hangs up meanwhile, for at most 30 seconds.

    https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil
    """
    task = asyncio.ensure_future(work)
    ctx.waitUntil(task)
    await task


async def fetch_bytes(url: str, timeout: float, limit: int) -> bytes | None:
    """The body of a 200 answer of at most `limit` bytes within `timeout` seconds, else None.

    Redirects are not followed. Every failure is the same to the caller: no answer.
    """
    try:
        signal = AbortSignal.timeout(int(timeout * 1000))
        response = await fetch(url, redirect="manual", signal=signal)
        if response.status != 200:
            return None
        return await read(response.body, limit)
    except (JsException, OSError):
        return None


async def import_key(modulus: str, exponent: str) -> CryptoKey | None:
    """A public RSA key for RS256 (RFC 7518 section 3.3), or None when the runtime rejects it."""
    jwk = {"kty": "RSA", "n": modulus, "e": exponent, "alg": "RS256", "ext": True}
    algorithm = {"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"}
    try:
        return await crypto.subtle.importKey(
            "jwk", _object(jwk), _object(algorithm), False, to_js(["verify"])
        )
    except JsException:
        return None


async def verify(key: CryptoKey, signature: bytes, signed: bytes) -> bool:
    """RSASSA-PKCS1-v1_5 with SHA-256 by the runtime's WebCrypto (RFC 8017 section 8.2.2)."""
    return bool(
        await crypto.subtle.verify("RSASSA-PKCS1-v1_5", key, to_js(signature), to_js(signed))
    )


async def access_identity(access: Any) -> Mapping[str, object] | None:
    """What `ctx.access` knows of the person; None for a service token, which has no identity.

    Empty for what is no plain object: that names nobody.
    https://developers.cloudflare.com/workers/configuration/cloudflare-access/
    """
    identity = await access.getIdentity()
    if identity is None or identity is jsnull:
        return None
    found = identity.to_py() if class_of(identity) == "Object" else None
    return found if isinstance(found, dict) else {}


def is_response(value: Any) -> bool:
    """Whether it is a Response, of the SDK's or the runtime's own."""
    return class_of(getattr(value, "js_object", value)) == "Response"


def has_header(response: Any, name: str) -> bool:
    return bool(getattr(response, "js_object", response).headers.has(name))


def with_header(response: Any, name: str, value: str) -> Any:
    """The response with the header set. One that was fetched cannot be changed, so it is copied."""
    raw = getattr(response, "js_object", response)
    try:
        raw.headers.set(name, value)
    except JsException:
        raw = Response.new(raw.body, raw)
        raw.headers.set(name, value)
    return raw


def reference() -> str:
    """A random id that ties an answer to its log line."""
    return str(crypto.randomUUID())


def log(line: str) -> None:
    console.log(line)


def _object(value: Mapping[str, object]) -> Any:
    return to_js(value, dict_converter=Object.fromEntries)
