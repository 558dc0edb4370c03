"""One request with either client of callers/python, and what the tests of it share."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Protocol

import httpx
import private_worker_client as pwc
import pytest

from loopback import MACHINE, SECRET, Answer, Site

__all__ = ["Call", "Serve", "call", "environment", "following", "pauses", "refused", "serve"]


class Call(Protocol):
    """`client` are options of the client, `send` is a request that is made already, all others are
    options of the request."""

    def __call__(
        self,
        url: str,
        path: str = "/",
        method: str = "GET",
        client: dict[str, Any] | None = None,
        send: httpx.Request | None = None,
        **options: Any,
    ) -> httpx.Response: ...


Serve = Callable[..., Site]
# One for all clients: to read the system's certificates takes longer than a whole test.
CONTEXT = ssl.create_default_context()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with the token in its environment."""
    monkeypatch.setenv("CF_ACCESS_CLIENT_ID", MACHINE)
    monkeypatch.setenv("CF_ACCESS_CLIENT_SECRET", SECRET)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the client would have waited."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(pwc, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setattr(pwc, "asyncio", SimpleNamespace(sleep=sleep))
    return waited


def call_sync(
    url: str,
    path: str = "/",
    method: str = "GET",
    client: dict[str, Any] | None = None,
    send: httpx.Request | None = None,
    **options: Any,
) -> httpx.Response:
    with pwc.Client(url, **{"verify": CONTEXT, **(client or {})}) as caller:
        if send:
            return caller.send(send, **options)
        return caller.request(method, path, **options)


def call_async(
    url: str,
    path: str = "/",
    method: str = "GET",
    client: dict[str, Any] | None = None,
    send: httpx.Request | None = None,
    **options: Any,
) -> httpx.Response:
    async def run() -> httpx.Response:
        async with pwc.AsyncClient(url, **{"verify": CONTEXT, **(client or {})}) as caller:
            if send:
                return await caller.send(send, **options)
            return await caller.request(method, path, **options)

    return asyncio.run(run())


@pytest.fixture(params=[call_sync, call_async], ids=["Client", "AsyncClient"])
def call(request: pytest.FixtureRequest) -> Call:
    """Make one request with either client."""
    found: Call = request.param
    return found


def following(response: httpx.Response | None) -> httpx.Request:
    """The request that would follow a redirect."""
    assert response and response.next_request
    return response.next_request


def refused(
    call: Call, url: str, error: type[pwc.AccessError], words: str, **options: Any
) -> pwc.AccessError:
    """Call, and get this very error, on one line that has the words and no secret."""
    with pytest.raises(pwc.AccessError, match=words or None) as caught:
        call(url, **options)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value) + repr(caught.value)
    return caught.value


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that gives these answers."""
    sites: list[Site] = []

    def serve(*answers: Answer) -> Site:
        sites.append(Site(*answers))
        return sites[-1]

    yield serve
    for site in sites:
        site.close()
