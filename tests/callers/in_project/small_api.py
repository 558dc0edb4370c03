"""Stands in for src/api.py: says who came in, takes JSON, fails."""

from urllib.parse import urlsplit

from guard import read_json, reply


async def handle(request, identity, env):
    match urlsplit(request.url).path:
        case "/json":
            return reply({"body": await read_json(request)})
        case "/raise":
            raise RuntimeError("as asked")
    return reply({"ok": True, "identity": identity.as_dict()})
