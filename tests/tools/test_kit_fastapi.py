"""Threads: there are none in workerd. The SDK has FastAPI's work done inline there, and so it is in
the kit, because the SDK's own patches run. What needs a real thread fails and says so."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Render
from kit_run import raised
from lock import sync
from private_worker.testing.needs import Project
from private_worker.testing.runtime import Runtime, Worker

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin", "kit_fixtures"]

APP = """
import asyncio
import threading
from pathlib import Path

from anyio import to_process
from fastapi import BackgroundTasks, Depends, FastAPI, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from workers import Response, WorkerEntrypoint, asgi

app = FastAPI()
app.mount("/files", StaticFiles(directory=Path(__file__).parent / "files"))
done = []


def dependency():
    yield "dependency"
    done.append("closed")


@app.get("/def")
def plain(found: str = Depends(dependency)):
    return found


@app.post("/upload")
async def upload(file: UploadFile):
    return (await file.read()).decode()


@app.post("/large")
def large(file: UploadFile):
    return len(file.file.read())


@app.get("/generator")
def generator():
    return StreamingResponse(str(number) for number in range(5))


@app.get("/file")
def one_file():
    return FileResponse(Path(__file__).parent / "files" / "a.txt")


@app.get("/background")
def background(tasks: BackgroundTasks):
    tasks.add_task(done.append, "in the background")
    return "answered"


@app.get("/done")
def what_is_done():
    return done


@app.get("/thread")
def thread():
    threading.Thread(target=done.append, args=["in a thread"]).start()


@app.get("/process")
async def process():
    return await to_process.run_sync(len, "abc")


@app.get("/to-thread")
async def to_thread():
    return await asyncio.to_thread(len, "abc")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(app, request.js_object, self.env)
"""


@pytest.fixture(scope="module")
def fastapi_runtime(
    tmp_path_factory: pytest.TempPathFactory,
    node_modules: Path,
    rendered: Render,
    pytestconfig: pytest.Config,
) -> Iterator[Runtime]:
    root = tmp_path_factory.mktemp("fastapi") / "project"
    shutil.copytree(rendered(framework="fastapi"), root)
    (root / "node_modules").symlink_to(node_modules, target_is_directory=True)
    (root / "src" / "entry.py").write_text(APP)
    (root / "src" / "files").mkdir()
    (root / "src" / "files" / "a.txt").write_text("a file")
    text = (root / "pyproject.toml").read_text()
    assert '"fastapi' in text
    text = text.replace('"fastapi', '"python-multipart", "fastapi', 1)
    (root / "pyproject.toml").write_text(text)
    sync(root)
    cache = getattr(pytestconfig, "cache", None)
    folder = Path(cache.mkdir("kit-packages")) if cache else root / "packages"
    runtime = Runtime(Project(root), folder)
    runtime.start()
    yield runtime
    runtime.stop()


@pytest.fixture
def app(fastapi_runtime: Runtime) -> Worker:
    return Worker(fastapi_runtime, {}, {})


def sent_file(content: bytes) -> dict[str, Any]:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head + content + b"\r\n--b--\r\n"
    return {"body": body, "headers": {"Content-Type": "multipart/form-data; boundary=b"}}


def test_def_endpoints_and_dependencies(app: Worker) -> None:
    assert app.fetch("/def").json() == "dependency"
    assert app.fetch("/done").json() == ["closed"]


def test_uploads(app: Worker) -> None:
    assert app.fetch("/upload", method="POST", **sent_file(b"text")).json() == "text"
    two_mib = sent_file(bytes(2**21))  # more than is held in memory
    assert app.fetch("/large", method="POST", **two_mib).json() == 2**21


def test_sync_generators(app: Worker) -> None:
    assert app.fetch("/generator").text == "01234"


def test_files(app: Worker) -> None:
    assert app.fetch("/file").text == app.fetch("/files/a.txt").text == "a file"
    assert app.fetch("/files/b.txt").status == 404


def test_sync_background_tasks(app: Worker) -> None:
    assert app.fetch("/background").json() == "answered"
    assert app.fetch("/done").json() == ["in the background"]


@pytest.mark.parametrize("path", ["/thread", "/process"])
def test_what_needs_a_thread_fails(app: Worker, path: str) -> None:
    answer = app.fetch(path)
    assert answer.status == 500
    assert any("Error" in line for line in app.logs)
    assert app.fetch("/done").json() == []


def test_to_thread_runs_inline(app: Worker) -> None:
    assert app.fetch("/to-thread").json() == 3


def test_a_framework_that_a_handler_imports_is_not_patched(
    fastapi_runtime: Runtime, tmp_path: Path
) -> None:
    """As in workerd; with a Pyodide of its own, as a module is imported once."""
    root = shutil.copytree(fastapi_runtime.project.root, tmp_path / "project", symlinks=True)
    shutil.move(root / "src" / "entry.py", root / "src" / "lazy.py")
    (root / "src" / "entry.py").write_text(
        "from workers import WorkerEntrypoint, asgi\n"
        "class Default(WorkerEntrypoint):\n    async def fetch(self, request):\n"
        "        from lazy import app\n"
        "        return await asgi.fetch(app, request.js_object, self.env)\n"
    )
    runtime = Runtime(Project(root), fastapi_runtime.cache)
    runtime.start()
    try:
        lazy = Worker(runtime, {}, {})
        answer = lazy.fetch("/def")
        assert answer.status == 500
        assert any("can't start new thread" in line for line in lazy.logs) or raised(answer)
    finally:
        runtime.stop()
