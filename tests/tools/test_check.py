"""`check`: what is wrong in wrangler.jsonc and in the repository is found.

Every command is a real process in a rendered project. Most rules are tried in environments of one
wrangler.jsonc, one for each mistake, so that one process judges dozens of them: what it says of an
environment must be exactly what the table says.
"""

import base64
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import shapes
from command_run import AUD, COMMAND, FILLED, environment, mind_ctrl_c, project, refused, run
from conftest import Render, git
from files import read_jsonc

pytestmark = pytest.mark.slow

Config = dict[str, Any]
Found = dict[str, Any]
UUID = shapes.SERVICE_ID
SECRET = "cfast_" + "N0t" * 13 + "a" + "01234567"  # put together, so that no scanner reports it


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def token(header: bytes) -> str:
    return ".".join(map(encoded, (header, b'{"sub":"ann@example.net"}', b"x" * 64)))


# In base64 `"alg":` looks different after 3n, 3n + 1 and 3n + 2 other characters.
JWT = token(b'{"alg":"RS256","kid":"made-up"}')
HEADERS = (
    b'{"kid":"a","alg":"ES256"}',
    b'{"kid":"ab","alg":"ES256"}',
    b'{"kid":"abc","alg":"ES256"}',
)
JWTS = [JWT, *map(token, HEADERS)]
PEM = "-----BEGIN " + "PRIVATE KEY-----\n" + "MADE+UP+MADE+UP+MADE+UP+" * 2 + "\n"

CUSTOM_DOMAIN = {
    "profile": "production",
    "access_scope": "worker",
    **FILLED,
    "upstreams": f"billing={UUID}",
}
WORKERS_DEV = {
    "profile": "personal",
    "team_domain": FILLED["team_domain"],
    "policy_aud": AUD,
    "allowed_emails": FILLED["allowed_emails"],
}
ROUTE = {
    "profile": "custom",
    "callers": ["human", "binding"],
    "exposure": "route",
    "access_scope": "hostname",
    "team_domain": FILLED["team_domain"],
    "policy_aud": AUD,
    "allowed_emails": FILLED["allowed_emails"],
    "calling_workers": "gateway",
    "zone_name": "example.net",
    "route_pattern": "www.example.net/invoices/*",
}
INTERNAL = {"profile": "internal", "calling_workers": "gateway"}
HOSTNAME_APPLICATION = {
    **CUSTOM_DOMAIN,
    "profile": "custom",
    "callers": ["human", "machine"],
    "exposure": "custom_domain",
    "access_scope": "hostname",
}
# What is left out here is the default: Access on the hostname.
PROGRAMS = {
    "profile": "custom",
    "callers": ["machine"],
    "exposure": "workers_dev",
    **{name: FILLED[name] for name in ("team_domain", "policy_aud", "allowed_service_tokens")},
}
SHAPES: dict[str, dict[str, Any]] = {
    "custom_domain": CUSTOM_DOMAIN,
    "workers_dev": WORKERS_DEV,
    "route": ROUTE,
    "none": INTERNAL,
    "hostname": HOSTNAME_APPLICATION,
    "programs": PROGRAMS,
}


def configuration(folder: Path) -> Config:
    found: Config = read_jsonc(folder / "wrangler.jsonc")
    return found


def write(folder: Path, config: Config) -> None:
    (folder / "wrangler.jsonc").write_text(json.dumps(config, indent=2))


def check(folder: Path, *words: str, **env: str) -> list[Found]:
    """What `check --json` finds. Its exit status must agree."""
    done = run(folder, "check", "--json", *words, env=env)
    assert done.stderr == "", done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is (not answer["findings"])
    assert done.returncode == (1 if answer["findings"] else 0)
    found: list[Found] = answer["findings"]
    return found


# --- Good projects -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shapes.of_interest())
def test_rendered_project_is_clean(name: str, rendered: Render, tmp_path: Path) -> None:
    """Only the placeholders are reported, not the rendered tests' made-up tokens. In a project
    that is filled in there are none, but for staging's private services."""
    shape = shapes.of_interest()[name]
    folder = project(rendered, tmp_path, **shapes.answers(shape))
    found = check(folder)
    left = json.dumps(configuration(folder)).count("REPLACE_WITH")
    assert [each["rule"] for each in found] == ["placeholder"] * left
    if shape["filled"]:
        assert left == (shape["upstreams"] if shape["staging"] else 0)


# --- Mistakes in an environment ------------------------------------------------------------------


class Case(NamedTuple):
    """A mistake in an environment that is otherwise right. `says` must stand in the finding."""

    name: str
    shape: str
    change: Callable[[Config], object]
    rule: str | None  # None: that is no mistake
    says: tuple[str, ...] = ()


def put(*path: str | int, value: Any) -> Callable[[Config], None]:
    def change(block: Config) -> None:
        target: Any = block
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[Config], None]:
    def change(block: Config) -> None:
        target: Any = block
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]

    return change


def previewing(block: Config) -> None:
    """Previews as they should be."""
    block["preview_urls"] = True
    block["previews"] = {key: deepcopy(block[key]) for key in ("vars", "vpc_services")}


def previewing_but(change: Callable[[Config], object]) -> Callable[[Config], None]:
    def both(block: Config) -> None:
        previewing(block)
        change(block)

    return both


def routed(item: Any) -> Callable[[Config], None]:
    return put("routes", 0, value=item)


DOMAIN = {
    "pattern": "a.example.net",
    "custom_domain": True,
    "enabled": True,
    "previews_enabled": False,
}
ZONED = {"pattern": "b.example.net/*", "zone_name": "example.net"}

