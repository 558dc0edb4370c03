"""The RPC methods behind the guard in these tests."""

import asyncio

from guard import BadRequest, require


async def whoami(caller, env):
    return caller.as_dict()


async def add(caller, env, first, second=1):
    return first + second


async def give(caller, env, what):
    return {
        "plain": {"a": [None, True, 1, 1.5, "x", b"x"]},
        "deepest": nested(32),
        "too deep": nested(33),
        "deep": nested(100),
        "set": {1},
        "tuple": (1,),
        "object": object(),
        "function": whoami,
        "number as key": {1: 2},
        "inside": [{"a": object()}],
    }[what]


async def fail(caller, env):
    raise RuntimeError("only for the log")


async def cancel(caller, env):
    raise asyncio.CancelledError("only for the log")


async def leave(caller, env):
    raise SystemExit("only for the log")


async def complain(caller, env):
    raise BadRequest("only for the log as well")


async def needs(caller, env, role):
    require(caller, role)
    return sorted(caller.roles)


async def helper(caller, env):
    return "not in METHODS"


def nested(depth):
    return [nested(depth - 1)] if depth else []


METHODS = (whoami, add, give, fail, cancel, leave, complain, needs)
