"""Your API, yours from the first copy on: an update never touches this file.

Whoever gets here was let in by the guard, and `identity` says who it is:
Human(email).
"""

from urllib.parse import urlsplit

from guard import BadRequest, read_json, reply


async def handle(request, identity, env):
    """Answer one request. `reply` makes JSON that no cache keeps."""
    method = request.js_object.method
    path = urlsplit(request.url).path
    match path, method:
        case "/", "GET" | "HEAD":
            return reply({"ok": True, "identity": identity.as_dict()})
        case "/echo", "POST":
            try:
                return reply({"ok": True, "body": await read_json(request)})
            except BadRequest:
                return reply({"error": "bad_request"}, 400)
        case "/", _:
            return reply({"error": "method_not_allowed"}, 405, {"Allow": "GET, HEAD"})
        case "/echo", _:
            return reply({"error": "method_not_allowed"}, 405, {"Allow": "POST"})
    return reply({"error": "not_found"}, 404)
