"""Issue 6: tools/release.py refuses what would break somebody's next update.

C3 (trust), C7 (defaults), C23 (choices), C27 (renamed files). Each rule is broken once.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import archives
import compatible
from compatible import Template
from conftest import ROOT, git, snapshot
from hostile import GOOD
from interview import FREE_TEXT

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The working tree as the last release."""
    return Template(archives.working_tree(ROOT, tmp_path_factory.mktemp("old")))


def replaced(before: str, after: str, file: str = "copier.yml") -> Change:
    def change(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(before) == 1, before
        (folder / file).write_text(text.replace(before, after), encoding="utf-8")

    return change


def added(text: str) -> Change:
    def change(folder: Path) -> None:
        with (folder / "copier.yml").open("a", encoding="utf-8") as file:
            file.write(text)

    return change


def renamed(before: str, after: str) -> Change:
    def change(folder: Path) -> None:
        (folder / "template" / before).rename(folder / "template" / after)

    return change


NEW_QUESTION = "\ncolour:\n  type: str\n"
EMAILS = "{% from 'includes/checks.jinja' import check_emails %}{{ check_emails(allowed_emails) }}"
# What was changed, and what the check says about it.
BROKEN: dict[str, tuple[Change, str]] = {
    "a question is renamed": (
        replaced("\nsession_duration:", "\nsession_length:"),
        "copier.yml, session_duration: the question is gone. Put it back",
    ),
    "a choice is renamed": (
        replaced('"6 hours": "6h"', '"6 hours": "360m"'),
        "copier.yml, session_duration: the choice '6h' is gone (profile personal). Put it back",
    ),
    "a templated choice is gone for one profile": (
        replaced("{% if profile in ['production', 'custom'] %}", "{% if profile == 'custom' %}"),
        "copier.yml, callers: the choice 'machine' is gone (profile production). Put it back",
    ),
    "a validator is tightened, and its default refused": (
        replaced(EMAILS, EMAILS + "{{ 'Type something.' if not allowed_emails }}"),
        "Validation error for question 'allowed_emails': Type something. Give a default",
    ),
    "a validator is tightened, and its default takes over": (
        replaced(EMAILS, EMAILS + "{{ 'No star.' if '*' in allowed_emails }}"),
        "copier.yml, allowed_emails: an update would turn '*' into '' without a word. Keep",
    ),
    "a choice goes away for some answers only": (
        replaced(
            "{% if callers == ['binding'] %}\n    \"nowhere",
            "{% if callers == ['binding'] and profile != 'custom' %}\n    \"nowhere",
        ),
        "copier.yml, exposure: the choice 'none' is gone (profile custom)",
    ),
    "a new question without a default": (
        added(NEW_QUESTION),
        "copier.yml, colour: the new question has no default. Give it one",
    ),
    "a default that its own validator refuses": (
        added(f"{NEW_QUESTION}  default: red\n  validator: Type another one.\n"),
        "Validation error for question 'colour': Type another one. Give a default that passes",
    ),
    "a task": (
        added("\n_tasks: [echo]\n"),
        "copier.yml: _tasks would ask for --trust on every copy. Remove it",
    ),
    "an extension": (
        added("\n_jinja_extensions: [jinja2.ext.do]\n"),
        "copier.yml: _jinja_extensions would ask for --trust on every copy. Remove it",
    ),
    "a migration without a version": (
        added("\n_migrations:\n  - command: [echo]\n    when: false\n"),
        "copier.yml: a migration without `version:` would ask for --trust on every update",
    ),
    "a seed file is taken out of _skip_if_exists": (
        replaced("\n  - src/internal.py\n", "\n"),
        "copier.yml, _skip_if_exists: src/internal.py is no seed file any more",
    ),
    "a managed file is renamed": (
        renamed("src/guard/log.py.jinja", "src/guard/lines.py.jinja"),
        "src/guard/log.py: an update would delete it, and people's edits with it",
    ),
    "a managed file is gone for some answers": (
        renamed(
            "{% if 'machine' in callers %}callers{% endif %}/curl.sh",
            "{% if 'machine' in callers %}callers{% endif %}/"
            "{% if 'human' in callers %}curl.sh{% endif %}",
        ),
        "callers/curl.sh: an update would delete it, and people's edits with it "
        "(answers machines-on-a-route)",
    ),
}


def found(old: Template, folder: Path, *changes: Change, notes: str = "") -> list[str]:
    archives.working_tree(ROOT, folder)
    for change in changes:
        change(folder)
    problems = compatible.problems(old, Template(folder), "v1.0.0", notes)
    return [str(problem) for problem in problems]


# Those for which all projects are rendered.
SLOW = ("a managed file is gone for some answers",)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in BROKEN],
)
def test_what_breaks_updates_is_refused(old: Template, tmp_path: Path, name: str) -> None:
    change, expected = BROKEN[name]
    lines = found(old, tmp_path, change)
    assert [line for line in lines if expected in line], lines
    assert all("\n" not in line and line.count(". ") >= 1 for line in lines)


