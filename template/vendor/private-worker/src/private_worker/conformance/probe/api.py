"""The API behind the guard in these tests: says who came in, and makes mistakes."""

import asyncio
from importlib.util import find_spec
from urllib.parse import parse_qsl, urlsplit

from workers import Response, fetch

from guard import body, log_route, read_body, read_form, read_json, reply, require

# Only the files that the project's shape needs stand next to this one.
if find_spec("at_the_edge"):
    import at_the_edge
else:
    at_the_edge = None
if find_spec("with_upstreams"):
    import with_upstreams
else:
    with_upstreams = None


async def handle(request, identity, env):
    path = urlsplit(request.url).path
    if with_upstreams and (answer := await with_upstreams.answer(path, request, identity, env)):
        return answer
    if at_the_edge and (answer := await at_the_edge.answer(path, request, env)):
        return answer
    match path:
        case "/json":
            return reply({"body": await read_json(request)})
        case "/any-json":
            return reply({"body": await request.json()})
        case "/short":
            return reply({"body": await read_json(request, 1000)})
        case "/body":
            return reply({"length": len(await read_body(request, 1000))})
        case "/form":
            form = await read_form(request, 1000)
            text = (await form["file"].bytes()).decode() if "file" in form else None
            return reply({"name": form.get("name"), "file": text})
        case "/read":  # as an API may do it, which has its own reasons
            return Response(await request.text())
        case "/checked":  # with FastAPI
            checked = await body.checked(request, 1000)
            return Response(await checked.text())
        case "/require":
            require(identity, **dict(parse_qsl(urlsplit(request.url).query)))
            return reply({"roles": sorted(identity.roles)})
        case "/orders/private-number":
            log_route("/orders/{id}")
            return reply({}, 201)
        case "/raise":
            raise RuntimeError("only for the log")
        case "/row":
            return {"id": 1}
        case "/none":
            return None
        case "/cancelled":
            raise asyncio.CancelledError
        case "/exit":
            raise SystemExit
        case "/cached":
            return Response("x", headers={"Cache-Control": "public, max-age=60"})
        case "/plain":
            return Response("x")
        case "/fetched":
            return await fetch(env.ELSEWHERE)
    work = {"work": at_the_edge.work} if at_the_edge else {}
    return reply({"identity": identity.as_dict(), **work})
