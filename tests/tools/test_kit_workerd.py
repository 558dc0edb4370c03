"""`pytest --workerd`: real workerd under the kit's `worker`. A Worker in JavaScript is in place of
the project's, since workerd's Python would have to be downloaded. The sample is in kit_workerd/.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from command_run import SOURCE
from conftest import Render
from private_worker.testing.needs import Project
from private_worker.testing.runtime import (
    Cancelled,
    OtherWorker,
    RpcError,
    Runtime,
    Worker,
    WorkerDied,
    WorkerError,
)
from private_worker.testing.workerd import SKIPPED, Workerd

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin"]

SAMPLE = Path(__file__).parent / "kit_workerd"
LINUX = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")

# For a run of its own: the plugin's fixtures with the sample's Worker.
CONFTEST = """
from private_worker.testing.needs import Project
from private_worker.testing.workerd import Workerd

Workerd.main = property(lambda self: self.project.source / "index.js")
Project.packages = lambda self, cache: {}
"""


class InJavaScript(Workerd):
    @property
    def main(self) -> Path:
        return self.project.source / "index.js"


def sample(folder: Path, node_modules: Path) -> Path:
    shutil.copytree(SAMPLE, folder)
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def project_root(tmp_path_factory: pytest.TempPathFactory, node_modules: Path) -> Path:
    return sample(tmp_path_factory.mktemp("workerd") / "project", node_modules)


@pytest.fixture(scope="module")
def kit_runtime(project_root: Path) -> Iterator[Runtime]:
    project = Project(project_root)
    project.packages = lambda cache: {}  # type: ignore[method-assign]
    runtime = InJavaScript(project, project_root / "packages", project_root / "bundle")
    runtime.start()
    yield runtime
    runtime.stop()


# ---------------------------------------------------------------- requests


def test_a_request_arrives_as_it_was_sent(worker: Worker) -> None:
    headers = [("X-Title", "Grüße"), ("X-Two", "1"), ("X-Two", "2")]
    seen = worker.fetch("/?a=%20b#c", method="PATCH", headers=headers, body="ß").json()
    assert (seen["method"], seen["url"]) == ("PATCH", "https://worker.example.com/?a=%20b")
    assert dict(seen["headers"]) == {
        "host": "worker.example.com",
        "content-length": "2",
        "x-title": "Grüße",
        "x-two": "1, 2",
    }
    assert worker.fetch("http://other.example.com/").json()["url"] == "http://other.example.com/"


def test_an_answer_comes_back_whole(worker: Worker) -> None:
    answer = worker.fetch("/echo", method="POST", body="ß" * 500_000)
    assert (answer.text, answer.headers["X-Title"]) == ("ß" * 500_000, "Grüße")
    assert worker.fetch("/cookies").headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    answer = worker.fetch("/", method="HEAD")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (
        200,
        "application/json",
        b"",
    )


def test_many_requests_at_once(worker: Worker) -> None:
    answers = worker.fetch_all([{"path_or_url": "/count"} for _ in range(20)])
    assert sorted(answer.json() for answer in answers) == list(range(1, 21))


def test_what_the_worker_raises_is_a_bare_500_with_its_reason(worker: Worker) -> None:
    answer = worker.fetch("/raise")
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    assert "it is broken" in str(answer.error)


def test_no_such_request(worker: Worker) -> None:
    with pytest.raises(ValueError, match="no such HTTP request"):
        worker.fetch("/", headers={"X-Title": "a\nb"})


def test_the_log_is_complete(worker: Worker) -> None:
    for _ in range(20):
        worker.fetch("/print")
    lines = worker.logs
    assert [lines.count(line) for line in ("one", "two", "three")] == [20, 20, 20]
    assert len(lines) == 60


def test_access_is_in_the_context(worker: Worker) -> None:
    assert worker.fetch("/access").json() is None
    known = {"aud": "a", "identity": {"email": "ä@example.com"}}
    assert worker.fetch("/access", access=known).json() == ["a", {"email": "ä@example.com"}]
    nobody = worker.fetch("/access", access={"aud": "a", "identity": None}).json()
    assert nobody[0] == "a" and not nobody[1]


def test_real_clients(worker: Worker) -> None:
    """Bodies stream: the first part of the answer is there before the request's last."""
    client = HTTPConnection(worker.listen().removeprefix("http://"), timeout=30)
    client.putrequest("POST", "/echo")
    client.putheader("Transfer-Encoding", "chunked")
    client.endheaders()
    client.send(b"3\r\none\r\n")
    answer = client.getresponse()
    assert answer.read(3) == b"one"
    client.send(b"3\r\ntwo\r\n0\r\n\r\n")
    assert answer.read() == b"two"
    client.close()
    inner = worker.listen(entrypoint="Internal", props={"caller": "ü"})
    client = HTTPConnection(inner.removeprefix("http://"), timeout=30)
    client.request("GET", "/a?b")
    assert b'"url":"https://worker.example.com/a?b"' in client.getresponse().read()
    client.close()


