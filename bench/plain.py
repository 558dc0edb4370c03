"""A Worker without a guard, for the measurement of what importing the guard adds."""

import json
from urllib.parse import urlsplit

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if urlsplit(request.url).path != "/":
            return Response("not found", status=404)
        headers = {"Content-Type": "application/json"}
        return Response(json.dumps({"ok": True}), headers=headers)
