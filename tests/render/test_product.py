"""A small real product lives in a rendered project: notes in D1, files in R2, a nightly cron, a
queue consumer, a Durable Object, a page with style and script, an upload.

All of it stands in seed and shared files (see product/), and stays there when the template and an
answer change.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import shapes
from command_run import FILLED, check_findings
from conftest import FOLDER, ROOT, git, install
from updates import assert_no_conflict, commit, copy, update

PRODUCT = ROOT / "tests" / "render" / "product"
# Static assets need Access on a hostname.
ANSWERS = {"profile": "custom", "exposure": "custom_domain", "access_scope": "hostname"}
BINDINGS = {"CACHE", "DB", "FILES", "JOBS", "LIMIT", "COUNTER", "ASSETS"}
MARK = "  // Yours to here"  # of wrangler.jsonc


def move_in(project: Path) -> None:
    """What the owner writes."""
    for folder in ("src", "migrations", "site", "tests"):
        shutil.copytree(PRODUCT / folder, project / folder, dirs_exist_ok=True)
    file = project / "wrangler.jsonc"
    text = file.read_text(encoding="utf-8")
    assert text.count(MARK) == 1
    own = (PRODUCT / "wrangler.txt").read_text(encoding="utf-8")
    file.write_text(text.replace(MARK, own + MARK), encoding="utf-8")


def is_well(project: Path, node: Path, sdk: Path) -> None:
    """Its own tests pass, `check` finds nothing, and a deploy would bind all that it uses."""
    subprocess.run(["uv", "sync", "--quiet"], cwd=project, check=True)
    tests = subprocess.run(
        ["uv", "run", "pytest", "-q"], cwd=project, capture_output=True, text=True
    )
    assert tests.returncode == 0, tests.stdout
    assert re.search(r"\d\d passed", tests.stdout)
    assert check_findings(project) == []
    shutil.copytree(sdk, project / "python_modules")
    wrangler = [str(node), "node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run"]
    done = subprocess.run(
        [*wrangler, "--outdir", str(project / "bundle")],
        cwd=project,
        env={**os.environ, "CI": "1", "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"env\.([A-Z_0-9]+)", done.stdout)) >= BINDINGS, done.stdout
    for made in ("bundle", "python_modules", ".venv"):
        shutil.rmtree(project / made)
    for cache in project.rglob("__pycache__"):
        shutil.rmtree(cache)


def files_in_git(project: Path) -> dict[str, str]:
    paths = [project / name for name in git(project, "ls-files").splitlines()]
    files = [path for path in paths if path.is_file()]  # node_modules is a link to a folder
    return {path.relative_to(project).as_posix(): path.read_text("utf-8") for path in files}


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_a_product_moves_in_and_stays(
    versions: Path, node: Path, node_modules: Path, sdk: Path, tmp_path: Path
) -> None:
    project = tmp_path / FOLDER
    copy(versions, project, "v1.0.0", {**ANSWERS, **FILLED})
    move_in(project)
    install(project, node_modules)
    commit(project)
    is_well(project, node, sdk)
    commit(project)
    theirs = files_in_git(project)
    update(project, version="v1.1.0")
    commit(project)
    update(project, ci="gitlab", session_duration="6h", upstreams=f"billing={shapes.SERVICE_ID}")
    assert_no_conflict(project)
    commit(project)
    now = files_in_git(project)
    assert now != theirs and ".gitlab-ci.yml" in now
    for file in PRODUCT.rglob("*"):
        name = file.relative_to(PRODUCT).as_posix()
        if file.is_file() and name in theirs:
            assert now[name] == theirs[name], name
    entries = json.loads("{" + (PRODUCT / "wrangler.txt").read_text("utf-8").strip(" \n,") + "}")
    for key in entries:
        assert now["wrangler.jsonc"].count(f'"{key}":') == 1
    is_well(project, node, sdk)
