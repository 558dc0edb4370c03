"""The command line that all commands of `private-worker` share, and what a project is told when it
starts one wrongly: one line and exit status 2, never a traceback.
"""

import json
import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from command_run import COMMAND, FILLED, environment, project, refused, run
from conftest import Render
from private_worker.project import FILE

pytestmark = pytest.mark.slow

COMMANDS = ("check", "provision", "probe", "local")


@pytest.fixture(scope="module")
def folder(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(rendered, tmp_path_factory.mktemp("cli"), profile="production", **FILLED)


@pytest.mark.parametrize("words", [(), ("chek",), ("--chek",), ("check", "--chek"), ("Check",)])
def test_a_wrong_command_line_is_one_line(folder: Path, words: tuple[str, ...]) -> None:
    refused(run(folder, *words), "--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_to_type_for_the_options_of_a_command(folder: Path, command: str) -> None:
    """As a person can type it in a project: private-worker itself is on no PATH."""
    refused(run(folder, command, "--aply"), f"--aply; see: npm run {command} -- --help")


@pytest.mark.parametrize(
    "words",
    [
        ("provision", "--rotate=", "--apply"),
        ("provision", "--rotate", "", "--apply"),
        ("provision", "--remove", "--apply", "--env", " "),
        ("provision", "--service-token="),
        ("probe", "--subdomain", ""),
        ("local", "--env="),
    ],
)
def test_an_option_that_is_empty(folder: Path, words: tuple[str, ...]) -> None:
    """As with a variable that is not set. Left out, it would act on something else."""
    [option] = [word for word in words if word[:2] == "--" and word not in ("--apply", "--remove")]
    refused(run(folder, *words), f"{option.rstrip('=')} is empty")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(folder: Path, command: str) -> None:
    """Every option with its meaning; no credentials, no network, nothing on stderr."""
    done = run(folder, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"private-worker {command}" in done.stdout
    for line in done.stdout.splitlines():
        assert len(line) <= 80, line


def test_help_names_every_command(tmp_path: Path) -> None:
    """Also where there is no project."""
    done = run(tmp_path, "--help")
    assert done.returncode == 0 and set(COMMANDS) <= set(done.stdout.split())


@pytest.mark.parametrize("command", ["provision", "local"])
def test_what_only_a_public_address_needs(command: str, rendered: Render) -> None:
    """Without an address there is nothing to set up at Access, and nothing to play."""
    refused(run(rendered(profile="internal"), command), f"no {command}", "public address")


def test_outside_of_a_project(tmp_path: Path) -> None:
    for command in COMMANDS:
        refused(run(tmp_path, command), str(tmp_path), ".private-worker.toml")


def test_in_a_folder_of_the_project(folder: Path) -> None:
    done = run(folder / "src" / "guard", "check")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "Nothing is wrong.\n")


@pytest.mark.parametrize("content", ["", "[shape", "[shape]\nexposure = 'none'\n"])
def test_a_broken_shape(content: str, rendered: Render, tmp_path: Path) -> None:
    """The file that says what the project was made for: how to have it back."""
    folder = project(rendered, tmp_path, profile="production", **FILLED)
    (folder / FILE).write_text(content)
    refused(run(folder, "check"), FILE, "copier recopy")


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
    done = run(folder, command, env={"CLOUDFLARE_API_TOKEN": "made-up"})
    refused(done, *parts)


@pytest.mark.parametrize("command", ["provision", "probe", "local"])
def test_an_environment_that_is_not_there(folder: Path, command: str) -> None:
    env = {"CLOUDFLARE_API_TOKEN": "made-up"}
    refused(run(folder, command, "--env", "staging", env=env), "--env staging", "wrangler.jsonc")


def test_without_the_dependency_group(folder: Path, tmp_path: Path) -> None:
    """Started with a Python that has none of the packages: how to start it."""
    venv.create(tmp_path / "empty", symlinks=os.name != "nt")
    python = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python"
    for command in COMMANDS:
        done = subprocess.run(
            [python, *COMMAND[1:], command],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        refused(done, f"npm run {command}")


def test_a_reader_that_has_gone(folder: Path) -> None:
    """`private-worker … | head -0`: no traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "check", "--json"],
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
    assert scripts["check"] == "uv run private-worker check"
    for command in ("provision", "probe", "local"):
        assert scripts[command] == f"uv run --group commands private-worker {command}"
    text = (rendered(profile="production", ops=False) / "package.json").read_text(encoding="utf-8")
    assert not set(COMMANDS) & set(json.loads(text)["scripts"])


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
def test_nothing_is_left_behind(folder: Path) -> None:
    """The commands above wrote no file into the project."""
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
