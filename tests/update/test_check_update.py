"""team-kit/check-update.yml, its shell steps run against a real template.

The template is private: a server on this computer that wants a password, which git gets from
`gh auth git-credential`. `gh` itself is a stand-in with the options that are used and no others.
"""

import base64
import http.server
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

import hub
from conftest import ROOT, Render, git
from questions import CONFIG

pytestmark = pytest.mark.slow

FILE = ROOT / "team-kit" / "check-update.yml"
TEXT = FILE.read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(TEXT)
JOB = WORKFLOW["jobs"]["check-update"]
TOKEN = "s3cret-t0ken"

needs_jq = pytest.mark.skipif(
    os.name == "nt" or not shutil.which("jq"), reason="the steps need bash and jq, as on the runner"
)


def test_it_may_do_little() -> None:
    """No right but to read the code and to write issues; no token left where git looks."""
    assert WORKFLOW["permissions"] == {}
    assert JOB["permissions"] == {"contents": "read", "issues": "write"}
    (checkout,) = [step for step in JOB["steps"] if "checkout" in step.get("uses", "")]
    assert checkout["with"]["persist-credentials"] is False
    assert set(WORKFLOW[True]) == {"schedule", "workflow_dispatch"}  # YAML reads `on` as true


def test_it_is_pinned_as_the_rendered_ci(rendered: Render) -> None:
    """The same commits and the same uv, so that the two are raised together."""
    ci = (rendered(profile="production") / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.*)", TEXT)
    assert len(uses) == 2
    for line in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", line) and line in ci
    (uv,) = [step for step in JOB["steps"] if "setup-uv" in step.get("uses", "")]
    assert uv["with"]["version"] == yaml.safe_load(ci)["env"]["UV_VERSION"]
    (version,) = re.findall(r"copier@([\d.]+)", TEXT)
    assert Version(version) >= Version(CONFIG["_min_copier_version"])


def test_nothing_is_pasted_into_a_shell() -> None:
    """A version's name is somebody else's text: it comes as a variable."""
    for step in JOB["steps"]:
        assert "${{" not in step.get("run", "")


# ---------------------------------------------------------------- its steps

GH = """
import argparse, json, os, subprocess, sys
from pathlib import Path

state = Path(os.environ["GH_STATE"])
parser = argparse.ArgumentParser(allow_abbrev=False)
commands = parser.add_subparsers(dest="command", required=True)
auth = commands.add_parser("auth").add_subparsers(dest="action", required=True)
auth.add_parser("setup-git")
auth.add_parser("git-credential").add_argument("operation")
issue = commands.add_parser("issue").add_subparsers(dest="action", required=True)
listing = issue.add_parser("list")
for name in ("--app", "--state", "--limit", "--json", "--jq"):
    listing.add_argument(name, required=True)
creating = issue.add_parser("create")
editing = issue.add_parser("edit")
closing = issue.add_parser("close")
for action in (creating, editing):
    action.add_argument("--title", required=True)
    action.add_argument("--body", required=True)
for action in (editing, closing):
    action.add_argument("number", type=int)
closing.add_argument("--comment")
given = parser.parse_args()
assert os.environ["GH_TOKEN"]
issues = json.loads(state.read_text())
if given.action == "setup-git":
    helper = "!gh auth git-credential"
    subprocess.run(["git", "config", "--global", "credential.helper", helper], check=True)
elif given.action == "git-credential":
    if given.operation == "get":
        print("username=x-access-token\\npassword=" + os.environ["GH_TOKEN"])
else:
    assert os.environ["GH_REPO"] == "team/my-api" and os.environ["GH_TOKEN"] == "the-jobs-own"
    if given.action == "list":
        app = "app/" + given.app
        found = [i for i in issues if i["state"] == given.state and i["author"] == app]
        fields = [{key: i[key] for key in given.json.split(",")} for i in found]
        text = json.dumps(fields[: int(given.limit)])
        done = subprocess.run(["jq", "-r", given.jq], input=text, text=True)
        sys.exit(done.returncode)
    if given.action == "create":
        new = {"number": len(issues) + 1, "state": "open", "author": "app/github-actions"}
        issues.append({**new, "title": given.title, "body": given.body})
    else:
        (one,) = [i for i in issues if i["number"] == given.number]
        if given.action == "edit":
            one.update(title=given.title, body=given.body)
        else:
            one.update(state="closed", comment=given.comment)
state.write_text(json.dumps(issues))
"""


