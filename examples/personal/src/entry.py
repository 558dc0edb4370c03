# Managed by the private-worker template: do not edit, an update replaces it.
"""The Worker's front doors. Your code is in `api.py` and `events.py`."""

import api
import events
from guard import edge
from guard.events import WithEvents, export


class Default(WithEvents, events=events):
    """Public HTTP, where every request goes through the guard first, and Cloudflare's events."""

    async def fetch(self, request):
        return await edge.serve(request, self.env, self.ctx, api.handle)


# Nothing else in here can be reached from outside.
__all__ = ["Default", *export(events, globals())]
