"""What `env` holds in tests, from wrangler.jsonc: vars, and bindings as markers for host.mjs.

https://developers.cloudflare.com/workers/wrangler/configuration/#bindings
"""

import inspect
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from private_worker.config import Block, Config
from private_worker.dev_vars import dev_vars
from private_worker.project import Problem
from private_worker.text import read

# The stores that wrangler has on this computer, with the key that holds the binding's name.
STORES = {
    "kv_namespaces": "binding",
    "d1_databases": "binding",
    "r2_buckets": "binding",
    "queues": "binding",
    "ratelimits": "name",
    "analytics_engine_datasets": "binding",
}


def stores(config: Config) -> list[dict[str, Any]]:
    """What host.mjs needs to make the stores: kind, name, and what belongs to the kind."""
    found = []
    block = config.block(None)
    for kind, key in STORES.items():
        for item in _listed(block, kind):
            store = {"kind": kind, "name": item.get(key), "simple": item.get("simple")}
            if kind == "d1_databases":
                store["migrations"] = _migrations(config.path.parent, item)
            found.append(store)
    assets = block.settings.get("assets")
    if isinstance(assets, dict) and "directory" in assets:
        directory = config.path.parent / str(assets["directory"])
        found.append({"kind": "assets", "name": assets.get("binding"), "directory": str(directory)})
    return [store for store in found if isinstance(store["name"], str)]


def env_of(config: Config) -> dict[str, Any]:
    """The Worker's `env` by name, as `worker.load` takes it.

    What is missing in it is only at Cloudflare, or in no binding of wrangler.jsonc.
    """
    block = config.block(None)
    env: dict[str, Any] = {**_secrets(config.path.parent), **block.vars}
    env |= {store["name"]: {"$local": store["name"]} for store in stores(config)}
    sqlite = [
        name
        for item in block.items("migrations")
        if isinstance(item, dict)
        for name in item.get("new_sqlite_classes", ())
    ]
    for item in _listed(block, "durable_objects"):
        if "script_name" not in item:
            name = item.get("class_name")
            env[str(item.get("name"))] = {"$object": name, "sql": name in sqlite}
    for item in _listed(block, "workflows"):
        if "script_name" not in item:
            marker = {"$workflow": item.get("class_name"), "name": item.get("name")}
            env[str(item.get("binding"))] = marker
    return env


def fake(cls: type) -> dict[str, str]:
    """The marker for a class of the test's own. Its source runs in the Worker's Python."""
    return {"$fake": cls.__name__, "source": source_of(cls)}


def source_of(what: type | Callable[..., object]) -> str:
    """The source of a class or function in a test, without what stands around it."""
    return textwrap.dedent(inspect.getsource(what))


def hint(config: Config, name: str, misspelt: bool) -> str:
    """What to do for a name that the Worker asked for in `env` and that is not there.

    misspelt: whether Python has said already what it could be.
    """
    settings = config.block(None).settings
    secrets = settings.get("secrets")
    if name in (secrets.get("required") or () if isinstance(secrets, dict) else ()):
        return (
            f'env.{name} is a secret. Write it into .dev.vars, {name}="...", or give the test one: '
            f'worker.load(env={{**worker.env, "{name}": "..."}})'
        )
    if any(item.get("binding") == name for item in _listed(config.block(None), "vpc_services")):
        return (
            f"env.{name} is a private service, and tests have no network. Start one and write: "
            f'worker.load(env={{**worker.env, "{name}": {{"$fetcher": "http://127.0.0.1:8000"}}}})'
        )
    fake = f'give the test a fake: worker.load(fakes={{"{name}": A_CLASS_OF_THE_TEST}})'
    if f'"{name}"' in json.dumps(settings):
        return f"env.{name} is only at Cloudflare: {fake}"
    if misspelt:
        return ""
    database = f'[{{ "binding": "{name}", "database_name": "{name.lower()}" }}]'
    return (
        f'env.{name} is not in wrangler.jsonc. Add it there, such as "kv_namespaces": '
        f'[{{ "binding": "{name}" }}] or "d1_databases": {database}, or {fake}'
    )


def _listed(block: Block, kind: str) -> list[dict[str, Any]]:
    found = block.settings.get(kind)
    if isinstance(found, dict):
        found = found.get("producers" if kind == "queues" else "bindings")
    return [item for item in found or [] if isinstance(item, dict)]


def _migrations(root: Path, database: dict[str, Any]) -> list[dict[str, str]]:
    """The SQL files of a D1 database, in the order in which wrangler applies them."""
    folder = str(database.get("migrations_dir", "migrations"))
    pattern = str(database.get("migrations_pattern", f"{folder}/*.sql"))
    files = sorted(root.glob(pattern))
    return [{"file": file.relative_to(root).as_posix(), "sql": read(file)} for file in files]


def _secrets(root: Path) -> dict[str, str]:
    try:
        return dev_vars(read(root / ".dev.vars"))
    except Problem:  # there is none
        return {}
