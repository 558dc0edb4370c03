"""A server on this computer that answers what a test says, whatever is asked."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Status, headers and body; the status None hangs up.
Answer = tuple[int | None, Mapping[str, str], bytes]

MACHINE = "0123456789abcdef0123456789abcdef.access"
SECRET = "cfast_" + "notASecret" * 4 + "00000000"  # put together, so that no scanner reports it


class Site:
    """Gives its answers in turn, the last one again and again.

    `came` has the method, the path and the headers of each request. `meanwhile` is called before
    each answer, which then waits until `go_on` is set.
    """

    def __init__(self, *answers: Answer) -> None:
        site = self
        self.answers = answers
        self.came: list[tuple[str, str, dict[str, str]]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

        class Handler(BaseHTTPRequestHandler):
            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    pass  # the client was ended in the middle

            def serve(self) -> None:
                site.came.append((self.command, self.path, dict(self.headers.items())))
                site.asked.set()
                site.meanwhile()
                site.go_on.wait(30)
                at = min(len(site.came), len(site.answers)) - 1
                status, headers, body = site.answers[at]
                if status is None:
                    return
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