SHARED = "shared-access"
CASES = (
    # Exposure is written out.
    Case("good", "custom_domain", lambda block: None, None),
    Case("no-dev", "custom_domain", drop("workers_dev"), "implicit-exposure", ("workers_dev",)),
    Case("text-dev", "custom_domain", put("workers_dev", value="false"), "implicit-exposure"),
    Case("no-urls", "custom_domain", drop("preview_urls"), "implicit-exposure", ("preview_urls",)),
    Case("no-routes", "custom_domain", drop("routes"), "implicit-exposure", ('"routes": [{',)),
    Case("no-enabled", "custom_domain", drop("routes", 0, "enabled"), "implicit-exposure"),
    Case(
        "no-previews-enabled",
        "custom_domain",
        drop("routes", 0, "previews_enabled"),
        "implicit-exposure",
        ('"previews_enabled": false,',),
    ),
    # Exposure is what the project was made for.
    Case(
        "dev-on",
        "custom_domain",
        put("workers_dev", value=True),
        "wrong-exposure",
        ("env.dev-on.workers_dev is true", "custom_domain", '"workers_dev": false,'),
    ),
    Case("dev-off", "workers_dev", put("workers_dev", value=False), "wrong-exposure"),
    Case("routed", "workers_dev", put("routes", value=[DOMAIN]), "wrong-exposure"),
    Case("empty", "custom_domain", put("routes", value=[]), "wrong-exposure", ("custom_domain",)),
    Case("empty", "route", put("routes", value=[]), "wrong-exposure", ("zone_name",)),
    Case("zoned", "custom_domain", routed(ZONED), "route-form", ("b.example.net/*",)),
    Case("domain", "route", routed(DOMAIN), "route-form", ("a.example.net",)),
    Case("dev-on", "none", put("workers_dev", value=True), "wrong-exposure"),
    Case("dev-on", "hostname", put("workers_dev", value=True), "wrong-exposure"),
    Case("urls-on", "none", put("preview_urls", value=True), "open-preview"),
    Case("routed", "none", put("routes", value=[ZONED]), "wrong-exposure"),
    Case("urls-on", "hostname", put("preview_urls", value=True), "open-preview"),
    Case(
        "domain-previews",
        "hostname",
        put("routes", 0, "previews_enabled", value=True),
        "open-preview",
        ('"previews_enabled": false,',),
    ),
    # With Access on the hostname of workers.dev, nothing else may be a way in.
    Case("urls-on", "programs", put("preview_urls", value=True), "open-preview"),
    Case("routed", "programs", put("routes", value=[ZONED]), "wrong-exposure"),
    Case("owned", "programs", put("routes", value=[DOMAIN]), "wrong-exposure"),
    # Routes have the form that wrangler and the Access application need.
    Case("text", "route", routed("c.example.net/*"), "route-form", ("c.example.net/*",)),
    Case("number", "route", routed(7), "route-form"),
    Case("no-pattern", "route", routed({"zone_name": "example.net"}), "route-form"),
    Case("exact", "route", put("routes", 0, "pattern", value="d.example.net/x"), "route-form"),
    Case("glued", "route", put("routes", 0, "pattern", value="d.example.net/x*"), "route-form"),
    Case("schemed", "route", put("routes", 0, "pattern", value="https://e.net/*"), "route-form"),
    Case("starred", "route", put("routes", 0, "pattern", value="*.example.net/*"), None),
    Case("zone-id", "route", routed({"pattern": "h.net/*", "zone_id": "0" * 32}), None),
    Case("no-zone", "route", drop("routes", 0, "zone_name"), "route-form", ("zone_name",)),
    Case(
        "path",
        "custom_domain",
        put("routes", 0, "pattern", value="f.example.net/*"),
        "route-form",
        ("f.example.net/*", '"pattern": "api.example.com", "custom_domain": true'),
    ),
    Case(
        "singular",
        "custom_domain",
        put("route", value="g.example.net/*"),
        "route",
        ('"routes": [',),
    ),
    Case(
        "stolen",
        "custom_domain",
        put("routes", 0, "pattern", value=FILLED["hostname"]),
        "shared-hostname",
        (FILLED["hostname"], "the top level"),
    ),
    Case(
        "stolen-dot",
        "custom_domain",
        put("routes", 0, "pattern", value=FILLED["hostname"].upper() + "."),
        "shared-hostname",
        (FILLED["hostname"].upper(),),
    ),
    Case(
        "stolen-route",
        "route",
        put("routes", 0, "pattern", value="WWW.example.net/invoices/*"),
        "shared-hostname",
    ),
    Case("other-path", "route", put("routes", 0, "pattern", value="www.example.net/A/*"), None),
    Case("other-zone", "route", put("routes", 0, "pattern", value="a.net/*"), "route-form"),
    Case("glued-zone", "route", put("routes", 0, "pattern", value="aexample.net/*"), "route-form"),
    Case("zone", "route", put("routes", 0, "pattern", value="Example.NET/*"), None),
    # An environment is a Worker of its own, with an Access application and services of its own.
    Case(
        "same-name",
        "none",
        put("name", value="my-api"),
        "worker-name",
        ("env.same-name.name", "my-api", "the top level"),
    ),
    Case("made-name", "none", put("name", value="my-api-good-name"), None),
    Case("made-name-taken", "none", put("name", value="my-api-later"), None),
    Case("later", "none", lambda block: None, "worker-name", ("env.made-name-taken",)),
    Case("empty-name", "none", put("name", value=""), "worker-name"),
    Case("number-name", "none", put("name", value=7), "worker-name"),
    Case(
        "same-aud",
        "custom_domain",
        put("vars", "POLICY_AUD", value=AUD.upper()),
        "shared-access",
        ("env.same-aud.vars.POLICY_AUD", AUD, "the top level"),
    ),
    Case("aud-text", "workers_dev", put("vars", "POLICY_AUD", value=f"{'1' * 64}, {AUD}"), SHARED),
    Case("aud-list", "workers_dev", put("vars", "POLICY_AUD", value=["2" * 64, AUD]), SHARED),
    Case("aud-again", "workers_dev", put("vars", "POLICY_AUD", value="2" * 64), SHARED),
    Case(
        "aud-previews",
        "custom_domain",
        previewing_but(put("previews", "vars", "POLICY_AUD", value=AUD)),
        "shared-access",
        ("env.aud-previews.previews.vars.POLICY_AUD",),
    ),
    Case(
        "same-service",
        "custom_domain",
        put("vpc_services", 0, "service_id", value=UUID.upper()),
        "shared-service",
        ("env.same-service.vpc_services", UUID.lower(), "the top level"),
    ),
    # What is not inherited is repeated.
    Case("no-vars", "workers_dev", drop("vars"), "not-inherited", ("TEAM_DOMAIN", "POLICY_AUD")),
    Case("no-aud", "route", drop("vars", "POLICY_AUD"), "not-inherited", ("POLICY_AUD",)),
    Case("no-callers", "none", drop("vars", "ALLOWED_WORKERS"), "not-inherited"),
    Case("no-vpc", "custom_domain", drop("vpc_services"), "not-inherited", ("BILLING",)),
    Case("kv-lost", "workers_dev", drop("kv_namespaces", 0), "not-inherited", ("CACHE",)),
    Case("other-queue", "workers_dev", put("queues", "consumers", 0, "queue", value="q2"), None),
    Case("no-queue", "workers_dev", drop("queues"), "not-inherited", ("queues",)),
    Case("no-objects", "workers_dev", drop("durable_objects"), "not-inherited"),
    Case("other-name", "workers_dev", put("containers", 0, "name", value="sandbox2"), None),
    Case("no-containers", "workers_dev", drop("containers"), "not-inherited", ("containers",)),
    Case(
        "lost-object",
        "workers_dev",
        put("durable_objects", "bindings", 0, "name", value="X"),
        "not-inherited",
        ("lacks ROOM",),
    ),
    Case(
        "lost-producer",
        "workers_dev",
        put("queues", "producers", 0, "binding", value="X"),
        "not-inherited",
        ("lacks JOBS",),
    ),
    Case(
        "lost-limit",
        "workers_dev",
        put("ratelimits", 0, "name", value="X"),
        "not-inherited",
        ("lacks LIMITER",),
    ),
    Case("no-ai", "workers_dev", drop("ai"), "not-inherited", ("AI",)),
    Case("no-limits", "workers_dev", drop("ratelimits"), "not-inherited", ("ratelimits",)),
    Case("no-secrets", "workers_dev", drop("secrets"), "not-inherited", ("DB_PASSWORD",)),
    Case("own-var", "workers_dev", drop("vars", "LOG_LEVEL"), "not-inherited", ("LOG_LEVEL",)),
    # Previews.
    Case("previews", "custom_domain", previewing, None),
    Case("blind", "workers_dev", put("preview_urls", value=True), "previews-block"),
    Case(
        "blind-domain",
        "custom_domain",
        put("routes", 0, "previews_enabled", value=True),
        "previews-block",
    ),
    Case(
        "lost-vars",
        "custom_domain",
        previewing_but(drop("previews", "vars")),
        "not-inherited",
        ("env.lost-vars.previews", "POLICY_AUD"),
    ),
    Case(
        "lost-emails",
        "custom_domain",
        previewing_but(drop("previews", "vars", "ALLOWED_EMAILS")),
        "not-inherited",
        ("env.lost-emails.previews", "ALLOWED_EMAILS"),
    ),
    Case(
        "lost-vpc",
        "custom_domain",
        previewing_but(drop("previews", "vpc_services")),
        "not-inherited",
        ("env.lost-vpc.previews", "BILLING"),
    ),
    Case(
        "bad-aud",
        "custom_domain",
        previewing_but(put("previews", "vars", "POLICY_AUD", value="abc")),
        "setting",
        ("env.bad-aud.previews", "POLICY_AUD"),
    ),
    # Settings, as the guard reads them.
    Case(
        "aud", "custom_domain", put("vars", "POLICY_AUD", value="5e1f"), "setting", ("POLICY_AUD",)
    ),
    Case(
        "team",
        "custom_domain",
        put("vars", "TEAM_DOMAIN", value="https://example.net"),
        "setting",
        ("TEAM_DOMAIN",),
    ),
    Case("emails", "workers_dev", put("vars", "ALLOWED_EMAILS", value=["ann"]), "setting"),
    Case("nobody", "workers_dev", put("vars", "ALLOWED_EMAILS", value=[]), "setting", ("nobody",)),
    Case("tokens", "custom_domain", put("vars", "ALLOWED_SERVICE_TOKENS", value=["x"]), "setting"),
    Case("workers", "route", put("vars", "ALLOWED_WORKERS", value=[]), "setting", ("nobody",)),
    Case("worker", "none", put("vars", "ALLOWED_WORKERS", value=[""]), "setting"),
    Case(
        "local",
        "workers_dev",
        put("vars", "TEAM_DOMAIN", value="http://localhost:8788"),
        "setting",
        ("TEAM_DOMAIN", ".dev.vars"),
    ),
    Case("secret", "workers_dev", put("vars", "GH_TOKEN", value="x"), "secret-in-vars"),
    Case(
        "secret-elsewhere",
        "workers_dev",
        put("hyperdrive", value=[{"binding": "DB", "password": "made-up"}]),
        "secret",
        ("hyperdrive.password", "have a new one made"),
    ),
    Case(
        "secret-empty",
        "workers_dev",
        put("vars", "STRIPE_KEY", value=""),
        "secret-in-vars",
        ("is empty, and a deploy puts that in place of a secret",),
    ),
    Case("empty", "workers_dev", put("vars", "GREETING", value=""), None),
    Case(
        "secret-url",
        "workers_dev",
        put("vars", "DATABASE", value="postgres://ann:made-up@db.example.net/x"),
        "secret-in-vars",
        ("npx wrangler secret put DATABASE --env secret-url",),
    ),
    Case(
        "secret-preview",
        "custom_domain",
        previewing_but(put("previews", "vars", "API_KEY", value="x")),
        "secret-in-vars",
        ("npx wrangler preview secret put API_KEY",),
    ),
    Case(
        "secret-inside",
        "workers_dev",
        put("vars", "DB", value={"hosts": ["a"], "password": "made-up"}),
        "secret-in-vars",
        ("vars.DB.password", "npx wrangler secret put DB --env secret-inside"),
    ),
    # Bindings.
    Case(
        "vpc-as-service",
        "custom_domain",
        put("services", value=[{"binding": "OLD", "service": UUID, "remote": True}]),
        "vpc-in-services",
        (f'"vpc_services": [{{"binding": "OLD", "service_id": "{UUID}"}}]',),
    ),
    Case(
        "vpc-by-id",
        "custom_domain",
        put("services", value=[{"binding": "OLD", "service_id": "x"}]),
        "vpc-in-services",
    ),
    Case(
        "tunnel",
        "custom_domain",
        put("services", value=[{"binding": "OLD", "service": "erp", "tunnel_id": "t"}]),
        "vpc-in-services",
        ("OLD",),
    ),
    Case(
        "worker", "custom_domain", put("services", value=[{"binding": "A", "service": "a"}]), None
    ),
    Case(
        "network",
        "custom_domain",
        put("vpc_networks", value=[{"binding": "NET", "network_id": "cf1:network"}]),
        "vpc-networks",
        ("vpc_services",),
    ),
    Case("assets", "workers_dev", put("assets", value={"directory": "public"}), "assets"),
    Case("assets", "none", put("assets", value={"directory": "public"}), "assets"),
    # Keys.
    Case("misspelt", "none", put("route_s", value=[]), "unknown-key", ('Write "routes".',)),
    Case("made-up", "none", put("greeting", value=1), "unknown-key", ("wrangler ignores it",)),
    Case("top-only", "none", put("keep_vars", value=True), "unknown-key", ("where it belongs",)),
    Case(
        "in-previews",
        "custom_domain",
        previewing_but(put("previews", "routes", value=[])),
        "unknown-key",
        ("env.in-previews.previews.routes",),
    ),
    *(Case("cached", name, put("cache", value={"enabled": True}), "cache") for name in SHAPES),
    Case(
        "cached-previews",
        "custom_domain",
        previewing_but(put("previews", "cache", value={"enabled": True})),
        "cache",
    ),
    Case(
        "cached-export",
        "none",
        put("exports", value={"A": {"type": "worker", "cache": {"enabled": True}}}),
        "cache",
        ("env.cached-export.exports.A.cache",),
    ),
    Case("exported", "none", put("exports", value={"A": {"type": "worker"}}), None),
    Case(
        "export-key",
        "none",
        put("exports", value={"A": {"type": "worker", "cahce": {"enabled": True}}}),
        "unknown-key",
        ('Write "cache".',),
    ),
    Case("sockets", "none", put("connect", value=[{"protocol": "tcp", "port": 1}]), "no-guard"),
    Case("first-party", "none", put("first_party_worker", value=True), "no-guard"),
    Case("defined", "none", put("define", value={"A": "1"}), "build"),
    Case("other-files", "none", put("base_dir", value="elsewhere"), "build"),
    # What runs.
    Case("main", "none", put("main", value="src/api.py"), "main", ("src/api.py",)),
    Case("same-main", "none", put("main", value="./src/entry.py"), None),
    Case("old", "none", put("compatibility_date", value="2026-09-07"), "compatibility-date"),
    Case("oldest", "none", put("compatibility_date", value="2026-09-08"), None),
    Case("short-day", "none", put("compatibility_date", value="20261001"), "compatibility-date"),
    Case("list-day", "none", put("compatibility_date", value=["2026-10-01"]), "compatibility-date"),
    Case("no-python", "none", put("compatibility_flags", value=[]), "compatibility-flags"),
    Case(
        "text-flags",
        "none",
        put("compatibility_flags", value="python_workers"),
        "compatibility-flags",
    ),
    *(
        Case(
            flag,
            "none",
            put("compatibility_flags", value=["python_workers", flag]),
            "compatibility-flags",
        )
        for flag in ("python_workers_20250116", "disable_python_external_sdk")
    ),
)

