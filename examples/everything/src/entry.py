# Managed by the private-worker template: do not edit, an update replaces it.
"""The Worker's front doors. Your code is in `api.py`, `internal.py` and `events.py`."""

import api
import events
import internal
from guard import bound, edge
from guard.events import WithEvents, export


class Default(WithEvents, events=events):
    """Public HTTP, where every request goes through the guard first, and Cloudflare's events."""

    async def fetch(self, request):
        return await edge.serve(request, self.env, self.ctx, api.handle)


class Internal(bound.WithMethods, methods=internal.METHODS):
    """Other Workers, through a service binding with "entrypoint": "Internal"."""

    async def fetch(self, request):
        return await bound.serve(request, self.env, self.ctx, api.handle)


# Nothing else in here can be reached from outside.
__all__ = ["Default", "Internal", *export(events, globals())]
