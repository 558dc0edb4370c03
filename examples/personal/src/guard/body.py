# Managed by the private-worker template: do not edit, an update replaces it.
"""Request bodies of callers who are let in: capped, and parsed without danger (see strictjson)."""

from typing import Any

from . import platform, strictjson
from .refusal import BadRequest

MAX_BODY = 1024 * 1024  # bytes


async def read_json(request: Any, limit: int = MAX_BODY) -> object:
    """The request's JSON body of at most `limit` bytes. Raises BadRequest.

    Use this instead of `await request.json()`, which a body of a few thousand brackets can turn
    into the end of the isolate. Only `application/json` is taken: a page of another site can send
    other types with somebody's cookie, but not this one.
    """
    if _media_type(request) != "application/json":
        raise BadRequest("the content type is not application/json")
    return _parsed(await _read(request, limit))


def _parsed(data: bytes) -> object:
    try:
        return strictjson.loads(data)
    except ValueError as error:
        raise BadRequest("the body is not JSON") from error


async def _read(request: Any, limit: int) -> bytes:
    data = await platform.read(request.js_object.body, limit)
    if data is None:
        raise BadRequest("the body is too long")
    return data


def _media_type(request: Any) -> str:
    return (platform.header(request, "Content-Type") or "").split(";")[0].strip().lower()
