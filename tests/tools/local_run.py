"""`local` as a real process, and a small real server behind it."""

import base64
import hashlib
import json
import re
import signal
import socket
import subprocess
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from command_run import COMMAND, environment, mind_ctrl_c

LOGIN = "/cdn-cgi/access/login"
ASSERTION = "cf-access-jwt-assertion"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Backend:
    """Stands where the Worker's dev server would. `came` holds what reached it."""

    def __init__(self) -> None:
        backend = self
        self.came: list[dict[str, Any]] = []
        self.first_piece, self.go_on = Event(), Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                path = self.path.partition("?")[0]
                pairs = [(name.lower(), value) for name, value in self.headers.items()]
                body = self.body()
                request = {"method": self.command, "path": self.path, "headers": pairs}
                backend.came.append({**request, "length": len(body)})
                if path == "/hang":
                    backend.go_on.wait(20)
                request |= {"sha256": hashlib.sha256(body).hexdigest()}
                answers: dict[str, tuple[int, list[tuple[str, str]], bytes]] = {
                    "/cookies": (200, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")], b""),
                    "/redirect": (302, [("Location", "/elsewhere")], b""),
                    "/204": (204, [], b""),
                    "/304": (304, [("ETag", '"x"')], b""),
                    "/packed": (200, [("Content-Encoding", "gzip")], b"not really gzip"),
                    "/both": (200, [("Transfer-Encoding", "chunked")], b"2\r\nok\r\n0\r\n\r\n"),
                    "/hop": (200, [("Connection", "X-Hop"), ("X-Hop", "1"), ("X-End", "1")], b""),
                }
                status, headers, content = answers.get(
                    path, (200, [], json.dumps(request).encode())
                )
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                if path == "/stream":
                    self.stream()
                    return
                length = 100_000 if path == "/broken" else len(content)
                if status not in (204, 304):
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD" and status not in (204, 304):
                    self.wfile.write(content)
                self.close_connection = path == "/broken"

            def stream(self) -> None:
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"data: 1\n\n")
                backend.go_on.wait(20)
                try:
                    self.wfile.write(b"data: 2\n\n")
                except OSError:
                    pass
                self.close_connection = True

            def body(self) -> bytes:
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                pieces = []
                while size := int(self.rfile.readline(), 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                    backend.first_piece.set()
                self.rfile.readline()
                return b"".join(pieces)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PROPFIND = serve

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: Any) -> None:
                pass  # a client that has gone

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def last(self) -> dict[str, str]:
        """The headers of the last request that came."""
        return dict(self.came[-1]["headers"])

    def close(self) -> None:
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()


def settings(folder: Path, port: int, **more: str) -> None:
    """.dev.vars of the project, as .dev.vars.example with another port and other values."""
    text = (folder / ".dev.vars.example").read_text(encoding="utf-8").replace("8788", str(port))
    lines = "".join(f'{name}="{value}"\n' for name, value in more.items())
    (folder / ".dev.vars").write_text(f"{text}{lines}", encoding="utf-8")


class Stand:
    """The running command. `said` are its lines so far."""

    def __init__(self, folder: Path, worker: str, *words: str, **more: str) -> None:
        self.port, self.worker = free_port(), worker
        settings(folder, self.port, **more)
        self.url = f"http://127.0.0.1:{self.port}"
        command = [*COMMAND, "local", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--worker", worker, *words],
            cwd=folder,
            # A proxy that is not there: it must not be asked.
            env=environment(HTTP_PROXY="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=mind_ctrl_c,
        )
        self.said: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        self.heard("Ctrl-C stops it")

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            self.said.extend(iter(lines.readline, ""))

    def heard(self, pattern: str) -> str:
        """Waits for a line that holds the pattern, and returns it."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for line in reversed(list(self.said)):
                if re.search(pattern, line):
                    return line.rstrip("\n")
            time.sleep(0.01)
            assert self.process.poll() is None, "".join(self.said)
        raise AssertionError(f"no line with {pattern}: {''.join(self.said)}")

    def client(self, **more: Any) -> httpx.Client:
        """Somebody who keeps cookies and follows no redirect."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30, **more)

    def exported(self, name: str) -> str:
        """What it says to export for programs."""
        return self.heard(f"export {name}=").partition("=")[2]

    def program(self) -> dict[str, str]:
        """The headers of the service token that it names."""
        names = {"CF-Access-Client-Id": "CF_ACCESS_CLIENT_ID"}
        names["CF-Access-Client-Secret"] = "CF_ACCESS_CLIENT_SECRET"
        return {header: self.exported(name) for header, name in names.items()}

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the published keys has signed."""
        keys = httpx.get(f"{self.url}/cdn-cgi/access/certs", trust_env=False).json()["keys"]
        header, payload, signature = token.split(".")
        kid = json.loads(decode(header))["kid"]
        (key,) = (key for key in keys if key["kid"] == kid)
        numbers = rsa.RSAPublicNumbers(
            int.from_bytes(decode(key["e"]), "big"), int.from_bytes(decode(key["n"]), "big")
        )
        signed = f"{header}.{payload}".encode()
        numbers.public_key().verify(decode(signature), signed, padding.PKCS1v15(), SHA256())
        found: dict[str, Any] = json.loads(decode(payload))
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def form_of(page: httpx.Response) -> str:
    """The hidden field by which the server knows its own form."""
    found = re.search(r'name="form" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def log_in(client: httpx.Client, email: str = "dev@example.com", to: str = "/") -> httpx.Response:
    """As a browser does: asks, is sent to the login page, and sends its form."""
    first = client.get(to)
    assert first.status_code == 302, first.text
    page = client.get(first.headers["location"])
    target = re.search(r'name="redirect_url" value="([^"]*)"', page.text)
    assert page.status_code == 200 and target
    data = {"form": form_of(page), "redirect_url": target[1].replace("&amp;", "&")}
    return client.post(LOGIN, data={**data, "email": email})


def raw(stand: Stand, request: str) -> str:
    """What a client gets who writes the request by hand, with `Connection: close`."""
    with socket.create_connection(("127.0.0.1", stand.port), timeout=20) as connection:
        connection.sendall(request.encode("latin-1"))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer.decode("latin-1")
