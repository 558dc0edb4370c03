"""The commands of README.md, the tutorials and a rendered README.md, in their order.

A real shell gets the text of the blocks as it stands in the documents. The first copy and its last
update ask their questions in a real terminal.
"""

import os
import pty
import re
import select
import subprocess
from pathlib import Path

import pytest

import hub
import quicker
from commands import after_the_copy, words
from conftest import FOLDER, ROOT, git, release, snapshot
from documents import blocks, headings, shell_blocks
from files import read_jsonc
from next_version import next_version

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")


@pytest.fixture
def published(tmp_path: Path, default_gitconfig: object) -> Path:
    """The working tree as v1.0.0 of gh:org/private-worker, in a folder in the place of GitHub."""
    repository = tmp_path / "host" / "org" / "private-worker.git"
    repository.mkdir(parents=True)
    return snapshot(repository, "v1.0.0")


@pytest.fixture
def environ(environment: None, published: Path, tmp_path: Path) -> dict[str, str]:
    """As on a reader's computer. `uvx copier` is the Copier that is installed here."""
    path = quicker.uvx(tmp_path / "tools")
    return hub.environment(published.parents[1], PATH=path, NO_COLOR="1")


def block(text: str, heading: str) -> str:
    """The text of the shell block under a heading; "heading 2" is the second one."""
    return shell_blocks(text)[headings(text).index(heading)].text


