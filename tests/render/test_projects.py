"""The rendered project's own tests pass in Pyodide, for every kind of shape, and what is
rendered refuses everybody until it is configured.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_copier.plugin import CopierFixture, CopierProject

import shapes
from conftest import FOLDER, Render, install
from private_worker.conformance.conftest import wanted
from private_worker.project import read

HOSTILE = {
    "project_name": """It's "{{ x }}" */ // \\ 🔐""",
    "description": """${{ secrets.X }} {% raw %} 'single' "double" \\ #日本語""",
    "worker_name": "true",
}
INTEREST = shapes.of_interest()
# What the guard's tests ask of a project. Together these have each fact both ways, once among the
# projects with an address and once among those without.
GUARDED: dict[str, shapes.Shape] = {
    "machines-on-a-route": {**INTEREST["machines-on-a-route"], "filled": False},
    "people-and-workers-fastapi": shapes.make(
        profile="custom",
        ci="none",
        callers=(shapes.HUMAN, shapes.BINDING),
        exposure="workers_dev",
        access_scope="hostname",
        binding_style="both",
        framework="fastapi",
        agents=True,
        upstreams=1,
        filled=True,
    ),
    "internal-rpc": {**INTEREST["internal-rpc"], "filled": False},
    "internal-fetch": INTEREST["internal-fetch"],
    "internal-both-fastapi": INTEREST["internal-both-fastapi"],
}
# Of each profile one project is as it was rendered, without the values of an account, and one with
# an address and one without have hostile names.
PROJECTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "production": {"profile": "production", "upstreams": "class, import", **HOSTILE},
    **{name: shapes.answers(shape) for name, shape in GUARDED.items()},
}
PROJECTS["internal-rpc"] |= {"upstreams": "class, import", **HOSTILE}
# Its paths begin with another one.
PROJECTS["machines-on-a-route"] |= {
    "zone_name": "example.net",
    "route_pattern": "www.example.net/invoices/*",
}
# Those that no owner has filled in.
AS_RENDERED = ("defaults", "production", "machines-on-a-route", "internal-rpc")


# Runs in the rendered project: with the vars as they are rendered, nobody gets in.
PUBLIC = """
import pytest

REQUESTS = [
    {},
    {"path_or_url": "/echo", "method": "POST", "body": "{}"},
    {"path_or_url": "/nothing-here"},
    {"method": "OPTIONS"},
    {"headers": {"Cf-Access-Authenticated-User-Email": "REPLACE_WITH_YOUR_EMAIL"}},
    {"headers": {"Authorization": "Bearer x", "Cookie": "CF_Authorization=x"}},
    {"access": {"aud": "REPLACE_WITH_AUD_TAG", "identity": {"email": "REPLACE_WITH_YOUR_EMAIL"}}},
    {"access": {"aud": "", "identity": {"email": "person@example.com"}}},
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_public_http(worker, kit_runtime, request_):
    worker.load(env=kit_runtime.project.vars)
    response = worker.fetch(**{"path_or_url": "/", **request_})
    assert (response.status, response.json()) == EXPECTED
    assert response.headers["cache-control"] == "private, no-store"
    assert worker.outbound == []
"""
TOKENS = """

@pytest.mark.parametrize("kind", ["person", "machine"])
def test_token_of_somebody(worker, kit_runtime, access, kind):
    worker.load(env=kit_runtime.project.vars)
    response = worker.fetch("/", headers=getattr(access, kind)())
    assert (response.status, response.json()) == EXPECTED
    assert worker.outbound == []
"""
BOUND = """

@pytest.mark.parametrize("props", [None, {}, {"caller": "REPLACE_WITH_CALLING_WORKER"}])
def test_rpc(worker, kit_runtime, props):
    worker.load(env=kit_runtime.project.vars)
    assert worker.call("whoami", props=props) == {"ok": False, "error": "not_configured"}
"""


def ready(copier: CopierFixture, folder: Path, node_modules: Path, **answers: Any) -> CopierProject:
    """A project after `npm install` and `uv sync`."""
    project = copier.copy(folder / FOLDER, **answers)
    install(project.path, node_modules)
    project.run("uv sync --quiet")
    return project


def lint(project: CopierProject) -> None:
    project.run("uv run ruff check")
    project.run("uv run ruff format --check")


def own_tests(project: CopierProject) -> None:
    """`uv run pytest`, as the README says."""
    output = project.run("uv run pytest -q")
    assert " passed" in output and "failed" not in output and "error" not in output.split("\n")[-2]


def guards_tests(project: CopierProject) -> None:
    """`npm run test:guard`."""
    command = json.loads((project.path / "package.json").read_text())["scripts"]["test:guard"]
    assert " passed" in project.run(f"{command} -q")


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", PROJECTS)
def test_a_project(name: str, copier: CopierFixture, node_modules: Path, tmp_path: Path) -> None:
    """Its own tests pass, with names of every kind; the guard keeps its rules; and as it is
    rendered it refuses everybody: never 200, no key fetched. The defaults are the personal profile;
    of the custom one it is the route for programs that is as rendered."""
    project = ready(copier, tmp_path, node_modules, **PROJECTS[name])
    lint(project)
    if name in AS_RENDERED:
        if name == "internal-rpc":
            expected, source = (403, {"error": "forbidden"}), PUBLIC + BOUND
        else:
            expected, source = (500, {"error": "not_configured"}), PUBLIC + TOKENS
        test = project.path / "tests" / "test_as_rendered.py"
        test.write_text(f"EXPECTED = {expected!r}\n{source}", encoding="utf-8")
    own_tests(project)
    if name in GUARDED:
        guards_tests(project)


@pytest.mark.release
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", [name for name in INTEREST if name not in PROJECTS])
def test_another_project(
    name: str, copier: CopierFixture, node_modules: Path, tmp_path: Path
) -> None:
    """The other shapes, with the guard's tests: before a release."""
    project = ready(copier, tmp_path, node_modules, **shapes.answers(INTEREST[name]))
    lint(project)
    own_tests(project)
    guards_tests(project)


# What a test of the guard's, or one that a project comes with, is rendered, collected or run by.
FACTS = ("humans", "machines", "rpc", "bound_fetch", "fastapi", "upstreams", "base")


@pytest.mark.slow
def test_these_projects_run_every_test_of_the_guard(rendered: Render) -> None:
    """Each file of it in some project, and each fact that it asks for both ways: among those with
    an address, and as far as it can be among those without."""
    made = [read(rendered(**PROJECTS[name])).shape for name in GUARDED]
    files = [wanted(shape) for shape in made]
    assert all(any(each[name] for each in files) for name in files[0])
    for address in (True, False):
        group = [shape for shape in made if shape.edge == address]
        for fact in FACTS:
            found = {bool(getattr(shape, fact)) for shape in group}
            alone = not address and fact in ("humans", "machines", "base")
            assert found == ({False} if alone else {True, False}), (fact, address)


@pytest.mark.slow
def test_node_packages_are_the_pinned_ones(
    node_modules: Path, copier: CopierFixture, tmp_path: Path
) -> None:
    """The cached packages are those of package.json."""
    project = copier.copy(tmp_path / FOLDER)
    pinned = json.loads((project / "package.json").read_text())["devDependencies"]
    for name, version in pinned.items():
        found = json.loads((node_modules / name / "package.json").read_text())["version"]
        assert found == version
