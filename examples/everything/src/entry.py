# Managed by the private-worker template: do not edit, an update replaces it.
"""The Worker's front doors. Your code is in `api.py` and `internal.py`."""

import api
import internal
from guard import bound, edge
from guard.entrypoint import Entrypoint

__all__ = ["Default", "Internal"]


class Default(Entrypoint):
    """Public HTTP. Every request goes through the guard first."""

    async def fetch(self, request):
        return await edge.serve(request, self.env, self.ctx, api.handle)


class Internal(bound.WithMethods, methods=internal.METHODS):
    """Other Workers, through a service binding with "entrypoint": "Internal"."""

    async def fetch(self, request):
        return await bound.serve(request, self.env, self.ctx, api.handle)
