"""`check` reads the code and ROLES together: roles that nobody can have, and that do nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import Render
from files import read_jsonc
from private_worker.check import configuration, keys, roles
from private_worker.check.finding import WHY
from private_worker.config import Config
from private_worker.project import read

ADMIN = {"admin": ["ann@example.com"]}
REQUIRED = "from guard import require\nasync def run(identity, env):\n    {}\n"
# The code, ROLES at the top and in staging, and what is found: the rule and a part of its sentence.
CASES: dict[str, tuple[str, Any, Any, list[tuple[str, str]]]] = {
    "no roles": ("", None, None, []),
    "one that is there": ('require(identity, "admin")', ADMIN, ADMIN, []),
    "as text": ('require(identity, "admin")', json.dumps(ADMIN), ADMIN, []),
    "nowhere": (
        'require(identity, "admin")',
        None,
        None,
        [("no-role", "vars has nobody"), ("no-role", "env.staging.vars has nobody")],
    ),
    "misspelt": (
        'require(identity, "admim")',
        ADMIN,
        ADMIN,
        [("no-role", "role admim, which src/jobs.py:3 asks for"), ("unused-role", "has admin")] * 2,
    ),
    "only staging has it": ('require(identity, "admin")', None, ADMIN, [("no-role", "vars has")]),
    "staging has another": (
        'require(identity, "admin")',
        ADMIN,
        {"admins": ["ann@example.com"]},
        [("no-role", "env.staging.vars"), ("unused-role", "env.staging.vars.ROLES has admins")],
    ),
    "nothing asks": ("pass", ADMIN, None, [("unused-role", "vars.ROLES has admin")]),
    "by name": ('guard.require(identity, role="admin")', ADMIN, ADMIN, []),
    "with a kind": ('require(identity, "admin", kind="human")', ADMIN, ADMIN, []),
    "a kind alone": ('require(identity, kind="machine")', None, None, []),
    "a kind beside a role": (
        'require(identity, kind="machine")',
        ADMIN,
        None,
        [("unused-role", "vars.ROLES has admin")],
    ),
    "the dependency": ('bridge.require("admin")', None, ADMIN, [("no-role", "vars")]),
    "the dependency with a kind": ('bridge.require("admin", kind="human")', ADMIN, ADMIN, []),
    "the dependency by itself": (
        'from bridge import require as of; of("admin", kind="human")',
        None,
        ADMIN,
        [("no-role", "role admin")],
    ),
    "the guard by another name": (
        'import guard as g; g.require(identity, "admin")',
        None,
        ADMIN,
        [("no-role", "role admin")],
    ),
    "a tool for agents": (
        'from mcp_server import tool; tool(role="admin")',
        None,
        ADMIN,
        [("no-role", "role admin")],
    ),
    "a tool by another name": (
        "import mcp_server as s; s.tool(kind='human', role='admin')",
        ADMIN,
        ADMIN,
        [],
    ),
    "a tool for a kind": (
        "import mcp_server; mcp_server.tool(kind='human')",
        ADMIN,
        None,
        [("unused-role", "vars.ROLES has admin")],
    ),
    "the tool of others": ('import npm; npm.tool(role="admin")', None, None, []),
    "a comparison": ('"admin" in identity.roles', None, ADMIN, [("no-role", "vars")]),
    "the other way round": ('"admin" not in identity.roles', ADMIN, ADMIN, []),
    "made at run time": ('require(identity, f"{env.ROLE}")', ADMIN, None, []),
    "a name": ("bridge.require(ROLE, kind='human')", ADMIN, None, []),
    "roles that are passed on": ("print(identity.roles)", ADMIN, None, []),
    "another's require": ('import npm; npm.requires("admin")', None, None, []),
    "a package's require": ('self.require("flask")', None, None, []),
    "the roles of others": ('"moderator" in member.roles', None, None, []),
    "the numbers of others": ("5 in caller.roles", ADMIN, None, []),
    "handed on": ("npm().require(role)", ADMIN, None, []),
    "spread out": ("require(*given)", ADMIN, None, []),
    "more than Python reads": ("x = " + "+".join(["1"] * 20_000), None, None, []),
    "a long chain": ("x" + ".a()" * 120, None, None, []),
    "what is no Python": ("def (", None, None, []),
}


@pytest.fixture
def project(rendered: Render, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(rendered(profile="production", staging=True), folder)
    return folder


def judged(folder: Path, top: Any, staging: Any) -> list[tuple[str, str]]:
    path = folder / "wrangler.jsonc"
    data = read_jsonc(path)
    for block, value in ((data, top), (data["env"]["staging"], staging)):
        if value is not None:
            block["vars"]["ROLES"] = value
    path.write_text(json.dumps(data, indent=2))
    found = list(roles.findings(Config(path), read(folder)))
    assert {each.rule for each in found} <= WHY.keys()
    return sorted((each.rule, each.wrong) for each in found)


@pytest.mark.parametrize("name", CASES)
def test_code_and_roles(name: str, project: Path) -> None:
    line, top, staging, wanted = CASES[name]
    (project / "src" / "jobs.py").write_text(REQUIRED.format(line))
    found = judged(project, top, staging)
    assert len(found) == len(wanted), found
    for rule, part in wanted:
        assert [wrong for each, wrong in found if each == rule and part in wrong], found


def test_a_require_of_the_owners_own(project: Path) -> None:
    line = "def require(value, message): ...\nrequire(1, 'a name is missing')\n"
    (project / "src" / "jobs.py").write_text(line)
    assert judged(project, None, None) == []


def test_the_server_of_the_tools_asks_for_nothing_itself(rendered: Render, tmp_path: Path) -> None:
    """It hands on the role of each tool, and would hide a role that nothing asks for."""
    folder = tmp_path / "project"
    shutil.copytree(rendered(profile="production", staging=True, agents=["local"]), folder)
    assert judged(folder, ADMIN, None) == [
        ("unused-role", "vars.ROLES has admin, which nothing in src/ asks for")
    ]


def test_a_role_that_staging_lacks_is_said_once(project: Path) -> None:
    (project / "src" / "jobs.py").write_text(REQUIRED.format('require(identity, "admin")'))
    assert judged(project, ADMIN, None) == []
    config = Config(project / "wrangler.jsonc")
    said = [each.wrong for each in keys.findings(config, read(project))]
    assert said == ["env.staging.vars lacks ROLES, which the top level has"]


@pytest.mark.parametrize("shape", [{"profile": "production"}, {"profile": "internal"}])
@pytest.mark.parametrize("value", ["{", [], {"admin": "ann@example.com"}, {"admin": ["*"]}, ""])
def test_what_is_no_table_of_roles(
    value: Any, shape: dict[str, Any], rendered: Render, tmp_path: Path
) -> None:
    """Named once, where it stands."""
    shutil.copytree(rendered(**shape), tmp_path / "project")
    path = tmp_path / "project" / "wrangler.jsonc"
    data = read_jsonc(path)
    data["vars"] = {**data["vars"], "ROLES": value}
    path.write_text(json.dumps(data, indent=2))
    config, chosen = Config(path), read(tmp_path / "project")
    looks = (configuration, roles)
    found = [each for look in looks for each in look.findings(config, chosen)]
    said = [each for each in found if "ROLES" in each.wrong]
    assert [(each.rule, each.line > 1) for each in said] == [("setting", True)]


@pytest.mark.parametrize("name", ["ROLES", "LOG_WHO", "LOG_KEY", "POLICY_AUD"])
@pytest.mark.parametrize(
    ("key", "binding"),
    [
        ("kv_namespaces", [{"binding": "{}", "id": "0" * 32}]),
        ("vpc_services", [{"binding": "{}", "service_id": "x"}]),
        ("durable_objects", {"bindings": [{"name": "{}", "class_name": "A"}]}),
    ],
)
def test_a_binding_in_the_place_of_a_setting(
    key: str, binding: Any, name: str, project: Path
) -> None:
    path = project / "wrangler.jsonc"
    data = read_jsonc(path)
    data["env"]["staging"][key] = json.loads(json.dumps(binding).replace("{}", name))
    path.write_text(json.dumps(data, indent=2))
    found = [
        each.wrong
        for each in configuration.findings(Config(path), read(project))
        if each.rule == "setting"
    ]
    assert found == [f"env.staging.{key} has a binding {name}, which is a setting of the guard"]
