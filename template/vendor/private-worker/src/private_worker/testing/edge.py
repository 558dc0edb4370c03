"""A real HTTP server in front of the Worker. `private_worker.standin.admission` decides for it."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from private_worker.standin.admission import (
    ASSERTION,
    COOKIE,
    HOP_BY_HOP,
    ID,
    KEY,
    SECRET,
    Admitted,
    Answer,
    Application,
    Pairs,
    end_to_end,
)

from .access import Access
from .runtime import Worker

__all__ = ["ASSERTION", "COOKIE", "ID", "KEY", "SECRET", "Edge"]


class Edge(Application):
    """One Access application, with the Worker behind it. A test changes the attributes.

    `url` is its address. `came` holds the headers of each request that reached the edge, lower-case
    names in order; `reached` those that were handed on to the Worker.
    """

    def __init__(self, access: Access, worker: Worker) -> None:
        super().__init__(access)
        self.worker = worker
        self.in_front = True  # False: this address is not behind Access
        self.came: list[Pairs] = []
        self.reached: list[Pairs] = []
        self._server = _server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: Pairs, body: bytes | None) -> Answer:
        """What the client gets."""
        self.came.append(headers)
        if not self.in_front:
            return self._forward(method, path, end_to_end(headers), body)
        decided = self.decide(path, headers)
        if not isinstance(decided, Admitted):
            return decided
        answer = self._forward(method, path, self.handed_on(headers, decided), body)
        cookies = [("set-cookie", decided.cookie)] if decided.cookie else []
        return answer._replace(headers=[*answer.headers, *cookies])

    def _forward(self, method: str, path: str, headers: Pairs, body: bytes | None) -> Answer:
        kept = [(name, value) for name, value in headers if name != "host"]
        self.reached.append(kept)
        response = self.worker.fetch(path, method=method, headers=kept, body=body)
        return Answer(response.status, response.headers.pairs, response.body)


def _server(edge: Edge) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                pass  # the client has gone

        def serve(self) -> None:
            headers = [(name.lower(), value) for name, value in self.headers.items()]
            path = self.path if urlsplit(self.path).path.startswith("/") else "/"
            answer = edge.answer(self.command, path, headers, self.body())
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                if name not in HOP_BY_HOP and name != "content-length":
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def body(self) -> bytes | None:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                chunks = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass  # a trailer
                return b"".join(chunks)
            length = self.headers.get("Content-Length")
            return None if length is None else self.rfile.read(int(length))

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server
