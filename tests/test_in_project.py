"""In a rendered project: the forwarder against a real local service (facts U1-U3, threats 15-19),
and the local settings.
"""

import shutil
import sysconfig
from pathlib import Path

import pytest
from pytest_copier.plugin import CopierFixture

from conftest import FOLDER, ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("framework", ["plain", "fastapi"])
def test_in_project(
    framework: str,
    copier: CopierFixture,
    node: Path,
    node_modules: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", f"{node.parent}:{sysconfig.get_path('scripts')}", prepend=":")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    answers = {"profile": "production", "upstreams": "billing", "framework": framework}
    project = copier.copy(tmp_path / FOLDER, **answers)
    (project.path / "node_modules").symlink_to(node_modules, target_is_directory=True)
    api = project.path / "src" / "api.py"
    line = 'origin="http://billing.internal",'
    source = api.read_text(encoding="utf-8")
    assert source.count(line) == 1
    wider = source.replace(line, f'{line} methods=("GET", "HEAD", "POST"),')
    api.write_text(wider, encoding="utf-8")
    for name in ("test_forwarder.py", "test_local_settings.py"):
        shutil.copy(ROOT / "tests" / "in_project" / name, project.path / "tests")
    project.run("uv sync --quiet")
    for name in ("test_forwarder.py", "test_local_settings.py"):
        assert " passed" in project.run(f"uv run pytest -q tests/{name}")