def test_what_is_allowed(old: Template, tmp_path: Path) -> None:
    """Nothing; a question with a default and a further choice; a rename with its migration; an
    answer that falls back to its default, if the update notes name it."""
    more = added(f"{NEW_QUESTION}  default: red\n")
    choice = replaced('    "1 month": "730h"\n', '    "1 month": "730h"\n    "2 months": "1460h"\n')
    rename = renamed("src/guard/log.py.jinja", "src/guard/lines.py.jinja")
    migration = added('\n_migrations:\n  - version: v2.0.0\n    command: ["echo"]\n')
    refused = replaced(EMAILS, EMAILS + "{{ 'No star.' if '*' in allowed_emails }}")
    notes = "- `allowed_emails`: a star is not accepted any more."
    changes = (more, choice, rename, migration, refused)
    assert found(old, tmp_path, *changes, notes=notes) == []


@pytest.mark.slow
@pytest.mark.parametrize("other", ["v1.0.0", "v2.0.0"])
def test_a_migration_of_another_release_is_none(old: Template, tmp_path: Path, other: str) -> None:
    """It has run before, or does not run yet."""
    archives.working_tree(ROOT, tmp_path)
    renamed("src/guard/log.py.jinja", "src/guard/lines.py.jinja")(tmp_path)
    added(f'\n_migrations:\n  - version: {other}\n    command: ["echo"]\n')(tmp_path)
    lost = list(compatible.paths(old, Template(tmp_path), "v1.0.0", "v1.1.0"))
    assert [problem.where for problem in lost] == ["src/guard/log.py"]
    assert list(compatible.paths(old, Template(tmp_path), "v0.9.0", "v2.0.0")) == []


def test_the_answers_that_are_kept(old: Template) -> None:
    """Every free text with samples; every profile and shape accepted by what is checked."""
    assert set(GOOD) == set(FREE_TEXT)
    corpus = compatible.corpus()
    assert len(corpus) > 25
    for label, given in corpus.items():
        assert old.interview(given)["profile"] == given["profile"], label


def test_the_newest_release_is_the_last(tmp_path: Path) -> None:
    """By version, not by name."""
    for version in ("v1.10.0", "v1.9.0", "v0.2.0"):
        (tmp_path / f"{version}.tar.xz").touch()
    (tmp_path / "README.md").touch()
    assert list(archives.released(tmp_path)) == ["v0.2.0", "v1.9.0", "v1.10.0"]


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, default_gitconfig: object) -> Path:
    """A clone without tags and without archives."""
    folder = snapshot(tmp_path / "private-worker", "x")
    git(folder, "tag", "--delete", "x")
    for archive in archives.released(folder / "releases").values():
        archive.unlink()
    return folder


