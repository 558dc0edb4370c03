"""A mistake in the owner's code: the test that meets it shows where it is, in a line to click."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import shapes
from command_run import project
from conftest import Render

pytestmark = pytest.mark.slow

API = """from guard import read_json, reply


async def handle(request, identity, env):
    if "missing" in request.url:
        return reply({"n": await env.CACHE.get("n")})
    if "forgotten" in request.url:
        read_json(request)
        return reply({})
    if "secret" in request.url:
        return reply(env.RATES_KEY)
    if "service" in request.url:
        return reply(await env.BILLING.fetch("http://billing.example.com"))
    if "row" in request.url:
        return {"id": 1}
    return reply({"n": price({})})


def price(item):
    return item["price"]
"""
INTERNAL = """from guard import BadRequest


async def whoami(caller, env):
    return [].pop()


METHODS = (whoami,)
"""
EVENTS = """async def scheduled(event, env):
    raise ValueError("not tonight")


async def queue(batch, env):
    raise ValueError("not this one")
"""
TESTS = """
def test_request(worker, access):
    assert worker.fetch("/", headers=access.person()).status == 200


def test_binding(worker, access):
    assert worker.fetch("/missing", headers=access.person()).status == 200


def test_secret(worker, access):
    assert worker.fetch("/secret", headers=access.person()).status == 200


def test_service(worker, access):
    assert worker.fetch("/service", headers=access.person()).status == 200


def test_method(worker):
    assert worker.call("whoami", props={"caller": "caller"})["ok"]


def test_cron(worker):
    worker.scheduled()


def test_queue(worker):
    worker.queue("jobs", [1])


def test_await(worker, access):
    assert worker.fetch("/forgotten", headers=access.person()).status == 200


def test_row(worker, access):
    assert worker.fetch("/row", headers=access.person()).status == 200


def test_path(worker):
    worker.fetch("items")


def test_body(worker):
    worker.fetch("/items", method="POST", body={"a": 1})
"""
# What a failure shows of the Worker, whole and in this order.
SHOWN = {
    "test_request": "src/api.py:16: in handle\n"
    '    return reply({"n": price({})})\n'
    "                       ~~~~~^^^^\n"
    "src/api.py:20: in price\n"
    '    return item["price"]\n'
    "           ~~~~^^^^^^^^^\n"
    "KeyError: 'price'",
    "test_await": "src/api.py:8: an await is missing: the coroutine read_json was never awaited",
    "test_row": "TypeError: handle in src/api.py returned dict, not a Response: use reply()",
    "test_binding": "AttributeError: CACHE\nenv.CACHE is not in wrangler.jsonc. Add it there",
    "test_secret": "AttributeError: RATES_KEY\nenv.RATES_KEY is a secret. Write it into .dev.vars",
    "test_service": "AttributeError: BILLING\nenv.BILLING is a private service, and tests have no",
    "test_method": "src/internal.py:5: in whoami\n    return [].pop()\n"
    "           ~~~~~~^^\nIndexError: pop from empty list",
    "test_cron": "src/events.py:2: in scheduled\n",
    "test_queue": "src/events.py:6: in queue\n",
    "test_path": 'ValueError: "items" is neither a path nor a URL: write "/items"',
    "test_body": "TypeError: body is text or bytes, not dict: json=",
}


@pytest.fixture
def folder(rendered: Render, node: Path, node_modules: Path, tmp_path: Path) -> Path:
    answers = shapes.answers(shapes.of_interest()["everybody"])
    folder = project(rendered, tmp_path, **answers)
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    for test in (folder / "tests").glob("test_*.py"):
        test.unlink()
    (folder / "tests" / "test_mine.py").write_text(TESTS, encoding="utf-8")
    with_secret = '{\n  "secrets": { "required": ["RATES_KEY"] },\n'
    config = (folder / "wrangler.jsonc").read_text(encoding="utf-8")
    (folder / "wrangler.jsonc").write_text(config.replace("{\n", with_secret, 1), encoding="utf-8")
    return folder


def pytest_in(folder: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "private_worker.testing.plugin", *options],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name[:7] != "PYTEST_"},
            "PYTHONPATH": str(folder / "vendor" / "private-worker" / "src"),
        },
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / "src" / f"{name}.py").write_text(text, encoding="utf-8")


def test_where_it_is(folder: Path) -> None:
    write(folder, api=API, internal=INTERNAL, events=EVENTS)
    output = pytest_in(folder)
    assert f"{len(SHOWN) - 1} failed" in output and "1 error" in output, output
    for name, shown in SHOWN.items():
        part = output.partition(f" {name} _")[2].partition("\n____")[0]
        assert shown in part, output
        assert "python_modules" not in part and "concurrent/futures" not in part
        assert "guard/" not in part or name == "test_row"


@pytest.mark.parametrize(
    "source, shown",
    [
        ("def handle(:\n", "src/api.py:1:\n    def handle(:\n"),
        ("x = 1 / 0\n", "src/api.py:1: in <module>\n    x = 1 / 0\n"),
    ],
    ids=["syntax", "import"],
)
def test_what_cannot_be_imported(source: str, shown: str, folder: Path) -> None:
    """Once for the whole run."""
    write(folder, api=source)
    output = pytest_in(folder)
    assert output.count(shown) == 1 and "Interrupted" in output, output


def test_await_in_the_last_test_of_all(folder: Path) -> None:
    """The Worker ends with the session, and what it has printed is shown all the same."""
    write(folder, api=API)
    output = pytest_in(folder, "-k", "test_await")
    assert "src/api.py:8: an await is missing" in output and "INTERNALERROR" not in output, output


def test_handle_is_not_async(folder: Path) -> None:
    write(folder, api="def handle(*_): ...\n")
    output = pytest_in(folder, "-k", "request")
    assert "handle in src/api.py is not an async function: write async def" in output, output


def test_no_handle(folder: Path) -> None:
    write(folder, api="")
    output = pytest_in(folder, "-k", "request")
    assert "module 'api' has no attribute 'handle'" in output, output
