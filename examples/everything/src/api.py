"""Your API, yours from the first copy on: an update never touches this file.

Whoever gets here was let in by the guard, and `identity` says who it is:
Human(email) or Machine(client_id) or BoundWorker(name).
`client_id` is None where the runtime vouches for a service token without saying which.
"""

from urllib.parse import urlsplit

from guard import read_json, reply
from upstream import Upstream

# Requests below a prefix go to a private service, through its VPC binding.
UPSTREAMS = (
    Upstream(
        binding="BILLING",
        prefix="/billing",
        origin="http://billing.internal",
    ),
    Upstream(
        binding="STOCK_LEVELS",
        prefix="/stock-levels",
        origin="http://stock-levels.internal",
    ),
)


async def handle(request, identity, env):
    """Answer one request. `reply` makes JSON that no cache keeps.

    A body that `read_json` cannot use is answered for you: 400, or 413 for one that is too large.
    """
    method = request.js_object.method  # `request.method` raises for one that is made up
    path = urlsplit(request.url).path
    for upstream in UPSTREAMS:
        if upstream.covers(path):
            return await upstream.forward(request, identity, env)
    match path, method:
        case "/", "GET" | "HEAD":
            return reply({"ok": True, "identity": identity.as_dict()})
        case "/echo", "POST":
            return reply({"ok": True, "body": await read_json(request)})
        # Only for callers with the role "admin", see "Roles" in docs/WRITING.md:
        # case "/admin", "GET":
        #     require(identity, "admin")  # from guard
        #     return reply({"ok": True})
        case "/", _:
            return reply({"error": "method_not_allowed"}, 405, {"Allow": "GET, HEAD"})
        case "/echo", _:
            return reply({"error": "method_not_allowed"}, 405, {"Allow": "POST"})
    return reply({"error": "not_found"}, 404)
