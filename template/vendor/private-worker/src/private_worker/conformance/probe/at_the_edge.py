"""How much work the guard did, and what it makes of settings."""

from collections import Counter

from guard import platform, read_json, reply, settings
from guard.refusal import NotConfigured

work = Counter()


def count(name):
    real = getattr(platform, name)

    async def counted(*arguments):
        work[name] += 1
        return await real(*arguments)

    setattr(platform, name, counted)


for name in ("fetch_bytes", "import_key", "verify"):
    count(name)


async def answer(path, request):
    """None for a path of others."""
    match path:
        case "/settings":
            try:
                return reply({"issuer": settings.load(await read_json(request)).issuer})
            except NotConfigured as error:
                return reply({"setting": error.setting})
    return None
