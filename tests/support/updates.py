"""Projects that are updated: what people do to them, and what Copier must leave behind."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from copier import VcsRef, run_copy, run_update

from conftest import git
from questions import CONFIG

ANSWERS = ".copier-answers.yml"


def copy(repository: Path, project: Path, version: str, answers: dict[str, Any]) -> None:
    run_copy(
        str(repository),
        project,
        data=answers,
        vcs_ref=version,
        defaults=True,
        quiet=True,
        unsafe=False,
    )


def update(
    project: Path, *, version: str | None = None, trust: bool = False, **changed: Any
) -> None:
    """To a version or the newest, or with some answers changed and nothing else."""
    run_update(
        project,
        data=changed,
        vcs_ref=VcsRef.CURRENT if changed else version,
        defaults=True,
        overwrite=True,
        quiet=True,
        unsafe=trust,
    )


def commit(project: Path) -> None:
    if not (project / ".git").exists():
        git(project, "init")
    git(project, "add", "--all")
    git(project, "commit", "--message", "x")


def files_of(project: Path) -> dict[str, str]:
    listed = git(project, "ls-files", "--cached", "--others").splitlines()
    return {
        name: (project / name).read_text(encoding="utf-8")
        for name in sorted(set(listed))
        if (project / name).is_file()
    }


def is_seed(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in CONFIG["_skip_if_exists"])


def assert_no_conflict(project: Path) -> None:
    status = git(project, "status", "--porcelain")
    assert not [line for line in status.splitlines() if line[:2] in ("UU", "AA", "DU", "UD")]
    for name, text in files_of(project).items():
        assert not name.endswith(".rej"), name
        assert not re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE), name


def edit(text: str, name: str) -> str:
    """A line of the user's at the end of a file."""
    return text + ("// mine\n" if name.endswith((".jsonc", ".json", ".mjs")) else "# mine\n")