# More than a rendered project has, so that there is something to lose.
MORE: Config = {
    "kv_namespaces": [{"binding": "CACHE", "id": "1"}],
    "queues": {
        "producers": [{"binding": "JOBS", "queue": "jobs"}],
        "consumers": [{"queue": "jobs", "max_retries": 3}],
    },
    "durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]},
    "ai": {"binding": "AI"},
    "ratelimits": [{"name": "LIMITER", "namespace_id": "1"}],
    "secrets": {"required": ["DB_PASSWORD"]},
    "containers": [{"name": "sandbox", "class_name": "Room"}],
    "migrations": [{"tag": "v1", "new_sqlite_classes": ["Room"]}],
}
EVENTS = """async def queue(batch, env): pass
class Room: pass
CLASSES = (Room,)
"""
OWN = ("workers_dev", "preview_urls", "routes", "vars", "vpc_services", *MORE)

Judged = dict[str, list[Found]]


def make_own(block: Config, name: str) -> None:
    """An Access application and private services that no other environment has."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    if "POLICY_AUD" in block["vars"]:
        block["vars"]["POLICY_AUD"] = digest
    for service in block.get("vpc_services", []):
        service["service_id"] = digest[:8] + UUID[8:]
    for store in [*block.get("kv_namespaces", []), *block.get("ratelimits", [])]:
        store["id" if "id" in store else "namespace_id"] = digest[:8]
    for ends in block.get("queues", {}).values():
        for end in ends:
            end["queue"] = f"jobs-{digest[:8]}"


@pytest.fixture(scope="module")
def judged(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """What `check` says of each environment, for each shape, and of the rest under ""."""
    answer: dict[str, Judged] = {}
    for shape, answers in SHAPES.items():
        folder = project(rendered, tmp_path_factory.mktemp(shape), **answers)
        config = configuration(folder)
        if shape == "workers_dev":
            config |= deepcopy(MORE)
            (folder / "src" / "events.py").write_text(EVENTS, encoding="utf-8")
            git(folder, "commit", "--all", "--quiet", "--message", "events")
            config["vars"]["LOG_LEVEL"] = "debug"
        environments: Config = {}
        for case in CASES:
            if case.shape == shape:
                block = {key: deepcopy(config[key]) for key in OWN if key in config}
                for route in block["routes"]:
                    path = route["pattern"].partition("/")[1:]
                    route["pattern"] = f"{case.name}.example.net" + "".join(path)
                make_own(block, case.name)
                case.change(block)
                environments[case.name] = block
        write(folder, {**config, "env": environments})
        found = answer[shape] = {name: [] for name in ("", *environments)}
        for each in check(folder):
            name = each["wrong"].split()[0].split(".")
            found[name[1] if name[0] == "env" else ""].append(each)
    return answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.shape}-{case.name}")
def test_mistake_in_an_environment(case: Case, judged: dict[str, Judged]) -> None:
    found = judged[case.shape][case.name]
    assert {each["rule"] for each in found} == ({case.rule} if case.rule else set()), found
    text = json.dumps(found, ensure_ascii=False).replace('\\"', '"')
    for part in case.says:
        assert part in text


def test_top_level_of_those_was_right(judged: dict[str, Judged]) -> None:
    for found in judged.values():
        assert found[""] == []


def test_every_guard_var_that_is_wrong_is_named(rendered: Render, tmp_path: Path) -> None:
    """Not only the first, as the guard itself does."""
    folder = project(rendered, tmp_path, **CUSTOM_DOMAIN)
    config = configuration(folder)
    config["vars"] = {"TEAM_DOMAIN": 7, "ALLOWED_EMAILS": ["ann"], "ALLOWED_SERVICE_TOKENS": [""]}
    write(folder, config)
    found = check(folder)
    assert {each["rule"] for each in found} == {"setting"}
    named = [each["wrong"].split()[0] for each in found]
    assert sorted(named) == sorted(f"vars.{name}" for name in [*config["vars"], "POLICY_AUD"])


def test_limit_that_is_gone(rendered: Render, tmp_path: Path) -> None:
    """The guard asks for it, so the Worker would be shut."""
    folder = project(rendered, tmp_path, **WORKERS_DEV, requests_per_minute="60")
    assert check(folder) == []
    config = configuration(folder)
    mine = [{**config["ratelimits"][0], "name": "MINE"}]
    for left in (mine, [], None):
        write(folder, {**config, "ratelimits": left})
        [found] = check(folder)
        assert (found["rule"], "lacks RATE_LIMIT" in found["wrong"]) == ("setting", True)
        assert "--data requests_per_minute=0" in found["fix"]


def test_agents_without_a_redirect_uri(rendered: Render, tmp_path: Path) -> None:
    """Access would let none of them log in."""
    given = {**CUSTOM_DOMAIN, "access_scope": "hostname", "agents": ["claude", "other"]}
    uri = "https://chatgpt.com/connector/oauth/abc123"
    folder = project(rendered, tmp_path / "with", **given, agent_redirect_uris=uri)
    assert check(folder) == []
    [found] = check(project(rendered, tmp_path / "without", **given))
    assert (found["rule"], found["file"]) == ("redirect-uri", ".copier-answers.yml")
    assert "--data agent_redirect_uris=" in found["fix"]


def test_placeholders(rendered: Render, tmp_path: Path) -> None:
    """Each is named once with its line, in any block, deep inside, and not by the guard as well.
    One in a comment is none."""
    folder = project(rendered, tmp_path, **CUSTOM_DOMAIN)
    config = configuration(folder)
    staging = {key: deepcopy(config[key]) for key in OWN if key in config}
    staging["routes"][0]["pattern"] = "staging.example.net"
    make_own(staging, "staging")
    staging["vars"]["POLICY_AUD"] = "REPLACE_WITH_AUD_TAG"
    staging["vars"]["X"] = [["// 'replace_with_it' ]"]]
    config["routes"][0]["pattern"] = "api.REPLACE_WITH_ZONE"
    write(folder, {**config, "env": {"staging": staging}})
    path = folder / "wrangler.jsonc"
    lines = ["// REPLACE_WITH_NOTHING", *path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    found = check(folder)
    assert {each["rule"] for each in found} == {"placeholder"} and len(found) == 3
    for each in found:
        assert each["wrong"].removesuffix(" is not filled in") in lines[each["line"] - 1]
    text = json.dumps(found)
    assert "REPLACE_WITH_AUD_TAG" in text and "api.REPLACE_WITH_ZONE" in text


# --- The file as a whole -------------------------------------------------------------------------


def test_almost_empty_file(rendered: Render, tmp_path: Path) -> None:
    """Everything that wrangler would decide by itself is named, at the top level too."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    write(folder, {"name": ""})
    found = {(each["rule"], each["wrong"]) for each in check(folder)}
    for rule, part in (
        ("implicit-exposure", "workers_dev"),
        ("implicit-exposure", "preview_urls"),
        ("implicit-exposure", "routes"),
        ("main", "missing"),
        ("worker-name", '""'),
        ("compatibility-date", "missing"),
        ("compatibility-flags", "missing"),
        ("setting", "TEAM_DOMAIN"),
        ("setting", "POLICY_AUD"),
        ("setting", "ALLOWED_EMAILS"),
    ):
        assert any(rule == name and part in wrong for name, wrong in found), (rule, part)
    assert len(found) == 10


