"""The vendored tools are the same bytes in every project, and small enough to be read."""

from pathlib import Path

import pytest

import manifest
import shapes
from conftest import ROOT, Render, tracked_files
from files import all_files, texts

VENDOR = ROOT / "template" / "vendor"
PACKAGE = VENDOR / "private-worker" / "src" / "private_worker"
# What is read in one sitting. See design: the commands, the kit, and the default project.
COMMANDS, KIT, WORKERD = 4_035, 4_760, 1_050
RUN = "run: uv run python tools/manifest.py"


@pytest.mark.parametrize(
    "name", ["internal-rpc", pytest.param("everybody", marks=pytest.mark.slow)]
)
def test_the_same_bytes_in_every_project(name: str, render: Render, tmp_path: Path) -> None:
    answers = shapes.answers(shapes.of_interest()[name])
    project = render(tmp_path / "my-api", **answers)
    there = {file: path.read_bytes() for file, path in all_files(project / "vendor")}
    tracked = [Path(file) for file in tracked_files() if file.startswith("template/vendor/")]
    ours = {
        file.relative_to("template/vendor").as_posix(): (ROOT / file).read_bytes()
        for file in tracked
    }
    assert there == ours


def test_no_template_in_there() -> None:
    assert [file for file, _ in all_files(VENDOR) if file.endswith(".jinja")] == []
    assert [name for name in tracked_files() if name.startswith("template/") and "{%" in name] == []


def test_the_manifest_is_up_to_date() -> None:
    """`check` in a project compares with it."""
    assert manifest.MANIFEST.read_text(encoding="utf-8") == manifest.manifest(), RUN
    assert manifest.RENDERED.read_text(encoding="utf-8") == manifest.rendered(), RUN


def lines(*folders: Path) -> int:
    """How many lines the Python and JavaScript files hold."""
    files = [path for folder in folders for path in [folder, *folder.rglob("*")]]
    code = [path for path in files if path.suffix in (".py", ".mjs")]
    return sum(path.read_bytes().count(b"\n") for path in code)


def test_the_tools_stay_readable() -> None:
    kit, workerd = [PACKAGE / "testing", PACKAGE / "standin"], PACKAGE / "testing" / "workerd"
    names = ("project", "config", "deployed", "text", "dev_vars", "lock")
    both = [PACKAGE / f"{name}.py" for name in names]
    assert lines(*kit, PACKAGE.parent / "kit") - lines(workerd) <= KIT
    assert lines(workerd) <= WORKERD
    assert lines(PACKAGE) - lines(*kit, *both, PACKAGE / "conformance") <= COMMANDS


def test_a_default_project_stays_small(rendered: Render) -> None:
    """Outside vendor/, lock files apart."""
    files = texts(rendered())
    own = [text for name, text in files.items() if not name.startswith(("vendor/", "pylock.toml"))]
    assert len(own) <= 40
    assert sum(text.count("\n") for text in own) <= 3_165
