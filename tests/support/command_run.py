"""Running the command `private-worker` as a person does: a real process, no terminal."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import ROOT, Render, git

SOURCE = ROOT / "template" / "vendor" / "private-worker" / "src"
# As the console script does, without the current folder on sys.path.
COMMAND = [sys.executable, "-P", "-m", "private_worker"]
AUD = "5e1f0ce3" * 8
FILLED = {
    "team_domain": "acme-labs",
    "policy_aud": AUD,
    "allowed_emails": "ann@example.net",
    "allowed_service_tokens": "00112233445566778899aabbccddeeff.access",
    "hostname": "invoices.example.net",
}


def environment(**variables: str) -> dict[str, str]:
    """PATH and little else: no credentials of the machine's, no proxy, no colours.

    The command comes from the template itself: it is the same in every project.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(SOURCE)}
    return {**kept, **own, **variables}


def run(
    folder: Path,
    *words: str,
    env: dict[str, str] | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """`private-worker …` in the project.

    `env` is added to `environment()`. Both streams are pipes, and end after 60 s at the latest.
    """
    return subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(**(env or {})),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def check_findings(folder: Path) -> list[dict[str, Any]]:
    """What `check --json` finds."""
    found: list[dict[str, Any]] = json.loads(run(folder, "check", "--json").stdout)["findings"]
    return found


def mind_ctrl_c() -> None:
    """For `preexec_fn`: whoever starts the tests in the background has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def project(rendered: Render, destination: Path, **answers: object) -> Path:
    """A copy of a rendered project, free to be changed, all of it in git and committed."""
    folder = destination / "my-api"
    shutil.copytree(rendered(**answers), folder)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Start")
    return folder


def refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Exit 2, one line on stderr that says all `parts`, nothing else anywhere."""
    assert done.returncode == 2, done.stderr + done.stdout
    assert done.stdout == ""
    assert done.stderr.startswith("private-worker: ") and done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr
