"""Access in front of a rendered project's own door and guard, with a small API behind them.

The tests of this folder run in a process of their own, started by test_through_the_guard.py.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from in_front import Load
from private_worker.testing.access import TEST_VARS, Access
from private_worker.testing.edge import Edge
from private_worker.testing.runtime import Runtime, Worker


@pytest.fixture(scope="session")
def source(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's src/, with small_api.py in the place of its api.py."""
    folder = tmp_path_factory.mktemp("worker") / "src"
    junk = shutil.ignore_patterns("__pycache__")
    shutil.copytree(project_root / "src", folder, ignore=junk)
    shutil.copy(Path(__file__).with_name("small_api.py"), folder / "api.py")
    return folder


@pytest.fixture
def load(
    kit_runtime: Runtime, access: Access, source: Path, monkeypatch: pytest.MonkeyPatch
) -> Load:
    """Load the Worker with changes in its settings. What was loaded before is gone."""
    monkeypatch.setattr(kit_runtime.project, "source", source)
    settings = {name: TEST_VARS[name] for name in kit_runtime.project.vars if name in TEST_VARS}

    def load(**changes: Any) -> Worker:
        return Worker(kit_runtime, settings | changes, {access.team_domain: access.url})

    return load


@pytest.fixture
def edge(access: Access, load: Load) -> Iterator[Edge]:
    """`edge.url` is where people and programs call."""
    edge = Edge(access, load())
    yield edge
    edge.close()
