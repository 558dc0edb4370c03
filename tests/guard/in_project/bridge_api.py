"""The API behind the bridge in test_bridge.py: the seed's, with endpoints that fail."""

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Body, Depends, FastAPI, HTTPException, Request

import bridge
import guard
from guard import Identity


@asynccontextmanager
async def lifespan(app):
    yield {"started": True}


app = FastAPI(exception_handlers=bridge.ERRORS, lifespan=lifespan)


@app.post("/echo")
async def echo(body: Annotated[dict | list, Body()]):
    return {"body": body}


@app.get("/body")
async def body_of_get(body: Annotated[dict | list | None, Body()] = None):
    return {"body": body}


@app.post("/counts")
async def counts(body: dict[str, int]):
    return body


@app.post("/by-hand")
async def by_hand(request: Request):
    return await request.json()


@app.get("/number")
async def number(n: int):
    return n


@app.get("/started")
async def started(request: Request):
    return request.state.started


@app.get("/status/{code}")
async def status(code: int):
    raise HTTPException(code, "only for us", {"X-More": "1"})


@app.get("/admin", dependencies=[Depends(bridge.require("admin"))])
async def admin(caller: Annotated[Identity, Depends(bridge.require("reader", kind="human"))]):
    return {"email": caller.email, "roles": sorted(caller.roles)}


@app.get("/programs", dependencies=[Depends(bridge.require(kind="machine"))])
async def programs():
    return {}


@app.get("/within")
async def within(caller: Annotated[Identity, Depends(bridge.current_identity)]):
    guard.require(caller, "admin")
    return {}


around = FastAPI(exception_handlers=bridge.ERRORS)
app.mount("/around", around)


@around.middleware("http")
async def middleware(request, call_next):
    """Starlette then sends every answer as a stream."""
    if request.url.path.startswith("/around/all"):
        guard.require(request.scope["identity"], "admin")
    answer = await call_next(request)
    answer.headers["X-More"] = "1"
    return answer


@around.get("/one/{name}", dependencies=[Depends(bridge.require("admin"))])
@around.get("/all/{name}")
@around.get("/free/{name}")
async def inside(name: str):
    return {}


# An application of somebody else's, say, without ERRORS.
bare = FastAPI(debug=True, dependencies=[Depends(bridge.require("admin"))])
app.mount("/bare", bare)


@bare.get("/{name}")
async def other(name: str):
    return {}


@app.get("/number-as-route")
async def number_as_route():
    guard.log_route(7)
    raise asyncio.CancelledError


@app.get("/fail/{how}")
async def fail(how: str):
    raise {"cancelled": asyncio.CancelledError, "mistake": RuntimeError}[how]("only for us")


async def handle(request, identity, env):
    return await bridge.run(app, request, identity, env)
