"""pylock.toml: the exact packages that the Worker is tested and deployed with.

`uv run pywrangler sync` makes it from pyproject.toml and keeps what is in it already. A deploy,
the tests and `check` read it.
https://packaging.python.org/en/latest/specifications/pylock-toml/
"""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin

from packaging.markers import Environment, default_environment
from packaging.pylock import PackageWheel, Pylock, PylockSelectError, PylockValidationError
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import NormalizedName, canonicalize_name

from .project import Problem
from .text import read as read_text

LOCK = "pylock.toml"
SYNC = "uv run pywrangler sync"
ANEW = f"{SYNC} --force"  # even if it looks to pywrangler as if nothing had changed
UPGRADE = f"{ANEW} --upgrade"
SDK = "workers-runtime-sdk"  # pywrangler adds it to what pyproject.toml asks for

# The Python of workerd from compatibility date 2026-09-08 on, and the wheels that fit it.
PYTHON = (3, 14)
ABI = "cp314"
PLATFORM = "pyemscripten_2026_0_wasm32"
TAGS = [*cpython_tags(PYTHON, [ABI], [PLATFORM]), *compatible_tags(PYTHON, ABI, [PLATFORM])]
INSIDE: Environment = {
    **default_environment(),
    "os_name": "posix",
    "platform_machine": "wasm32",
    "platform_system": "Emscripten",
    "sys_platform": "emscripten",
    "python_version": "3.14",
    "python_full_version": "3.14.2",
    "implementation_version": "3.14.2",
}


class NotLocked(Problem):
    """pylock.toml is missing, broken or older than pyproject.toml.

    wrong: what it is; fix: what to type, and what else to do
    """

    def __init__(self, wrong: str, command: str = SYNC, more: str = "") -> None:
        super().__init__(f"{wrong}: run `{command}`{more}")
        self.wrong, self.fix = wrong, f"{command}{more}"


@dataclass(frozen=True)
class Locked:
    """A package in the lock, the same wherever it comes from.

    version: "" for a folder, which has none there
    url, sha256: the wheel; "" for what is built from source
    origin: the index that has it, or its host
    """

    name: NormalizedName
    version: str
    url: str = field(compare=False)
    sha256: str
    origin: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


def read(root: Path) -> list[Locked]:
    """What is locked for Pyodide. Raises NotLocked."""
    if not (root / LOCK).is_file():
        raise NotLocked(f"{LOCK} is missing", ANEW, ", and commit it")
    try:
        lock = Pylock.from_dict(tomllib.loads(read_text(root / LOCK)))
        chosen = list(lock.select(environment=INSIDE, tags=TAGS))
    except (tomllib.TOMLDecodeError, PylockValidationError, PylockSelectError) as error:
        wrong = str(error).partition("\n")[0]
        raise NotLocked(f"{LOCK} cannot be used ({wrong})", UPGRADE) from None
    packages = []
    for package, source in chosen:
        url = sha256 = ""
        if isinstance(source, PackageWheel):
            url = source.url or urljoin(root.resolve().as_uri() + "/", source.path or "")
            sha256 = source.hashes.get("sha256", "")
            if not sha256:
                raise NotLocked(f"{LOCK} has no SHA-256 of {package.name}", UPGRADE)
        origin = package.index or urljoin(url, "/")
        packages.append(Locked(package.name, str(package.version or ""), url, sha256, origin))
    return packages


def up_to_date(root: Path) -> list[Locked]:
    """The same, and all that pyproject.toml asks for. Raises NotLocked and Problem."""
    packages = read(root)
    for wrong in out_of_date(root, packages):
        raise wrong
    return packages


def out_of_date(root: Path, packages: list[Locked]) -> Iterator[NotLocked]:
    """Each package that pyproject.toml asks for and the lock does not have. Raises Problem."""
    there = {package.name: package for package in packages}
    for need in _needs(root):
        found = there.get(canonicalize_name(need.name))
        if not found:
            wrong = f"{LOCK} has no {need.name}, which pyproject.toml asks for"
        elif found.version and not need.specifier.contains(found.version, prereleases=True):
            wrong = f"{LOCK} has {found}, but pyproject.toml asks for {need}"
        else:
            continue
        yield NotLocked(wrong, more=_hint(root, need))


def matches(packages: list[Locked], folder: Path) -> bool:
    """Whether exactly what is locked is installed in `folder`."""
    installed = {
        canonicalize_name(found.name): found.version
        for found in metadata.distributions(path=[str(folder)])
    }
    return installed == {one.name: one.version or installed.get(one.name) for one in packages}


def _needs(root: Path) -> Iterator[Requirement]:
    """The packages that the Worker itself imports, with all that pyproject.toml says of versions.

    https://docs.astral.sh/uv/reference/settings/
    """
    file = root / "pyproject.toml"
    try:
        data: dict[str, Any] = tomllib.loads(read_text(file)) if file.is_file() else {}
        settings = data.get("tool", {}).get("uv", {})
        names = ("constraint-dependencies", "override-dependencies")
        listed = [data.get("project", {}).get("dependencies", []), *map(settings.get, names)]
        wanted, limits, instead = ([Requirement(line) for line in lines or ()] for lines in listed)
    except (ValueError, TypeError, AttributeError) as error:
        raise Problem(f"pyproject.toml cannot be read: {error}") from None
    asked = {canonicalize_name(need.name) for need in wanted if _inside(need)} | {SDK}
    replaced = {canonicalize_name(need.name) for need in instead}
    kept = [need for need in (*wanted, *limits) if canonicalize_name(need.name) not in replaced]
    for need in (*kept, *instead, Requirement(SDK)):
        if canonicalize_name(need.name) in asked and _inside(need):
            yield need


def _inside(need: Requirement) -> bool:
    return need.marker is None or need.marker.evaluate(cast("dict[str, str]", INSIDE))


def _hint(root: Path, need: Requirement) -> str:
    """What to write if no index has a version of `need` for Pyodide, as far as that is known here.

    `uv add` writes the newest version for this computer as the lowest one. The npm package pyodide
    lists what Pyodide's own index has.
    """
    try:
        file = root / "node_modules" / "pyodide" / "pyodide-lock.json"
        listed = json.loads(file.read_text(encoding="utf-8"))["packages"]
        version = listed[canonicalize_name(need.name)]["version"]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    lowest = any(limit.operator == ">=" for limit in need.specifier)
    if not lowest or need.specifier.contains(version, prereleases=True):
        return ""
    return f'; if no index has that for Pyodide, write "{need.name}>={version}" first'
