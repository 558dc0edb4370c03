"""A package index on loopback, in the place of Pyodide's, with wheels made by hand."""

import base64
import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ONLY_PYODIDE = "cp314-cp314-pyemscripten_2026_0_wasm32"


def wheel(name: str, version: str, source: str, tag: str = ONLY_PYODIDE) -> tuple[str, bytes]:
    """The file name and the bytes of a wheel with one module, the package's name."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    rows = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
        rows += f"{path},sha256={digest.rstrip('=')},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = rows + f"{info}/RECORD,,\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}-{version}-{tag}.whl", packed.getvalue()


class Index(ThreadingHTTPServer):
    """The simple API (PEP 503) over HTTP.

    listed: the files that the pages name, with the hashes of these bytes. served: the bytes that
    are sent for them. asked: the paths of all GET requests.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = f"http://127.0.0.1:{self.server_port}/"
        self.url = f"{self.host}index"
        self.listed: dict[str, bytes] = {}
        self.served: dict[str, bytes] = {}
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def add(self, file: str, content: bytes) -> None:
        self.listed[file] = self.served[file] = content

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        if self.command == "GET":
            self.server.asked.append(self.path)
        *_, package, file = self.path.split("/")
        if file:
            self._answer("application/octet-stream", self.server.served.get(file))
            return
        links = [
            f'<a href="{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a>'
            for name, content in self.server.listed.items()
            if name.split("-")[0].replace("_", "-") == package
        ]
        page = "<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>"
        self._answer("text/html", page.encode() if links else None)

    do_HEAD = do_GET

    def _answer(self, kind: str, content: bytes | None) -> None:
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Not into the output of the tests."""
