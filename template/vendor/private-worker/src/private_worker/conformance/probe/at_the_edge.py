"""How much work the guard did, what it keeps, and what it makes of settings."""

import sys
from collections import Counter

import js
from pyodide.ffi import JsProxy

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


def kept_objects():
    """JavaScript objects in the guard's and the front door's globals, except what js exports."""
    return [
        f"{module.__name__}.{name}"
        for module in list(sys.modules.values())
        if module.__name__ == "entry" or module.__name__.partition(".")[0] == "guard"
        for name, value in vars(module).items()
        if isinstance(value, JsProxy) and value != getattr(js, name, None)
    ]


async def answer(path, request):
    """None for a path of others."""
    match path:
        case "/kept":
            return reply({"kept": kept_objects()})
        case "/settings":
            try:
                return reply({"issuer": settings.load(await read_json(request)).issuer})
            except NotConfigured as error:
                return reply({"setting": error.setting})
    return None
