"""A code host on this computer: git and Copier find https://github.com/ in a folder.

git's own `insteadOf` does it, through the environment, so that addresses are typed, stored and
compared exactly as for the real host.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import commands
from commands import Done
from conftest import git

HOST = "https://github.com/"

# A template that is copied in a moment, for what is Copier's own behaviour.
SMALL = {
    "copier.yml": "_subdirectory: template\nteam_domain:\n  type: str\n  default: nobody\n",
    "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers | to_nice_yaml -}}\n",
    "template/news.txt.jinja": "for {{ team_domain }}\n",
}


def environment(hub: Path, **more: str) -> dict[str, str]:
    """With this folder in the place of https://github.com/, whatever the credentials."""
    addresses = [HOST, "ssh://git@github.com/", "git@github.com:"]
    addresses += [f"https://{user}@github.com/" for user in ("ann:s3cret-t0ken", "s3cret-t0ken")]
    pairs = {f"GIT_CONFIG_VALUE_{n}": address for n, address in enumerate(addresses)}
    keys = {f"GIT_CONFIG_KEY_{n}": f"url.{hub.as_uri()}/.insteadOf" for n in range(len(addresses))}
    return {**os.environ, **pairs, **keys, "GIT_CONFIG_COUNT": str(len(addresses)), **more}


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def publish(repository: Path, *versions: str, files: Mapping[str, str] = {}) -> None:
    """Commit, once for each version, and tag."""
    if not (repository / ".git").exists():
        repository.mkdir(parents=True, exist_ok=True)
        git(repository, "init", "--initial-branch", "main")
    write(repository, files)
    for version in versions:
        git(repository, "add", "--all")
        git(repository, "commit", "--allow-empty", "--message", version)
        git(repository, "tag", "--annotate", version, "--message", version)


def commit(project: Path) -> None:
    if not (project / ".git").exists():
        git(project, "init")
    git(project, "add", "--all")
    git(project, "commit", "--message", "x")


def copier(*arguments: str | Path, env: Mapping[str, str], code: int = 0) -> Done:
    """Copier's command line; `code` is the exit code that is expected."""
    done = commands.copier(*map(str, arguments), env=env)
    assert done.returncode == code, done.stderr[-3000:]
    return done


def answer(project: Path, name: str) -> str:
    """One line of the answers file, as it stands there."""
    text = (project / ".copier-answers.yml").read_text(encoding="utf-8")
    found = re.search(rf"(?m)^{name}: (.*)$", text)
    return found[1] if found else ""
