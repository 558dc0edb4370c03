"""One lock: what pywrangler locks is what the tests run and what a deploy takes, and nothing else.

markdown is pure Python, pydantic-core has wheels for Pyodide on PyPI, and cryptography has them
only on Pyodide's own index, for which an index of the tests stands. pywrangler runs as far as it
goes without Pyodide's own Python, see tools/without_pyodide/.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uv

import command_run
from conftest import ROOT, Render, git
from package_index import Index, wheel
from private_worker import lock

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("environment")]

TESTS = """
def test_markdown(worker):
    def html(env):
        from markdown import markdown

        return markdown("*hello*")

    assert worker.run(html) == "<p><em>hello</em></p>"


def test_pydantic_core(worker):
    def to_int(env):
        from pydantic_core import SchemaValidator

        return SchemaValidator({"type": "int"}).validate_python("7")

    assert worker.run(to_int) == 7


def test_cryptography(worker):
    def made_by(env):
        import cryptography

        return cryptography.MADE_BY

    assert worker.run(made_by) == "the tests"


def test_without_packages(worker):
    assert worker.fetch("/").status == 403


def test_without_the_worker():
    pass
"""
OLD = wheel("cryptography", "47.0.0", "MADE_BY = 'the tests'\n")
NEW = wheel("cryptography", "48.0.0", "MADE_BY = 'somebody else'\n")
OTHER = wheel("cryptography", "47.0.0", "MADE_BY = 'an attacker'\n")
PACKAGES = ("cryptography", "markdown", "pydantic-core")


@pytest.fixture(scope="module")
def origin(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of a project that nobody has changed yet."""
    folder = command_run.project(rendered, tmp_path_factory.mktemp("origin"))
    (folder / "tests" / "test_packages.py").write_text(TESTS)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Tests")
    return folder


@pytest.fixture
def index() -> Iterator[Index]:
    index = Index()
    index.add(*OLD)
    yield index
    index.close()


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(index: Index) -> Run:
    """`uv run <words>` in a project, with pywrangler as it works here."""

    def run(project: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        pretended = {"PYTHONPATH": str(ROOT / "tools" / "without_pyodide")}
        pretended["WITHOUT_PYODIDE_INDEX"] = index.url
        return subprocess.run(
            [uv.find_uv_bin(), "run", "--quiet", *words],
            cwd=project,
            env=os.environ | pretended | env,
            capture_output=True,
            text=True,
        )

    return run


def well(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def outcome(run: Run, project: Path) -> tuple[list[str], str]:
    """The tests that failed, and all that pytest said."""
    done = run(project, "pytest", "-q", "tests/test_packages.py")
    said = done.stdout + done.stderr
    return sorted(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", said, re.M)), said


def add(project: Path, *packages: str) -> None:
    """As docs/WRITING.md says."""
    command = [uv.find_uv_bin(), "add", "--quiet", "--raw", *packages]
    well(subprocess.run(command, cwd=project, capture_output=True, text=True))


def checkout(origin: Path, folder: Path, node_modules: Path) -> Path:
    """A fresh clone with npm's packages, and with nothing of the Worker's."""
    git(folder.parent, "clone", "--quiet", str(origin), str(folder))
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return folder


def lock_findings(run: Run, project: Path) -> list[tuple[str, str]]:
    said = run(project, "private-worker", "check").stdout
    found = re.findall(r"  lock\n  wrong  (.*)\n  why .*\n  fix    (.*)\n", said)
    return [(wrong, fix) for wrong, fix in found]


@pytest.fixture
def locked(origin: Path, run: Run, index: Index, node_modules: Path, tmp_path: Path) -> Path:
    """A fresh checkout in which the three packages have been added, locked and committed."""
    project = checkout(origin, tmp_path / "my-api", node_modules)
    add(project, *PACKAGES)
    well(run(project, "pywrangler", "sync"))
    git(project, "add", "pyproject.toml", "pylock.toml", "uv.lock")
    git(project, "commit", "--quiet", "--message", "Packages")
    return checkout(project, tmp_path / "fresh", node_modules)


def test_from_uv_add_to_a_deploy(
    origin: Path, run: Run, index: Index, node_modules: Path, tmp_path: Path
) -> None:
    """The tests, `check` and the deploy refuse packages that are not locked, and say what to type.
    That makes a lock that all three take."""
    project = checkout(origin, tmp_path / "my-api", node_modules)
    add(project, *PACKAGES)
    missing = "pylock.toml has no {}, which pyproject.toml asks for"
    command = "uv run pywrangler sync"
    failed, said = outcome(run, project)
    assert not failed and said.count(missing.format(PACKAGES[0]) + f": run `{command}`") == 1
    assert lock_findings(run, project) == [(missing.format(name), command) for name in PACKAGES]
    refused = run(project, "private-worker", "locked")
    assert refused.returncode == 2 and missing.format(PACKAGES[0]) in refused.stderr
    assert not (project / "python_modules").exists()

    well(run(project, *command.split()[2:]))
    packages = {str(package.name): package for package in lock.read(project)}
    assert packages.keys() == {*PACKAGES, lock.SDK, "typing-extensions"}
    assert packages["cryptography"].version == "47.0.0"
    assert packages["cryptography"].url.startswith(index.url)
    assert "pyemscripten_2026_0_wasm32" in packages["pydantic-core"].url
    assert not lock_findings(run, project)
    well(run(project, "private-worker", "locked"))
    there = (project / "pylock.toml").read_text()
    assert lock.matches(lock.read(project), project / "python_modules")
    assert (project / "python_modules" / "cryptography.py").is_file()
    assert outcome(run, project)[0] == []
    shutil.rmtree(project / "python_modules")
    assert outcome(run, project)[0] == []  # now from the lock itself
    assert (project / "pylock.toml").read_text() == there


def test_a_fresh_checkout_has_what_is_locked(run: Run, index: Index, locked: Path) -> None:
    """Also when the index has a newer release by now."""
    index.add(*NEW)
    before = (locked / "pylock.toml").read_bytes()
    index.asked.clear()
    assert outcome(run, locked)[0] == []
    assert [path.rsplit("/")[-1] for path in index.asked] == [OLD[0]]
    well(run(locked, "private-worker", "locked"))
    assert (locked / "python_modules" / "cryptography-47.0.0.dist-info").is_dir()
    assert (locked / "pylock.toml").read_bytes() == before
    assert f"/index/cryptography/{NEW[0]}" not in index.asked
    well(run(locked, "pywrangler", "sync", "--force", "--upgrade"))
    assert {p.version for p in lock.read(locked) if p.name == "cryptography"} == {"48.0.0"}


def test_a_lock_that_cannot_be_kept_is_not_deployed(run: Run, index: Index, locked: Path) -> None:
    """The locked release has gone: pywrangler would silently take another one."""
    index.listed = dict([NEW])
    index.served = dict([NEW])
    refused = run(locked, "private-worker", "locked", UV_NO_CACHE="1")
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1] == (
        "private-worker: pywrangler has changed pylock.toml (cryptography): run the tests, "
        "then commit it"
    )


def test_other_python_modules_are_neither_tested_nor_deployed(run: Run, locked: Path) -> None:
    well(run(locked, "private-worker", "locked"))
    modules = locked / "python_modules"
    (modules / "cryptography.py").write_text("MADE_BY = 'somebody else'\n")
    (modules / "cryptography-47.0.0.dist-info").rename(modules / "cryptography-9.dist-info")
    metadata = modules / "cryptography-9.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("47.0.0", "9"))
    assert outcome(run, locked)[0] == []
    refused = run(locked, "private-worker", "locked")
    assert refused.returncode == 1 and "run `uv run pywrangler sync --force`" in refused.stderr
    well(run(locked, "pywrangler", "sync", "--force"))
    well(run(locked, "private-worker", "locked"))


def failure(said: str) -> str:
    """What the test that imports cryptography failed with."""
    (line,) = re.findall(r"^E +.*(ModuleNotFoundError: .*)$", said, re.M)
    return str(line)


def test_a_tampered_wheel_is_refused(run: Run, index: Index, locked: Path) -> None:
    index.served = dict([OTHER])
    failed, said = outcome(run, locked)
    assert failed == ["test_cryptography"]
    assert failure(said) == (
        f"ModuleNotFoundError: No module named 'cryptography': could not get cryptography 47.0.0 "
        f"from {index.host}: the wheel has another SHA-256 than pylock.toml says"
    )
    refused = run(locked, "private-worker", "locked", UV_NO_CACHE="1")
    assert refused.returncode == 2
    assert not (locked / "python_modules" / "cryptography.py").exists()


def test_a_package_that_cannot_be_had(run: Run, index: Index, locked: Path) -> None:
    """It fails the tests that import it, and is had as soon as it can be."""
    index.served = {}
    failed, said = outcome(run, locked)
    assert failed == ["test_cryptography"]
    assert f"cryptography 47.0.0 from {index.host}: HTTP Error 404" in failure(said)
    index.add(*OLD)
    assert outcome(run, locked)[0] == []


def test_the_worker_itself_imports_what_cannot_be_had(run: Run, index: Index, locked: Path) -> None:
    """Then no test of the Worker can pass; the others go on."""
    index.served = {}
    api = locked / "src" / "api.py"
    api.write_text("import cryptography\n" + api.read_text())
    failed, said = outcome(run, locked)
    assert len(failed) == 4 and "1 passed" in said
    reason = f"could not get cryptography 47.0.0 from {index.host}: HTTP Error 404"
    assert reason in said and "_pytest" not in said and "micropip" not in said


@pytest.mark.parametrize(
    "broken, says",
    {
        None: "is missing: run `uv run pywrangler sync --force`, and commit it",
        "<<<<<<< before updating\n": "cannot be used",
        'lock-version = "9.0"\n': "cannot be used",
    }.items(),
    ids=["missing", "half merged", "of the future"],
)
def test_no_lock(
    broken: str | None,
    says: str,
    origin: Path,
    run: Run,
    node_modules: Path,
    tmp_path: Path,
) -> None:
    """One line each, and what it says to type helps."""
    project = checkout(origin, tmp_path / "my-api", node_modules)
    file = project / "pylock.toml"
    before = file.read_text()
    file.unlink() if broken is None else file.write_text(broken + before)
    failed, said = outcome(run, project)
    assert not failed and said.count("pylock.toml ") == 1 and says in said
    ((wrong, command),) = lock_findings(run, project)
    assert f"pylock.toml {says}".startswith(wrong.split(" (")[0])
    refused = run(project, "private-worker", "locked")
    assert refused.returncode == 2 and says in refused.stderr.splitlines()[-1]
    well(run(project, *command.split(",")[0].split()[2:]))
    assert outcome(run, project)[0] == ["test_cryptography", "test_markdown", "test_pydantic_core"]


def test_a_bound_that_only_this_computer_has(
    origin: Path, run: Run, node_modules: Path, tmp_path: Path
) -> None:
    """`uv add` without --raw writes it; what `check` says instead can be locked."""
    project = checkout(origin, tmp_path / "my-api", node_modules)
    command = [uv.find_uv_bin(), "add", "--quiet", "cryptography"]
    well(subprocess.run(command, cwd=project, capture_output=True, text=True))
    assert run(project, "pywrangler", "sync").returncode
    ((wrong, fix),) = lock_findings(run, project)
    assert wrong == "pylock.toml has no cryptography, which pyproject.toml asks for"
    (instead,) = re.findall(r'write ("cryptography[^"]+")', fix)
    file = project / "pyproject.toml"
    text, count = re.subn(r'"cryptography>=[\d.]+"', instead, file.read_text())
    assert count == 1
    file.write_text(text)
    well(run(project, "pywrangler", "sync"))
    assert not lock_findings(run, project)
