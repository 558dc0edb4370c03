"""The examples that have a meaning of their own with FastAPI."""

import html
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel
from workers import asgi

import bridge

Env = Annotated[Any, asgi.env]
app = FastAPI(docs_url=None, redoc_url=None, exception_handlers=bridge.ERRORS)


class Greeting(BaseModel):
    name: str
    loud: bool = False


@app.get("/")
async def root():
    return {"message": "go to /hi/<name>"}


@app.get("/hi/{name}")
async def hi(name: str):
    return Response(f"<p>Hello, {html.escape(name)}!</p>", media_type="text/html")


@app.post("/greetings")
async def greet(greeting: Greeting):
    text = f"Hello {greeting.name}"
    return {"text": text.upper() if greeting.loud else text}


@app.get("/env")
async def variable(env: Env):
    return {"message": env.MESSAGE}


@app.get("/binding")
async def binding(env: Env):
    await env.KV.put("greeting", "hello")
    return {"greeting": await env.KV.get("greeting")}


@app.get("/quote")
async def quote(env: Env):
    found = await env.DB.prepare("SELECT text, author FROM quotes ORDER BY random()").first()
    return {"text": found.text, "author": found.author}


@app.post("/messages/{room}/{text}")
async def add(room: str, text: str, env: Env):
    await env.LISTS.getByName(room).add(text)
    return list(await env.LISTS.getByName(room).all())


@app.get("/ai")
async def ask(env: Env):
    answer = await env.AI.run("@cf/openai/gpt-oss-120b", {"input": "Where does tea come from?"})
    return {"answer": answer["response"]}


@app.get("/asset/{path:path}")
async def asset(path: str, env: Env):
    found = await env.ASSETS.fetch(f"https://assets/{path}")
    if not found.ok:
        raise HTTPException(found.status)
    return Response(await found.bytes(), media_type=found.headers["Content-Type"])


async def handle(request, identity, env):
    return await bridge.run(app, request, identity, env)
