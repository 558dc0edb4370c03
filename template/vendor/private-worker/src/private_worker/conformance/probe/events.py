"""Stands in for src/events.py: it prints what it was given."""

import json

from workers import DurableObject, WorkflowEntrypoint


async def scheduled(event, env):
    print(json.dumps({"event": "ran", "cron": event.cron}))
    if hasattr(env, "SELF"):  # another Worker's cron could hand its own event on like this
        try:
            answer = await env.SELF.scheduled(event)
        except Exception as error:
            answer = type(error).__name__
        print(json.dumps({"event": "handed on", "answer": str(answer)}))


async def queue(batch, env):
    print(json.dumps({"event": "ran", "bodies": [message.body for message in batch.messages]}))


class Room(DurableObject):
    rules = ("not", "for", "others")

    class Inner:
        def __init__(self, *given):
            print(json.dumps({"event": "ran", "made": "Inner"}))

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        if str(env.NAME).startswith("forged"):
            print(json.dumps({"event": "ran", "made": "Room"}))

    async def hello(self):
        return f"hello {self._secret()}"

    def _secret(self):
        return self.env.NAME

    async def later(self):
        await self.ctx.storage.setAlarm(1)

    async def alarm(self):
        print(json.dumps({"event": "ran", "alarm": True}))


class Flow(WorkflowEntrypoint):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        if str(env.NAME).startswith("forged"):
            print(json.dumps({"event": "ran", "made": "Flow"}))

    async def run(self, event, step):
        return {"was": event["payload"], "helped": self.help()}

    def help(self):
        return "yes"


CLASSES = (Room, Flow)
