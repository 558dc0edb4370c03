"""The forwarder of a rendered project against a real local service (facts U1-U3, threats 15-19)."""

import shutil
import sysconfig
from pathlib import Path

import pytest
from pytest_copier.plugin import CopierFixture

from conftest import FOLDER, ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("framework", ["plain", "fastapi"])
def test_forwarder(
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
    shutil.copy(ROOT / "tests" / "in_project" / "test_forwarder.py", project.path / "tests")
    project.run("uv sync --quiet")
    assert " passed" in project.run("uv run pytest -q tests/test_forwarder.py")
