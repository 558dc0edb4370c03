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
    async def hello(self):
        return "hello"


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        return event["payload"]


CLASSES = (Room, Flow)
