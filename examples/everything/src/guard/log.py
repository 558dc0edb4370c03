# Managed by the private-worker template: do not edit, an update replaces it.
"""One line of JSON for each decision. Of what a caller sent it holds a ray id of the right form.

Never logged: tokens, other headers, arguments, key ids, or who is calling, by whatever name. The
ray id is Cloudflare's own name for the request, which its dashboard finds it by.
"""

import json
import re
import sys
import traceback
from typing import Any

from . import platform
from .refusal import BadRequest, NotConfigured, Reason

_RAY = re.compile(r"[0-9a-f]{8,32}(?:-[A-Z]{3})?")


def allowed(kind: str, request: Any) -> None:
    _line("allow", "ok", kind, request)


def refused(reason: Reason, kind: str | None, request: Any) -> None:
    _line("refuse", reason.value, kind, request)


def not_configured(error: NotConfigured, request: Any) -> None:
    """Names the setting, for the operator."""
    _line("not_configured", "setting", None, request, setting=error.setting, problem=error.problem)


def keys_unavailable(request: Any) -> None:
    _line("keys_unavailable", "keys", None, request)


def unexpected(error: BaseException, request: Any) -> None:
    """A mistake in the guard. Where it happened, not what it said: that may quote a caller."""
    places = traceback.extract_tb(error.__traceback__)
    where = f"{type(error).__name__} in {places[-1].name}, line {places[-1].lineno}"
    _line("refuse", Reason.UNEXPECTED.value, None, request, where=where)


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


def _line(decision: str, reason: str, kind: str | None, request: Any, **more: str) -> None:
    platform.log(
        json.dumps(
            {
                "event": "guard",
                "decision": decision,
                "reason": reason,
                "caller": kind,
                "ray": _ray(request),
                **more,
            }
        )
    )


def _ray(request: Any) -> str | None:
    """Cloudflare's id of the request, None where a call has no request."""
    value = platform.header(request, "Cf-Ray") if request is not None else None
    return value if value is not None and _RAY.fullmatch(value) else None
