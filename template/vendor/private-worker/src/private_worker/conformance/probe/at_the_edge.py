"""How much work the guard did, and what it makes of settings and of identities."""

from collections import Counter
from types import SimpleNamespace

import js
from pyodide.ffi import jsnull, to_js

from guard import gate, platform, read_json, reply, settings
from guard.refusal import NotConfigured, Refused

work = Counter()


def count(name):
    real = getattr(platform, name)

    async def counted(*arguments):
        work[name] += 1
        return await real(*arguments)

    setattr(platform, name, counted)


for name in ("fetch_bytes", "import_key", "verify"):
    count(name)


def identities(email):
    """Values of every kind that JavaScript has, those that can with this address in them."""
    pairs = to_js([["email", email]])
    person = js.Object.fromEntries(pairs)
    get = js.decodeURIComponent.bind(None, "%")  # which throws
    fails = js.Object.fromEntries(to_js([["get", get], ["enumerable", True]]))
    return {
        "undefined": None,
        "null": jsnull,
        "object": person,
        "text": email,
        "empty text": "",
        "zero": 0,
        "one": 1,
        "true": True,
        "false": False,
        "NaN": float("nan"),
        "bigint": js.BigInt(7),
        "symbol": js.Symbol(email),
        "function": js.Object.assign(get, person),
        "array": js.Object.assign(js.Array.new(), person),
        "map": js.Map.new(pairs),
        "set": js.Set.new(pairs),
        "date": js.Object.assign(js.Date.new(), person),
        "boxed text": js.Object(email),
        "error": js.Object.assign(js.Error.new(email), person),
        "headers": js.Headers.new(pairs),
        "promise": js.Object.assign(js.Promise.resolve(person), person),
        "proxy of an array": js.Proxy.new(js.Array.new(), js.Object.new()),
        "object whose constructor is none": js.Object.assign(
            js.Object.new(), person, constructor=1
        ),
        "getter that throws": js.Object.defineProperty(js.Object.new(), "email", fails),
    }


async def admitted(identity, env):
    """Whom the guard lets in, or why not, when `ctx.access` knows this and there is no header."""

    async def get_identity():
        return identity

    access = SimpleNamespace(aud=env.POLICY_AUD, getIdentity=get_identity)
    request = SimpleNamespace(js_object=js.Request.new("https://worker.example.com/"))
    try:
        who = await gate.authenticate(request, env, SimpleNamespace(access=access))
    except Refused as refusal:
        return refusal.reason
    except Exception as error:  # the guard's front door refuses it
        return type(error).__name__
    return who.as_dict()


async def answer(path, request, env):
    """None for a path of others."""
    match path:
        case "/identities":
            found = identities("person@example.com").items()
            return reply({name: await admitted(value, env) for name, value in found})
        case "/settings":
            try:
                return reply({"issuer": settings.load(await read_json(request)).issuer})
            except NotConfigured as error:
                return reply({"setting": error.setting})
    return None
