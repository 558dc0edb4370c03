"""Bindings in tests: real local stores, the Worker's own Durable Objects and Workflows, and fakes
for the rest. The sample is in kit_stores/."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from private_worker.project import Problem
from private_worker.testing.needs import Project
from private_worker.testing.report import of_logs, readable
from private_worker.testing.runtime import RpcError, Runtime, Worker, WorkerError

pytestmark = pytest.mark.slow

pytest_plugins = ["private_worker.testing.plugin"]

SAMPLE = Path(__file__).parent / "kit_stores"
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def project_root(tmp_path_factory: pytest.TempPathFactory, node_modules: Path) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "project"
    shutil.copytree(SAMPLE, folder)
    (folder / ".dev.vars").write_text('KEY="of .dev.vars"\nA="of .dev.vars"\n', encoding="utf-8")
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def kit_runtime(project_root: Path) -> Iterator[Runtime]:
    """Not the one of the kit's other tests, which a process keeps."""
    runtime = Runtime(Project(project_root), project_root / "packages")
    runtime.start()
    yield runtime
    runtime.stop()


@pytest.fixture
def ask(worker: Worker) -> Ask:
    """Runs a function of the sample."""
    return lambda name, *args: worker.call("ask", name, *args, entrypoint="Default")


# What runs in the Worker: its source is sent there.


async def use(env: Any) -> list[Any]:
    before = [await env.KV.get("a"), (await env.DB.prepare("SELECT * FROM notes").all()).results]
    before.append(await env.FILES.get("a"))
    await env.KV.put("a", "b")
    await env.DB.prepare("INSERT INTO notes (text) VALUES (?)").bind("hello").run()
    await env.DB2.exec("CREATE TABLE other (a)")
    await env.FILES.put("a", b"\x00\xff")
    env.EVENTS.writeDataPoint({"blobs": ["a"]})
    row = await env.DB.prepare("SELECT * FROM notes").first()
    file = await env.FILES.get("a")
    limits = [(await env.LIMIT.limit({"key": "a"})).success for _ in range(3)]
    return [*before, await env.KV.get("a"), dict(row), await file.bytes(), *limits]


async def variables(env: Any, name: str) -> Any:
    return getattr(env, name, None)


@pytest.mark.parametrize("time", range(20))  # more often than there are sets of stores
def test_stores_are_real_and_empty(time: int, worker: Worker) -> None:
    row = {"id": 1, "text": "HELLO", "author": "me; too"}
    wanted: list[Any] = [None, [], None, "b", row, b"\x00\xff", True, True, False]
    assert worker.run(use) == wanted
    worker.load()
    assert worker.run(use) == wanted


def test_what_env_holds(worker: Worker, ask: Ask) -> None:
    assert ask("names") == ["DB", "KEY", "KV", "ROOM"]
    assert worker.run(variables, "KEY") == "of .dev.vars"
    assert worker.run(variables, "A") == "a"  # wrangler.jsonc comes first: it is what is deployed
    worker.load(env={**worker.env, "A": "another"})
    assert worker.run(variables, "A") == "another"


def test_migration_that_fails(worker: Worker, kit_runtime: Runtime, project_root: Path) -> None:
    """It names the file. In a run of pytest that is the first load, and ends it."""
    file = project_root / "migrations" / "0003_bad.sql"
    file.write_text("CREATE TABLE notes (id);", encoding="utf-8")
    try:
        broken = Runtime(Project(project_root), project_root)
        with pytest.raises(Problem, match=r"^migrations/0003_bad.sql: .*already exists"):
            broken.start()
        broken.stop()
    finally:
        file.unlink()


def test_a_project_without_bindings_has_none(tmp_path: Path) -> None:
    (tmp_path / "wrangler.jsonc").write_text('{"main": "entry.py"}', encoding="utf-8")
    (tmp_path / "entry.py").write_text("")
    project = Project(tmp_path)
    assert (project.stores, project.env) == ([], {})


async def send(env: Any) -> None:
    await env.JOBS.send({"n": 1})
    await env.JOBS.sendBatch([{"body": "two"}, {"body": [3]}])


