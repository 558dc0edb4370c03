"""The rendered guard passes `mypy --strict`, for shapes that differ in what the guard holds; and so
does the Python client.

By hand, in a rendered project: `mypy --strict --config-file mypy.ini src/guard` with the
configuration below.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import shapes
from conftest import Render

pytestmark = pytest.mark.slow

# The runtime's own modules have no types outside of it, so classes may be made of Any.
CONFIGURATION = """
[mypy]
strict = true
python_version = 3.14
disallow_subclassing_any = false

[mypy-js.*,pyodide.*,workers.*]
ignore_missing_imports = true
"""


@pytest.mark.parametrize(
    "name",
    ["personal", "internal-rpc", "internal-fetch", "everybody", "everybody-fastapi", "agents"],
)
def test_guard_is_strictly_typed(name: str, rendered: Render, tmp_path: Path) -> None:
    project = rendered(**shapes.answers(shapes.of_interest()[name]))
    configuration = tmp_path / "mypy.ini"
    configuration.write_text(CONFIGURATION)
    command = [sys.executable, "-m", "mypy", "--config-file", str(configuration)]
    server = [str(path) for path in project.glob("src/mcp_server.py")]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache"), str(project / "src" / "guard"), *server],
        env={**os.environ, "MYPYPATH": str(project / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_python_client_is_strictly_typed(rendered: Render, tmp_path: Path) -> None:
    """For the oldest Python that it is for."""
    client = rendered(profile="production") / "callers" / "python" / "private_worker_client"
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.11"]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache"), str(client)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
