"""What Copier prints before and after. The slow tests read it from the command line's stderr."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import copier, words
from conftest import git
from questions import CONFIG, FREE_TEXT, answered, fill
from shapes import AUD, PARAMETERS

# A folder whose name needs quotes in a shell.
FOLDER = "my new api"
ACCESS, BINDS = "sets up Cloudflare Access", "binds the calling Workers"
EVERYBODY = ["--data=profile=custom", "--data=callers=[human, machine, binding]"]
FILLED = [f"--data=policy_aud={AUD}", "--data=team_domain=acme", "--data=allowed_emails=*"]
SAYS: dict[str, tuple[list[str], str, str | None]] = {
    "personal": (
        ["--data=profile=personal"],
        ACCESS,
        "the team name, the AUD tag, the e-mail addresses.",
    ),
    "production": (
        ["--data=profile=production"],
        ACCESS,
        "the team name, the AUD tag, the e-mail addresses, the Client IDs.",
    ),
    "internal": (["--data=profile=internal"], BINDS, "the calling Workers."),
    "custom": (
        [*EVERYBODY, *FILLED, "--data=ops=false"],
        f"{ACCESS} and {BINDS}",
        "the Client IDs, the calling Workers.",
    ),
    "filled in": (["--data=profile=personal", *FILLED], ACCESS, None),
}


def commands(message: str) -> list[str]:
    """The indented lines, without their comments."""
    found = [line.strip() for line in message.splitlines() if line.startswith("  ")]
    return [re.sub(r"\s+# .*$", "", line) for line in found]


def assert_exist(project: Path, lines: list[str]) -> None:
    """Each command is there: npm's scripts in package.json, and git knows its own."""
    scripts = json.loads((project / "package.json").read_text(encoding="utf-8"))["scripts"]
    for line in lines:
        program, what, *rest = shlex.split(line)
        if program == "npm" and what == "run":
            assert rest[0] in scripts, line
        else:
            assert program in ("git", "cd") or line in ("npm install", "uv run pytest"), line


def test_every_profile_is_here() -> None:
    assert set(PARAMETERS["profile"]) <= set(SAYS)


def check(message: str, setup: str, missing: str | None) -> None:
    """The message after a copy says these things, on lines of 80 columns."""
    assert message.startswith('The Worker "my-new-api" is rendered. Next:\n\n  cd ')
    assert f"deploys the Worker closed, {setup}, and shows" in words(message)
    own = [line for line in message.splitlines() if not line.startswith("  cd ")]
    assert max(map(len, own)) <= 80
    if missing:
        assert words(message).endswith(
            f"Still to fill in, in wrangler.jsonc: {missing} Until then it refuses everybody."
        )
    else:
        assert "Still to fill in" not in message
    assert len(commands(message)) == 6


@pytest.mark.parametrize("name", SAYS)
def test_text_after_a_copy(name: str) -> None:
    """What is next, for these answers."""
    data, setup, missing = SAYS[name]
    given: dict[str, Any] = {"project_name": "my new api"}
    for word in data:
        question, text = word.removeprefix("--data=").split("=", 1)
        given[question] = text if question in FREE_TEXT else yaml.safe_load(text)
    context = {**answered(given), "_copier_conf": {"dst_path": FOLDER}}
    check(fill(CONFIG["_message_after_copy"], context), setup, missing)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAYS)
def test_after_a_copy(template: Path, tmp_path: Path, name: str) -> None:
    """The same from Copier. The commands work as they are printed."""
    data, setup, missing = SAYS[name]
    done = copier("copy", "--defaults", *data, str(template), FOLDER, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("This renders a Cloudflare Python Worker that only")
    message = done.stderr[done.stderr.index("The Worker ") :]
    check(message, setup, missing)
    project = tmp_path / FOLDER
    assert (project / "docs" / "SETUP.md").is_file()
    config = (project / "wrangler.jsonc").read_text(encoding="utf-8")
    assert ("REPLACE_WITH" in config) == (missing is not None)
    lines = commands(message)
    assert_exist(project, lines)
    here = [line for line in lines if line.startswith(("cd ", "git "))]
    subprocess.run(["bash", "-euc", "\n".join(here)], cwd=tmp_path, check=True, capture_output=True)
    assert git(project, "log", "--format=%s") == "Start from private-worker\n"


def test_into_the_folder_itself() -> None:
    """No `cd .` then."""
    message = fill(
        CONFIG["_message_after_copy"], {**answered({}), "_copier_conf": {"dst_path": "."}}
    )
    assert commands(message)[0] == "git init"


@pytest.mark.slow
@pytest.mark.parametrize("ops", ["true", "false"])
def test_after_an_update(versions: Path, tmp_path: Path, ops: str) -> None:
    """Where an edit and the update met is shown by the commands of the message, and taken back by
    them. Copier itself reports success."""
    project = tmp_path / FOLDER
    made = ["copy", "--defaults", f"--data=ops={ops}", "--vcs-ref=v1.0.0", str(versions), FOLDER]
    assert copier(*made, folder=tmp_path).returncode == 0
    setup = project / "docs" / "SETUP.md"
    first, rest = setup.read_text(encoding="utf-8").split("\n", 1)
    setup.write_text(f"{first}\nmy own line\n{rest}", encoding="utf-8")
    git(project, "init")
    git(project, "add", "--all")
    git(project, "commit", "--message", "x")
    done = copier("update", "--defaults", folder=project)
    assert done.returncode == 0, done.stderr
    said = words(done.stderr)
    yours = "src/api.py, src/events.py, src/internal.py, src/tools.py and tests"
    assert f"Yours stay as they are: {yours}" in said
    assert max(map(len, done.stderr.splitlines())) <= 80
    message = done.stderr[done.stderr.index("Updated. ") :]
    status, grep, *others, restore, clean = commands(message)
    assert ("npm run check" in others) == (ops == "true")
    assert_exist(project, [status, grep, *others, restore, clean])

    def run(line: str) -> str:
        return subprocess.run(
            ["bash", "-euc", line], cwd=project, check=True, capture_output=True, text=True
        ).stdout

    assert "both modified:   docs/SETUP.md" in run(status)
    assert run(grep) == "docs/SETUP.md:2:<<<<<<< before updating\n"
    run(restore)
    run(clean)
    assert git(project, "status", "--porcelain") == ""
    assert "my own line" in setup.read_text(encoding="utf-8")
