# Managed by the private-worker template: do not edit, an update replaces it.
"""Public HTTP: authenticate, then hand the request to the API, or give one of the fixed answers."""

from typing import Any

from . import answers, body, gate, limit, log
from .answers import Handler
from .refusal import KeysUnavailable, NotConfigured, Reason, Refused


async def serve(request: Any, env: Any, ctx: Any, handle: Handler) -> Any:
    """The API's answer for a caller who is let in. Never raises."""
    try:
        who = await gate.authenticate(request, env, ctx)
        if body.forged(request):
            raise Refused(Reason.ANOTHER_SITE, *who.as_dict().values())
        if not await limit.allows(who, env):
            log.refused(Refused(Reason.RATE_LIMITED, *who.as_dict().values()), request)
            return answers.rate_limited()
    except Refused as refusal:
        log.refused(refusal, request)
        return answers.forbidden()
    except NotConfigured as error:
        log.not_configured(error, request)
        return answers.not_configured()
    except KeysUnavailable as error:
        log.keys_unavailable(request)
        return answers.keys_unavailable(error.retry_after)
    except BaseException as error:  # a mistake in the guard must close the door, not open it
        log.unexpected(error, request)
        return answers.forbidden()
    log.allowed(who, request)
    return await answers.from_api(handle, request, env, who)
