"""The archives in releases/: what Copier needs of each released version.

Tests unpack them, so that every version can be updated from in a clean clone, without its tag.
"""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from packaging.version import Version

PARTS = ("copier.yml", "includes", "template", "hooks")
SUFFIX = ".tar.xz"


def git(repository: Path, *arguments: str) -> bytes:
    """What git prints. Only ever asked to read."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=repository, check=True, capture_output=True).stdout


def released(folder: Path) -> dict[str, Path]:
    """Each version with its archive, oldest first."""
    found = {path.name.removesuffix(SUFFIX): path for path in folder.glob(f"*{SUFFIX}")}
    return dict(sorted(found.items(), key=lambda item: Version(item[0])))


def write(repository: Path, commit: str, archive: Path) -> None:
    """The parts of a commit. The same commit always gives the same entries: sorted by name, with
    one time and one owner for all."""
    exported = io.BytesIO(git(repository, "archive", "--format=tar", commit, "--", *PARTS))
    with (
        tarfile.open(fileobj=exported) as source,
        tarfile.open(archive, "x:xz", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            entry = tarfile.TarInfo(member.name)
            entry.type, entry.size = member.type, member.size
            entry.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            target.addfile(entry, source.extractfile(member) if member.isfile() else None)


def unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    return folder


def working_tree(repository: Path, folder: Path) -> Path:
    """The same parts as they are now, committed or not."""
    listed = git(
        repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS
    )
    for name in listed.decode().split("\0"):
        if name and (repository / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, folder / name)
    return folder
