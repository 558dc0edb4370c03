# Managed by the private-worker template: do not edit, an update replaces it.
"""Between the guard and a FastAPI application.

Hands the identity over in the ASGI scope, looks at a body before FastAPI parses it (a few thousand
nested brackets in JSON would otherwise end the isolate, see guard/strictjson.py), and gives errors
the same fixed form that the guard's have.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from workers import asgi

import guard
from guard import BadRequest, ContentTooLarge, Identity, log, roles, strictjson
from guard.body import MAX_BODY, checked
from guard.refusal import Refused

# Status to the code in the body, such as 404 to "not_found".
NAMES = {status.value: status.phrase.lower().replace(" ", "_") for status in HTTPStatus}


async def _strict(self: Request) -> object:
    """In the place of `Request.json`, which takes any type of body, and whose parser nested
    brackets can make the end of the isolate.
    """
    try:
        return strictjson.loads(await self.body())
    except ValueError as error:
        raise BadRequest("the body is not JSON") from error


Request.json = _strict  # type: ignore[method-assign]


async def run(
    app: Any, request: Any, identity: Identity, env: Any, max_body: int = MAX_BODY
) -> Any:
    """The application's answer. Raises Refused, and before it asks BadRequest or ContentTooLarge.

    max_body: bytes that a body may have.
    """
    raw = await checked(request, max_body)
    refused: list[Refused] = []

    async def with_identity(scope: Any, receive: Any, send: Any) -> None:
        scope |= {"identity": identity, "refused": refused}
        # None in the lifespan, which starts and ends with each request.
        if scope.get("method") == "HEAD":  # the runtime leaves the body out
            scope["method"] = "GET"

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start" and "route" in scope:
                guard.log_route(scope["route"].path)  # now: a stream goes on after the log's line
            if refused and message.get("more_body"):
                return  # nobody will read this answer, and a stream would wait for a reader
            await send(message)

        try:
            await app(scope, receive, answer)
        except Exception:
            if "failed" not in scope:  # else it is in the log and answered, and raised once more
                raise
        except asyncio.CancelledError as error:  # the SDK would wait for an answer for ever
            raise RuntimeError("the application was cancelled") from error

    response = await asgi.fetch(with_identity, raw, env)
    if refused:  # the guard has one answer for that, and writes the line for the log
        raise refused[0]
    return response


# Everything below is async because the runtime has no threads, where FastAPI would run the rest.


async def current_identity(request: Request) -> Identity:
    """A FastAPI dependency: who is calling."""
    identity: Identity = request.scope["identity"]
    return identity


def require(
    role: str | None = None, *, kind: str | None = None
) -> Callable[..., Awaitable[Identity]]:
    """A dependency as well: who is calling, if they have this role and are of this kind.

    Everybody else gets the one 403. See guard.require. Raises ValueError when nothing is asked for.
    """
    roles.meant(role, kind)

    async def required(
        request: Request, identity: Annotated[Identity, Depends(current_identity)]
    ) -> Identity:
        try:
            guard.require(identity, role, kind=kind)
        except Refused as error:  # a mounted application may know nothing of ERRORS
            request.scope["refused"].append(error)
            raise
        return identity

    return required


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    name = NAMES.get(error.status_code, "error")
    return JSONResponse({"error": name}, error.status_code, error.headers)


async def _bad_request(request: Request, error: BadRequest) -> JSONResponse:
    log.bad_request(error)
    return JSONResponse({"error": "bad_request"}, 400)


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    # What came after `loc[0]` may be a key that the caller has made up.
    kinds = {f"{each['type']} in {each['loc'][0]}" for each in error.errors()}
    return await _bad_request(request, BadRequest(", ".join(sorted(kinds))))


async def _too_large(request: Request, error: ContentTooLarge) -> JSONResponse:
    return JSONResponse({"error": "content_too_large"}, 413)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    request.scope["failed"] = True
    if isinstance(error, Refused):  # of a middleware, which stands around what handles it
        return await _refused(request, error)
    if request.scope["refused"]:  # what a mounted application made of it
        return JSONResponse(None, 403)
    return JSONResponse({"error": "internal_error", "reference": log.failure()}, 500)


async def _refused(request: Request, error: Refused) -> JSONResponse:
    request.scope["refused"].append(error)
    return JSONResponse(None, 403)


# For FastAPI(exception_handlers=...).
ERRORS: dict[Any, Any] = {
    HTTPException: _http_error,
    RequestValidationError: _invalid,
    BadRequest: _bad_request,
    Refused: _refused,
    ContentTooLarge: _too_large,
    Exception: _failed,
}
