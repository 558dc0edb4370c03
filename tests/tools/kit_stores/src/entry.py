"""The sample for the kit's tests of bindings, Durable Objects and Workflows."""

import asyncio

from workers import DurableObject, WorkerEntrypoint, WorkflowEntrypoint
from workers.workflows import NonRetryableError


class Default(WorkerEntrypoint):
    async def ask(self, name, *args):
        return await globals()[name](self.env, *args)


async def names(env):
    return sorted(
        name for name in ("KV", "DB", "AI", "THEIRS", "ROOM", "KEY") if hasattr(env, name)
    )


async def count_at_once(env):
    room = env.ROOM.getByName("busy")
    await asyncio.gather(*(room.add(1) for _ in range(20)))
    return await room.add(0)


async def fetch_room(env):
    response = await env.ROOM.getByName("a").fetch("https://room/path")
    return [response.status, await response.text()]


async def same(env):
    ids = [env.ROOM.idFromName("x"), env.ROOM.idFromName("x"), env.ROOM.newUniqueId()]
    again = env.ROOM.idFromString(ids[0].toString())
    return [ids[0].equals(ids[1]), ids[0].equals(ids[2]), again.equals(ids[0]), ids[0].name]


async def start_flow(env):
    flow = await env.FLOW.create({"id": "first", "params": {"fail": 0}})
    return [flow.id, dict(await (await env.FLOW.get("first")).status())["status"]]


async def ask_ai(env):
    return await env.AI.run("model", {"prompt": "hi"})


async def connect(env):
    from js import WebSocket

    WebSocket.new("ws://127.0.0.1:9/")


async def missing(env):
    return await env.CACHE.get("a")


async def wake(env):
    return await env.ROOM.getByName("a").alarm()


async def forget(env):
    env.KV.put("a", "b")


class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.alive = 0
        self.ready = False
        self.ctx.blockConcurrencyWhile(self.get_ready)

    async def get_ready(self):
        await asyncio.sleep(0.01)
        self.ready = True

    async def is_ready(self):
        return self.ready

    async def sql(self, *query):
        return [dict(row) for row in self.ctx.storage.sql.exec(*query)]

    async def fetch(self, request):
        from workers import Response

        return Response(request.url, status=201)

    async def add(self, number):
        self.alive += 1
        value = (await self.ctx.storage.get("value") or 0) + number
        await self.ctx.storage.put("value", value)
        return value

    async def calls(self):
        return self.alive

    async def var(self):
        return self.env.A

    async def keep(self, values):
        await self.ctx.storage.put(values)
        return dict(await self.ctx.storage.list({"prefix": "k", "limit": 2, "reverse": True}))

    async def drop(self):
        await self.ctx.storage.delete("k1")
        return await self.ctx.storage.get("k1")

    async def rows(self):
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE IF NOT EXISTS t (a, b); CREATE INDEX IF NOT EXISTS i ON t (a);")
        sql.exec("INSERT INTO t VALUES (?, ?), (3, 'z')", 1, "x")
        return [dict(row) for row in sql.exec("SELECT a, b FROM t ORDER BY a")]

    async def later(self):
        await self.ctx.storage.setAlarm(1)

    async def alarm(self):
        await self.ctx.storage.put("value", 100)

    async def fail(self):
        raise ValueError("in the room")


class Old(DurableObject):
    async def sql(self):
        self.ctx.storage.sql.exec("SELECT 1")


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        failures = event["payload"]["fail"]
        tries = 0

        @step.do("work")
        async def work():
            nonlocal tries
            tries += 1
            if failures < 0:
                raise NonRetryableError("never")
            if tries <= failures:
                raise ValueError("not yet")
            return {"tries": tries}

        @step.do("few", config={"retries": {"limit": 1, "delay": "1 day"}})
        async def few():
            if failures == 4:
                raise ValueError("again")

        result = await work()
        await few()
        await step.sleep("pause", "30 days")
        if event["payload"].get("wait"):
            answer = await step.wait_for_event("approval", "approved")
            result["by"] = answer["payload"]
        return result
