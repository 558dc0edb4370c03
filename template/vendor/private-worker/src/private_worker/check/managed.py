"""What `check` looks for in the files that an update of the template replaces.

The template lists them with their SHA-256: those that are the same in every project in MANIFEST,
those with answers in them in .private-worker.toml. A file that this shape does not have is listed
all the same.
"""

import hashlib
import re
import shlex
import tomllib
from pathlib import Path, PurePosixPath

from ..project import FILE, RENDER_AGAIN, Problem, Project
from ..text import read
from .finding import Finding, Findings

MANIFEST = "vendor/private-worker/manifest.sha256"
IN_EVERY_PROJECT = ("vendor/", "src/entry.py", "tests/test_doors.py", ".gitignore")


def findings(project: Project) -> Findings:
    """Managed files that are edited, apart from those that are kept so on purpose."""
    same_everywhere: dict[str, str] = {}
    try:
        lines = re.findall(r"(?m)^([0-9a-f]{64})  ([^\r\n]+)", read(project.root / MANIFEST))
        same_everywhere = {name: digest for digest, name in lines}
    except Problem:  # an empty list says the same
        pass
    for name, listed in ((MANIFEST, same_everywhere), (FILE, project.files)):
        if not listed:
            fix = f"R{RENDER_AGAIN[1:]}"
            yield Finding("edited-file", name, 0, "It lists no managed files", fix)
    keep = kept(project.root)
    for name, digest in sorted({**same_everywhere, **project.files}.items()):
        found = digest_of(project.root / name)
        there = found or name.startswith(IN_EVERY_PROJECT)
        if there and found != digest and name not in keep:
            wrong = "It is not as the template wrote it" if found else "It is missing"
            fix = f'To keep it so, write keep = ["{name}"] under [tool.private-worker] in '
            fix += "pyproject.toml. To have it back, type: uvx copier recopy --quiet "
            fix += "--vcs-ref=:current: --skip-answered --overwrite "
            fix += f"-x '**' -x {shlex.quote('!' + name)}"
            yield Finding("edited-file", name, 0, wrong, fix)


def kept(root: Path) -> set[str]:
    """The files that the owner has edited on purpose, from pyproject.toml."""
    try:
        listed = tomllib.loads(read(root / "pyproject.toml"))["tool"]["private-worker"]["keep"]
        return {str(PurePosixPath(name)) for name in listed}
    except (Problem, ValueError, KeyError, TypeError):  # then every edit is named
        return set()


def digest_of(path: Path) -> str:
    """The SHA-256 of a file with the line ends that the template has; "" when there is none."""
    try:
        return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
    except OSError:
        return ""
