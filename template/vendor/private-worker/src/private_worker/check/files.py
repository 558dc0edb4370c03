"""What `check` says of the files in src/: those that a deploy leaves out, and modules that are
hidden by others of their name."""

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from .. import lock
from ..config import Config
from ..deployed import rule_for, taken
from ..project import Problem, Project
from .finding import Finding, Findings, data

NAMES = {which: names.split() for which, names in data("python.toml").items()}
PYTHON = sys.stdlib_module_names - {*NAMES["missing"]} | {*NAMES["new"]}
ELSEWHERE = (".pyi", "py.typed", ".rej")  # for tools, or what another rule names


def findings(config: Config, project: Project) -> Findings:
    """All that would be missing or another one after a deploy."""
    there, left_out = taken(project.root / "src", config.data.get("rules"))
    for name in left_out:
        if not name.endswith(ELSEWHERE):
            fix = f'Add to "rules" in wrangler.jsonc: {rule_for(name)}, or move it out of src/.'
            yield Finding("not-deployed", f"src/{name}", 0, "A deploy leaves it out", fix)
    hiding = dict.fromkeys(PYTHON, "Python itself") | dict.fromkeys(NAMES["runtime"], "the runtime")
    hiding |= dict(packaged(project.root))
    for name in sorted({name.split("/")[0] for name in there if name.endswith(".py")}):
        if by := hiding.get(name.removesuffix(".py")):
            wrong = f"Hidden: an import finds the module of that name in {by}"
            yield Finding("hidden-module", f"src/{name}", 0, wrong, "Give it another name.")


def packaged(root: Path) -> Iterator[tuple[str, str]]:
    """Top-level names of the locked packages as far as they are installed, and the packages."""
    for path in (root / "python_modules").glob("*"):
        if path.is_dir() or path.suffix == ".py":
            yield path.stem, "python_modules/"
    try:
        locked = lock.read(root)
    except Problem:
        return  # the rule `lock` says it
    for package in locked:
        try:
            found = metadata.distribution(package.name)
        except metadata.PackageNotFoundError:
            continue
        for file in found.files or ():
            if re.fullmatch(r"\w+(\.py|/.+\.py)", file.as_posix()):
                yield file.parts[0].removesuffix(".py"), f"the package {package.name}"