def typed(text: str, folder: Path, environ: dict[str, str], *failing: str) -> str:
    """Type the text into a real shell and give what it prints. Only these commands may fail."""
    failed = folder.parent / "failed"
    failed.write_text("")
    script = f"""trap 'printf "%s\\n" "$BASH_COMMAND" >>"{failed}"' ERR\n{text}"""
    done = subprocess.run(
        ["bash", "-uc", script],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert failed.read_text().splitlines() == list(failing), done.stdout[-3000:] + done.stderr
    return done.stdout + done.stderr


def first_steps(project: Path, published: Path, environ: dict[str, str]) -> None:
    """The blocks of the rendered README.md after "Start", and what they are said to do."""
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert git(project, "log", "--format=%s") == "Start from private-worker\n"
    tracked = git(project, "ls-files").splitlines()
    assert {"package-lock.json", "uv.lock"} <= set(tracked)
    assert not [name for name in tracked if name.startswith(("node_modules", ".venv"))]

    copies = [line for line in block(readme, "Daily work").splitlines() if line.startswith("cp ")]
    typed("\n".join([*copies, "npm run lint", "npm run format"]), project, environ)
    assert git(project, "status", "--porcelain") == ""

    typed(block(readme, "Change an answer"), project, environ)
    assert "+Invoices for the billing team\n" in git(project, "diff", "README.md")
    typed("git add --all && git commit --message changed", project, environ)

    next_version(published)
    release(published, "v1.1.0")
    no_marker = "git grep -n '^<<<<<<<'"
    assert " passed" in typed(block(readme, "Update"), project, environ, no_marker)
    assert (project / "docs" / "NEW.md").is_file()
    assert "_commit: v1.1.0" in (project / ".copier-answers.yml").read_text(encoding="utf-8")
    typed("git add --all && git commit --message v1.1.0", project, environ)


def own_test(project: Path, environ: dict[str, str]) -> None:
    """The test that the page about local work shows."""
    [sample] = [block.text for block in blocks(LOCAL) if block.language == "python"]
    file = project / "tests" / "test_sample.py"
    file.write_text(sample, encoding="utf-8")
    assert "1 passed" in typed("uv run pytest tests/test_sample.py", project, environ)
    file.unlink()


README = (ROOT / "README.md").read_text(encoding="utf-8")
ONE = (ROOT / "docs" / "tutorial" / "personal.md").read_text(encoding="utf-8")
TEAM = (ROOT / "docs" / "tutorial" / "production.md").read_text(encoding="utf-8")
LOCAL = (ROOT / "docs" / "how-to" / "local-work.md").read_text(encoding="utf-8")


def without_comments(text: str) -> list[str]:
    return [re.sub(r"\s+# .*$", "", line) for line in text.splitlines()]


def interview(text: str, folder: Path, environ: dict[str, str]) -> str:
    """Type the text into a terminal, and Enter whenever it waits. What it shows, in plain text."""
    ours, theirs = pty.openpty()
    terminal = {**environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    shell = ["bash", "-euc", f"stty rows 24 cols 80\n{text}"]
    shown = b""
    with subprocess.Popen(
        shell, cwd=folder, env=terminal, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        for _ in range(10_000):
            if select.select([ours], [], [], 0.5)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:  # the shell has closed it
                    break
            else:
                os.write(ours, b"\r")
    os.close(ours)
    plain = re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]", "", shown.decode("utf-8")).replace("\r", "")
    assert process.returncode == 0, plain
    return plain


@pytest.mark.slow
def test_the_first_hour_of_one_person(
    published: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    """README.md and the tutorial for one person: the copy with its questions, the project's own
    first steps, and an update."""
    folder = tmp_path / "work"
    folder.mkdir()
    copy = block(README, "private-worker")
    assert block(ONE, "Render the project") == copy
    shown = interview(copy, folder, environ)
    project = folder / FOLDER
    readme = (project / "README.md").read_text(encoding="utf-8")
    # The message at the end, the tutorial and the project's README say the same.
    start = [f"cd {FOLDER}", *without_comments(block(readme, "Start"))]
    assert after_the_copy(shown[shown.index("\nThe Worker ") :]) == start
    steps = block(ONE, "Test and commit it")
    assert steps.splitlines() == start
    assert " passed" in typed(steps, folder, environ)
    own_test(project, environ)
    first_steps(project, published, environ)
    hub.publish(published, "v1.2.0")
    interview(block(README, "private-worker 2"), project, environ)
    assert "_commit: v1.2.0" in (project / ".copier-answers.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(False, marks=pytest.mark.slow, id="tutorial"),
        pytest.param(True, marks=pytest.mark.release, id="tutorial and first steps"),
    ],
)
def test_the_first_hour_of_a_team(
    published: Path, environ: dict[str, str], tmp_path: Path, steps: bool
) -> None:
    """The tutorial for a team: a copy without questions; and, before a release, the project's own
    first steps, which in each run are taken by one person above."""
    folder = tmp_path / "work"
    folder.mkdir()
    typed(block(TEAM, "Render the project 2"), folder, environ)
    project = folder / "invoice-api"
    config = read_jsonc(project / "wrangler.jsonc")
    assert config["vars"]["ALLOWED_EMAILS"] == ["ann@example.com", "bob@example.com"]
    assert [route["pattern"] for route in config["routes"]] == ["invoices.example.com"]
    assert (project / "README.md").read_text("utf-8").split("\n")[2] == "# Invoice API"
    assert " passed" in typed(block(TEAM, "Test and commit it"), folder, environ)
    # Not set up yet: the check says so, as it is shown there.
    check = block(TEAM, "Test and commit it 2")
    [shown] = [b.text for b in blocks(TEAM) if b.language == "text"]
    assert words(shown) in words(typed(check, project, environ, check.strip()))
    if steps:
        first_steps(project, published, environ)


@pytest.mark.slow
def test_answers_without_questions(
    published: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    """README.md: each answer has come to where it belongs."""
    typed(block(README, "Answers without questions"), tmp_path, environ)
    project = tmp_path / "invoice-api"
    config = read_jsonc(project / "wrangler.jsonc")
    assert config["vars"]["ALLOWED_EMAILS"] == ["ann@example.com"]
    assert [route["pattern"] for route in config["routes"]] == ["invoices.example.com"]
    assert [service["binding"] for service in config["vpc_services"]] == ["BILLING", "REPORTS"]
    assert (project / "README.md").read_text("utf-8").split("\n")[2] == "# Invoice API"
