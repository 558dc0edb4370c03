"""Issues 6 and 7: `copier update` from every released version, with people's edits.

releases/ holds an archive of each version, so that this needs no tag and no network. Before there
is a release, the working tree plays v1.0.0.

C9, C11, C12, C13 (what a template must leave alone), C14 (a version can be replayed).
"""

import ast
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
from files import texts
from updates import ANSWERS, assert_no_conflict, commit, copy, files_of, is_seed

ARCHIVES = archives.released(ROOT / "releases")
RELEASES = list(ARCHIVES) or ["v1.0.0"]
NOW = "v999.0.0"
MINE = "# mine"
DELETED = "docs/TROUBLESHOOTING.md"
FAST = ("personal", "internal-both-fastapi")


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


def update(history: Path, project: Path, version: str = NOW) -> None:
    """By the command line and, where no migration is crossed, without trust, as rendered projects
    are told."""
    trust = ["--trust"] * crosses_a_migration(history, project, version)
    done = copier("update", "--defaults", f"--vcs-ref={version}", *trust, folder=project)
    assert done.returncode == 0, done.stderr
    assert f"_commit: {version}" in (project / ANSWERS).read_text(encoding="utf-8")
    assert_no_conflict(project)


def update_with_edits(history: Path, project: Path, version: str, scratch: Path) -> float:
    """A line in every managed and shared file, seed files rewritten, settings filled in, a file
    deleted. After the update all that is as it was, and the rest is as in a fresh copy. Gives the
    part of the files that were edited: where the new version changes all of a file, none is."""
    before = files_of(project)
    copy(history, scratch / FOLDER, version, stored(project))
    fresh = texts(scratch / FOLDER)
    fresh["wrangler.jsonc"] = filled_in(fresh["wrangler.jsonc"])
    mine: dict[str, str] = {}
    for name, text in before.items():
        if is_seed(name):
            mine[name] = f"# {name} is mine now\n"
        elif name not in (ANSWERS, DELETED) and name in fresh:
            text = filled_in(text) if name == "wrangler.jsonc" else text
            if text := edited(name, text, fresh[name]) or "":
                mine[name] = text
    for name, text in mine.items():
        (project / name).write_text(text, encoding="utf-8")
    if "wrangler.jsonc" not in mine:
        text = filled_in(before["wrangler.jsonc"])
        (project / "wrangler.jsonc").write_text(text, encoding="utf-8")
    (project / DELETED).unlink(missing_ok=True)
    commit(project)

    update(history, project, version)

    now = files_of(project)
    assert set(now) == set(fresh) - {DELETED}
    for name, text in now.items():
        if is_seed(name):
            assert text == mine.get(name, fresh[name]), name
            continue
        lines = text.splitlines()
        assert lines.count(MINE) == (name in mine), name
        assert [line for line in lines if line != MINE] == fresh[name].splitlines(), name
    return len(mine) / len(before)


@pytest.mark.parametrize(
    ("shape", "version"),
    [
        # The fast ones do not become more with every release.
        pytest.param(name, version, marks=[] if quick else [pytest.mark.slow])
        for name in shapes.of_interest()
        for version in RELEASES
        for quick in [name in FAST and version in (RELEASES[0], RELEASES[-1])]
    ],
)
def test_edits_survive(history: Path, tmp_path: Path, shape: str, version: str) -> None:
    project = tmp_path / FOLDER
    copy(history, project, version, shapes.answers(shapes.of_interest()[shape]))
    commit(project)
    part = update_with_edits(history, project, NOW, tmp_path / "fresh")
    # Files that the versions since have changed from top to bottom hold no edit.
    assert part > (0.8 if version == RELEASES[-1] else 0.3)


@pytest.mark.parametrize("shape", ["production"])
def test_all_releases_in_a_row(history: Path, tmp_path: Path, shape: str) -> None:
    """A project that was made with the first release and took every one since. Its owner edits
    between two updates, and takes the lines back: a later release may change the same place."""
    project = tmp_path / FOLDER
    copy(history, project, RELEASES[0], shapes.answers(shapes.of_interest()[shape]))
    commit(project)
    for version in [*RELEASES[1:], NOW]:
        assert update_with_edits(history, project, version, tmp_path / version) > 0.3
        for name, text in files_of(project).items():
            if f"{MINE}\n" in text:
                (project / name).write_text(text.replace(f"{MINE}\n", "", 1), encoding="utf-8")
        commit(project)


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("version", RELEASES)
def test_the_updated_project_works(
    history: Path, tmp_path: Path, node_modules: Path, version: str
) -> None:
    """Its own tests pass, with a comment of the user's in every Python file. In one shape, which
    has almost every file: it takes more than a minute for each release."""
    shape = "everybody"
    project, new = tmp_path / FOLDER, tmp_path / "fresh" / FOLDER
    copy(history, project, version, shapes.answers(shapes.of_interest()[shape]))
    commit(project)
    copy(history, new, NOW, stored(project))
    for name, text in files_of(project).items():
        if name.endswith(".py"):
            text = edited(name, text, texts(new).get(name, "")) or text
            (project / name).write_text(text, encoding="utf-8")
    commit(project)
    update(history, project)
    (project / "node_modules").symlink_to(node_modules, target_is_directory=True)
    for command in ("uv sync --quiet", "uv run pytest -q"):
        done = subprocess.run(command.split(), cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_an_archive_is_never_changed(tmp_path: Path) -> None:
    """Where its tag is here, it holds what the tag holds."""
    tags = git(ROOT, "tag", "--list").split()
    for version, archive in ARCHIVES.items():
        if version not in tags:
            continue
        unpacked = texts(archives.unpack(archive, tmp_path / version))
        listed = git(ROOT, "ls-tree", "-rz", "--name-only", version, *archives.PARTS).split("\0")
        assert set(unpacked) == {name for name in listed if name}
        for name, text in unpacked.items():
            assert git(ROOT, "show", f"{version}:{name}") == text, name


def test_releases_are_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for version in ARCHIVES:
        assert f"\n## {version}" in changelog
