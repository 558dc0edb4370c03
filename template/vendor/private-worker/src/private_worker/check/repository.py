"""What `check` looks for in the repository. Each function is one idea."""

import os
import re
import shlex
import subprocess
from pathlib import Path

from packaging.version import Version

from .. import lock
from ..config import Config
from ..project import Problem, Project
from ..text import read
from .finding import Finding, Findings, data

LARGEST = 5_000_000  # bytes; a longer file is data, and is not looked through
LOCAL_FIX = "Name it in .gitignore. If git has it, replace its secrets and type: git rm --cached {}"
LOCAL = r"(.*/)?\.(dev\.vars|env)(\.[^/]*)?(?<!\.example)(?<!\.sample)(?<!\.template)"
# Files that should not be there: rule, name, what to do.
NAMES = (
    ("reject-file", r".*\.rej", "Work it in by hand, then type: rm {}"),
    ("local-file", LOCAL, LOCAL_FIX),
)
SECRETS = {
    kind: re.compile(pattern.encode(), re.VERBOSE)
    for kind, pattern in data("secrets.toml")["in_a_file"].items()
}
SECRET_FIX = "Revoke it, since git keeps it. Then put the new one where git does not look."
# The exact versions that deploy: file, where one stands, how to write the oldest that works.
_VERSION = r"(\d{1,9}(?:\.\d{1,9})*)"
VERSIONS = (
    ("package.json", rf'"wrangler"\s*:\s*"{_VERSION}"', '"wrangler": "4.164.0"'),
    ("pyproject.toml", rf"^[^#\n]*[\"']workers-py\s*==\s*{_VERSION}\s*[;\"']", '"workers-py==1.9"'),
)


def findings(config: Config, project: Project) -> Findings:
    """All that is wrong around wrangler.jsonc."""
    root = project.root
    files, refused = git_files(root, "--cached", "--others", "--exclude-standard")
    ignored, _ = git_files(root, "--cached", "--ignored", "--exclude-standard")
    # What fits LOCAL has a rule of its own.
    for name in sorted(name for name in ignored if not re.fullmatch(LOCAL, name, re.DOTALL)):
        fix = f"To see what ignores it, type: git check-ignore --no-index -v {shlex.quote(name)}"
        yield Finding("ignored-file", name, 0, "Git tracks this file, and a rule ignores it", fix)
    for name in sorted(files):
        for rule, pattern, fix in NAMES:
            if re.fullmatch(pattern, name, re.DOTALL):
                wrong, fix = "Git tracks this file, or would add it", fix.format(shlex.quote(name))
                yield Finding(rule, name, 0, wrong, fix)
        yield from file_content(root, name)
    if allow := re.search("git config --global --add safe.directory .+", refused):
        wrong = f"git says: {refused.splitlines()[0]}"
        yield Finding("foreign-owner", ".", 0, wrong, allow[0])
    elif not files:  # no repository, no git, or one further up that ignores this folder
        wrong = "git lists no files in this folder"
        yield Finding("not-a-repository", ".", 0, wrong, "git init && git add --all")
    yield from versions(root)
    yield from packages(root)


def git_files(root: Path, *options: str) -> tuple[set[str], str]:
    """The files that `git ls-files` lists, and what it says against it."""
    try:
        # Without what the repository's own configuration would run.
        command = ["git", "-c", "core.fsmonitor=false", "ls-files", "-z", *options]
        done = subprocess.run(command, cwd=root, capture_output=True)
    except OSError:
        return set(), ""
    return set(os.fsdecode(done.stdout).split("\0")) - {""}, os.fsdecode(done.stderr).strip()


def file_content(root: Path, name: str) -> Findings:
    """Merge markers and secrets, each kind once. A secret itself is never part of the report."""
    path = root / name
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            return
        content = path.read_bytes()
    except OSError:
        return
    fix = "Resolve it: git diff shows both sides."
    looked_for = [("merge-marker", "a merge marker", re.compile(rb"(?m)^(<{7}|>{7}) "), fix)]
    looked_for += [("secret", kind, pattern, SECRET_FIX) for kind, pattern in SECRETS.items()]
    for rule, kind, pattern, fix in looked_for:
        places = [match.start() for match in pattern.finditer(content)]
        if places:
            line = content.count(b"\n", 0, places[0]) + 1
            more = f", and {len(places) - 1} more below" if places[1:] else ""
            yield Finding(rule, name, line, f"It contains {kind}{more}", fix)


def versions(root: Path) -> Findings:
    """What package.json and pyproject.toml ask for."""
    for file, pattern, oldest in VERSIONS:
        try:
            match = re.search(pattern, read(root / file), re.MULTILINE)
        except Problem:
            match = None
        [needed] = re.findall(_VERSION, oldest)
        if not match or Version(match[1]) < Version(needed):
            wrong = f"Version {match[1]} is too old" if match else "It names no exact version"
            fix = f"Write {oldest} or a newer version. A copier update brings the tested one."
            yield Finding("version", file, 0, wrong, fix)


def packages(root: Path) -> Findings:
    """Whether pylock.toml is there and has what pyproject.toml asks for."""
    try:
        found = list(lock.out_of_date(root, lock.read(root)))
    except lock.NotLocked as wrong:
        found = [wrong]
    except Problem:  # about pyproject.toml, without which `uv run` starts nothing
        return
    for one in found:
        yield Finding("lock", lock.LOCK, 0, one.wrong, one.fix)