def test_line_is_where_the_mistake_is(rendered: Render, tmp_path: Path) -> None:
    """Also with a byte order mark, Windows line ends, comments and trailing commas."""
    folder = project(rendered, tmp_path, **CUSTOM_DOMAIN)
    path = folder / "wrangler.jsonc"
    text = path.read_text(encoding="utf-8")
    text = text.replace('"previews_enabled": false', '/* é { */ "previews_enabled": 0, // x')
    text = text.replace(AUD, "abc").replace('"workers_dev"', '"keep_vars": true,\n  "workers_dev"')
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    lines = text.splitlines()
    wanted = {
        rule: next(number for number, line in enumerate(lines, 1) if part in line)
        for rule, part in (
            ("implicit-exposure", "previews_enabled"),
            ("setting", "POLICY_AUD"),
            ("keep-vars", "keep_vars"),
        )
    }
    assert {each["rule"]: each["line"] for each in check(folder)} == wanted


def test_what_wrangler_would_read_instead(rendered: Render, tmp_path: Path) -> None:
    """wrangler prefers wrangler.json, even one further up, and a build tool's redirect. Other tools
    have files of their own, which wrangler does not read."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    (tmp_path / "wrangler.json").write_text("{}")
    (folder / ".wrangler" / "deploy").mkdir(parents=True)
    (folder / ".wrangler" / "deploy" / "config.json").write_text("{}")
    (folder / "wrangler.toml").write_text("")
    (tmp_path / "wrangler.toml").write_text("")  # nobody looks for it there
    (folder / "cloudflare.config.ts").write_text("")
    found = {(each["rule"], each["file"]): each["wrong"] for each in check(folder)}
    assert str(tmp_path / "wrangler.json") in found.pop(("other-config", "wrangler.json"))
    assert "pywrangler takes first" in found.pop(("other-config", "wrangler.toml"))
    assert "cf takes first" in found.pop(("other-config", "cloudflare.config.ts"))
    assert list(found) == [("other-config", ".wrangler/deploy/config.json")]


# What only the top level has, and the rule.
TOP: dict[str, tuple[Any, str]] = {
    "addresses": (["support@example.com"], "no-guard"),
    "alias": ({"a": "./b"}, "build"),
    "build": ({"command": "make"}, "build"),
    "cache": ({"enabled": True}, "cache"),
    "dev": ({"ip": "0.0.0.0"}, "open-dev"),
    "pages_build_output_dir": ("./public", "no-guard"),
    "site": ({"bucket": "./public"}, "no-guard"),
    "unsafe": ({"metadata": {"a": 1}}, "unsafe"),
}


def test_keys_that_must_not_be_set(rendered: Render, tmp_path: Path) -> None:
    folder = project(rendered, tmp_path, **INTERNAL)
    right = configuration(folder)
    write(folder, {**right, **{key: value for key, (value, _) in TOP.items()}})
    found = {each["wrong"].split()[0].split(".")[0]: each["rule"] for each in check(folder)}
    assert found == {key: rule for key, (_, rule) in TOP.items()}
    off = {"cache": {"enabled": False}, "site": None}
    write(folder, {**right, **off, "dev": {"ip": "127.0.0.1", "port": 9000}})
    assert check(folder) == []


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "cannot be read"),
        (b'{"a": 1', "line 1"),
        (b'{\n<<<<<<< before updating\n"a": 1\n=======\n', "half merged, line 2"),
        (b"[]", "object"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"vars": {}, "vars": {}}', "'vars'"),
        (b'{"a":' * 99 + b"1" + b"}" * 99, "deep"),
        (b'{"a": "' + b" " * 1_000_000 + b'"}', "1000000 bytes"),
    ],
    ids=("missing", "cut", "merge", "list", "latin-1", "twice", "deep", "large"),
)
def test_unreadable_configuration(
    content: bytes | None, part: str, rendered: Render, tmp_path: Path
) -> None:
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    (folder / "wrangler.jsonc").unlink()
    if content is not None:
        (folder / "wrangler.jsonc").write_bytes(content)
    refused(run(folder, "check", "--json"), "wrangler.jsonc", part)


def test_other_types_than_expected(rendered: Render, tmp_path: Path) -> None:
    """Nothing that JSON can hold stops the command."""
    folder = project(rendered, tmp_path, **CUSTOM_DOMAIN)
    config = configuration(folder)
    keys = [*config, "previews", "services", "vpc_networks", "queues", "assets", "keep_vars"]
    values: list[Any] = [None, 7, "x", [[], {}, None, "x"], {"binding": {"x": []}, "pattern": []}]
    values.append([{"binding": 1, "service": 7, "service_id": [], "entrypoint": {}}])
    environments: Config = {}
    for number, value in enumerate(values):
        environments[f"every-{number}"] = {key: value for key in keys if key != "$schema"}
        environments[f"broken-{number}"] = value
        environments[f"routes-{number}"] = {"routes": [value], "vars": {}}
    write(folder, {**config, "env": environments})
    assert {each["rule"] for each in check(folder)} >= {"implicit-exposure", "main"}
    for value in values[2:]:
        every = {**environments[f"every-{values.index(value)}"], "env": environments}
        write(folder, {**every, "routes": [value]})
        assert {each["rule"] for each in check(folder)} >= {"implicit-exposure", "setting"}
    for environments, way in ((values[3], "env"), ({"staging": []}, "env.staging")):
        write(folder, {**config, "env": environments})
        found = check(folder)
        assert [each["rule"] for each in found] == ["environment"]
        assert found[0]["wrong"].split()[0] == way


# --- Configurations of public repositories, reduced to what is wrong with them --------------------

PUBLIC: dict[str, tuple[Config, set[str]]] = {
    # IceCube9680/telegram-clone-worker: public on workers.dev, Version URLs, and static assets.
    "telegram-clone-worker": (
        {"workers_dev": True, "preview_urls": True, "assets": {"directory": "web"}},
        {"wrong-exposure", "previews-block", "assets"},
    ),
    # 2815891157/duolingo-helper-server: workers.dev on purpose, preview_urls follows it.
    "duolingo-helper-server": (
        {"workers_dev": True, "preview_urls": None},
        {"wrong-exposure", "implicit-exposure"},
    ),
    # ATProto-Science/iosp-kiosk: a path of a zone; nothing said about workers.dev.
    "iosp-kiosk": (
        {
            "workers_dev": None,
            "preview_urls": None,
            "routes": [{**ZONED, "pattern": "b.net/api/*"}],
        },
        {"implicit-exposure", "route-form"},
    ),
    # CoderScreen/coderscreen: a custom domain without its switches; staging without its objects.
    "coderscreen": (
        {
            "routes": [{"pattern": "api.example.net", "custom_domain": True}],
            "durable_objects": MORE["durable_objects"],
            "env": {"staging": {"routes": [DOMAIN], "vars": {}, "durable_objects": None}},
        },
        {"implicit-exposure", "not-inherited", "no-code"},
    ),
    # AlecDusheck/carrier-explode: a custom domain, and workers.dev beside it.
    "carrier-explode": ({"workers_dev": True}, {"wrong-exposure"}),
    # BrianVia/rbox-core: production, an environment, keeps workers.dev as a second way in.
    "rbox-core": (
        {"env": {"production": {"workers_dev": True, "preview_urls": False, "routes": [DOMAIN]}}},
        {"wrong-exposure", "not-inherited"},
    ),
    # BaseOut/baseout: its comment says that the environments once held a name and nothing else.
    "baseout": ({"env": {"staging": {"name": "api"}}}, {"implicit-exposure", "not-inherited"}),
    # 21lakshh/Blogs: a database URL with a real token, and the signing secret, in vars.
    "blogs": (
        {"vars": {"DATABASE_URL": f"prisma://db.example.net/?api_key={JWT}", "JWT_SECRET": "x"}},
        {"secret-in-vars", "secret", "setting"},
    ),
    # AlexInABox/zeitvertreib-website: addresses of the own machine in what is deployed.
    "zeitvertreib-website": (
        {"vars": {"TEAM_DOMAIN": "http://localhost:4200", "POLICY_AUD": "local"}},
        {"setting"},
    ),
    # cloudflare/workers-sdk#10628: the proposal from which the form under `services` comes.
    "workers-sdk-10628": (
        {"services": [{"binding": "MYAPI", "service_id": UUID}]},
        {"vpc-in-services"},
    ),
    # cloudflare/wrangler-legacy#2142: an environment with `route`, and no Durable Objects.
    "wrangler-legacy-2142": (
        {
            "durable_objects": MORE["durable_objects"],
            "env": {"staging": {"route": "staging.example.net/*"}},
        },
        {"route", "implicit-exposure", "not-inherited", "no-code"},
    ),
    # cloudflare/wrangler-legacy#1773: one API key for all environments, in vars.
    "wrangler-legacy-1773": (
        {"env": {"staging": {"vars": {"SCHEDULER_API_KEY": "expected"}}}},
        {"secret-in-vars", "implicit-exposure", "not-inherited"},
    ),
    # Ice-Hazymoon/short-link: a pattern with a path, ready to be used as a custom domain.
    "short-link": ({"routes": [{**DOMAIN, "pattern": "s.example.net/*"}]}, {"route-form"}),
    # 0verlabs/herald: a trailing comma after everything, and nothing about addresses.
    "herald": ({"workers_dev": None, "preview_urls": None, "routes": None}, {"implicit-exposure"}),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_configuration(name: str, rendered: Render, tmp_path: Path) -> None:
    """As the custom domain of a production project."""
    given, rules = PUBLIC[name]
    folder = project(rendered, tmp_path, **CUSTOM_DOMAIN)
    config = {**configuration(folder), **given}
    write(folder, {key: value for key, value in config.items() if value is not None})
    assert {each["rule"] for each in check(folder)} == rules


# What the Workers of cloudflare/python-workers-examples configure (August 2026), besides addresses.
EXAMPLES: dict[str, tuple[Config, str, set[str]]] = {
    "02-binding": ({"kv_namespaces": [{"binding": "FOO", "id": "0f2ac74b"}]}, "", set()),
    "03-fastapi": (
        {
            "compatibility_flags": ["python_workers", "python_dedicated_snapshot"],
            "vars": {"MESSAGE": "My env var"},
            "observability": {"enabled": True},
        },
        "",
        set(),
    ),
    "04-query-d1": (
        {"d1_databases": [{"binding": "DB", "database_name": "quotes", "database_id": UUID}]},
        "",
        set(),
    ),
    "05-langchain": ({"ai": {"binding": "AI", "remote": True}}, "", set()),
    "06-assets": ({"assets": {"directory": "./assets/", "binding": "ASSETS"}}, "", {"assets"}),
    "06-assets, after the guard": (
        {"assets": {"directory": "./assets/", "binding": "ASSETS", "run_worker_first": True}},
        "",
        set(),
    ),
    "07-durable-objects": (
        {
            "durable_objects": {"bindings": [{"name": "LISTS", "class_name": "List"}]},
            "migrations": [{"tag": "v1", "new_sqlite_classes": ["List"]}],
        },
        "class List: pass\nCLASSES = (List,)\n",
        set(),
    ),
    "08-cron": (
        {"triggers": {"crons": ["*/1 * * * *"]}},
        "async def scheduled(event, env): pass\n",
        set(),
    ),
    "10-workflows": (
        {"workflows": [{"name": "dag", "binding": "MY_WORKFLOW", "class_name": "DAGWorkflow"}]},
        "class DAGWorkflow: pass\nCLASSES = (DAGWorkflow,)\n",
        set(),
    ),
    "13-js-api-pygments": (
        {"services": [{"binding": "PYTHON_RPC", "service": "py-rpc-server"}]},
        "",
        set(),
    ),
    "17-dynamic-py-py": ({"worker_loaders": [{"binding": "LOADER"}]}, "", set()),
    "19-django-todo-d1": (
        {
            "assets": {"directory": "./public", "run_worker_first": ["/api/*"]},
            "d1_databases": [{"binding": "DB", "database_id": UUID, "migrations_dir": "./m"}],
        },
        "",
        {"assets"},
    ),
}


def test_the_official_examples(rendered: Render, tmp_path: Path) -> None:
    """In a project that is right otherwise, only what lets files past the guard is a finding."""
    folder = project(rendered, tmp_path, **HOSTNAME_APPLICATION)
    (folder / "assets").mkdir()
    right, events = configuration(folder), folder / "src" / "events.py"
    before = events.read_text(encoding="utf-8") if events.exists() else ""
    for name, (given, code, rules) in EXAMPLES.items():
        config = {**deepcopy(right), **given}
        config["vars"] = {**right["vars"], **given.get("vars", {})}
        write(folder, config)
        events.write_text(code or before, encoding="utf-8")
        found = {each["rule"] for each in check(folder, "--allow", "edited-file")}
        assert found == rules, name


# --- The repository ------------------------------------------------------------------------------

WRONG_FILES: dict[str, tuple[str, str, int]] = {
    # file: (content, rule, line)
    "notes/token.txt": (f"one\ntwo {SECRET}\n", "secret", 2),
    "notes/old.env.txt": (f"CF_ACCESS_CLIENT_SECRET={AUD}\n", "secret", 1),
    "notes/old.json": (json.dumps({"client_secret": AUD}), "secret", 1),
    "notes/curl.sh": (
        f"curl -H 'CF-Access-Client-Secret: {AUD}' https://a.example.net\n",
        "secret",
        1,
    ),
    "notes/jwt.md": (f"\n\nCookie: CF_Authorization={JWT}; x=y\n", "secret", 3),
    **{f"notes/{number}.jwt": (JWTS[number], "secret", 1) for number in range(len(JWTS))},
    "notes/key.pem": (PEM, "secret", 1),
    "notes/key.txt": (base64.b64encode(PEM.encode()).decode(), "secret", 1),
    "notes/key.json": (json.dumps({"key": PEM}), "secret", 1),
    "deploy.sh": ("export CLOUDFLARE_API_TOKEN=" + "Ab1_" * 10 + "\n", "secret", 1),
    "terraform.tfvars": ('cloudflare_api_token = "' + "ab1-" * 10 + '"\n', "secret", 1),
    "notes/pair.py": (f"HEADERS = [('CF-Access-Client-Secret', '{AUD}')]\n", "secret", 1),
    "notes/many.txt": (f"\n{SECRET}\n" * 3, "secret", 2),
    "notes/stripe.txt": ("sk_" + "live_" + "N0tAReal" * 3 + "\n", "secret", 1),
    "notes/github.txt": ("ghp_" + "N0tReal" * 5 + "x\n", "secret", 1),
    "notes/aws.txt": ("AKIA" + "N0TAREAL".upper() * 2 + "\n", "secret", 1),
    "notes/hs384.jwt": (token(b'{"alg":"HS384"}'), "secret", 1),
    "many.md": ("x\n" + ("<" * 7 + " x\n") * 400_000, "merge-marker", 2),
    "with space/café.py": ("x = 1\n" + "<" * 7 + " before updating\n", "merge-marker", 2),
    "src/api.py.rej": ("@@ -1 +1 @@\n", "reject-file", 0),
    ".dev.vars": ("A=1\n", "local-file", 0),
    "sub/.env.production": ("A=1\n", "local-file", 0),
}
RIGHT_FILES = {
    "aws.md": "AKIAIOSFODNN7" + "EXAMPLE\n",
    "stripe.md": "sk_test_" + "N0tAReal" * 3 + " and task_live_" + "N0tAReal" * 3 + "\n",
    "short.txt": "cfast_wrong cfast_" + "x" * 47 + "\n",
    "ci.yml": "CLOUDFLARE_API_TOKEN: ${{ secrets.CLOUDFLARE_API_TOKEN }}\nCLIENT_SECRET: $X\n",
    "code.py": 'CLOUDFLARE_API_TOKEN = os.environ["CLOUDFLARE_API_TOKEN_OF_THE_WHOLE_ACCOUNT"]\n',
    "sample.sh": "export CLOUDFLARE_API_TOKEN=your-cloudflare-api-token-with-edit-permission\n",
    "sum.py": f"CLIENT_SECRET_SHA256 = '{AUD}'\nSECRET_HASH = '{AUD}'\n",
    **{
        f"sample-{number}.jwt": token(header.replace(b"ES256", b"HS256"))
        for number, header in enumerate(HEADERS)
    },
    ".env.sample": "A=1\n",
    "sub/.dev.vars.template": "A=1\n",
    "header.py": "HEADER = '-----BEGIN " + "PRIVATE KEY-----'\n",
    "no-algorithm.txt": token(b'{"kid":"made-up"}') + "\n",
    "image.bin": "\0<<<<<<<\x01\0",
    "dots.txt": "eyJ" + "x" * 40 + ".eyJ" + "y" * 40 + "." + "z" * 40 + "\n",
    "markers.md": "    " + "<" * 7 + " quoted\n" + "<" * 8 + "\n" + "=" * 7 + "\n",
    ".dev.vars.example": "A=1\n",
    "sub/.env.example": "A=1\n",
    "node_modules/x/token.txt": SECRET,
    "sub/.gitignore": "ignored.txt\n",
    "sub/ignored.txt": SECRET,
}


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize("tracked", [True, False], ids=("in-git", "about-to-be"))
def test_repository(tracked: bool, rendered: Render, tmp_path: Path) -> None:
    """In a subfolder of a repository, with a space in its path."""
    above = tmp_path / "mono repo"
    folder = project(rendered, above, **WORKERS_DEV)
    shutil.rmtree(folder / ".git")
    (folder / ".gitignore").unlink()
    fill(folder, {name: content for name, (content, _, _) in WRONG_FILES.items()} | RIGHT_FILES)
    (folder / ".gitignore").write_text("node_modules/\n")
    (folder / "large.txt").write_bytes(SECRET.encode() + b"\n" * 5_000_001)
    outside = tmp_path / "outside.txt"
    outside.write_text(SECRET)
    (folder / "link.txt").symlink_to(outside)
    (above / "neighbour.txt").write_text(SECRET)
    git(above, "init", "--quiet")
    if tracked:
        git(above, "add", "--all")
    done = run(folder, "check", "--json", "--allow", "edited-file")  # .gitignore is another
    assert SECRET not in done.stdout and AUD not in done.stdout and JWT not in done.stdout
    found = json.loads(done.stdout)["findings"]
    assert {each["file"]: (each["rule"], each["line"] or 0) for each in found} == {
        name: (rule, line) for name, (_, rule, line) in WRONG_FILES.items()
    }
    assert len(found) == len(WRONG_FILES)
    said = {each["file"]: each["wrong"] for each in found}
    assert "and 2 more" in said["notes/many.txt"] and "399999 more" in said["many.md"]


def test_versions(rendered: Render, tmp_path: Path) -> None:
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    npm, python = folder / "package.json", folder / "pyproject.toml"
    package, text, pin = json.loads(npm.read_text()), python.read_text(), "workers-py==1.17.9"
    assert pin in text

    def found(wrangler: str, workers_py: str) -> list[str]:
        package["devDependencies"]["wrangler"] = wrangler
        npm.write_text(json.dumps(package))
        python.write_text(text.replace(pin, workers_py))
        listed = check(folder)
        assert {each["rule"] for each in listed} <= {"version"}
        return [f"{each['file']}: {each['wrong']}" for each in listed]

    assert found("4.164.0", "workers-py == 1.9 ; python_version > '3'") == []
    assert found("4.163.9", "workers-py==1.8.2") == [
        "package.json: Version 4.163.9 is too old",
        "pyproject.toml: Version 1.8.2 is too old",
    ]
    for given in (
        ("^4.164.0", "workers-py >= 1.17.9"),
        ("latest", f"# {pin}"),
        ("9" * 5000, f"workers-py=={'9' * 5000}"),
    ):
        assert found(*given) == [
            "package.json: It names no exact version",
            "pyproject.toml: It names no exact version",
        ]
    npm.unlink()
    python.write_bytes(b"\xff")
    assert [each["file"] for each in check(folder)] == ["package.json", "pyproject.toml"]


# What pyproject.toml and pylock.toml are changed to, and what is then wrong; "" for nothing.
LOCKS: dict[str, tuple[tuple[str, str], tuple[str, str], str]] = {
    "another SDK": (
        ("workers-runtime-sdk==1", "workers-runtime-sdk==2"),
        ("", ""),
        "pylock.toml has workers-runtime-sdk 1.9.5, but pyproject.toml asks for "
        "workers-runtime-sdk==2.9.5",
    ),
    "one more": (
        ("dependencies = [", 'dependencies = ["Mark_Down>=3",'),
        ("", ""),
        "pylock.toml has no Mark_Down, which pyproject.toml asks for",
    ),
    "one that a Worker has no use for": (
        ("dependencies = [", "dependencies = [\"colorama; sys_platform == 'win32'\","),
        ("", ""),
        "",
    ),
    "a limit for what is not used": (
        ("constraint-dependencies = [", 'constraint-dependencies = ["markdown<3",'),
        ("", ""),
        "",
    ),
    "overridden": (
        ("constraint-dependencies =", 'override-dependencies = ["workers-runtime-sdk<2"]\nx ='),
        ("", ""),
        "",
    ),
    "no hash": (
        ("", ""),
        ("sha256", "md5"),
        "pylock.toml has no SHA-256 of workers-runtime-sdk",
    ),
    "for another platform": (
        ("", ""),
        ("py3-none-any.whl", "cp314-cp314-win_amd64.whl"),
        "pylock.toml cannot be used (No wheel found matching the provided tags for package "
        "'workers-runtime-sdk' at packages[0], and no sdist available as a fallback)",
    ),
}


@pytest.mark.parametrize("name", LOCKS)
def test_lock(name: str, rendered: Render, tmp_path: Path) -> None:
    """Whether pylock.toml has what pyproject.toml asks for, wheels for Pyodide with their hashes.
    test_lock.py has more."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    *changes, wrong = LOCKS[name]
    for file, (old, new) in zip(("pyproject.toml", "pylock.toml"), changes, strict=True):
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1) if old else text)
    found = [(each["rule"], each["file"], each["wrong"]) for each in check(folder)]
    assert found == ([("lock", "pylock.toml", wrong)] if wrong else [])