def test_what_was_sent_to_queues(worker: Worker) -> None:
    worker.run(send)
    assert worker.sent == [("JOBS", {"n": 1}), ("JOBS", "two"), ("JOBS", [3])]
    worker.load()
    assert worker.sent == []


# ---------------------------------------------------------------- Durable Objects


def test_an_object_keeps_its_state(worker: Worker, ask: Ask) -> None:
    room = worker.durable_object("ROOM", "lobby")
    assert [room.call("add", 2), room.call("add", 3), room.call("calls")] == [2, 5, 2]
    assert worker.durable_object("ROOM", "other").call("add", 1) == 1
    assert room.call("var") == "a"
    worker.load()
    assert room.call("add", 0) == 0


def test_an_object_takes_one_call_at_a_time(ask: Ask) -> None:
    """Otherwise a value that is read and written back gets lost."""
    assert ask("count_at_once") == 20


def test_storage_of_an_object(worker: Worker) -> None:
    room = worker.durable_object("ROOM", "a")
    assert list(room.call("keep", {"k1": 1, "k2": [2], "k3": {"a": None}, "x": 1}).items()) == [
        ("k3", {"a": None}),
        ("k2", [2]),
    ]
    assert room.call("drop") is None
    assert room.call("rows") == [{"a": 1, "b": "x"}, {"a": 3, "b": "z"}]
    with pytest.raises(RpcError, match="new_sqlite_classes"):
        worker.durable_object("OLD", "a").call("sql")


@pytest.mark.parametrize(
    "query, rows",
    [
        (["SELECT 'a;b' AS x"], [{"x": "a;b"}]),
        (["CREATE TABLE a (x); SELECT 5 AS y"], [{"y": 5}]),
        (["CREATE TABLE b (x); INSERT INTO b VALUES (?) RETURNING x", 7], [{"x": 7}]),
        (["SELECT 1 AS a; -- no end ;"], [{"a": 1}]),
    ],
    ids=str,
)
def test_sql_of_an_object(query: list[Any], rows: Any, worker: Worker) -> None:
    assert worker.durable_object("ROOM", "a").call("sql", *query) == rows


@pytest.mark.parametrize("query", ["BEGIN", " commit;", "SELECT 1; VACUUM", "ATTACH 'x' AS y"])
def test_sql_that_workerd_refuses(query: str, worker: Worker) -> None:
    with pytest.raises(RpcError, match="not authorized"):
        worker.durable_object("ROOM", "a").call("sql", query)


def test_an_object_is_ready_before_its_first_call(worker: Worker) -> None:
    assert worker.durable_object("ROOM", "a").call("is_ready") is True


def test_alarm_is_not_for_stubs(ask: Ask) -> None:
    with pytest.raises(WorkerError, match="reserved method"):
        ask("wake")


def test_forgotten_await(ask: Ask, worker: Worker) -> None:
    """The plugin's own fixture fails the test for this line."""
    ask("forget")
    assert any("was never awaited" in line for line in worker.logs)
    worker.load()


def test_alarm_of_an_object(worker: Worker) -> None:
    room = worker.durable_object("ROOM", "a")
    with pytest.raises(ValueError, match="has set no alarm"):
        room.alarm()
    room.call("later")
    room.alarm()
    assert room.call("add", 0) == 100
    with pytest.raises(ValueError, match="has set no alarm"):
        room.alarm()


def test_stub_and_ids(ask: Ask, worker: Worker) -> None:
    assert ask("fetch_room") == [201, "https://room/path"]
    assert ask("same") == [True, False, True, "x"]
    assert worker.durable_object("ROOM", "a").fetch("https://room/x").status == 201


def test_what_an_object_raises(worker: Worker) -> None:
    room = worker.durable_object("ROOM", "a")
    with pytest.raises(RpcError, match="src/entry.py:[0-9]+: in fail\n.*\nValueError: in the room"):
        room.call("fail")
    with pytest.raises(RpcError, match="does not exist"):
        room.call("nothing")
    assert room.call("add", 1) == 1  # it lives on