def test_a_client_that_hangs_up(worker: Worker) -> None:
    pending = worker.start("/slow")
    time.sleep(0.5)
    assert not pending.done()
    pending.cancel()
    with pytest.raises(Cancelled):
        pending.result()
    assert worker.fetch("/count").json() == 1


# ---------------------------------------------------------------- other Workers, events


def test_values_over_rpc(worker: Worker) -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    values: list[Any] = [None, True, 1, 2**60, 1.5, float("inf"), "ü", b"\x00\xff", {1, 2}, moment]
    for value in [*values, {"a": [1, {"b": None}]}]:
        assert worker.call("same", value) == value


def test_props_say_who_calls(worker: Worker) -> None:
    assert worker.call("props") == {}
    assert worker.call("props", props={"caller": "ü"}) == {"caller": "ü"}
    props, seen = worker.fetch("/", entrypoint="Internal", props={"caller": "ü"}).json()
    assert (props, seen["url"]) == ({"caller": "ü"}, "https://worker.example.com/")
    assert seen["headers"] == [["host", "worker.example.com"]]


def test_what_a_method_raises(worker: Worker) -> None:
    with pytest.raises(RpcError, match="it is broken") as caught:
        worker.call("raise")
    assert caught.value.name == "TypeError"
    for method, entrypoint in (("nothing", "Internal"), ("props", "Nobody")):
        with pytest.raises(RpcError):
            worker.call(method, entrypoint=entrypoint)


def test_events_are_the_runtime_s(worker: Worker) -> None:
    worker.scheduled("0 3 * * *")
    assert worker.queue("jobs", [{"a": 1}, "b", 3]) == ["ack", "retry", "ack"]
    assert worker.logs == ["[object ScheduledController] 0 3 * * *", 'jobs [{"a":1},"b",3]']
    with pytest.raises(WorkerError, match="no work at night"):
        worker.scheduled("0 0 * * *")


def test_durable_objects(worker: Worker) -> None:
    room = worker.durable_object("ROOM", "lobby")
    assert [room.call("add", 1), room.call("add", 2)] == [1, 3]
    assert worker.durable_object("ROOM", "attic").call("add", 5) == 5


# ---------------------------------------------------------------- env, routes, reload


def test_env_and_bindings(worker: Worker) -> None:
    assert worker.fetch("/env").json() == ["für alle", [1, {"a": None}], None]
    own = {"$entrypoint": "Internal", "props": {"caller": "itself"}}
    worker.load(env={**worker.env, "TEXT": "", "LIST": False, "SELF": own})
    assert worker.fetch("/env").json() == ["", False, {"caller": "itself"}]


