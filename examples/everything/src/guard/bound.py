# Managed by the private-worker template: do not edit, an update replaces it.
"""The door for other Workers of the same account: a service binding to the entrypoint `Internal`.

The binding itself is the proof: Cloudflare lets only Workers of this account make one, and
`Internal` has no public URL. The caller's name comes from the `props` of its binding. Headers say
nothing here, and a person's login does not cross a binding.
https://developers.cloudflare.com/workers/runtime-apis/bindings/service-bindings/
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from . import answers, limit, log, platform, roles, who
from .answers import Handler
from .entrypoint import Entrypoint
from .identity import BoundWorker
from .refusal import BadRequest, NotConfigured, Reason, Refused
from .values import ANYONE, strings

Method = Callable[..., Awaitable[object]]

# Names that the runtime gives a meaning of its own.
RESERVED = frozenset(
    {"alarm", "connect", "ctx", "dup", "email", "env", "fetch", "queue", "scheduled", "tail"}
)
MAX_DEPTH = 32  # of a result


class WithMethods(Entrypoint):
    """An entrypoint with RPC methods, and nothing else that can be called."""

    def __init_subclass__(cls, methods: tuple[Method, ...] = (), **kwargs: Any) -> None:
        """Give the class one RPC method for each function in `methods`, named like it.

        Raises TypeError for what is not an async function, and ValueError for a name that the runtime
        keeps for itself, so that a deploy fails.
        """
        super().__init_subclass__(**kwargs)
        if not isinstance(methods, tuple | list):
            raise TypeError("METHODS is a tuple: a function alone needs a comma behind it")
        for method in methods:
            if not inspect.iscoroutinefunction(method):
                raise TypeError(f"METHODS: {method!r} is not an async function")
            if method.__name__.startswith("_") or method.__name__ in RESERVED:
                raise ValueError(f"an RPC method cannot be called {method.__name__}")
            setattr(cls, method.__name__, _exposed(method))


def caller_of(env: Any, ctx: Any) -> BoundWorker:
    """The Worker behind the binding. Raises Refused or NotConfigured."""
    allowed = strings("ALLOWED_WORKERS", platform.variable(env, "ALLOWED_WORKERS"))
    if not allowed:
        raise NotConfigured("ALLOWED_WORKERS", "names nobody, so nobody could be let in")
    known = roles.load(platform.variable(env, "ROLES"))
    log.who = who.load(platform.variable(env, "LOG_WHO"), platform.variable(env, "LOG_KEY"))
    name = getattr(getattr(ctx, "props", None), "caller", None)
    if not isinstance(name, str) or not name:
        raise Refused(Reason.UNNAMED_CALLER, BoundWorker.kind)
    if ANYONE not in allowed and name not in allowed:
        raise Refused(Reason.NOT_ALLOWED, BoundWorker.kind, name)
    return BoundWorker(name, roles.of(known, ("binding", name)))


async def serve(request: Any, env: Any, ctx: Any, handle: Handler) -> Any:
    """The API's answer to another Worker's `fetch`. Never raises."""
    try:
        caller = caller_of(env, ctx)
        if not await limit.allows(caller, env):
            log.refused(Refused(Reason.RATE_LIMITED, *caller.as_dict().values()), request)
            return answers.rate_limited()
    except Refused as refusal:
        log.refused(refusal, request)
        return answers.forbidden()
    except NotConfigured as error:
        log.not_configured(error, request)
        return answers.not_configured()
    except BaseException as error:
        log.unexpected(error, request)
        return answers.forbidden()
    log.allowed(caller, request)
    return await answers.from_api(handle, request, env, caller)


def _exposed(method: Method) -> Callable[..., Awaitable[dict[str, object]]]:
    signature = inspect.signature(method)

    async def answer(self: Entrypoint, *arguments: object) -> dict[str, object]:
        return await _call(method, signature, self.env, self.ctx, arguments)

    answer.__name__ = method.__name__
    return answer


async def _call(
    method: Method, signature: inspect.Signature, env: Any, ctx: Any, arguments: tuple[object, ...]
) -> dict[str, object]:
    """Run one RPC method. Never raises: an exception would cross with its whole traceback.

    Returns {"ok": True, "value": ...} or {"ok": False, "error": code} with a fixed code. What
    went wrong in detail stands in this Worker's log under the same reference.
    """
    try:
        caller = caller_of(env, ctx)
        if not await limit.allows(caller, env):
            log.refused(Refused(Reason.RATE_LIMITED, *caller.as_dict().values()), None)
            return {"ok": False, "error": "rate_limited"}
    except Refused as refusal:
        log.refused(refusal, None)
        return {"ok": False, "error": "forbidden"}
    except NotConfigured as error:
        log.not_configured(error, None)
        return {"ok": False, "error": "not_configured"}
    except BaseException as error:
        log.unexpected(error, None)
        return {"ok": False, "error": "forbidden"}
    log.allowed(caller, None)
    log.log_route(method.__name__)
    answer = await _run(method, signature, env, caller, arguments)
    log.answered(caller, None, answer)
    return answer


async def _run(
    method: Method,
    signature: inspect.Signature,
    env: Any,
    caller: BoundWorker,
    arguments: tuple[object, ...],
) -> dict[str, object]:
    try:
        try:
            signature.bind(caller, env, *arguments)
        except TypeError as error:
            raise BadRequest("wrong number of arguments") from error
        value = await method(caller, env, *arguments)
        _check_result(value)
        return {"ok": True, "value": value}
    except Refused as refusal:  # the method requires a role
        log.refused(refusal, None)
        return {"ok": False, "error": "forbidden"}
    except BadRequest as error:
        return {"ok": False, "error": "bad_request", "reference": log.bad_request(error)}
    except BaseException:  # asyncio.CancelledError and SystemExit are no Exception
        return {"ok": False, "error": "internal_error", "reference": log.failure()}


def _check_result(value: object, depth: int = 0) -> None:
    """Only plain data crosses: None, bool, int, float, str, bytes, lists and dicts of them.

    Raises TypeError for the rest, here where it is caught.
    """
    if depth > MAX_DEPTH:
        raise TypeError("an RPC result is nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("a key in an RPC result is not a string")
            _check_result(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_result(item, depth + 1)
    elif not isinstance(value, None | bool | int | float | str | bytes):
        raise TypeError(f"an RPC result holds a {type(value).__name__}")
