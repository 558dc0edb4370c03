"""The rendered project's own API with no guard in front of it."""

from workers import WorkerEntrypoint

import api
from guard import Human

SOMEBODY = Human("person@example.com")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await api.handle(request, SOMEBODY, self.env)