def test_stores_are_real_and_empty(worker: Worker) -> None:
    fresh = [[None, 0], "b", "of a file", [True, True, False]]
    assert worker.fetch("/stores").json() == fresh
    assert worker.fetch("/stores").json()[0] == ["b", 1]
    worker.load()
    assert worker.fetch("/stores").json() == fresh


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Tells what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            told = f"{self.command} {self.headers['Host']} {self.path} {body}".encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_outbound_requests_go_where_a_test_says(
    worker: Worker, server: ThreadingHTTPServer
) -> None:
    origin = f"http://127.0.0.1:{server.server_port}"
    private = {"$fetcher": origin}
    worker.load(env={**worker.env, "PRIVATE": private}, routes={"https://api.example.com": origin})
    answer = worker.fetch("/fetch?url=https://api.example.com/a?b")
    assert (answer.status, answer.text) == (201, "POST api.example.com /a?b ping")
    assert worker.fetch("/private").text.strip() == "GET anything.internal /path?q=1"
    for refused in ("https://other.example.com/", "http://api.example.com/", origin):
        answer = worker.fetch(f"/fetch?url={refused}")
        assert answer.status == 500
        assert f"no route for {refused.removesuffix('/')}" in str(answer.error)
    sent = worker.outbound
    assert [(each["method"], each["url"]) for each in sent] == [
        ("POST", "https://api.example.com/a?b"),
        ("GET", "http://anything.internal/path?q=1"),
        ("POST", "https://other.example.com/"),
        ("POST", "http://api.example.com/"),
        ("POST", f"{origin}/"),
    ]
    assert sent[0]["headers"] == [
        ["content-type", "text/plain;charset=UTF-8"],
        ["x-title", "Grüße"],
    ]
    worker.load()
    assert worker.outbound == []


def test_a_server_that_is_gone(worker: Worker, server: ThreadingHTTPServer) -> None:
    routes = {"https://api.example.com": "http://127.0.0.1:9"}
    worker.load(routes=routes)
    answer = worker.fetch("/fetch?url=https://api.example.com/")
    assert answer.status == 500
    assert worker.fetch("/count").json() == 1


def test_each_load_is_a_new_isolate(worker: Worker) -> None:
    assert [worker.fetch("/count").json() for _ in range(2)] == [1, 2]
    pending = worker.start("/slow")
    worker.load()
    with pytest.raises(Cancelled):
        pending.result()
    assert worker.fetch("/count").json() == 1
    assert worker.logs == []