def test_no_such_binding(worker: Worker) -> None:
    with pytest.raises(LookupError, match='no binding "LOBBY" in "durable_objects"'):
        worker.durable_object("LOBBY", "a")
    with pytest.raises(LookupError, match='no binding "ROOM" in "workflows"'):
        worker.workflow("ROOM")


# ---------------------------------------------------------------- Workflows


@pytest.mark.parametrize("failures", [0, 1, 5])
def test_steps_are_repeated(failures: int, worker: Worker) -> None:
    run = worker.workflow("FLOW").start({"fail": failures})
    assert (run.status, run.output) == ("complete", {"tries": failures + 1})
    assert run.steps == ["work"] * (failures + 1) + ["few", "pause"]


@pytest.mark.parametrize(
    "failures, steps, error",
    [
        (6, ["work"] * 6, "not yet"),  # five times more, which is Cloudflare's default
        (-1, ["work"], "never"),
        (4, [*["work"] * 5, *["few"] * 2], "again"),
    ],
)
def test_workflow_that_fails(failures: int, steps: list[str], error: str, worker: Worker) -> None:
    run = worker.workflow("FLOW").start({"fail": failures})
    assert (run.status, run.steps) == ("errored", steps)
    assert run.error and error in run.error["message"]


def test_workflow_that_waits(worker: Worker, ask: Ask) -> None:
    flow = worker.workflow("FLOW")
    run = flow.start({"fail": 0, "wait": True})
    assert (run.status, run.steps[-1]) == ("waiting", "approval")
    assert flow.send_event(run, "something else").status == "waiting"
    done = flow.send_event(run, "approved", "somebody")
    assert (done.status, done.output) == ("complete", {"tries": 1, "by": "somebody"})
    assert ask("start_flow")[0] == "first"


# ---------------------------------------------------------------- fakes and messages


class FakeAI:
    async def run(self, model: str, options: dict[str, str]) -> dict[str, Any]:
        return {"model": model, "said": options["prompt"].upper()}


def test_fake(worker: Worker, ask: Ask) -> None:
    worker.load(fakes={"AI": FakeAI})
    assert ask("ask_ai") == {"model": "model", "said": "HI"}


def test_binding_that_is_not_there(worker: Worker, ask: Ask) -> None:
    """What a failed test shows says what to add, in one line."""
    with pytest.raises(WorkerError):
        ask("missing")
    shown = of_logs(worker.logs, worker.hint)
    [line] = [line for line in shown.splitlines() if "wrangler.jsonc" in line]
    assert '"d1_databases": [{ "binding": "CACHE"' in line
    assert "worker.load(fakes=" in line
    with pytest.raises(WorkerError):
        ask("ask_ai")
    assert "env.AI is only at Cloudflare: give the test a fake" in of_logs(worker.logs, worker.hint)


def test_no_web_socket_leaves_the_test(ask: Ask) -> None:
    with pytest.raises(WorkerError, match="tests have no network"):
        ask("connect")


def test_readable() -> None:
    text = """Traceback (most recent call last):
  File "/lib/python3.14/asyncio/x.py", line 1, in run
    x()
  File "/session/metadata/guard/answers.py", line 48, in from_api
    response = await handle()
  File "/session/metadata/api.py", line 21, in handle
    return 1 / 0
           ~~^~~
  File "/session/metadata/python_modules/p/__init__.py", line 2, in p
    p()
ZeroDivisionError: division by zero"""
    wanted = "src/api.py:21: in handle\n    return 1 / 0\n           ~~^~~\n"
    assert readable(text) == wanted + "ZeroDivisionError: division by zero"


def test_sets_are_what_the_configuration_says(project_root: Path) -> None:
    project = Project(project_root)
    assert {store["name"] for store in project.stores} == {
        *("KV", "DB", "DB2", "FILES", "JOBS", "LIMIT", "EVENTS"),
    }
    assert {"ROOM", "OLD", "FLOW", "A", "KEY"} <= project.env.keys()
    assert not {"AI", "THEIRS"} & project.env.keys()
