"""Fixtures of the kit's own tests: the sample in kit_worker/, and a private server for it."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from kit_run import SAMPLE, Upstream, Variant
from private_worker.testing.needs import find_node
from private_worker.testing.runtime import Runtime, Worker


@pytest.fixture(scope="session")
def project_root(tmp_path_factory: pytest.TempPathFactory, node_modules: Path) -> Path:
    folder = tmp_path_factory.mktemp("kit") / "project"
    shutil.copytree(SAMPLE, folder)
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


@pytest.fixture
def variant(
    worker: Worker, kit_runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Variant:
    """Loads other source text instead of the sample's."""

    def load(text: str) -> Worker:
        (tmp_path / "entry.py").write_text(text)
        monkeypatch.setattr(kit_runtime.project, "source", tmp_path)
        worker.load()
        return worker

    return load


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            server.seen.append((self.command, self.path, self.headers, body))
            if "slow" in self.path:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"5\r\nfirst\r\n")
                server.release.wait(20)
                self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")
                return
            status, headers, answer = server.answer
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(answer or body)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer or body)

        do_GET = do_POST = do_PUT = do_PURGE = handle_any

        def log_message(self, *_: Any) -> None:
            pass

    server = Upstream(Handler)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def stack_switching() -> None:
    """run_sync needs it; workerd has it, Node before 24 does not."""
    version = subprocess.run([find_node()[0], "--version"], capture_output=True, text=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < 24:
        pytest.skip(f"no stack switching in Node {version.strip()}")
