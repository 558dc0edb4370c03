"""Short words for what the guard's tests ask over and over."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from private_worker.project import Problem, Shape, find_root, read
from private_worker.testing.runtime import Response, Worker

PROOF = "Cf-Access-Jwt-Assertion"
FORBIDDEN = {"error": "forbidden"}
NOT_CONFIGURED = {"error": "not_configured"}

Caller = Callable[..., dict[str, str]]  # the kit's `person` or `machine`
Test = TypeVar("Test", bound=Callable[..., None])


class Load(Protocol):
    """See the fixture `load` in conftest.py."""

    def __call__(
        self, *, drop: tuple[str, ...] = (), routes: dict[str, str] | None = None, **changes: Any
    ) -> Worker: ...


@cache
def shape() -> Shape:
    """What the project was made for. Read from the folder that pytest was started in."""
    try:
        return read(find_root(Path.cwd())).shape
    except Problem as problem:
        raise pytest.Collector.CollectError(str(problem)) from None  # shown without a traceback


def only(applies: bool) -> Callable[[Test], Test | None]:
    """Marks a test that some shapes have no use for; there it is not collected."""
    return lambda test: test if applies else None


def decisions(worker: Worker) -> list[dict[str, Any]]:
    """The guard's log lines, oldest first."""
    lines = [json.loads(line) for line in worker.logs if line.startswith("{")]
    return [line for line in lines if line["event"] == "guard"]


def let_in(worker: Worker, headers: Any = None, url: Any = "/", **request: Any) -> Any:
    """Send a request, which must reach the API; returns the identity that the API was given."""
    response = worker.fetch(url, headers=headers, **request)
    assert response.status == 200, decisions(worker)[-1]
    return response.json()["identity"]


def refused(
    worker: Worker, reason: str, headers: Any = None, url: Any = "/", **request: Any
) -> Response:
    """Send a request, which must get the one 403, and for this reason only."""
    response = worker.fetch(url, headers=headers, **request)
    assert (response.status, response.json()) == (403, FORBIDDEN)
    assert decisions(worker)[-1]["reason"] == reason
    return response


def not_configured(worker: Worker, setting: str, headers: Any = None, **request: Any) -> None:
    """Send a request, which must get the one 500; the log must name the setting."""
    response = worker.fetch("/", headers=headers, **request)
    assert (response.status, response.json()) == (500, NOT_CONFIGURED)
    line = decisions(worker)[-1]
    assert (line["decision"], line["setting"]) == ("not_configured", setting)
    assert worker.outbound == []
