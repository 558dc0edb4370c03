# Managed by the private-worker template: do not edit, an update replaces it.
"""How often one caller may call in a minute, as Cloudflare counts it: roughly, in each location.

A brake for callers who are let in, neither a lock nor a quota. So where the counter fails, callers
go on. What wrangler.jsonc should have and has not closes the Worker, like any other setting.
https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/
"""

from typing import Any

from . import log, platform
from .identity import Identity
from .refusal import NotConfigured
from .values import fold

NAME = "RATE_LIMIT"
PERIOD = 60  # seconds, the longest that Cloudflare counts


async def allows(who: Identity, env: Any) -> bool:
    """Count one more request of this caller: whether it is still within the limit.

    Raises NotConfigured.
    """
    binding: Any = platform.variable(env, NAME)
    if not platform.is_limiter(binding):
        raise NotConfigured(NAME, "is missing or no rate limit binding")
    key = _key(who)
    try:
        counted = await binding.limit({"key": key})
    except Exception as error:
        log.uncounted(error)
        return True
    return counted.success is True


def _key(who: Identity) -> str:
    """The kind is part of it, so that a Worker does not use up the count of a program or a person.

    A person is known by the address, not by the token's `sub`: the lists go by it too, `ctx.access`
    has no `sub`, and one who logs in by two methods has two. Programs without a name count as one.
    """
    kind, name = who.as_dict().values()
    return f"{kind} {fold(str(name)) if kind == 'human' else name}"
