"""The kit with the sample in tests/tools/kit_worker/, and what its tests have in common."""

import threading
import time
from collections.abc import Callable
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from private_worker.testing.runtime import Response, Worker, WorkerError

SAMPLE = Path(__file__).parents[1] / "tools" / "kit_worker"

Variant = Callable[[str], Worker]

# The end of a Worker that has `async def on(self, request)`.
HANDLER = """
from workers import Response, WorkerEntrypoint, fetch
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await on(self, request)
"""


class Upstream(ThreadingHTTPServer):
    """A private HTTP server that records what reaches it: method, path, headers, body."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[tuple[str, str, Message, bytes]] = []
        self.release = threading.Event()  # what a slow answer waits for
        self.answer: tuple[int, list[tuple[str, str]], bytes] = (200, [], b"")


def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.005)


def raised(response: Response) -> WorkerError:
    """What the Worker raised, behind a bare 500."""
    assert response.error is not None
    return response.error


def listening(url: str, method: str, path: str, **request: Any) -> tuple[int, Message, bytes]:
    """One request to what `listen` opened: status, headers, body."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request(method, path, **request)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body
