"""The gallery of examples in Cloudflare's documentation: a few lines for each."""

import asyncio
import hashlib
import hmac
import json
import random
import re
import time
from html import escape
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from workers import Response, fetch, wait_until

from guard import BadRequest, read_form, read_json, reply

SITE = "https://site.example.com"
HTML = {"Content-Type": "text/html; charset=utf-8"}


def copy(answer, body=None, headers=(), without=()):
    """What came from a site cannot be changed; a copy can."""
    kept = {name: answer.headers[name] for name in answer.headers if name.lower() not in without}
    found = answer.body if body is None else body
    return Response(found, status=answer.status, headers={**kept, **dict(headers)})


async def early_hints(request, env):
    page = '<!doctype html><link rel="stylesheet" href="/asset/style.css">'
    return Response(page, headers={**HTML, "Link": "</asset/style.css>; rel=preload; as=style"})


async def ab_testing(request, env):
    cookie = SimpleCookie(request.headers.get("Cookie") or "")
    if "group" in cookie and cookie["group"].value in ("control", "test"):
        return await fetch(f"{SITE}/{cookie['group'].value}")
    group = random.choice(("control", "test"))
    return copy(await fetch(f"{SITE}/{group}"), headers={"Set-Cookie": f"group={group}; Path=/"})


async def aggregate(request, env):
    answers = await asyncio.gather(fetch(f"{SITE}/one"), fetch(f"{SITE}/two"))
    return reply([(await answer.json())["path"] for answer in answers])


async def alter_headers(request, env):
    answer = await fetch(SITE)
    return copy(answer, headers={"X-Hello": "from the Worker"}, without=("x-powered-by",))


async def secret_in_a_header(request, env):
    given = request.headers.get("X-Secret") or ""
    if not hmac.compare_digest(given.encode(), env.SECRET.encode()):
        return reply({"error": "forbidden"}, 403)
    return reply({"ok": True})


async def another_origin(request, env):
    path = urlsplit(request.url).path
    return await fetch(f"https://other.example.com{path}")


async def redirects(request, env):
    places = {"/gallery/redirects/a": "/asset/", "/gallery/redirects/b": f"{SITE}/b"}
    url = urlsplit(request.url)
    place = places.get(url.path)
    if place is None:
        return reply({"error": "not_found"}, 404)
    return Response(None, status=302, headers={"Location": place})


async def conditions(request, env):
    if re.search(r"\.(doc|xml)$", urlsplit(request.url).path):
        return Response("not this kind of file", status=403)
    if "bot" in (request.headers.get("User-Agent") or ""):
        return Response("no bots", status=403)
    return Response(f"a {request.js_object.method} is well")


async def data_loss(request, env):
    answer = await fetch(f"{SITE}/secrets")
    text = json.dumps(await answer.json())
    if re.search(r"\b4\d{15}\b", text):
        return Response("a card number", status=403)
    return copy(answer, re.sub(r"[\w.]+@[\w.]+", "***", text))


async def debugging(request, env):
    answer = await fetch(f"{SITE}/broken")
    if not answer.ok:
        told = fetch(f"{SITE}/log", method="POST", body=f"status {answer.status}")
        wait_until(asyncio.ensure_future(told))
    return reply({"well": answer.ok})


async def cookie(request, env):
    cookies = SimpleCookie(request.headers.get("Cookie") or "")
    return Response(cookies["uid"].value if "uid" in cookies else "no such cookie")


async def another_site(request, env):
    if request.js_object.method != "GET":
        return reply({"error": "method_not_allowed"}, 405, {"Allow": "GET"})
    return await fetch(SITE)


async def fetch_json(request, env):
    answer = await fetch(f"{SITE}/data")
    return reply((await answer.json())["path"])


async def hot_link(request, env):
    referer = request.headers.get("Referer")
    if referer and urlsplit(referer).hostname != urlsplit(request.url).hostname:
        return Response(None, status=302, headers={"Location": "/"})
    return await env.ASSETS.fetch("https://assets/style.css")


async def log_headers(request, env):
    secret = ("cf-access-jwt-assertion", "cookie", "authorization")  # nothing of them in a log
    print({name: value for name, value in request.headers.items() if name not in secret})
    return Response("see the log")


async def modify_request(request, env):
    headers = {"Content-Type": "application/json", "X-Example": "yes"}
    return await fetch(f"{SITE}/changed", method="POST", headers=headers, body='{"a": 1}')


async def modify_response(request, env):
    answer = await fetch(f"{SITE}/data")
    data = {**await answer.json(), "added": True}
    return Response(json.dumps(data), status=202, headers={"Content-Type": "application/json"})


async def read_post(request, env):
    if (request.headers.get("Content-Type") or "").startswith("application/json"):
        return reply({"json": await read_json(request)})
    form = await read_form(request, 10_000)
    return reply({"form": form["name"]})


async def html(request, env):
    name = parse_qs(urlsplit(request.url).query).get("name", ["world"])[0]
    return Response(f"<!doctype html><h1>Hello {escape(name)}</h1>", headers=HTML)


async def return_json(request, env):
    return Response.json({"hello": "world"})


async def security_headers(request, env):
    safe = {
        "Content-Security-Policy": "default-src 'self'",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return copy(await fetch(SITE), headers=safe, without=("x-powered-by",))


def signature(env, path, until):
    text = f"{path} {until}"
    return hmac.new(env.SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


async def sign(request, env):
    until = int(time.time()) + 60
    return reply({"query": f"?until={until}&mac={signature(env, '/file', until)}"})


async def verify(request, env):
    query = parse_qs(urlsplit(request.url).query)
    if not {"until", "mac"} <= query.keys() or not query["until"][0].isdecimal():
        raise BadRequest("there is no signature")
    until = int(query["until"][0])
    same = hmac.compare_digest(query["mac"][0].encode(), signature(env, "/file", until).encode())
    if not same or time.time() > until:
        return reply({"error": "forbidden"}, 403)
    return reply({"ok": True})


EXAMPLES = {
    "103": early_hints,
    "ab": ab_testing,
    "aggregate": aggregate,
    "alter": alter_headers,
    "another": another_site,
    "conditions": conditions,
    "cookie": cookie,
    "debugging": debugging,
    "hot": hot_link,
    "html": html,
    "json": fetch_json,
    "log": log_headers,
    "loss": data_loss,
    "origin": another_origin,
    "post": read_post,
    "redirects": redirects,
    "request": modify_request,
    "response": modify_response,
    "return": return_json,
    "secret": secret_in_a_header,
    "security": security_headers,
    "sign": sign,
    "verify": verify,
}


async def handle(request, env, rest):
    if not rest or rest[0] not in EXAMPLES:
        return reply({"error": "not_found"}, 404)
    return await EXAMPLES[rest[0]](request, env)
