"""A cron, Durable Objects and a Workflow."""

import asyncio

from workers import DurableObject, WorkflowEntrypoint


async def scheduled(event, env):
    print("it is time for", event.cron)


class List(DurableObject):
    async def all(self):
        return await self.ctx.storage.get("messages") or []

    async def add(self, text):
        await self.ctx.storage.put("messages", [*await self.all(), text])

    async def greeting(self):
        return self.ctx.storage.sql.exec("SELECT 'Hello' AS text").one().text


class Feed(DurableObject):
    """Remembers where it stopped, and looks again every minute."""

    async def look(self):
        await self.ctx.storage.setAlarm(60_000)
        return await self.ctx.storage.get("seen") or 0

    async def alarm(self, info=None):
        await self.ctx.storage.put("seen", await self.look() + 1)


class Graph(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("left")
        async def left():
            await asyncio.sleep(0)
            return 10

        @step.do("right")
        async def right():
            return 20

        @step.do("both", concurrent=True)
        async def both(left, right):
            return left + right

        return await both()


CLASSES = (List, Feed, Graph)
