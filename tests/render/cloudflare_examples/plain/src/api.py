"""One function for each example: requests of the repository and of the documentation."""

import logging
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from workers import Response

import clients
import gallery
import sites
from guard import BadRequest, read_json, reply


async def hello(request, env, rest):
    return Response("Hello world!")


async def binding(request, env, rest):
    await env.KV.put("greeting", "hello")
    return Response(await env.KV.get("greeting"))


async def quote(request, env, rest):
    found = await env.DB.prepare("SELECT text, author FROM quotes ORDER BY random()").first()
    return reply({"text": found.text, "author": found.author})


async def asset(request, env, rest):
    return await env.ASSETS.fetch(f"https://assets/{'/'.join(rest)}")


async def messages(request, env, rest):
    name, *text = rest
    room = env.LISTS.getByName(name)
    if request.js_object.method == "POST":
        await room.add(text[0])
    return reply(list(await room.all()))


async def ask(request, env, rest):
    answer = await env.AI.run("@cf/openai/gpt-oss-120b", {"input": "Where does tea come from?"})
    return reply({"answer": answer["response"]})


async def start(request, env, rest):
    run = await env.GRAPH.create()
    return reply({"id": run.id})


async def status(request, env, rest):
    run = await env.GRAPH.get(rest[0])
    return reply({"status": (await run.status()).status})


async def load(request, env, rest):
    code = {
        "compatibilityDate": "2026-11-01",
        "compatibilityFlags": ["python_workers"],
        "mainModule": "main.py",
        "modules": {"main.py": "print('a Worker of its own')"},
        "globalOutbound": None,
    }
    return await env.LOADER.get("v1", lambda: code).getEntrypoint().fetch(request.js_object)


async def query(request, env, rest):
    name = parse_qs(urlsplit(request.url).query).get("name", ["world"])[0]
    return Response(f"Hello {name}")


async def body(request, env, rest):
    data = await read_json(request)
    if not isinstance(data, dict) or "name" not in data:
        raise BadRequest("name is missing")
    return reply({"hello": data["name"]})


async def page(request, env, rest):
    html = Path(__file__).with_name("page.html").read_text()
    return Response(html, headers={"Content-Type": "text/html; charset=utf-8"})


async def logs(request, env, rest):
    from js import console

    console.log("by console")
    logging.getLogger(__name__).warning("by logging")
    print("by print")
    return Response("see the log")


async def publish(request, env, rest):
    await env.QUEUE.send("hello", contentType="text")
    await env.QUEUE.send({"hello": "world"})
    return reply({"ok": True})


async def tables(request, env, rest):
    found = await env.DB.prepare("PRAGMA table_list").run()
    return reply({"tables": [row.name for row in found.results]})


PARTS = {
    "ai": ask,
    "asset": asset,
    "binding": binding,
    "body": body,
    "clients": clients.handle,
    "django": sites.handle,
    "gallery": gallery.handle,
    "hello": hello,
    "load": load,
    "logs": logs,
    "messages": messages,
    "page": page,
    "publish": publish,
    "query": query,
    "quote": quote,
    "start": start,
    "status": status,
    "tables": tables,
}


async def handle(request, identity, env):
    first, *rest = map(unquote, urlsplit(request.url).path.strip("/").split("/"))
    if first not in PARTS:
        return reply({"error": "not_found"}, 404)
    return await PARTS[first](request, env, rest)
