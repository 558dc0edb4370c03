"""The archives in releases/: what Copier needs of each released version.

Tests unpack them, so that every version can be updated from in a clean clone, without its tag.
"""

import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from packaging.version import Version

PARTS = ("copier.yml", "includes", "template", "hooks")
SUFFIX = ".tar.xz"
NAME = re.compile(r"v\d+\.\d+\.\d+")
LARGEST = 5_000_000  # bytes of one version, unpacked; the first one has less than one million
PLAIN = "100644"  # git's mode of a file that is neither executable nor a link nor a repository


def git(repository: Path, *arguments: str, given: bytes = b"") -> bytes:
    """What git prints. Only ever asked to read."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=repository, check=True, capture_output=True, input=given)
    return done.stdout


def ignored(folder: Path, names: list[str]) -> list[str]:
    """Which of these names the .gitignore files in a folder of no repository hide."""
    own = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    init = ["git", "init", "--quiet"]
    subprocess.run(init, cwd=folder, env=own, check=True, capture_output=True)
    check = ["git", "check-ignore", "--no-index", "-z", "--stdin"]
    given = "".join(f"{name}\0" for name in names).encode()
    done = subprocess.run(check, cwd=folder, env=own, input=given, capture_output=True)
    if done.returncode > 1:  # 1 is none
        raise OSError(done.stderr.decode().strip())
    return [name for name in done.stdout.decode().split("\0") if name]


def released(folder: Path) -> dict[str, Path]:
    """Each version with its archive, oldest first. ValueError for an archive of another name."""
    found = {path.name.removesuffix(SUFFIX): path for path in folder.glob(f"*{SUFFIX}")}
    for name, path in found.items():
        if not NAME.fullmatch(name):
            raise ValueError(f"releases/{path.name} is named after no version")
    return dict(sorted(found.items(), key=lambda item: Version(item[0])))


def content(repository: Path, commit: str) -> Iterator[tuple[str, bytes]]:
    """The parts of a commit, byte for byte: no filter, attribute or setting of this computer has
    a say. Sorted by name. ValueError for what is not a plain file."""
    listed = git(repository, "ls-tree", "-rz", commit, "--", *PARTS).decode()
    entries = [line.split("\t", 1) for line in listed.split("\0") if line]
    found: dict[str, str] = {}
    for facts, name in sorted(entries, key=lambda entry: entry[1]):
        mode, _, found[name] = facts.split()
        if mode != PLAIN:
            what = {"120000": "a symbolic link", "160000": "another repository"}
            raise ValueError(f"{name} is {what.get(mode, 'executable')}")
    asked = "".join(f"{blob}\n" for blob in found.values()).encode()
    answer = io.BytesIO(git(repository, "cat-file", "--batch", given=asked))
    for name in found:
        size = int(answer.readline().split()[2])  # "<blob> blob <size>", then the content
        yield name, answer.read(size)
        answer.readline()


def write(repository: Path, commit: str, archive: Path) -> None:
    """The parts of a commit. The same commit always gives the same entries: with one time, one
    mode and one owner for all. ValueError for what no archive should hold."""
    files = dict(content(repository, commit))
    if sum(map(len, files.values())) > LARGEST:
        raise ValueError(f"the files have more than {LARGEST} bytes")
    with tarfile.open(archive, "x:xz", format=tarfile.PAX_FORMAT) as target:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            target.addfile(entry, io.BytesIO(data))


def unpack(archive: Path, folder: Path) -> Path:
    """ValueError for an entry that is no plain file, or leads out of the folder."""
    with tarfile.open(archive) as source:
        for member in source.getmembers():
            parts = Path(member.name).parts
            if not (member.isfile() or member.isdir()) or ".." in parts or parts[0] not in PARTS:
                raise ValueError(f"{archive.name} holds {member.name}")
        # Python 3.11 before 3.11.4, as in Debian 12, has no filter.
        source.extraction_filter = getattr(tarfile, "data_filter", None)
        source.extractall(folder)
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