class Private(http.server.SimpleHTTPRequestHandler):
    """Repositories as plain files, for whoever knows the token."""

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(given).decode().partition(":")[2] == TOKEN:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class Runner:
    """What GitHub does with the steps of a job that run a shell."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.project = folder, folder / "my-api"
        self.bin, self.state = folder / "bin", folder / "issues.json"
        self.bin.mkdir()
        self.state.write_text("[]")
        (self.bin / "gh.py").write_text(GH)
        self._script("gh", f'exec "{sys.executable}" "{self.bin}/gh.py" "$@"')
        self._script("uvx", f'shift; exec "{sys.executable}" -m copier "$@"')
        shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], folder / "gitconfig")
        git(folder, "config", "--file", "gitconfig", f"url.{server}.insteadOf", hub.HOST)

    def _script(self, name: str, command: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{command}\n")
        (self.bin / name).chmod(stat.S_IRWXU)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": os.pathsep.join([str(self.bin), os.environ["PATH"]]),
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "GIT_TERMINAL_PROMPT": "0",
            "COPIER_CACHE_DIR": str(self.folder / "cache"),
            "GH_STATE": str(self.state),
        }

    def run(self, token: str = TOKEN) -> tuple[int, str]:
        """The exit code of the first step that fails, and all that was said."""
        known = {
            "secrets.TEMPLATE_TOKEN": token,
            "github.token": "the-jobs-own",
            "github.repository": "team/my-api",
        }
        said = ""
        for step in JOB["steps"]:
            if "run" not in step:
                continue
            output = self.folder / "output"
            output.write_text("")
            given = {
                name: re.sub(r"\$\{\{ (.*?) \}\}", lambda match: known[match[1]], value)
                for name, value in step.get("env", {}).items()
            }
            (self.folder / "step.sh").write_text(step["run"])
            done = subprocess.run(
                ["bash", "-e", str(self.folder / "step.sh")],
                cwd=self.project,
                env={**self.environment(), **given, "GITHUB_OUTPUT": str(output)},
                capture_output=True,
                text=True,
            )
            said += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, said
            for line in output.read_text().splitlines():
                name, _, value = line.partition("=")
                known[f"steps.{step.get('id')}.outputs.{name}"] = value
        return 0, said

    def issues(self) -> list[tuple[str, str]]:
        found = json.loads(self.state.read_text())
        return [(issue["title"], issue["state"]) for issue in found]


@pytest.fixture
def private(tmp_path: Path) -> Path:
    repository = tmp_path / "source"
    hub.publish(repository, "v1.0.0", files=hub.SMALL)
    (tmp_path / "served" / "org").mkdir(parents=True)
    git(tmp_path, "clone", "--bare", str(repository), "served/org/private-worker.git")
    publish(repository)
    return repository


def publish(repository: Path, *versions: str) -> None:
    """To the server, which has only files."""
    hub.publish(repository, *versions)
    served = repository.parent / "served" / "org" / "private-worker.git"
    git(repository, "push", "--follow-tags", str(served), "main")
    git(served, "update-server-info")


@pytest.fixture
def runner(private: Path, tmp_path: Path) -> Iterator[Runner]:
    """A project that was copied from the private template by its short address."""
    handler = partial(Private, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        (tmp_path / "runner").mkdir()
        found = Runner(tmp_path / "runner", f"http://127.0.0.1:{server.server_port}/")
        answers = "_src_path: gh:org/private-worker\n_commit: v1.0.0\nteam_domain: nobody\n"
        hub.write(found.project, {".copier-answers.yml": answers})
        hub.commit(found.project)
        yield found
        server.shutdown()
        thread.join()


@needs_jq
def test_one_issue_is_kept(private: Path, runner: Runner) -> None:
    """None while current, one for a newer version, renamed for the next, closed at the end."""
    code, said = runner.run()
    assert code == 0, said
    assert runner.issues() == []
    somebody = {"number": 1, "title": "New version of the template: mine", "body": ""}
    runner.state.write_text(json.dumps([{**somebody, "state": "open", "author": "ann"}]))

    publish(private, "v1.1.0")
    assert runner.run()[0] == 0
    assert runner.issues()[1:] == [("New version of the template: 1.1.0", "open")]
    publish(private, "v1.2.0")
    assert runner.run()[0] == 0
    assert runner.issues()[1:] == [("New version of the template: 1.2.0", "open")]

    env = {**runner.environment(), "GH_TOKEN": TOKEN}
    hub.copier("update", "--quiet", "--defaults", runner.project, env=env)
    hub.commit(runner.project)
    assert runner.run()[0] == 0
    assert runner.issues() == [
        ("New version of the template: mine", "open"),
        ("New version of the template: 1.2.0", "closed"),
    ]
    assert hub.answer(runner.project, "_src_path") == "gh:org/private-worker"


@needs_jq
@pytest.mark.parametrize("token", ["", "another"])
def test_a_template_that_cannot_be_asked(token: str, runner: Runner) -> None:
    """Without the right token: it fails, says why in a line, and touches no issue."""
    code, said = runner.run(token)
    assert code == 1
    assert "::error::The template could not be asked." in said and "TEMPLATE_TOKEN" in said
    assert runner.issues() == []
