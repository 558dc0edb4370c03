"""Where the time of a new token goes: microseconds of each step, alone and warm."""

import time

import js

from guard import answers, identity, log, platform, settings, strictjson, token

ROUNDS = 600


class Request:
    """What the guard needs of the SDK's Request."""

    def __init__(self, raw):
        self.js_object = raw


def median(values):
    return sorted(values)[len(values) // 2] * 1e6


async def timed(step):
    times = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        result = step()
        if hasattr(result, "__await__"):
            await result
        times.append(time.perf_counter() - before)
    return median(times)


async def steps(raw, env, modulus, promise):
    request = Request(raw)
    found = {name: platform.variable(env, name) for name in settings.VARIABLES}
    chosen = settings.load(found)
    key = await platform.import_key(modulus, "AQAB")
    text = platform.header(request, "Cf-Access-Jwt-Assertion")
    parsed = token.parse(text)
    claims = token.claims(parsed.payload, chosen, platform.now())
    caller = identity.from_claims(claims, chosen)
    each = {
        "read the header": lambda: platform.header(request, "Cf-Access-Jwt-Assertion"),
        "token.parse": lambda: token.parse(text),
        "platform.verify": lambda: platform.verify(key, parsed.signature, parsed.signed),
        "  of it: await a promise that is done": lambda: waits(promise),
        "token.claims": lambda: token.claims(parsed.payload, chosen, platform.now()),
        "  of it: strictjson.loads": lambda: strictjson.loads(parsed.payload),
        "identity.from_claims": lambda: identity.from_claims(claims, chosen),
        "log.allowed": lambda: log.allowed(caller, request),
        "answers.reply, with or without a guard": lambda: answers.reply({"ok": True}),
    }
    return js.JSON.stringify(
        js.Object.fromEntries([[name, await timed(step)] for name, step in each.items()])
    )


async def waits(promise):
    await promise()
