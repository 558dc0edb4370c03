"""What happens without a caller: old notes go at night, new ones are counted word by word."""

from workers import DurableObject


async def scheduled(event, env):
    await env.DB.prepare("DELETE FROM notes WHERE at < datetime('now', '-30 days')").run()
    await env.CACHE.put("cleaned", event.cron)


async def queue(batch, env):
    for message in batch.messages:
        if not isinstance(message.body["text"], str):
            message.retry()
            continue
        words = int(await env.CACHE.get("words") or 0) + len(message.body["text"].split())
        await env.CACHE.put("words", str(words))
        message.ack()


class Counter(DurableObject):
    async def add(self, number):
        value = (await self.ctx.storage.get("value") or 0) + number
        await self.ctx.storage.put("value", value)
        return value


CLASSES = (Counter,)
