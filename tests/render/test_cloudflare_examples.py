"""docs/reference/cloudflare-examples.md: what it says has a place in a project has one.

cloudflare_examples/ holds code of our own for each "yes" of its tables, in two projects, and the
tests that the tables name.
"""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from command_run import FILLED, check_findings
from conftest import FOLDER, ROOT, Render, git, install
from lock import sync

PAGE = ROOT / "docs" / "reference" / "cloudflare-examples.md"
EXAMPLES = ROOT / "tests" / "render" / "cloudflare_examples"
PROJECTS: dict[str, dict[str, Any]] = {
    "plain": {
        "profile": "custom",
        "callers": ["human", "machine", "binding"],
        "exposure": "custom_domain",
        "access_scope": "hostname",
        "binding_style": "rpc",
        "calling_workers": "colours",
    },
    "fastapi": {
        "profile": "custom",
        "exposure": "custom_domain",
        "access_scope": "hostname",
        "framework": "fastapi",
    },
}


@dataclass(frozen=True)
class Row:
    example: str
    verdict: str
    files: list[str]
    tests: list[str]


def rows() -> Iterator[Row]:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith("| example |"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            example, _, verdict, where, tests = cells
            named = re.findall(r"`([^`]+)`", where), re.findall(r"`([^`]+)`", tests)
            yield Row(example, verdict, *named)


ROWS = list(rows())


def named_tests(project: str) -> list[str]:
    """The tests that stand in a project."""
    return [
        node.name
        for path in (EXAMPLES / project / "tests").glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


EVERY_TEST = [name for project in PROJECTS for name in named_tests(project)]


def test_each_example_has_one_row() -> None:
    names = [row.example for row in ROWS]
    assert len(set(names)) == len(names)
    numbers = {name[:2] for name in names if re.match(r"\d\d-", name)}
    assert numbers == {f"{number:02}" for number in range(1, 20)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.example)
def test_each_verdict_is_shown_or_explained(row: Row) -> None:
    """A "yes" names tests that exist, and files that exist; any other has a reason, and no test."""
    if not re.fullmatch("yes(, .+)?", row.verdict):
        assert re.fullmatch(r"(no|not tried): .+", row.verdict)
        assert row.tests == []
        return
    assert row.tests and set(row.tests) <= set(EVERY_TEST)
    for file in row.files:
        assert any((EXAMPLES / project / file).exists() for project in PROJECTS), file


def test_each_test_belongs_to_a_row() -> None:
    assert len(set(EVERY_TEST)) == len(EVERY_TEST)
    assert set(EVERY_TEST) == {test for row in ROWS for test in row.tests}


def insert(file: Path, before: str, text: str) -> None:
    content = file.read_text(encoding="utf-8")
    assert content.count(before) == 1, before
    file.write_text(content.replace(before, text + before), encoding="utf-8")


def move_in(project: Path, source: Path) -> None:
    """What an owner adds: files, packages, and lines in the marked places of shared files."""
    for folder in (path for path in source.iterdir() if path.is_dir()):
        shutil.copytree(folder, project / folder.name, dirs_exist_ok=True)
    places = {
        "wrangler.jsonc": {"wrangler.txt": "  // Yours to here", "vars.txt": '    "TEAM_DOMAIN"'},
        "pyproject.toml": {"packages.txt": "]\n\n[dependency-groups]"},
    }
    for name, lines in places.items():
        for file, before in lines.items():
            if (source / file).exists():
                insert(project / name, before, (source / file).read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", PROJECTS)
def test_the_examples_work(name: str, rendered: Render, node_modules: Path, tmp_path: Path) -> None:
    """All in one project, whose doors are as closed as before. `check` finds nothing."""
    project = tmp_path / FOLDER
    before = rendered(**PROJECTS[name], **FILLED)
    shutil.copytree(before, project)
    install(project, node_modules)
    move_in(project, EXAMPLES / name)
    for path in before.rglob("*"):
        if path.is_file() and "Managed by" in path.read_text(encoding="utf-8", errors="ignore"):
            assert (project / path.relative_to(before)).read_bytes() == path.read_bytes(), path
    sync(project)
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    assert check_findings(project) == []
    subprocess.run(["uv", "sync", "--quiet"], cwd=project, check=True)
    subprocess.run(
        ["uv", "run", "ruff", "check", "--quiet", "src", "tests"], cwd=project, check=True
    )
    files = [path.name for path in (EXAMPLES / name / "tests").glob("test_*.py")]
    done = subprocess.run(
        ["uv", "run", "pytest", "-q", *(f"tests/{file}" for file in [*files, "test_doors.py"])],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    passed = re.search(r"(\d+) passed in", done.stdout)
    assert passed and int(passed[1]) > len(named_tests(name))
