# Managed by the private-worker template: do not edit, an update replaces it.
"""A Worker that calls the private API once a day. To change it, copy this folder elsewhere.

It answers no requests: whoever could send it one would reach the API through it and under its name.
If your Worker takes requests, decide there who may send them before you call on.
"""

import json

from workers import WorkerEntrypoint

import private_api


class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env=None, ctx=None):
        """What the Cron Trigger starts. An exception marks the run as failed."""
        greeting = await private_api.greet(self.env.PRIVATE_API, self.env.NAME)
        print(json.dumps({"event": "greeting", "value": greeting}))
        answer = await private_api.get(self.env.PRIVATE_API, self.env.API_PATH)
        print(json.dumps({"event": "answer", "value": answer}))
