"""The rendered project's own tests pass in Pyodide, for every kind of shape, and what is
rendered refuses everybody until it is configured.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_copier.plugin import CopierFixture, CopierProject

import shapes
from conftest import FOLDER

pytestmark = pytest.mark.slow

GUARDED = (
    "personal",
    "internal-rpc",
    "internal-fetch",
    "internal-both-fastapi",
    "machines-on-a-route",
    "everybody-fastapi",
)
HOSTILE = {
    "project_name": """It's "{{ x }}" */ // \\ 🔐""",
    "description": """${{ secrets.X }} {% raw %} 'single' "double" \\ #日本語""",
}


def ready(copier: CopierFixture, folder: Path, node_modules: Path, **answers: Any) -> CopierProject:
    """A project after `npm install` and `uv sync`."""
    project = copier.copy(folder / FOLDER, **answers)
    (project.path / "node_modules").symlink_to(node_modules, target_is_directory=True)
    project.run("uv sync --quiet")
    return project


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", shapes.of_interest())
def test_own_tests_pass(
    name: str, copier: CopierFixture, node_modules: Path, tmp_path: Path
) -> None:
    """`uv run pytest` in a fresh render, and its lint, as the README says."""
    answers = shapes.answers(shapes.of_interest()[name])
    project = ready(copier, tmp_path, node_modules, **answers)
    output = project.run("uv run pytest -q")
    assert " passed" in output and "failed" not in output and "error" not in output.split("\n")[-2]
    project.run("uv run ruff check")
    project.run("uv run ruff format --check")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("profile", ["production", "internal"])
def test_own_tests_pass_with_hostile_names(
    profile: str, copier: CopierFixture, node_modules: Path, tmp_path: Path
) -> None:
    answers = {**HOSTILE, "profile": profile, "worker_name": "true", "upstreams": "class, import"}
    project = ready(copier, tmp_path, node_modules, **answers)
    assert " passed" in project.run("uv run pytest -q")
    project.run("uv run ruff check")
    project.run("uv run ruff format --check")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", GUARDED)
def test_the_guard_keeps_its_rules(
    name: str, copier: CopierFixture, node_modules: Path, tmp_path: Path
) -> None:
    """`npm run test:guard`, for shapes that together run every file of it."""
    answers = shapes.answers(shapes.of_interest()[name])
    project = ready(copier, tmp_path, node_modules, **answers)
    command = json.loads((project / "package.json").read_text())["scripts"]["test:guard"]
    assert " passed" in project.run(f"{command} -q")


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


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("profile", ["defaults", *shapes.PARAMETERS["profile"]])
def test_as_rendered_it_refuses_everybody(
    profile: str, copier: CopierFixture, node_modules: Path, tmp_path: Path
) -> None:
    """The answers with --defaults, and with each profile. Never 200, no key fetched."""
    answers = {} if profile == "defaults" else {"profile": profile}
    project = ready(copier, tmp_path, node_modules, **answers)
    if profile == "internal":
        expected, source = (403, {"error": "forbidden"}), PUBLIC + BOUND
    else:
        expected, source = (500, {"error": "not_configured"}), PUBLIC + TOKENS
    test = project.path / "tests" / "test_as_rendered.py"
    test.write_text(f"EXPECTED = {expected!r}\n{source}", encoding="utf-8")
    output = project.run("uv run pytest -q tests/test_as_rendered.py")
    assert " passed" in output


def test_node_packages_are_the_pinned_ones(
    node_modules: Path, copier: CopierFixture, tmp_path: Path
) -> None:
    """The cached packages are those of package.json."""
    project = copier.copy(tmp_path / FOLDER)
    wanted = json.loads((project / "package.json").read_text())["devDependencies"]
    for name, version in wanted.items():
        found = json.loads((node_modules / name / "package.json").read_text())["version"]
        assert found == version
