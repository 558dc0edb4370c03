"""Make the pylock.toml of new projects again, after a change of what the template pins.

    uv run python tools/lock.py            keep the versions as far as pyproject.toml lets them be
    uv run python tools/lock.py --upgrade  take the newest ones

pywrangler itself makes it, for a project with FastAPI. One without it has the SDK alone. What else
pywrangler would do stands in without_pyodide/: this works where Pyodide's own Python and index
cannot be reached. Neither FastAPI nor anything that it needs comes from that index.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import uv

from examples import render

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "template" / "pylock.toml.jinja"
SAMPLES = ("tests/tools/kit_worker", "tests/tools/kit_stores")
SDK = '[[packages]]\nname = "workers-runtime-sdk"'  # the last one, by the alphabet
HEADER = """\
# Yours from the first copy on: an update never touches this file. `uv run pywrangler sync` makes it
# from pyproject.toml, with what is in it already and without this comment. It says exactly what is
# tested and deployed: commit it. For newer versions: `uv run pywrangler sync --force --upgrade`.
"""
IF_FASTAPI = "{%- import 'includes/shape.jinja' as shape with context -%}\n"


def sync(project: Path, *options: str) -> None:
    """`pywrangler sync` of the version that the project asks for, in an environment of its own."""
    pinned = re.search(r"workers-py==[\d.]+", (project / "pyproject.toml").read_text("utf-8"))
    assert pinned
    command = [uv.find_uv_bin(), "run", "--quiet", "--no-project", "--with", pinned[0]]
    command += ["python", "-m", "pywrangler", "sync", *options]
    env = os.environ | {"PYTHONPATH": str(ROOT / "tools" / "without_pyodide")}
    subprocess.run(command, cwd=project, env=env, check=True)


def write(lock: str) -> None:
    """From the lock of a project with FastAPI: the source that renders it, and in other projects
    its rest; and that rest for the Workers in tests/tools/."""
    start, first, packages = lock.partition("[[packages]]")
    fastapi, sdk, end = (first + packages).partition(SDK)
    source = f"{IF_FASTAPI}{HEADER}{start}{{% if shape.fastapi %}}{fastapi}{{% endif %}}{sdk}{end}"
    TEMPLATE.write_text(source, encoding="utf-8")
    for sample in SAMPLES:
        (ROOT / sample / "pylock.toml").write_text(start + sdk + end, encoding="utf-8")


def main() -> int:
    """Returns 0. Raises CalledProcessError when pywrangler fails; then it has said why."""
    parser = argparse.ArgumentParser(description="Make the pylock.toml of new projects again.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "project")
        render(project, {"profile": "personal", "framework": "fastapi"})
        sync(project, *(["--upgrade"] if options.upgrade else []))
        write((project / "pylock.toml").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