def tool(repository: Path, *arguments: str) -> tuple[int, list[str], list[str]]:
    command = [sys.executable, "tools/release.py", *arguments]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def changelog(repository: Path, text: str) -> None:
    file = repository / "CHANGELOG.md"
    before, after = file.read_text(encoding="utf-8").split("\n## Unreleased\n", 1)
    file.write_text(f"{before}\n## Unreleased\n\n{text}\n{after}", encoding="utf-8")


NOTES = "### Update notes\n\nNothing is left to do.\n"


@pytest.mark.slow
def test_a_first_release(repository: Path) -> None:
    """A person's way through: what is refused before, the archive, the commands that are left."""
    code, _, lines = tool(repository, "check", "v1.0.0")
    assert code == 1 and lines == ["CHANGELOG.md: no section v1.0.0. Add `## v1.0.0`"]
    changelog(repository, "## v1.0.0 (2026-12-01)\n\nThe first.\n")
    code, _, lines = tool(repository, "check", "v1.0.0")
    assert code == 1 and ["nothing under `### Update notes`" in line for line in lines] == [True]
    changelog(repository, f"## v0.1.0\n\n{NOTES}")
    code, _, lines = tool(repository, "make", "v0.1.0")
    assert lines == ["git status: there are uncommitted changes. Commit them first"]
    git(repository, "commit", "--all", "--message", "notes")
    before = git(repository, "rev-parse", "HEAD")
    code, commands, lines = tool(repository, "make", "v0.1.0")
    assert (code, lines) == (0, [])
    assert git(repository, "rev-parse", "HEAD") == before, "it commits nothing itself"
    assert git(repository, "status", "--porcelain").strip() == "?? releases/v0.1.0.tar.xz"
    for command in commands:
        subprocess.run(command, cwd=repository, shell=True, check=True, capture_output=True)
    assert git(repository, "describe") == "v0.1.0\n"
    assert git(repository, "cat-file", "-t", "v0.1.0") == "tag\n"
    code, _, lines = tool(repository, "make", "v0.1.0")
    assert lines == ["releases/v0.1.0.tar.xz: it exists. A release is never made anew"]


@pytest.fixture
def second(repository: Path) -> Path:
    """A repository with a release, which had a file that is gone now."""
    (repository / "template" / "docs" / "OLD.md").write_text("old\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--message", "x")
    archives.write(repository, "HEAD", repository / "releases" / "v0.1.0.tar.xz")
    (repository / "template" / "docs" / "OLD.md").unlink()
    return repository


@pytest.mark.slow
def test_a_second_release(second: Path) -> None:
    """It is compared with the newest archive."""
    code, _, lines = tool(second, "check")
    assert code == 1 and len(lines) == 1
    assert lines[0].startswith("docs/OLD.md: an update would delete it")


@pytest.mark.parametrize(
    "wrong", ["v0.1.0", "v0.1.2", "v0.3.0", "v3.0.0", "0.2.0", "v0.2", "v0.2.0rc1"]
)
def test_no_step(second: Path, wrong: str) -> None:
    code, _, lines = tool(second, "check", wrong)
    assert code == 1 and "Take one of v0.1.1, v0.2.0, v1.0.0" in lines[0]


def test_an_archive_is_the_commit(repository: Path, tmp_path: Path) -> None:
    """All that Copier needs, nothing else, byte for byte, and the same whoever makes it."""
    (repository / "template" / "draft.md").write_text("not committed\n")
    first, second = tmp_path / "1.tar.xz", tmp_path / "2.tar.xz"
    archives.write(repository, "HEAD", first)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--depth=1", repository.as_uri(), str(clone))
    git(clone, "commit", "--allow-empty", "--message", "later")
    archives.write(clone, "HEAD", second)
    assert first.read_bytes() == second.read_bytes()
    unpacked = archives.unpack(first, tmp_path / "unpacked")
    names = git(repository, "ls-tree", "-rz", "--name-only", "HEAD", *archives.PARTS)
    expected = {name for name in names.split("\0") if name}
    assert {p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*") if p.is_file()} == (
        expected
    )
    for name in expected:
        assert (unpacked / name).read_bytes() == (repository / name).read_bytes(), name
