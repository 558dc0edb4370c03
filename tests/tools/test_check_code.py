"""`check` reads wrangler.jsonc and src/events.py together: what one has and the other has not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import Render
from files import read_jsonc
from private_worker.check.code import Code
from private_worker.check.configuration import Configuration
from private_worker.config import Config
from private_worker.project import read

CRON: dict[str, Any] = {"triggers": {"crons": ["0 3 * * *"]}}
CONSUMER: dict[str, Any] = {"queues": {"consumers": [{"queue": "jobs"}]}}
ROOM: dict[str, Any] = {"durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]}}
MADE: dict[str, Any] = {"migrations": [{"tag": "v1", "new_sqlite_classes": ["Room"]}]}
FLOW: dict[str, Any] = {
    "workflows": [{"binding": "FLOW", "name": "flow", "class_name": "Flow"}],
}
SCHEDULED = "async def scheduled(event, env): pass\n"
QUEUE = "async def queue(batch, env): pass\n"
CLASSES = "class Room: pass\nclass Flow: pass\nCLASSES = (Room, Flow)\n"

# wrangler.jsonc, src/events.py, and what is found: the rule and a part of its sentence.
CASES: dict[str, tuple[dict[str, Any], str, list[tuple[str, str]]]] = {
    "nothing": ({}, "", []),
    "all of it": (CRON | CONSUMER | ROOM | MADE | FLOW, SCHEDULED + QUEUE + CLASSES, []),
    "a cron": (CRON, "", [("no-code", "triggers.crons calls scheduled, which is no async")]),
    "a consumer": (CONSUMER, "", [("no-code", "queues.consumers calls queue")]),
    "a consumer that pulls": (
        {"queues": {"consumers": [{"queue": "jobs", "type": "http_pull"}]}},
        "",
        [],
    ),
    "a cron of an environment": ({"env": {"x": CRON}}, "", [("no-code", "env.x.triggers.crons")]),
    "a handler": ({}, SCHEDULED, [("no-configuration", "Nothing calls scheduled")]),
    "both handlers": (
        {},
        SCHEDULED + QUEUE,
        [
            ("no-configuration", "Nothing calls scheduled"),
            ("no-configuration", "Nothing calls queue"),
        ],
    ),
    "a handler only staging uses": ({"env": {"x": CRON}}, SCHEDULED, []),
    "a handler from elsewhere": (CRON, "from jobs import nightly as scheduled\n", []),
    "an object": (ROOM | MADE, "", [("no-code", "names Room, which is not in CLASSES")]),
    "an object of another Worker": (
        {"durable_objects": {"bindings": [{"name": "A", "class_name": "A", "script_name": "b"}]}},
        "",
        [],
    ),
    "a class left out of CLASSES": (ROOM | MADE, "class Room: pass\n", [("no-code", "Room")]),
    "no migration": (
        ROOM,
        "class Room: pass\nCLASSES = (Room,)\n",
        [("no-migration", "names Room, which no migration makes")],
    ),
    "a renamed class": (
        ROOM | {"migrations": [{"tag": "v2", "renamed_classes": [{"from": "A", "to": "Room"}]}]},
        "class Room: pass\nCLASSES = (Room,)\n",
        [],
    ),
    "a workflow": (FLOW, "", [("no-code", "workflows names Flow")]),
    "classes": ({}, CLASSES, [("no-configuration", "Flow"), ("no-configuration", "Room")]),
    "classes that only running can tell": (ROOM | MADE, "CLASSES = made()\n", []),
    "a handler that is not async": (
        CRON,
        "def scheduled(event, env): pass\n",
        [("no-code", "no async")],
    ),
    "a handler with Cloudflare's own arguments": (
        CRON,
        "async def scheduled(controller, env, ctx): pass\n",
        [("no-code", "no async")],
    ),
    "a handler with one argument less": (CRON, "async def scheduled(event, env=None): pass\n", []),
    "a module of that name": (CONSUMER, "import queue\n", [("no-code", "queue")]),
    "nothing of that name": (CRON, "scheduled = None\n", [("no-code", "scheduled")]),
    "a queue called http_pull": (
        {"queues": {"consumers": [{"queue": "http_pull-jobs"}]}},
        "",
        [("no-code", "queue")],
    ),
    "a class that was deleted": (
        ROOM | {"migrations": [*MADE["migrations"], {"tag": "v2", "deleted_classes": ["Room"]}]},
        "class Room: pass\nCLASSES = (Room,)\n",
        [("no-migration", "Room")],
    ),
    "classes that are added": (
        ROOM | MADE,
        "class Room: pass\nCLASSES = ()\nCLASSES += (Room,)\n",
        [],
    ),
    "what is no Python": (CRON, "def (\n", []),
}


@pytest.fixture
def folder(rendered: Render, tmp_path: Path) -> Path:
    shutil.copytree(rendered(staging=True), tmp_path / "my-api")
    return tmp_path / "my-api"


@pytest.mark.parametrize("name", CASES)
def test_code_and_configuration(name: str, folder: Path) -> None:
    more, events, wanted = CASES[name]
    file = folder / "wrangler.jsonc"
    file.write_text(json.dumps({"name": "my-api", **more}), encoding="utf-8")
    (folder / "src" / "events.py").write_text(events, encoding="utf-8")
    found = list(Code(Config(file), read(folder)).findings())
    assert [each.rule for each in found] == [rule for rule, _ in wanted]
    for each, (_, part) in zip(found, wanted, strict=True):
        assert part in each.wrong


STORES: dict[str, list[dict[str, Any]] | dict[str, Any]] = {
    "kv_namespaces": [{"binding": "A", "id": "{}"}],
    "d1_databases": [{"binding": "A", "database_id": "{}"}],
    "r2_buckets": [{"binding": "A", "bucket_name": "{}"}],
    "queues": {"producers": [{"binding": "A", "queue": "{}"}], "consumers": [{"queue": "{}"}]},
    "ratelimits": [{"name": "A", "namespace_id": "{}", "simple": {"limit": 1, "period": 10}}],
    "vectorize": [{"binding": "A", "index_name": "{}"}],
    "workflows": [{"binding": "A", "name": "{}", "class_name": "A"}],
    "hyperdrive": [{"binding": "A", "id": "{}"}],
}


def judged(folder: Path, top: dict[str, Any], staging: dict[str, Any]) -> list[tuple[str, str]]:
    """What is found besides the placeholders in a rendered project with these entries."""
    file = folder / "wrangler.jsonc"
    config = read_jsonc(file) | top
    config["env"]["staging"] |= staging
    file.write_text(json.dumps(config), encoding="utf-8")
    found = Configuration(Config(file), read(folder)).findings()
    return [(each.rule, each.wrong) for each in found if each.rule != "placeholder"]


SHARED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a database by its name": (
        {"d1_databases": [{"binding": "A", "database_name": "one"}]},
        {"d1_databases": [{"binding": "A", "database_name": "one"}]},
        "shared-store",
    ),
    "a dead letter queue": (
        {"queues": {"producers": [{"binding": "A", "queue": "one"}]}},
        {"queues": {"producers": [{"binding": "A", "queue": "two", "dead_letter_queue": "one"}]}},
        "shared-store",
    ),
    "a preview of production's": (
        {"kv_namespaces": [{"binding": "A", "id": "one"}]},
        {"kv_namespaces": [{"binding": "A", "id": "two", "preview_id": "one"}]},
        "shared-store",
    ),
    "another Worker": (
        {"services": [{"binding": "A", "service": "one"}]},
        {"services": [{"binding": "A", "service": "one"}]},
        "shared-service",
    ),
}


@pytest.mark.parametrize("name", SHARED)
def test_shared_otherwise(name: str, folder: Path) -> None:
    top, staging, rule = SHARED[name]
    assert [found for found, _ in judged(folder, top, staging)] == [rule]


@pytest.mark.parametrize("key, value", [("cache", {"enabled": True}), ("build", {"command": "x"})])
def test_keys_that_get_past_the_guard(key: str, value: Any, folder: Path) -> None:
    assert [rule for rule, _ in judged(folder, {key: value}, {})] == [key]
    assert [rule for rule, _ in judged(folder, {}, {key: value})] == [key] * 2  # there too


@pytest.mark.parametrize("directory", [".", "./src", "src/pages", "public/.."])
def test_assets_are_not_the_source(directory: str, folder: Path) -> None:
    given = {"directory": directory, "binding": "ASSETS", "run_worker_first": True}
    [(rule, wrong)] = judged(folder, {"assets": given}, {})
    assert rule == "assets" and "publishes the project's own files" in wrong


@pytest.mark.parametrize("key", STORES)
def test_store_of_two_environments(key: str, folder: Path) -> None:
    def store(name: str) -> dict[str, Any]:
        return {key: json.loads(json.dumps(STORES[key]).replace("{}", name))}

    assert judged(folder, store("one"), store("two")) == []
    wrong = f"env.staging.{key} has one, and so has the top level"
    assert judged(folder, store("one"), store("one")) == [("shared-store", wrong)]


@pytest.mark.parametrize(
    "top, staging, lacks",
    [
        ({"vars": {"MINE": "1"}}, {}, "MINE"),
        ({"secrets": {"required": ["KEY"]}}, {}, "KEY"),
        ({"kv_namespaces": [{"binding": "CACHE", "id": "1"}]}, {}, "CACHE"),
    ],
)
def test_whatever_an_environment_lacks(
    top: dict[str, Any], staging: dict[str, Any], lacks: str, folder: Path
) -> None:
    if "vars" in top:
        top = {"vars": read_jsonc(folder / "wrangler.jsonc")["vars"] | top["vars"]}
    [found] = judged(folder, top, staging)
    assert found[0] == "not-inherited" and f"lacks {lacks}, which the top level has" in found[1]


@pytest.mark.parametrize(
    "assets, right",
    [
        ({"directory": "site", "binding": "ASSETS", "run_worker_first": True}, True),
        ({"directory": "site", "binding": "ASSETS"}, False),
        ({"directory": "site", "binding": "ASSETS", "run_worker_first": False}, False),
        ({"directory": "site", "binding": "ASSETS", "run_worker_first": ["/api/*"]}, False),
        ({"directory": "site", "run_worker_first": True}, False),
        ({}, False),
        ([], False),
        ("site", False),
    ],
    ids=str,
)
def test_assets(assets: Any, right: bool, folder: Path) -> None:
    """Only where the guard comes first, for every path."""
    found = judged(folder, {"assets": assets}, {})
    assert [rule for rule, _ in found] == ([] if right else ["assets"])
