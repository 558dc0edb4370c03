"""What the tags have to say: Copier takes versions from them, the tests from the archives."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

import archives
from template import Problem

FETCH = "Run `git fetch --tags`. If it was never made, tag the commit that added the archive"


def _version(tag: str) -> Version | None:
    try:
        return Version(tag)
    except InvalidVersion:
        return None


def tags(repository: Path, released: dict[str, Path]) -> Iterator[Problem]:
    """Each archive has its annotated tag with the same files, and no tag stands beside them."""
    names = archives.git(repository, "tag", "--list").decode().split()
    for version, archive in released.items():
        if version not in names:
            yield Problem(version, "the tag is not here", FETCH)
        else:
            yield from _one(repository, version, archive)
    newest = max(map(Version, released), default=None)
    for name in names:
        found = _version(name)
        if archives.NAME.fullmatch(name) and name not in released:
            what, do = "the tag has no archive", "Put releases/ back, or delete the tag everywhere"
            yield Problem(name, what, do)
        elif name not in released and found and (newest is None or found > newest):
            what = "Copier takes this tag for a version above all releases"
            yield Problem(name, what, "Delete it here and at the remote")


def _one(repository: Path, version: str, archive: Path) -> Iterator[Problem]:
    kind = archives.git(repository, "cat-file", "-t", f"refs/tags/{version}").decode().strip()
    if kind != "tag":
        do = "Delete it and make it with `git tag --annotate`, if nobody has it yet"
        yield Problem(version, "the tag is not annotated", do)
    there = archives.git(repository, "tag", "--points-at", f"refs/tags/{version}^{{}}").decode()
    others = [name for name in there.split() if name != version]
    if others:
        what = f"{', '.join(others)} is on the same commit, and Copier may record that"
        yield Problem(version, what, "Delete the other tag, here and at the remote")
    with tarfile.open(archive) as source:
        held = {
            member.name: data.read()
            for member in source.getmembers()
            if not member.isdir() and (data := source.extractfile(member))
        }
    if held != dict(archives.content(repository, f"refs/tags/{version}")):
        what = f"releases/{archive.name} does not hold what the tag holds"
        yield Problem(version, what, "Put back the one that has changed")
