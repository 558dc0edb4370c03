"""The guard's suite in a rendered project: each shape has its own tests, and nothing of the owner's
settings reaches them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_copier.plugin import CopierFixture

import shapes
from conftest import FOLDER, ROOT, Render

SUITE = ROOT / "template/vendor/private-worker/src/private_worker/conformance"
FILES = {file.name for file in SUITE.glob("test_*.py")}
EDGE = {"test_answers.py", "test_claims.py", "test_keys.py", "test_known.py"}
EDGE |= {"test_proof.py", "test_settings.py", "test_token.py"}
ALWAYS = {"test_events.py", "test_log_who.py", "test_reachable.py", "test_roles.py"}

# What is tested in a shape, written without looking at the suite's conftest.
WANTED = {
    "personal": {*ALWAYS, *EDGE, "test_api_border.py", "test_people.py", "test_no_machines.py"},
    "internal-rpc": {*ALWAYS, "test_public.py", "test_bound_rpc.py", "test_limit.py"},
    "internal-fetch": {
        *ALWAYS,
        *("test_public.py", "test_bound_fetch.py", "test_api_border.py", "test_upstream.py"),
    },
    "everybody-fastapi": FILES
    - {
        "test_no_people.py",
        "test_no_machines.py",
        "test_public.py",
        "test_limit.py",
        "test_mcp.py",
    },
    "agents": FILES
    - {"test_no_people.py", "test_no_machines.py", "test_public.py", "test_limit.py"},
}
FASTAPI = "test_body_for_the_framework"


def command(project: Path) -> list[str]:
    """The arguments of pytest in `npm run test:guard`."""
    package = json.loads((project / "package.json").read_text(encoding="utf-8"))
    script: str = package["scripts"]["test:guard"]
    uv, run, pytest_, *arguments = script.split()
    assert (uv, run, pytest_) == ("uv", "run", "pytest")
    return arguments


def collect(project: Path) -> subprocess.CompletedProcess[str]:
    """The suite's tests, without running them and without an environment of the project's own."""
    arguments = ["-p", "private_worker.testing.plugin", "-p", "no:cacheprovider", *command(project)]
    vendored = str(project / "vendor" / "private-worker" / "src")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "--collect-only", "-q"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": vendored, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", WANTED)
def test_tests_of_a_shape(name: str, rendered: Render) -> None:
    """Tests of what it does not have are not there; skipped ones would look like tests that ran."""
    project = rendered(**shapes.answers(shapes.of_interest()[name]))
    done = collect(project)
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"conformance/(test_\w+\.py)::", done.stdout)) == WANTED[name]
    assert (FASTAPI in done.stdout) == ("fastapi" in name)
    assert ("test_no_requests" in done.stdout) == (name == "internal-rpc")


@pytest.mark.slow
def test_project_that_cannot_be_read(render: Render, tmp_path: Path) -> None:
    """It is said once what to type, and nothing else."""
    project = render(tmp_path / FOLDER)
    (project / ".private-worker.toml").write_text("[shape]\n", encoding="utf-8")
    done = collect(project)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert done.stdout.count("uvx copier recopy") == 1
    said = done.stdout + done.stderr
    assert "Traceback" not in said and "private_worker/project.py" not in said


# An owner's own pytest settings and root conftest.py, at their worst.
SETTINGS = """
[tool.pytest.ini_options]
addopts = "--no-such-option"
python_files = ["check_*.py"]
python_functions = ["check_*"]
testpaths = ["nowhere"]
filterwarnings = ["error"]
"""
CONFTEST = """
import pytest


def pytest_collection_modifyitems(items):
    items.clear()


@pytest.fixture(autouse=True)
def leak():
    raise AssertionError("the owner's fixture")
"""


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_nothing_of_the_owner_leaks_in(
    copier: CopierFixture, node_modules: Path, tmp_path: Path
) -> None:
    project = copier.copy(tmp_path / FOLDER)
    (project.path / "node_modules").symlink_to(node_modules, target_is_directory=True)
    settings = project.path / "pyproject.toml"
    text, found = re.subn(
        r"(?ms)^\[tool\.pytest\.ini_options\]\n.*?(?=^\[|^# )",
        lambda _: SETTINGS + "\n",
        settings.read_text(encoding="utf-8"),
    )
    assert found == 1
    settings.write_text(text, encoding="utf-8")
    (project.path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    arguments = " ".join(command(project.path))
    output = project.run(f"uv run pytest {arguments} -q -k 'test_people or test_reachable'")
    assert re.search(r"^\d+ passed, \d+ deselected in ", output, re.MULTILINE), output