def test_only_what_a_deploy_takes_is_there(
    worker: Worker, kit_runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shutil.copytree(kit_runtime.project.source, tmp_path / "src")
    (source / "deep").mkdir()
    for name in ("page.html", "deep/data.csv", "deep/notes.md"):
        (source / name).write_text(f"this is {name}")
    rule = {"type": "Data", "globs": ["**/*.csv"]}
    monkeypatch.setattr(kit_runtime.project, "source", source)
    monkeypatch.setattr(kit_runtime.project, "rules", [rule])
    worker.load()
    for name in ("page.html", "deep/data.csv"):
        assert worker.fetch(f"/import?name={name}").text == f"this is {name}"
    answer = worker.fetch("/import?name=deep/notes.md")
    assert answer.status == 500 and 'No such module "deep/notes.md"' in str(answer.error)


def test_an_endless_loop_ends_with_the_next_load(worker: Worker) -> None:
    pending = worker.start("/endless")
    with pytest.raises(TimeoutError):
        pending.result(0.5)
    worker.load()
    assert worker.fetch("/count").json() == 1


def test_a_worker_that_does_not_start(worker: Worker, kit_runtime: Runtime, tmp_path: Path) -> None:
    source = kit_runtime.project.source
    (tmp_path / "index.js").write_text('throw new Error("not today");', encoding="utf-8")
    kit_runtime.project.source = tmp_path
    try:
        with pytest.raises(WorkerError, match="not today"):
            worker.load()
        with pytest.raises(WorkerDied):
            worker.fetch("/count")
    finally:
        kit_runtime.project.source = source
    worker.load()
    assert worker.fetch("/count").json() == 1


def test_what_only_the_fast_host_can_do_is_skipped(worker: Worker) -> None:
    def skips(reason: str, what: Any) -> None:
        with pytest.raises(pytest.skip.Exception, match=SKIPPED[reason]):
            what()

    skips("advance", lambda: worker.advance(1))
    skips("run", lambda: worker.run(sample))
    skips("sent", lambda: worker.sent)
    skips("beside", lambda: worker.fetch(worker="other"))
    other = OtherWorker(SAMPLE / "src/index.js", {})
    skips("beside", lambda: worker.load(beside={"other": other}))
    skips("alarm", worker.durable_object("ROOM", "lobby").alarm)
    skips("access", lambda: worker.fetch(access={"aud": "a", "identity": []}))
    skips("fakes", lambda: worker.load(fakes={"AI": Project}))


# ---------------------------------------------------------------- whole runs


def pytest_run(
    folder: Path, mark: str, *words: str, before: Sequence[str] = ()
) -> "subprocess.Popen[str]":
    """A run as in a project, with no plugin but the kit's. `mark` is in its environment.

    before: a command that runs it.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME")}
    own = {"PYTHONPATH": str(SOURCE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "KIT_MARK": mark}
    command = [sys.executable, "-m", "pytest", "-p", "private_worker.testing.plugin", "--workerd"]
    return subprocess.Popen(
        [*before, *command, *words],
        cwd=folder,
        env=kept | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_running(mark: str) -> list[str]:
    """The commands of the processes with this mark, once they had a moment to end."""
    for _ in range(50):
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"KIT_MARK={mark}".encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                pass
        if not found:
            break
        time.sleep(0.1)
    return found


@pytest.fixture
def project(tmp_path: Path, node_modules: Path) -> Path:
    folder = sample(tmp_path / "project", node_modules)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    return folder


@LINUX
def test_two_processes_run_side_by_side(project: Path) -> None:
    tests = "import pytest\n@pytest.mark.parametrize('time', range(6))\n"
    tests += "def test(worker, time):\n    assert worker.fetch('/count').json() == 1\n"
    (project / "test_it.py").write_text(tests, encoding="utf-8")
    mark = uuid.uuid4().hex
    run = pytest_run(project, mark, "-p", "xdist", "-n", "2")
    said, _ = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert "6 passed" in said
    assert left_running(mark) == []


@LINUX
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_nothing_is_left_when_a_run_is_cut_short(project: Path, how: signal.Signals) -> None:
    tests = "import pathlib\ndef test(worker):\n    worker.fetch('/count')\n"
    tests += "    pathlib.Path('begun').touch()\n    worker.fetch('/slow')\n"
    (project / "test_it.py").write_text(tests, encoding="utf-8")
    mark = uuid.uuid4().hex
    run = pytest_run(project, mark)
    while not (project / "begun").exists():
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.1)
    run.send_signal(how)
    run.communicate(timeout=60)
    assert left_running(mark) == []


def ends_in_one_line(folder: Path, bundle: Path, *before: str) -> str:
    """Runs a rendered project's tests without workerd's Python; the one line that says why."""
    mark, begun = uuid.uuid4().hex, time.monotonic()
    words = ["--workerd-bundle", str(bundle), "tests"]
    run = pytest_run(folder, mark, *words, before=before)
    said, _ = run.communicate(timeout=120)
    assert time.monotonic() - begun < 60
    assert run.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "no tests ran" in said and "Traceback" not in said
    lines = [line for line in said.splitlines() if "--workerd" in line]
    assert len(lines) == 1, said
    assert left_running(mark) == []
    return lines[0]


@pytest.fixture
def in_python(rendered: Render, tmp_path: Path, node_modules: Path, node: Path) -> Path:
    folder = tmp_path / "my-api"
    shutil.copytree(rendered(), folder)
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


def no_network() -> list[str]:
    """The command that takes it away, where that is possible."""
    command = ["unshare", "--map-root-user", "--net"]
    there = shutil.which("unshare")
    return command if there and not subprocess.run([*command, "true"]).returncode else []


@LINUX
@pytest.mark.skipif(not no_network(), reason="cannot take the network away")
def test_without_a_bundle_one_line_says_how_to_give_it(in_python: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "not there yet"
    line = ends_in_one_line(in_python, bundle, *no_network())
    assert re.search(
        r"--workerd needs workerd's Python bundle, which could not be fetched \([^:]+: .+\): "
        "run it with network, or give a folder with --workerd-bundle DIR",
        line,
    )


@LINUX
def test_a_bundle_that_is_none(in_python: Path, tmp_path: Path) -> None:
    (tmp_path / "pyodide_dev.capnp.bin").write_bytes(b"no bundle")
    line = ends_in_one_line(in_python, tmp_path)
    assert f"workerd cannot use the Python bundle in {tmp_path} (" in line
    assert "give another folder with --workerd-bundle DIR" in line


@LINUX
def test_a_folder_that_is_none(in_python: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = ends_in_one_line(in_python, tmp_path / "file")
    assert "cannot be made (File exists): give another folder with --workerd-bundle DIR" in line
