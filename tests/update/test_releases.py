"""`copier update` from every released version, with people's edits.

releases/ holds an archive of each version, so that this needs no tag and no network. Before there
is a release, the working tree plays v1.0.0.
"""

import ast
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from difflib import SequenceMatcher
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

import archives
import shapes
from commands import copier
from conftest import FOLDER, ROOT, git, snapshot
from files import all_files, read_jsonc, texts
from private_worker.project import ON_HOSTNAME
from updates import ANSWERS, assert_no_conflict, commit, copy, files_of, is_seed, update

ARCHIVES = archives.released(ROOT / "releases")
RELEASES = list(ARCHIVES) or ["v1.0.0"]
NOW = "v999.0.0"
MINE = "# mine"
DELETED = "docs/TROUBLESHOOTING.md"
# The shape for whom one file of every kind is there, the smallest, and one without an address.
SHAPES = ("personal", "everybody", "internal-rpc")
# Files of the owner's beside those of the template: an update knows nothing of them.
OWN = ("ops/mine.py", "tests/guard/test_mine.py", "tests/kit/mine.py", "src/mine.py")


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """One commit and tag for each release, then the working tree."""
    scratch = tmp_path_factory.mktemp("history")
    now = snapshot(scratch / "now", NOW)
    found = dict(ARCHIVES)
    if not found:
        found["v1.0.0"] = scratch / "v1.0.0.tar.xz"
        archives.write(now, "HEAD", found["v1.0.0"])
    repository = scratch / "template"
    repository.mkdir()
    git(repository, "init")
    for version, archive in found.items():
        archives.unpack(archive, repository)
        record(repository, version)
    archives.working_tree(now, repository)
    record(repository, NOW)
    return repository


def record(repository: Path, version: str) -> None:
    """A commit, and nothing of it in the way of the next one."""
    git(repository, "add", "--all")
    git(repository, "commit", "--allow-empty", "--message", version)
    git(repository, "tag", "--annotate", version, "--message", version)
    for path in repository.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def statements(lines: list[str]) -> Iterable[int]:
    """Where a comment can stand in Python: before each statement of the module, and at its end."""
    for node in ast.parse("\n".join(lines)).body:
        decorators = getattr(node, "decorator_list", [])
        yield min(found.lineno for found in [node, *decorators]) - 1
    yield len(lines)


