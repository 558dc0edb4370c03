# Managed by the private-worker template: do not edit, an update replaces it.
"""The fixed answers. A caller who is not let in learns nothing, whatever the reason was."""

import json
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from workers import Response

from . import limit, log, platform
from .identity import Identity
from .refusal import BadRequest, ContentTooLarge, Refused

# The API's entry: request, identity, env to a response.
Handler = Callable[[Any, Identity, Any], Awaitable[Any]]

PRIVATE = "private, no-store"


class Reply(Response):
    """An answer that `reply` made: what there is to say about caching is in it."""


def reply(payload: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """A JSON answer that no cache keeps."""
    return Reply(
        json.dumps(payload),
        status=status,
        headers={"Content-Type": "application/json", "Cache-Control": PRIVATE, **(headers or {})},
    )


def forbidden() -> Reply:
    return reply({"error": "forbidden"}, 403)


def not_configured() -> Reply:
    return reply({"error": "not_configured"}, 500)


def rate_limited() -> Reply:
    return reply({"error": "rate_limited"}, 429, {"Retry-After": str(limit.PERIOD)})


def keys_unavailable(retry_after: int) -> Reply:
    """`retry_after` in seconds."""
    return reply({"error": "keys_unavailable"}, 503, {"Retry-After": str(retry_after)})


async def from_api(handle: Handler, request: Any, env: Any, caller: Identity) -> Any:
    """The API's own answer, not to be cached unless it says otherwise, or a fixed error."""
    response = await _answer(handle, request, env, caller)
    log.answered(caller, request, response)
    return response


async def _answer(handle: Handler, request: Any, env: Any, caller: Identity) -> Any:
    try:
        answering = handle(request, caller, env)
        if not isawaitable(answering):
            raise TypeError("handle in src/api.py is not an async function: write async def handle")
        response = await answering
        if not platform.is_response(response):
            kind = type(response).__name__
            raise TypeError(f"handle in src/api.py returned {kind}, not a Response: use reply()")
        if isinstance(response, Reply) or platform.has_header(response, "Cache-Control"):
            return response
        return platform.with_header(response, "Cache-Control", PRIVATE)
    except Refused as refusal:  # the API requires a role
        log.refused(refusal, request)
        return forbidden()
    except ContentTooLarge:
        return reply({"error": "content_too_large"}, 413)
    except BadRequest as error:
        log.bad_request(error)
        return reply({"error": "bad_request"}, 400)
    except BaseException:  # asyncio.CancelledError and SystemExit are no Exception
        return reply({"error": "internal_error", "reference": log.failure()}, 500)
