"""Issues 5 and 7: the command line that the commands share, and what a project is told when it
starts one wrongly: one line and exit status 2, never a traceback.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from conftest import Render
from ops_run import FILLED, environment, ops, project, refused

COMMANDS = ("check", "provision", "probe", "local")


@pytest.fixture(scope="module")
def folder(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(rendered, tmp_path_factory.mktemp("ops"), profile="production", **FILLED)


@pytest.mark.parametrize("words", [(), ("chek",), ("--chek",), ("check", "--chek"), ("Check",)])
def test_a_wrong_command_line_is_one_line(folder: Path, words: tuple[str, ...]) -> None:
    refused(ops(folder, *words), "--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(folder: Path, command: str) -> None:
    """Every option with its meaning; no credentials, no network, nothing on stderr."""
    done = ops(folder, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"python -m ops {command}" in done.stdout
    for line in done.stdout.splitlines():
        assert len(line) <= 80, line


def test_help_names_every_command(folder: Path, rendered: Render, tmp_path: Path) -> None:
    """A Worker without an address has nothing to set up at Access, and nothing to play."""
    assert all(name in ops(folder, "--help").stdout for name in COMMANDS)
    internal = project(rendered, tmp_path, profile="internal")
    for command in ("provision", "local"):
        assert f" {command} " not in ops(internal, "--help").stdout
        refused(ops(internal, command), command, "--help")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ["wrangler.jsonc", "No such file"]),
        (b"{", ["wrangler.jsonc", "line 1"]),
        (b'{"name": "x"\n  "main": 1}', ["wrangler.jsonc", "line 2"]),
        (b'\xff\xfe{"name": 1}', ["wrangler.jsonc", "UTF-8"]),
        (b"[]", ["wrangler.jsonc", "object"]),
        (b"[" * 100_000, ["wrangler.jsonc"]),
    ],
    ids=["missing", "cut", "comma", "utf-16", "list", "deep"],
)
def test_a_broken_wrangler_jsonc_is_one_line(
    rendered: Render, tmp_path: Path, command: str, content: bytes | None, parts: list[str]
) -> None:
    folder = project(rendered, tmp_path, profile="production", **FILLED)
    path = folder / "wrangler.jsonc"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    done = ops(folder, command, env={"CLOUDFLARE_API_TOKEN": "made-up"})
    refused(done, *parts)


@pytest.mark.parametrize("command", ["provision", "probe", "local"])
def test_an_environment_that_is_not_there(folder: Path, command: str) -> None:
    env = {"CLOUDFLARE_API_TOKEN": "made-up"}
    refused(ops(folder, command, "--env", "staging", env=env), "--env staging", "wrangler.jsonc")


def test_without_the_dependency_group(folder: Path, tmp_path: Path) -> None:
    """Started with a Python that has none of the packages: how to start it."""
    venv.create(tmp_path / "empty", symlinks=os.name != "nt")
    python = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python"
    for command in COMMANDS:
        done = subprocess.run(
            [python, "-m", "ops", command],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        refused(done, f"uv run --group ops python -m ops {command}")


def test_a_reader_that_has_gone(folder: Path) -> None:
    """`python -m ops … | head -0`: no traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "ops", "check", "--json"],
        cwd=folder,
        env=environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141


def test_scripts_of_package_json(folder: Path, rendered: Render) -> None:
    """Each command has its `npm run`, and a project without them has none."""
    scripts = json.loads((folder / "package.json").read_text(encoding="utf-8"))["scripts"]
    for command in COMMANDS:
        assert scripts[command] == f"uv run --group ops python -m ops {command}"
    without = rendered(profile="production", ops=False)
    assert not (without / "ops").exists()
    text = (without / "package.json").read_text(encoding="utf-8")
    assert not set(COMMANDS) & set(json.loads(text)["scripts"])
    assert "ops" not in (without / "pyproject.toml").read_text(encoding="utf-8")


def test_commands_are_short_enough_to_be_read(folder: Path) -> None:
    """Issue 5: audited by its owner in one sitting."""
    lines = sum(len(path.read_bytes().splitlines()) for path in (folder / "ops").glob("*.py"))
    assert lines <= 2885


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
def test_nothing_is_left_behind(folder: Path) -> None:
    """The commands above wrote no file into the project."""
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
