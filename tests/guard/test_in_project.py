"""In a rendered project: the forwarder against a real local service, the local settings, Access on
this computer, and whatever else runs the Worker's own code on what it must withstand.
"""

import shutil
import sysconfig
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from pytest_copier.plugin import CopierFixture, CopierProject

from conftest import FOLDER, install

HERE = Path(__file__).parent
INSIDE = HERE / "in_project"

# The test file, what takes the place of src/api.py, folders it reads, the framework.
Row = tuple[str, str, tuple[str, ...], str]
ROWS: list[Row] = [
    ("test_vectors.py", "vectors_api.py", ("vectors",), "plain"),
    ("test_properties.py", "properties_api.py", (), "plain"),
    ("test_fire.py", "fire_api.py", (), "plain"),
    ("test_bridge.py", "bridge_api.py", (), "fastapi"),
]

Ready = Callable[..., CopierProject]


@pytest.fixture
def ready(
    copier: CopierFixture,
    node: Path,
    node_modules: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Ready:
    """Render a project in which pytest can run."""
    monkeypatch.setenv("PATH", f"{node.parent}:{sysconfig.get_path('scripts')}", prepend=":")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)

    def ready(**answers: Any) -> CopierProject:
        project = copier.copy(tmp_path / FOLDER, profile="production", **answers)
        install(project.path, node_modules)
        project.run("uv sync --quiet")
        return project

    return ready


def passes(
    project: CopierProject, *tests: str, tool: str = "hypothesis", group: str = "dev"
) -> None:
    """Run the tests with a package that is ours: a project does not have it."""
    for test in tests:
        shutil.copy(INSIDE / test, project.path / "tests")
    package = f"{tool}=={metadata.version(tool)}"
    files = " ".join(f"tests/{test}" for test in tests)
    assert " passed" in project.run(f"uv run --group {group} --with {package} pytest -q {files}")


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["plain", "fastapi"])
def test_in_project(framework: str, ready: Ready) -> None:
    project = ready(upstreams="billing", framework=framework)
    api = project.path / "src" / "api.py"
    line = 'origin="http://billing.internal",'
    source = api.read_text(encoding="utf-8")
    assert source.count(line) == 1
    wider = source.replace(line, f'{line} methods=("GET", "HEAD", "POST"),')
    api.write_text(wider, encoding="utf-8")
    passes(project, "test_forwarder.py", "test_local_settings.py")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "api", "folders", "framework"), ROWS, ids=[row[0] for row in ROWS]
)
def test_rows(
    test: str,
    api: str,
    folders: tuple[str, ...],
    framework: str,
    ready: Ready,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROPERTIES_THINNED", "5")
    run_row(test, api, folders, framework, ready)


@pytest.mark.release
def test_every_example_of_the_properties(ready: Ready) -> None:
    [row] = [row for row in ROWS if row[0] == "test_properties.py"]
    run_row(*row, ready)


def run_row(test: str, api: str, folders: tuple[str, ...], framework: str, ready: Ready) -> None:
    project = ready(framework=framework)
    shutil.copy(INSIDE / api, project.path / "src" / "api.py")
    for folder in folders:
        shutil.copytree(HERE / folder, project.path / "tests" / folder)
    passes(project, test)


@pytest.mark.slow
def test_local_access(ready: Ready) -> None:
    """A real browser, `npm run local`, the Worker in Pyodide."""
    if shutil.which("chromium") is None:
        pytest.fail("chromium is missing: apt-get install chromium", pytrace=False)
    passes(ready(), "test_local_chain.py", tool="playwright", group="commands")
