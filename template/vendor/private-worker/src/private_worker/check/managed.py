"""What `check` looks for in the files that an update of the template replaces.

The template lists them with their SHA-256: those that are the same in every project in MANIFEST,
those with answers in them in .private-worker.toml. A file that this shape does not have is listed
all the same.
"""

import hashlib
import json
import os
import re
import shlex
import tomllib
from pathlib import Path, PurePosixPath

from ..config import Config
from ..project import FILE, RENDER_AGAIN, Problem, Project
from ..text import LARGEST, read
from .finding import Finding, Findings

MANIFEST = "vendor/private-worker/manifest.sha256"
# Python prefers a folder to a file of the same name.
ALONE = ("src/guard", "src/entry", "src/bridge", "src/upstream", "vendor/private-worker")
IN_EVERY_PROJECT = ("vendor/", "src/entry.py", "tests/test_doors.py", ".gitignore")


def findings(config: Config, project: Project) -> Findings:
    """Managed files that are edited, with those that are kept so on purpose."""
    try:
        lines = re.findall(r"(?m)^([0-9a-f]{64})  ([^\r\n]+)", read(project.root / MANIFEST))
    except Problem:
        lines = []
    same_everywhere = {name: digest for digest, name in lines}
    for name, listed in ((MANIFEST, same_everywhere), (FILE, project.files)):
        if not listed:
            fix = f"R{RENDER_AGAIN[1:]}"
            yield Finding("edited-file", name, 0, "It lists no managed files", fix)
    listed, complete = {**same_everywhere, **project.files}, same_everywhere and project.files
    for name in sorted(listed.keys() | (strangers(project.root) if complete else set())):
        keep = f"write keep = [{json.dumps(name)}] under [tool.private-worker] in pyproject.toml."
        found = digest_of(project.root, name)
        if name not in listed:
            fix = f"Remove it, or {keep}"
            yield Finding("edited-file", name, 0, "The template has no such file", fix)
        elif found != listed[name] and (found or name.startswith(IN_EVERY_PROJECT)):
            fix = f"To keep it so, {keep} To restore it, run: uvx copier recopy --quiet "
            fix += "--vcs-ref=:current: --skip-answered --overwrite "
            fix += f"-x '**' -x {shlex.quote('!' + name)}"
            wrong = "It has been changed" if found else "It is missing"
            yield Finding("edited-file", name, 0, wrong, fix)


def strangers(root: Path) -> set[str]:
    """The files in the folders that are the template's alone. There another file could be imported
    in place of a managed one.
    """
    found = [path for folder in ALONE for path in (root / folder).rglob("*") if not path.is_dir()]
    names = [path.relative_to(root) for path in found]
    made = {"__pycache__", ".DS_Store"}
    return {name.as_posix() for name in names if not made & set(name.parts)} - {MANIFEST}


def kept(root: Path) -> set[str]:
    """The files that the owner has edited on purpose, from pyproject.toml. The lists are none."""
    try:
        listed = tomllib.loads(read(root / "pyproject.toml"))["tool"]["private-worker"]["keep"]
        return {str(PurePosixPath(name)) for name in listed} - {MANIFEST, FILE}
    except (Problem, ValueError, KeyError, TypeError, RecursionError):  # then every edit is named
        return set()


def digest_of(root: Path, name: str) -> str:
    """The SHA-256 of a file with the line ends that the template has; "" when there is none.

    What is no plain file in the project, such as a link that leads out of it, has no such hash.
    """
    try:
        path = (root / name).resolve()
        if not os.path.lexists(root / name):
            return ""
        if path != root.resolve() / name or not path.is_file() or path.stat().st_size > LARGEST:
            return "no plain file"
        return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return ""
