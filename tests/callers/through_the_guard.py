"""Runs in_project/ in a rendered project: with its Worker, its callers and its vendored kit."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SUITE = HERE / "in_project"


def with_packages(project: Path, destination: Path, node_modules: Path) -> Path:
    """A copy of a rendered project, free to be changed, after `npm install`."""
    shutil.copytree(project, destination)
    (destination / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return destination


def run(project: Path, *files: str) -> tuple[int, str]:
    """pytest's exit status and what it says: a line for each test that did not pass.

    In the template's environment, but with nothing of the template's own: the kit, the callers and
    the Worker are those of the project.
    """
    modules = [project / "vendor/private-worker/src", project / "callers/python", HERE]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-ra", "--tb=short", "-p", "no:cacheprovider"),
            *("-p", "private_worker.testing.plugin", "--confcutdir", str(SUITE)),
            *("-c", str(project / "pyproject.toml"), "--rootdir", str(project)),
            *(str(SUITE / file) for file in files),
        ],
        cwd=project,
        env={
            **clean,
            "PYTHONPATH": os.pathsep.join(map(str, modules)),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def failed(output: str) -> set[str]:
    """The ids of the tests that failed."""
    return set(re.findall(r"^(?:FAILED|ERROR) \S*::(\S+)", output, re.MULTILINE))