def test_without_git(rendered: Render, tmp_path: Path) -> None:
    """No repository, one that ignores the project, and no git: said, and the rest is checked."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    shutil.rmtree(folder / ".git")
    fill(folder, {".dev.vars": SECRET})  # it is where it belongs
    config = configuration(folder)
    write(folder, {**config, "keep_vars": True})
    rules = {"not-a-repository", "keep-vars"}
    assert {each["rule"] for each in check(folder)} == rules
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/my-api/\n")
    assert {each["rule"] for each in check(folder)} == rules
    assert {each["rule"] for each in check(folder, PATH=str(tmp_path / "bin"))} == rules


def test_git_refuses_the_folder_of_another_owner(rendered: Render, tmp_path: Path) -> None:
    """As after `sudo git clone`, or in a container. What helps is what git itself says."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    [found] = check(folder, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert found["rule"] == "foreign-owner"
    assert "dubious ownership" in found["wrong"]
    assert found["fix"] == f"git config --global --add safe.directory {folder}"


def test_tracked_and_ignored(rendered: Render, tmp_path: Path) -> None:
    """By a rule of the person's own, for example. An update would overwrite the file."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    mine = tmp_path / "mine"
    mine.write_text("wrangler.jsonc\n*.local\n")
    (folder / "a.local").write_text("")  # ignored, but not tracked
    config = {"GIT_CONFIG_KEY_0": "core.excludesFile", "GIT_CONFIG_VALUE_0": str(mine)}
    [found] = check(folder, GIT_CONFIG_COUNT="1", **config)
    assert (found["rule"], found["file"]) == ("ignored-file", "wrangler.jsonc")
    says = run_git(folder, found["fix"].partition("type: ")[2], GIT_CONFIG_COUNT="1", **config)
    assert str(mine) in says


def test_secrets_of_this_computer_in_git(rendered: Render, tmp_path: Path) -> None:
    """Added by force: one finding, and what it says to type takes the file out of git."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    (folder / ".dev.vars").write_text("A=1\n")
    assert check(folder) == []
    git(folder, "add", "--force", ".dev.vars")
    [found] = check(folder)
    assert found["rule"] == "local-file"
    run_git(folder, found["fix"].partition("type: ")[2])
    assert check(folder) == []


