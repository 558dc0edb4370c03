# Managed by the private-worker template: do not edit, an update replaces it.
"""The Worker's front doors. Your code is in `api.py`."""

import api
from guard import edge
from guard.entrypoint import Entrypoint

__all__ = ["Default"]


class Default(Entrypoint):
    """Public HTTP. Every request goes through the guard first."""

    async def fetch(self, request):
        return await edge.serve(request, self.env, self.ctx, api.handle)
