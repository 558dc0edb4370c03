"""`check` reads wrangler.jsonc and src/events.py together: what one has and the other has not."""

import copy
import json
import shutil
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from conftest import Render
from files import read_jsonc
from private_worker.check import addresses, code, configuration, files, keys, secrets
from private_worker.config import Config
from private_worker.project import Problem, read

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
    "a cron": (CRON, "", [("no-code", "triggers.crons calls scheduled, which is not an async")]),
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
        [("no-code", "not an async")],
    ),
    "a handler with Cloudflare's own arguments": (
        CRON,
        "async def scheduled(controller, env, ctx): pass\n",
        [("no-code", "not an async")],
    ),
    "a handler with one argument less": (CRON, "async def scheduled(event, env=None): pass\n", []),
    "a handler without env": (
        CRON,
        "async def scheduled(event): pass\n",
        [("no-code", "not an async")],
    ),
    "a handler that takes whatever comes": (CRON, "async def scheduled(*given): pass\n", []),
    "a handler that wants more by name": (
        CONSUMER,
        "async def queue(batch, env, *, limit): pass\n",
        [("no-code", "not an async")],
    ),
    "a handler that yields": (
        CONSUMER,
        "async def queue(batch, env):\n    yield batch\n",
        [("no-code", "not an async")],
    ),
    "a handler with a generator in it": (
        CONSUMER,
        "async def queue(batch, env):\n    def each():\n        yield batch\n    list(each())\n",
        [],
    ),
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


# A project with assets is never of Access on a whole Worker, so this one is not.
ANSWERS = {"exposure": "custom_domain", "access_scope": "hostname", "hostname": "api.example.com"}
ANSWERS |= {"profile": "custom", "staging_hostname": "staging.example.com"}


@pytest.fixture
def folder(rendered: Render, tmp_path: Path) -> Path:
    shutil.copytree(rendered(staging=True, **ANSWERS), tmp_path / "my-api")
    return tmp_path / "my-api"


@pytest.mark.parametrize("name", CASES)
def test_code_and_configuration(name: str, folder: Path) -> None:
    more, events, wanted = CASES[name]
    file = folder / "wrangler.jsonc"
    file.write_text(json.dumps({"name": "my-api", **more}), encoding="utf-8")
    (folder / "src" / "events.py").write_text(events, encoding="utf-8")
    found = list(code.findings(Config(file), read(folder)))
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
    "agent_memory": [{"binding": "A", "namespace": "{}"}],
    "ai_search": [{"binding": "A", "instance_name": "{}"}],
    "ai_search_namespaces": [{"binding": "A", "namespace": "{}"}],
    "analytics_engine_datasets": [{"binding": "A", "dataset": "{}"}],
    "artifacts": [{"binding": "A", "namespace": "{}"}],
    "k2": [{"binding": "A", "stream": "{}"}],
}