def quiet_place(name: str, old: list[str], new: list[str]) -> int | None:
    """The line that is farthest from all that changes; None where a conflict would be due."""
    changes = [
        number
        for tag, start, end, _, _ in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
        for number in range(start, end + 1)
    ]
    places = statements(old) if name.endswith(".py") else range(1, len(old) + 1)
    allowed = [place for place in places if place > 0]
    if not changes:
        return allowed[len(allowed) // 2]
    best = max(allowed, key=lambda place: min(abs(place - change) for change in changes))
    return best if min(abs(best - change) for change in changes) > 3 else None


def edited(name: str, old: str, new: str) -> str | None:
    """The user's own line in a file of the template."""
    lines = old.splitlines()
    place = quiet_place(name, lines, new.splitlines())
    return None if place is None else "\n".join([*lines[:place], MINE, *lines[place:]]) + "\n"


def test_the_place_is_far_from_changes() -> None:
    old = [f"line {number}" for number in range(20)]
    assert quiet_place("x", old, [*old[:2], "new", *old[2:]]) == 20
    assert quiet_place("x", old, [*old[:18], "changed", *old[19:]]) == 1
    assert quiet_place("x", old[:4], ["new"]) is None
    assert quiet_place("x.py", ["'''", "'''", "@a", "def f():", "    1"], [""]) is None
    assert quiet_place("x.py", ["'''", "'''", "@a", "def f():", "    1"] * 2, []) is None
    code = ["'''", "'''", "@a", "def f():", "    1", "x = 2"]
    assert quiet_place("x.py", code, code) == 5
    assert list(statements(code)) == [0, 2, 5, 6]


def filled_in(text: str) -> str:
    """Settings as their owner fills them in."""
    for placeholder, value in {
        "REPLACE_WITH_TEAM_DOMAIN": "https://acme.cloudflareaccess.com",
        "REPLACE_WITH_AUD_TAG": shapes.AUD,
        "REPLACE_WITH_YOUR_EMAIL": "ann@example.com",
        "REPLACE_WITH_CLIENT_ID": shapes.CLIENT_IDS[0],
        "REPLACE_WITH_CALLING_WORKER": "gateway",
        "REPLACE_WITH_VPC_SERVICE_ID": shapes.SERVICE_ID,
    }.items():
        text = text.replace(placeholder, value)
    return text


def stored(project: Path) -> dict[str, object]:
    answers = yaml.safe_load((project / ANSWERS).read_text(encoding="utf-8"))
    return {name: value for name, value in answers.items() if not name.startswith("_")}


def crosses_a_migration(history: Path, project: Path, version: str) -> bool:
    """Only then does an update need trust."""
    answers = yaml.safe_load((project / ANSWERS).read_text(encoding="utf-8"))
    here, there = Version(answers["_commit"]), Version(version)
    config = yaml.safe_load(git(history, "show", f"{version}:copier.yml"))
    found = [Version(str(entry["version"])) for entry in config.get("_migrations") or []]
    return any(here < one <= there for one in found)


def update_to(history: Path, project: Path, version: str = NOW) -> None:
    """Where no migration is crossed, without trust."""
    trust = crosses_a_migration(history, project, version)
    update(project, version=version, trust=trust)
    assert f"_commit: {version}" in (project / ANSWERS).read_text(encoding="utf-8")
    assert_no_conflict(project)


def edit_all(project: Path, fresh: dict[str, str]) -> dict[str, str]:
    """A line in every managed and shared file, far from what the update changes there, seed files
    rewritten, settings filled in, files of the owner's beside them, a file deleted. `fresh` is what
    the new version renders. Gives the files that were edited."""
    mine: dict[str, str] = {}
    for name, text in files_of(project).items():
        if is_seed(name):
            mine[name] = f"# {name} is mine now\n"
        elif name not in (ANSWERS, DELETED):
            text = filled_in(text) if name == "wrangler.jsonc" else text
            if changed := edited(name, text, fresh.get(name, text)):
                mine[name] = changed
            elif name == "wrangler.jsonc":
                (project / name).write_text(text, encoding="utf-8")
    for name, text in mine.items():
        (project / name).write_text(text, encoding="utf-8")
    for name in OWN:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(f"# {name} was never the template's\n", encoding="utf-8")
    (project / DELETED).unlink(missing_ok=True)
    commit(project)
    return mine


def update_with_edits(history: Path, project: Path, version: str, scratch: Path) -> float:
    """After the update every edit is as it was, and the rest is as in a fresh copy. A file that the
    new version has not is deleted, for `git status` to see, edits and all. Gives the part of the
    other files that were edited: where the new version changes all of a file, none is."""
    copy(history, scratch / FOLDER, version, stored(project))
    fresh = texts(scratch / FOLDER)
    fresh["wrangler.jsonc"] = filled_in(fresh["wrangler.jsonc"])
    before = set(files_of(project)) - set(OWN)
    mine = edit_all(project, fresh)

    update_to(history, project, version)

    now = files_of(project)
    assert set(now) == set(fresh) - {DELETED} | set(OWN)
    for name in OWN:
        assert now.pop(name) == f"# {name} was never the template's\n"
    for name, text in now.items():
        if is_seed(name):
            assert text == mine.get(name, fresh[name]), name
            continue
        lines = text.splitlines()
        assert lines.count(MINE) == (name in mine), name
        assert [line for line in lines if line != MINE] == fresh[name].splitlines(), name
    gone = git(project, "diff", "--name-only", "--no-renames", "--diff-filter=D", "HEAD").split()
    assert set(gone) == before - set(fresh) - {DELETED}
    return len(set(mine) & set(fresh)) / len(before & set(fresh))


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("version", RELEASES)
def test_edits_survive(history: Path, tmp_path: Path, shape: str, version: str) -> None:
    project = tmp_path / FOLDER
    copy(history, project, version, shapes.answers(shapes.of_interest()[shape], domain=False))
    commit(project)
    part = update_with_edits(history, project, NOW, tmp_path / "fresh")
    # Files that the versions since have changed from top to bottom hold no edit.
    assert part > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("version", RELEASES)
def test_the_scope_of_a_project_stays(history: Path, tmp_path: Path, version: str) -> None:
    """Also with programs, for which the default is another one now. Previews, which only go with
    the whole Worker, stay as well."""
    project, callers = tmp_path / FOLDER, ["human", "machine"]
    copy(history, project, version, {"profile": "custom", "callers": callers, "preview_urls": True})
    wrangler = project / "wrangler.jsonc"
    wrangler.write_text(filled_in(wrangler.read_text(encoding="utf-8")), encoding="utf-8")
    commit(project)
    answers, ways_in = stored(project), read_jsonc(wrangler)
    assert (answers["access_scope"], answers["preview_urls"]) == ("worker", True)

    update_to(history, project)
    now = stored(project)
    assert {name: now[name] for name in answers} == answers
    assert 'access_scope = "worker"' in (project / ".private-worker.toml").read_text()
    for key in ("workers_dev", "preview_urls", "routes", "vars", "previews"):
        assert read_jsonc(wrangler)[key] == ways_in[key], key


@pytest.mark.slow
def test_the_scope_is_changed_by_command(history: Path, tmp_path: Path) -> None:
    """By the one that `probe` shows. What was filled in stays, and no way in is another one."""
    project = tmp_path / FOLDER
    copy(history, project, RELEASES[-1], {"profile": "production"})
    wrangler = project / "wrangler.jsonc"
    wrangler.write_text(filled_in(wrangler.read_text(encoding="utf-8")), encoding="utf-8")
    commit(project)
    update_to(history, project)
    commit(project)
    before = files_of(project)
    command = shlex.split(ON_HOSTNAME.removeprefix("Type: ").partition(", and ")[0])
    done = copier(*command[2:], folder=project)
    assert done.returncode == 0, done.stderr
    assert_no_conflict(project)
    now = files_of(project)
    assert now["wrangler.jsonc"] == before["wrangler.jsonc"]
    assert 'access_scope = "hostname"' in now[".private-worker.toml"]
    changed = {name for name in now if now[name] != before[name]}
    assert {name for name in changed if not name.startswith("docs/")} == {
        ANSWERS,
        ".private-worker.toml",
    }


@pytest.mark.slow
def test_all_releases_in_a_row(history: Path, tmp_path: Path) -> None:
    """A project that was made with the first release and took every one since. Its owner edits
    between two updates, and takes the lines back: a later release may change the same place."""
    project = tmp_path / FOLDER
    copy(
        history,
        project,
        RELEASES[0],
        shapes.answers(shapes.of_interest()["production"], domain=False),
    )
    commit(project)
    for version in [*RELEASES[1:], NOW]:
        assert update_with_edits(history, project, version, tmp_path / version) > 0.3
        for name, text in files_of(project).items():
            if f"{MINE}\n" in text:
                (project / name).write_text(text.replace(f"{MINE}\n", "", 1), encoding="utf-8")
        commit(project)


@pytest.mark.slow
def test_an_edit_in_a_file_that_moved_is_in_git(history: Path, tmp_path: Path) -> None:
    """By the command of docs/updates.md, and without trust. What the owner wrote into `ops/` and
    `tests/kit/` is not in vendor/: `git status` shows the deletion, and HEAD still has it."""
    project = tmp_path / FOLDER
    copy(history, project, "v0.2.0", {"profile": "personal"})
    for name in ("ops/check.py", "tests/kit/runtime.py"):
        with (project / name).open("a") as file:
            file.write(f"{MINE}\n")
    commit(project)
    done = copier("update", "--defaults", folder=project)
    assert done.returncode == 0, done.stderr
    status = git(project, "status", "--short").splitlines()
    for name in ("ops/check.py", "tests/kit/runtime.py"):
        assert f" D {name}" in status or f"D  {name}" in status
        assert git(project, "show", f"HEAD:{name}").endswith(f"{MINE}\n")


# What an owner may have written for v0.1 or v0.2, with all that the kit had for tests.
TESTS_OF_MINE = """
import pytest
from kit.access import MACHINE, PERSON, SigningKey
from kit.plugin import TEST_VARS
from kit.runtime import RpcError, Worker, WorkerError

assert issubclass(RpcError, WorkerError)


def test_a_person(worker, access):
    assert isinstance(worker, Worker)
    found = worker.fetch("/", headers=access.person(PERSON)).json()
    assert found == {"ok": True, "identity": {"kind": "human", "email": PERSON}}
    assert TEST_VARS["ALLOWED_EMAILS"] == [PERSON]


def test_a_program(worker, access):
    assert worker.fetch("/", headers=access.machine(MACHINE)).status == 200
    assert worker.fetch("/", headers=access.machine("other.access")).status == 403


def test_a_forger(worker, access):
    assert worker.fetch("/", headers=access.person(key=SigningKey())).status == 403


def test_a_method_that_is_not_there(worker):
    with pytest.raises(RpcError):
        worker.call("no_such_method", props={"caller": "caller"})
"""


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "version",
    [
        pytest.param(name, marks=pytest.mark.slow if name == RELEASES[-1] else pytest.mark.release)
        for name in RELEASES
    ],
)
def test_owners_tests_keep_passing(
    history: Path, tmp_path: Path, node_modules: Path, version: str
) -> None:
    """Those that came with the release, and others that use its kit, before the update and after
    it, in the real runtime. One shape, which has almost every file. Of the last release in each
    run, of the others before a release."""
    project = tmp_path / FOLDER
    copy(history, project, version, shapes.answers(shapes.of_interest()["everybody"], domain=False))
    (project / "tests" / "test_mine.py").write_text(TESTS_OF_MINE, encoding="utf-8")
    (project / "tests" / "kit" / "mine.py").write_text("x = 1\n", encoding="utf-8")
    commit(project)
    owners = sorted(path.name for path in (project / "tests").glob("test_*.py"))
    assert owners == ["test_api.py", "test_internal.py", "test_mine.py"]
    untouched = tmp_path / "before" / FOLDER
    git(tmp_path, "clone", "--quiet", str(project), str(untouched))
    before = run_tests(untouched, node_modules, *(f"tests/{name}" for name in owners))
    update_to(history, project)
    after = run_tests(project, node_modules)
    assert before and before <= after
    assert {test.split("::")[0] for test in after - before} == {"tests/test_doors.py"}


def run_tests(project: Path, node_modules: Path, *arguments: str) -> set[str]:
    """What passed of a project's tests; nothing else may happen to one."""
    if not (project / "node_modules").exists():
        (project / "node_modules").symlink_to(node_modules, target_is_directory=True)
    for command in (["sync", "--quiet"], ["run", "pytest", "-q", "-rA", *arguments]):
        done = subprocess.run(["uv", *command], cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert re.match(r"\d+ passed in ", lines[-1]), done.stdout[-3000:]
    return {line.removeprefix("PASSED ") for line in lines if line.startswith("PASSED ")}


def test_an_archive_is_never_changed(tmp_path: Path) -> None:
    """Where its tag is here, it holds what the tag holds."""
    tags = git(ROOT, "tag", "--list").split()
    for version, archive in ARCHIVES.items():
        if version not in tags:
            continue
        folder = archives.unpack(archive, tmp_path / version)
        held = {name: path.read_bytes() for name, path in all_files(folder)}
        assert held == dict(archives.content(ROOT, version))


def test_releases_are_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for version in ARCHIVES:
        assert f"\n## {version}" in changelog
