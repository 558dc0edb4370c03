# Managed by the private-worker template: do not edit, an update replaces it.
"""The calls to the private API. Copy this file into the Worker that makes them.

`api` is the service binding, `self.env.PRIVATE_API` in an entrypoint.
"""


class PrivateApiError(Exception):
    """The API refused or failed. The log of the API's Worker says why."""


async def greet(api, name):
    """One RPC method. Arguments go by position. Raises PrivateApiError."""
    return value_of(await api.greet(name))


def value_of(answer):
    """The value in the answer of an RPC method. Raises PrivateApiError if there is none."""
    if not answer["ok"]:
        raise PrivateApiError(f"{answer['error']} {answer.get('reference', '')}".rstrip())
    return answer["value"]


async def get(api, path):
    """What is at `path`, read as JSON. Raises PrivateApiError unless the status is 200."""
    # A URL needs a host. Any will do: the binding decides where the request goes.
    response = await api.fetch(f"https://private-api{path}")
    if response.status != 200:
        raise PrivateApiError(f"{response.status} {(await response.text())[:200]}")
    return await response.json()