def judged(folder: Path, top: dict[str, Any], staging: dict[str, Any]) -> list[tuple[str, str]]:
    """What is found besides the placeholders in a rendered project with these entries."""
    file = folder / "wrangler.jsonc"
    config = read_jsonc(file) | top
    config["env"]["staging"] |= staging
    file.write_text(json.dumps(config), encoding="utf-8")
    looks = (keys, configuration)
    found = [each for look in looks for each in look.findings(Config(file), read(folder))]
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
    "a dataset that has its binding's name": (
        {"analytics_engine_datasets": [{"binding": "A"}]},
        {"analytics_engine_datasets": [{"binding": "A"}]},
        "shared-store",
    ),
    "the other's own objects": (
        {},
        {
            "durable_objects": {
                "bindings": [{"name": "A", "class_name": "A", "script_name": "my-api"}]
            }
        },
        "shared-store",
    ),
    "the other's own Worker": (
        {},
        {"services": [{"binding": "A", "service": "My-API"}]},
        "shared-service",
    ),
    "Workers of a platform": (
        {"dispatch_namespaces": [{"binding": "A", "namespace": "one"}]},
        {"dispatch_namespaces": [{"binding": "A", "namespace": "one"}]},
        "shared-service",
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


def test_an_environment_may_name_its_own_worker(folder: Path) -> None:
    own = {"durable_objects": {"bindings": [{"name": "A", "class_name": "A", "script_name": "{}"}]}}
    top, staging = (
        json.loads(json.dumps(own).replace("{}", f"my-api{x}")) for x in ("", "-staging")
    )
    assert judged(folder, top, staging) == []


def test_production_does_not_name_stagings_worker(folder: Path) -> None:
    [(rule, wrong)] = judged(
        folder,
        {"services": [{"binding": "A", "service": "my-api-staging"}]},
        {"services": [{"binding": "A", "service": "b"}]},
    )
    assert (rule, wrong) == (
        "shared-service",
        "services has my-api-staging, which belongs to env.staging",
    )


def test_cache_of_one_export(folder: Path) -> None:
    exports = {"exports": {"default": {"cache": {"enabled": True}}, "Room": {"type": "x"}}}
    assert judged(folder, exports, {}) == [("cache", "exports.default.cache must not be set")]
    assert ("cache", "env.staging.exports.default.cache must not be set") in judged(
        folder, {}, exports
    )


def test_what_javascript_would_take_for_a_setting(folder: Path) -> None:
    file = folder / "wrangler.jsonc"
    file.write_text('{"__proto__": {"assets": {"directory": "public"}}}', encoding="utf-8")
    with pytest.raises(Problem, match='wrangler.jsonc is not JSON: a key is called "__proto__"'):
        Config(file)


VALUES: tuple[Any, ...] = (None, 1, "x", ["x"], [{}], [[]], {"a": [{"b": 1}]})


@pytest.mark.slow
def test_nothing_that_stands_there_is_a_traceback(folder: Path) -> None:
    """Whatever type each value in wrangler.jsonc has. wrangler itself says what it is to be."""
    (folder / "src" / "events.py").write_text(SCHEDULED + QUEUE + CLASSES, encoding="utf-8")
    file, project = folder / "wrangler.jsonc", read(folder)
    full = CRON | CONSUMER | ROOM | FLOW | STORES | {"name": "a", "assets": {"directory": "a"}}
    full |= {
        "exports": {"Room": {"cache": {"enabled": True}}},
        "routes": [{"pattern": "a"}],
        "vars": {"A": "a"},
    }
    full["migrations"] = [{"tag": "v1", "new_classes": ["A"], "deleted_classes": ["A"]}]
    full["rules"] = [{"type": "Text", "globs": ["a"], "fallthrough": True}]
    full |= {"dev": {"ip": "a"}, "cache": {"enabled": True}}
    full["env"] = {"staging": {"vars": {"A": "a"}, "previews": {"vars": {"A": "a"}}}}

    def ways(value: Any) -> Iterator[tuple[Any, ...]]:
        yield ()
        inside = list(value) if isinstance(value, dict) else []
        for key in range(len(value)) if isinstance(value, list) else inside:
            yield from ((key, *way) for way in ways(value[key]))

    for way in [way for way in ways(full) if way]:
        for value in VALUES:
            config = copy.deepcopy(full)
            holder = reduce(getitem, way[:-1], config)
            holder[way[-1]] = value
            file.write_text(json.dumps(config), encoding="utf-8")
            for look in (addresses, keys, configuration, secrets, code, files):
                list(look.findings(Config(file), project))


@pytest.mark.parametrize(
    "key, value",
    [
        ("cache", {"enabled": True}),
        ("build", {"command": "x"}),
        ("unsafe", {"metadata": {"main_module": "api.py"}}),
    ],
)
def test_keys_that_get_past_the_guard(key: str, value: Any, folder: Path) -> None:
    both = [(rule, wrong.split()[0]) for rule, wrong in judged(folder, {key: value}, {key: value})]
    assert both == [(key, key), (key, f"env.staging.{key}")]


@pytest.mark.parametrize("directory", [".", "./src", "src/pages", "public/.."])
def test_assets_are_not_the_source(directory: str, folder: Path) -> None:
    given = {"directory": directory, "binding": "ASSETS", "run_worker_first": True}
    [(rule, wrong)] = judged(folder, {"assets": given}, {})
    assert rule == "assets" and "publishes the project's own files" in wrong


def test_assets_and_access_on_a_whole_worker(rendered: Render, tmp_path: Path) -> None:
    """The runtime then gives it no `ctx.access`, so that the guard lets nobody in."""
    folder = tmp_path / "my-api"
    shutil.copytree(rendered(staging=True), folder)
    given = {"directory": "public", "binding": "ASSETS", "run_worker_first": True}
    [(rule, wrong)] = judged(folder, {"assets": given}, {})
    assert rule == "assets" and "ctx.access" in wrong


@pytest.mark.parametrize("key", STORES)
def test_store_of_two_environments(key: str, folder: Path) -> None:
    def store(name: str) -> dict[str, Any]:
        return {key: json.loads(json.dumps(STORES[key]).replace("{}", name))}

    assert judged(folder, store("one"), store("two")) == []
    wrong = f"env.staging.{key} has one, which belongs to the top level"
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
