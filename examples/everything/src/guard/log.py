# Managed by the private-worker template: do not edit, an update replaces it.
"""One line of JSON for each decision. Of what a caller sent it holds a ray id of the right form.

Never logged: tokens, other headers, arguments, key ids. Who is calling is logged if `LOG_WHO` says
so, see `who.py`; the decision's line then also says the method, and an answer gets a line of its
own. The ray id is Cloudflare's own name for the request, which its dashboard finds it by.
"""

import json
import re
import sys
import traceback
from contextvars import ContextVar
from typing import Any

from . import platform
from .identity import Identity
from .refusal import BadRequest, NotConfigured, Reason, Refused
from .who import NONE, Who

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_RAY = re.compile(r"[0-9a-f]{8,32}(?:-[A-Z]{3})?")
_route: ContextVar[list[str]] = ContextVar("route")  # the last item counts

who = Who()  # until the settings are read


def allowed(caller: Identity, request: Any) -> None:
    """Written before your code runs: whoever hangs up meanwhile, or brings it down, is in the log."""
    kind, name = caller.as_dict().values()
    _line("allow", "ok", request, kind, name)
    if who.mode != NONE:
        _route.set([])


def answered(caller: Identity, request: Any, answer: Any) -> None:
    """What came of it, where the log says who. `answer`: a response, or what an RPC call gets."""
    if who.mode != NONE:
        kind, name = caller.as_dict().values()
        line = {"event": "answer", "caller": kind, "ray": _ray(request)}
        line |= _details(kind, name, request)
        status = answer.get("error", "ok") if isinstance(answer, dict) else answer.status
        routes = _route.get([])
        route = routes[-1] if routes else None
        platform.log(json.dumps({**line, "route": route, "status": status}))


def log_route(template: str) -> None:
    """Say for the log which of your endpoints answers, such as "/orders/{id}".

    It is part of the answer's line where `LOG_WHO` is on.
    """
    _route.get([]).append(str(template))  # whatever JSON cannot hold would cost the answer


def refused(error: Refused, request: Any) -> None:
    _line("refuse", error.reason.value, request, error.kind, error.name)


def not_configured(error: NotConfigured, request: Any) -> None:
    """Names the setting, for the operator."""
    _line("not_configured", "setting", request, setting=error.setting, problem=error.problem)


def keys_unavailable(request: Any) -> None:
    _line("keys_unavailable", "keys", request)


def unexpected(error: BaseException, request: Any) -> None:
    """A mistake in the guard. Where it happened, not what it said: that may quote a caller."""
    places = traceback.extract_tb(error.__traceback__)
    where = f"{type(error).__name__} in {places[-1].name}, line {places[-1].lineno}"
    _line("refuse", Reason.UNEXPECTED.value, request, where=where)


def failure() -> str:
    """Write down the exception being handled. Returns the reference that the caller may see."""
    error = sys.exception()
    # As whenever a client hangs up: no news, one line.
    if error and platform.is_lost_connection(error):
        place = traceback.extract_tb(error.__traceback__)[-1]
        return _error(f"the connection was lost, in {place.name}, line {place.lineno}")
    return _error(traceback.format_exc())


def bad_request(error: BadRequest) -> str:
    """Write down what was wrong with a body or arguments. Returns the reference as well."""
    return _error(f"BadRequest: {error}")


def uncounted(error: Exception) -> None:
    """The rate limit failed, so a caller went on. Not what it said: that may name the caller."""
    _error(f"the rate limit did not count a request: {type(error).__name__}")


def upstream(binding: str, problem: str) -> None:
    """A private service did not answer as it should. `problem` is the runtime's word for it."""
    platform.log(json.dumps({"event": "upstream", "binding": binding, "problem": problem}))


def _error(detail: str) -> str:
    reference = platform.reference()
    platform.log(json.dumps({"event": "error", "reference": reference, "detail": detail}))
    return reference


def _line(
    decision: str,
    reason: str,
    request: Any,
    kind: str | None = None,
    name: str | None = None,
    **more: str,
) -> None:
    line = {"event": "guard", "decision": decision, "reason": reason, "caller": kind}
    line |= {"ray": _ray(request), **more}
    platform.log(json.dumps(line | _details(kind, name, request)))


def _details(kind: str | None, name: str | None, request: Any) -> dict[str, str | None]:
    """Who it was and what they did, where the log says who."""
    if who.mode == NONE:
        return {}
    method = None if request is None else str(request.js_object.method)
    return {
        "who": who.said(kind, name),
        "method": method if method is None or method in VERBS else "another",
    }


def _ray(request: Any) -> str | None:
    """Cloudflare's id of the request, None where a call has no request."""
    value = platform.header(request, "Cf-Ray") if request is not None else None
    return value if value is not None and _RAY.fullmatch(value) else None
