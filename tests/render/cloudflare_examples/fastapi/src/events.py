"""A Durable Object."""

from workers import DurableObject


class List(DurableObject):
    async def all(self):
        return await self.ctx.storage.get("messages") or []

    async def add(self, text):
        await self.ctx.storage.put("messages", [*await self.all(), text])


CLASSES = (List,)
