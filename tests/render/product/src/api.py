"""A notebook: notes in D1, files in R2, and how often it was looked at in a Durable Object."""

from urllib.parse import unquote, urlsplit

from workers import Response

from guard import BadRequest, read_form, read_json, reply

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Notes</title>
<link rel="stylesheet" href="/site/app.css">
<script type="module" src="/site/app.js"></script></head>
<body><h1>Notes</h1><ul id="notes"></ul>
<form method="post" action="/files" enctype="multipart/form-data">
<input type="file" name="file"><button>Upload</button></form></body></html>
"""
CONTENT_SECURITY_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"
MAX_UPLOAD = 100_000  # bytes


async def handle(request, identity, env):
    method = request.js_object.method
    path = unquote(urlsplit(request.url).path)
    first, _, rest = path.strip("/").partition("/")
    match first, method:
        case "", "GET" | "HEAD":
            headers = {"Content-Type": "text/html; charset=utf-8"}
            headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
            return Response(PAGE, headers=headers)
        case "site", "GET" | "HEAD":
            return await env.ASSETS.fetch(f"https://assets/{rest}")
        case "notes", "GET":
            return reply({"notes": await notes(env), "looks": await look(env)})
        case "notes", "POST":
            return await add(await read_json(request), identity, env)
        case "files", "POST":
            return await upload(await read_form(request, MAX_UPLOAD), env)
        case "files", "GET":
            found = await env.FILES.get(rest)
            if found is None:
                return reply({"error": "not_found"}, 404)
            return Response(found.body, headers={"Content-Disposition": "attachment"})
    return reply({"error": "not_found"}, 404)


async def notes(env):
    found = await env.DB.prepare("SELECT id, text, author FROM notes ORDER BY id").all()
    return [dict(row) for row in found.results]


async def look(env):
    return await env.COUNTER.getByName("looks").add(1)


async def add(note, identity, env):
    if not (await env.LIMIT.limit({"key": str(identity)})).success:
        return reply({"error": "too_many_requests"}, 429)
    text = note.get("text") if isinstance(note, dict) else None
    if not isinstance(text, str) or not 1 <= len(text) <= 1000:
        raise BadRequest("text must have 1 to 1,000 characters")
    _, author = identity.as_dict().values()
    insert = env.DB.prepare("INSERT INTO notes (text, author) VALUES (?, ?)")
    await insert.bind(text, author).run()
    await env.JOBS.send({"text": text})
    return reply({"ok": True}, 201)


async def upload(form, env):
    file = form.get("file")
    if file is None or isinstance(file, str):
        raise BadRequest("there is no file")
    await env.FILES.put(file.name, await file.bytes())
    return reply({"ok": True, "name": file.name}, 201)