def run_git(folder: Path, command: str, **variables: str) -> str:
    """What a command prints that a finding tells to type."""
    env = environment(**variables)
    return subprocess.run(
        shlex.split(command), cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(os.name == "nt", reason="such names cannot exist there")
def test_hostile_names_and_values(rendered: Render, tmp_path: Path) -> None:
    """What comes from files reaches the terminal neither as an escape nor as markup, and what a
    person would paste into a shell stays one word."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    evil = "a\x1b]0;x\x07[bold red]\u202e$(touch owned).rej"
    (folder / evil).write_text("")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.rej")).write_text("")
    config = configuration(folder)
    config["vars"]["$(touch owned)\x1b[31m_SECRET"] = "x"
    config["env"] = {"\x9b31m[red]\ud800": {"workers_dev": "\x1b[2J[/]", "main": "\x7f\x1b"}}
    write(folder, config)
    for env in ({}, {"PYTHONIOENCODING": "ascii"}, {"FORCE_COLOR": "1", "TERM": "xterm"}):
        done = run(folder, "check", env=env)
        assert done.returncode == 1 and done.stderr == ""
        plain = done.stdout
        if "FORCE_COLOR" in env:
            plain = plain.replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert all(c.isprintable() or c == "\n" for c in plain)
        assert "[bold red]" in plain and "\\x1b" in plain and "[red]" in plain
        flat = "".join(plain.split())
        assert "rm'a" in flat and "put'$(touchowned)" in flat
    found = run(folder, "check", "--json")
    assert found.stdout.isascii() and found.stdout.count("\n") == 1
    assert "\\u001b" in found.stdout and json.loads(found.stdout)["ok"] is False


# --- Managed files -------------------------------------------------------------------------------

RENDERED = "src/guard/log.py"  # has answers in it: its hash is in .private-worker.toml
SAME = "src/guard/token.py"  # is the same in every project: its hash is in the manifest
VENDORED = "vendor/private-worker/src/private_worker/cli.py"


def edited(folder: Path, *words: str) -> dict[str, str]:
    """The edited files with what is wrong; nothing else may be found."""
    found = check(folder, *words)
    assert {each["rule"] for each in found} <= {"edited-file"}
    assert all(each["line"] == 0 for each in found)
    return {each["file"]: each["wrong"] for each in found}


def test_edited_files(rendered: Render, tmp_path: Path) -> None:
    """Managed files that are edited or gone, not the owner's own; with how to have them back."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    for name in (RENDERED, SAME, VENDORED, "src/entry.py", "src/api.py", "README.md"):
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write("\n# edited\n")
    (folder / "src" / "guard" / "own.py").write_text("x = 1\n")
    wanted = dict.fromkeys([RENDERED, SAME, VENDORED, "src/entry.py"], "It has been changed")
    found = edited(folder)
    assert found.pop("src/guard/own.py") == "The template has no such file"
    (folder / "src" / "guard" / "own.py").unlink()
    assert found == wanted
    for name in wanted:
        (folder / name).unlink()
    # A guard file may belong to another shape; these two are in every project.
    assert edited(folder) == dict.fromkeys([VENDORED, "src/entry.py"], "It is missing")
    assert edited(folder, "--allow", "edited-file") == {}


def test_what_is_imported_in_place_of_the_guard(rendered: Render, tmp_path: Path) -> None:
    """A package beside a module of its name, a link with the same bytes, a folder in its place."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    guard = folder / "src" / "guard"
    (guard / "gate").mkdir()
    (guard / "gate" / "__init__.py").write_text("async def check(*_): ...\n")
    (tmp_path / "elsewhere.py").write_bytes((guard / "token.py").read_bytes())
    (guard / "token.py").unlink()
    (guard / "token.py").symlink_to(tmp_path / "elsewhere.py")
    (guard / "log.py").unlink()
    (guard / "log.py").mkdir()
    (folder / "src" / "entry").mkdir()
    (folder / "src" / "entry" / "__init__.py").write_text("from api import handle\n")
    assert edited(folder) == {
        "src/entry/__init__.py": "The template has no such file",
        "src/guard/gate/__init__.py": "The template has no such file",
        SAME: "It has been changed",
        RENDERED: "It has been changed",
    }


@pytest.mark.skipif(os.name == "nt", reason="such files cannot exist there")
def test_listed_names_that_are_no_files(rendered: Render, tmp_path: Path) -> None:
    """Whatever the list names, nothing outside the project is read, and nothing waits."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    own = folder / ".private-worker.toml"
    names = ["/dev/zero", "../../../etc/passwd", "a\\u0000b", "pipe"]
    os.mkfifo(folder / "pipe")
    added = "".join(f'"{name}" = "{"0" * 64}"\n' for name in names)
    own.write_text(own.read_text(encoding="utf-8") + added, encoding="utf-8")
    assert set(edited(folder)) <= {"/dev/zero", "../../../etc/passwd", "pipe"}


@pytest.mark.parametrize(
    "shape", ["callers = 7", 'callers = "human"', 'rpc = "false"', "x=" + "[" * 5000]
)
def test_shape_that_cannot_be(shape: str, rendered: Render, tmp_path: Path) -> None:
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    own = folder / ".private-worker.toml"
    name = shape.partition(" ")[0]
    kept = re.sub(rf"(?m)^{re.escape(name)} = .*$", "", own.read_text(encoding="utf-8"))
    own.write_text(kept.replace("[shape]", f"[shape]\n{shape}"), encoding="utf-8")
    refused(run(folder, "check"), ".private-worker.toml cannot be read")


def test_edited_file_comes_back(rendered: Render, tmp_path: Path) -> None:
    """What the finding says to type brings this file back, and touches no other."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    for name in (RENDERED, SAME):
        (folder / name).write_text("# edited\n")
    (folder / "tests" / "test_api.py").unlink()
    git(folder, "commit", "--all", "--quiet", "--message", "Edit")
    [fix] = [each["fix"] for each in check(folder) if each["file"] == SAME]
    program, *words = shlex.split(fix.partition(", run: ")[2])
    assert program == "uvx"
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert git(folder, "status", "--porcelain").split() == ["M", SAME]
    assert list(edited(folder)) == [RENDERED]


def test_windows_line_ends_are_no_edit(rendered: Render, tmp_path: Path) -> None:
    """As git writes them with core.autocrlf."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    manifest = "vendor/private-worker/manifest.sha256"
    for name in (RENDERED, SAME, VENDORED, "src/entry.py", manifest):
        path = folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert edited(folder) == {}


def test_kept_on_purpose(rendered: Render, tmp_path: Path) -> None:
    """The owner's list leaves out these files and no others, and says so; a list that is none
    leaves out nothing. The list of the managed files itself cannot be left out."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    for name in (RENDERED, SAME):
        (folder / name).write_text("# edited\n")
    pyproject = folder / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    for keep, left in (
        (json.dumps([SAME]), [RENDERED]),
        (json.dumps([f"./{SAME}", RENDERED]), []),
        ("7", [RENDERED, SAME]),
        ("[7]", [RENDERED, SAME]),
        (json.dumps(["src/guard"]), [RENDERED, SAME]),
    ):
        pyproject.write_text(f"{text}\n[tool.private-worker]\nkeep = {keep}\n")
        assert sorted(edited(folder)) == left, keep
        kept = json.loads(run(folder, "check", "--json").stdout)["kept"]
        assert kept == [name for name in (RENDERED, SAME) if name not in left]
        said = run(folder, "check").stdout
        assert (f"\nKept as edited: {', '.join(kept)}\n" in f"\n{said}") is bool(kept)
    [fix] = {each["fix"].partition(" To restore")[0] for each in check(folder)[:1]}
    assert fix == (
        f'To keep it so, write keep = ["{RENDERED}"] under [tool.private-worker] in pyproject.toml.'
    )
    pyproject.write_text(f"{text}\n[tool.private-worker\n")
    assert sorted(edited(folder)) == [RENDERED, SAME]
    manifest = "vendor/private-worker/manifest.sha256"
    keep = json.dumps([manifest, RENDERED, SAME])
    pyproject.write_text(f"{text}\n[tool.private-worker]\nkeep = {keep}\n")
    assert edited(folder) == {}
    (folder / manifest).write_text("")
    assert list(edited(folder)) == [manifest]


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"not a hash  src/entry.py\n"])
def test_without_the_manifest(content: bytes | None, rendered: Render, tmp_path: Path) -> None:
    """It is said, and what is listed elsewhere is looked at all the same."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    manifest = "vendor/private-worker/manifest.sha256"
    (folder / manifest).unlink()
    if content is not None:
        (folder / manifest).write_bytes(content)
    (folder / RENDERED).write_text("# edited\n")
    (folder / SAME).write_text("# edited\n")
    assert sorted(edited(folder)) == [RENDERED, manifest]
    fixes = {each["file"]: each["fix"] for each in check(folder)}
    assert fixes[manifest].startswith("Render it again: uvx copier recopy")


def test_without_the_rendered_hashes(rendered: Render, tmp_path: Path) -> None:
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    own = folder / ".private-worker.toml"
    own.write_text(own.read_text(encoding="utf-8").partition("[files]")[0])
    assert list(edited(folder)) == [own.name]


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is another signal there")
def test_ctrl_c(rendered: Render, tmp_path: Path) -> None:
    """While git hangs: one line, the usual exit status, and git is gone."""
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    started, program = tmp_path / "started", tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nwhile :; do echo x >> {started}; /bin/sleep 0.1; done\n")
    program.chmod(0o755)
    process = subprocess.Popen(
        [*COMMAND, "check"],
        cwd=folder,
        env=environment(PATH=str(program.parent)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=mind_ctrl_c,
    )
    while not started.exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all that run in it
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "private-worker: stopped\n")
    lines = started.read_text()
    time.sleep(0.5)
    assert started.read_text() == lines


# --- The command line ----------------------------------------------------------------------------


def test_output(rendered: Render, tmp_path: Path) -> None:
    """Every finding says where, what, why and what to type, which is on one line so that it can be
    copied, and the last line sums up."""
    folder = project(rendered, tmp_path, **CUSTOM_DOMAIN)
    config = configuration(folder)
    config["vars"]["GREETING_API_KEY"] = "é"
    del config["workers_dev"]
    write(folder, config)
    done = run(folder, "check", env={"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"})
    assert done.returncode == 1 and done.stderr == "" and done.stdout.isascii()
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[-1] == "Problems found: 2."
    for found in check(folder):
        assert set(found) == {"rule", "file", "line", "wrong", "fix", "why"}
        assert f"wrangler.jsonc:{found['line']}  {found['rule']}" in lines
        for part in ("wrong", "why", "fix"):
            assert f"  {part:7}{found[part]}" in lines
    assert "npx wrangler secret put GREETING_API_KEY" in done.stdout
    done = run(folder, "check", "--allow", "implicit-exposure", "--allow", "secret-in-vars")
    assert (done.returncode, done.stdout) == (0, "Nothing is wrong (2 left out by --allow).\n")
    assert [each["rule"] for each in check(folder, "--allow", "secret-in-vars")] == [
        "implicit-exposure"
    ]


def test_command_line(rendered: Render, tmp_path: Path) -> None:
    folder = project(rendered, tmp_path, **WORKERS_DEV)
    helped = run(folder, "check", "--help")
    assert helped.returncode == 0 and "--allow" in helped.stdout and helped.stderr == ""
    done = run(folder, "check", "--allow", "everything")
    refused(done, "--allow", "everything")
    rules = done.stderr.partition("choose from ")[2].partition(")")[0].replace("'", "").split(", ")
    assert len(rules) > 20
    files = ("test_check.py", "test_check_code.py", "test_check_files.py", "test_check_roles.py")
    tests = "".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in files)
    for rule in rules:  # no rule without a test
        assert f'"{rule}"' in tests, rule
    refused(run(folder, "check", "--fix"), "--fix")
    assert run(folder, "check").stdout == "Nothing is wrong.\n"


def test_closed_pipe(rendered: Render, tmp_path: Path) -> None:
    """`| head -1` ends it without a word."""
    folder = project(rendered, tmp_path, **CUSTOM_DOMAIN)
    config = configuration(folder)
    config["vars"] |= {f"API_KEY_{number}": "x" for number in range(400)}
    write(folder, config)
    for words in ("", "--json"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{shlex.join(COMMAND)} check {words} | head -c 1"],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert (len(done.stdout), done.stderr) == (1, "")


def test_opens_no_connection(rendered: Render, tmp_path: Path) -> None:
    """Offline: neither the process nor a library of it makes a socket."""
    folder = project(rendered, tmp_path, **CUSTOM_DOMAIN)
    watch = (
        "import runpy, sys\n"
        "def hook(event, arguments):\n"
        "    if event.startswith('socket.') and event != 'socket.gethostname':\n"
        "        print('SOCKET', event, file=sys.stderr)\n"
        "sys.addaudithook(hook)\n"
        "sys.argv = ['private-worker', 'check']\n"
        "runpy.run_module('private_worker', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing is wrong.\n", "")
