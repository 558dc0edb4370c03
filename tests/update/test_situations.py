"""What docs/updates.md says, done for real by the command line and never with trust.

Conflicts, deleted files, downgrades, what an update needs, folders of a repository, line ends,
answers that are not allowed: what people have reported of Copier is on that page.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import quicker
from commands import Done, copier, quoted, section, shell, words
from conftest import FOLDER, git
from next_version import NEWS
from updates import ANSWERS, assert_no_conflict, commit, copy, files_of

PAGE = "docs/updates.md"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the page's commands are for a POSIX shell"),
]


@pytest.fixture(autouse=True)
def uvx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`uvx copier` without network."""
    monkeypatch.setenv("PATH", quicker.uvx(tmp_path / "tools"))


@pytest.fixture(scope="module")
def made(versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At v1.0.0, committed. The newest version is v1.1.0."""
    project = tmp_path_factory.mktemp("made") / FOLDER
    copy(versions, project, "v1.0.0", {})
    commit(project)
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of it to work in."""
    project: Path = shutil.copytree(made, tmp_path / FOLDER)
    return project


def follow(heading: str, folder: Path, *, number: int = 0, template: Path | None = None) -> Done:
    """A block of commands of the page."""
    block = shell(PAGE, heading)[number].replace("gh:org/private-worker", str(template))
    return subprocess.run(
        ["bash", "-euc", block],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def assert_updated(project: Path) -> None:
    assert "_commit: v1.1.0" in (project / ANSWERS).read_text(encoding="utf-8")
    assert NEWS in (project / "docs" / "SETUP.md").read_text(encoding="utf-8")
    assert_no_conflict(project)


def status(project: Path) -> list[str]:
    return git(project, "status", "--porcelain").splitlines()


def assert_refused(project: Path, message: str, *more: str) -> None:
    """In the words of the page, and nothing is changed."""
    before = status(project), files_of(project)
    done = copier("update", "--defaults", *more, folder=project)
    assert done.returncode == 1
    assert words(done.stderr).endswith(message), done.stderr
    assert (status(project), files_of(project)) == before


def edit(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text, encoding="utf-8")


def test_an_update(project: Path) -> None:
    done = follow("An update", project)
    assert done.returncode == 0, done.stderr
    assert_updated(project)


def test_a_conflict(project: Path) -> None:
    setup = project / "docs" / "SETUP.md"
    first, rest = setup.read_text(encoding="utf-8").split("\n", 1)
    edit(project, "docs/SETUP.md", f"{first}\nmine\n{rest}")
    commit(project)
    assert follow("An update", project).returncode == 0
    assert "UU docs/SETUP.md" in status(project)
    assert follow("A conflict", project).stdout == "docs/SETUP.md:2:<<<<<<< before updating\n"
    block = re.search(r"<{7} (.*)\nmine\n={7}\n(.*)\n>{7} (.*)\n", setup.read_text("utf-8"))
    assert block and block.groups() == ("before updating", f"<!-- {NEWS} -->", "after updating")
    page = section(PAGE, "A conflict")
    assert "`<<<<<<< before updating`" in page and "`>>>>>>> after updating`" in page
    assert follow("A conflict", project, number=1).returncode == 0
    assert status(project) == []


def test_another_answer(project: Path) -> None:
    done = follow("Another answer", project)
    assert done.returncode == 0, done.stderr
    assert "ann@example.com" in (project / "wrangler.jsonc").read_text(encoding="utf-8")


def test_a_file_that_was_deleted(project: Path) -> None:
    """A managed one stays away until it is asked for, and so do the tests. The code that the
    Worker needs comes back."""
    for name in ("docs/SETUP.md", "src/api.py", "tests/test_api.py", "tests/conftest.py"):
        (project / name).unlink()
    commit(project)
    assert follow("An update", project).returncode == 0
    assert not (project / "docs" / "SETUP.md").exists()
    assert [path.name for path in (project / "tests").glob("*.py")] == ["test_doors.py"]
    assert (project / "src" / "api.py").exists()
    commit(project)
    done = follow("A file that you deleted", project)
    assert done.returncode == 0, done.stderr
    assert status(project) == ["?? docs/SETUP.md"]


def test_a_file_that_a_release_takes_away(project: Path) -> None:
    """Before the update is committed, the last commit has it, with edits."""
    name = "docs/TROUBLESHOOTING.md"
    edit(project, name, "mine\n")
    commit(project)
    (project / name).unlink()
    assert status(project) == [f" D {name}"]
    assert follow("A file that a release takes away", project).stdout == "mine\n"


def test_a_file_that_git_ignores(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although it is tracked, its edits are gone without a conflict. Without the rule they stay."""
    setup, rules = project / "docs" / "SETUP.md", project.parent / "ignored"
    edit(project, "docs/SETUP.md", setup.read_text(encoding="utf-8") + "mine\n")
    edit(project.parent, "ignored", "SETUP.md\n")
    commit(project)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.excludesFile")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(rules))
    assert follow("A file that git ignores", project).stdout == "docs/SETUP.md\n"
    where = follow("A file that git ignores", project, number=1).stdout
    assert where == f"{rules}:1:SETUP.md\tdocs/SETUP.md\n"
    assert follow("An update", project).returncode == 0
    assert_updated(project)
    assert "mine" not in setup.read_text(encoding="utf-8").splitlines()
    assert follow("A conflict", project, number=1).returncode == 0  # as it was before
    rules.unlink()
    assert follow("An update", project).returncode == 0
    assert "mine" in setup.read_text(encoding="utf-8").splitlines()


def existing(folder: Path) -> None:
    (folder / "src").mkdir(parents=True)
    for name in ("README.md", "src/api.py", "other.txt", "package.json"):
        edit(folder, name, f"my own {name}\n")


def test_a_project_that_exists(versions: Path, tmp_path: Path) -> None:
    """Also with the next update."""
    folder = tmp_path / FOLDER
    existing(folder)
    commit(folder)
    done = follow("A project that exists already", folder, template=versions)
    assert done.returncode == 0, done.stderr
    for name in ("README.md", "src/api.py", "other.txt"):
        assert (folder / name).read_text() == f"my own {name}\n"
    changed = [line for line in status(folder) if not line.startswith("??")]
    assert changed == [" M package.json"]
    answers = folder / ANSWERS
    answers.write_text(answers.read_text().replace("v1.1.0", "v1.0.0"))
    commit(folder)
    done = copier("update", "--defaults", "--skip=README.md", folder=folder)
    assert done.returncode == 0, done.stderr
    assert_no_conflict(folder)
    for name in ("README.md", "src/api.py", "other.txt"):
        assert (folder / name).read_text() == f"my own {name}\n"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Copier's folders
def test_a_project_that_exists_without_a_terminal(versions: Path, tmp_path: Path) -> None:
    """Copier does not guess: it stops, in the middle, and git has what was there."""
    folder = tmp_path / FOLDER
    existing(folder)
    commit(folder)
    done = copier("copy", "--defaults", str(versions), ".", folder=folder)
    assert done.returncode == 1 and "Consider using `--overwrite`" in words(done.stderr)
    assert status(folder) and not [line for line in status(folder) if not line.startswith("??")]
    subprocess.run(["git", "clean", "--force", "-d", "."], cwd=folder, check=True)
    assert "`git clean --force -d .`" in section(PAGE, "A project that exists already")
    assert status(folder) == []


def test_all_files_anew(project: Path) -> None:
    """Edits are gone, seed files stay, and so do the answers."""
    edit(project, "src/guard/log.py", "# mine\n")
    edit(project, "src/api.py", "# mine\n")
    commit(project)
    done = follow("All files anew", project)
    assert done.returncode == 0, done.stderr
    assert "# mine" not in (project / "src" / "guard" / "log.py").read_text().splitlines()
    assert (project / "src" / "api.py").read_text() == "# mine\n"
    assert_updated(project)


def test_a_folder_of_a_larger_repository(versions: Path, tmp_path: Path) -> None:
    """With uncommitted changes beside it, and a path that is not plain ASCII."""
    monorepo = tmp_path / "all our sérvices 日本"
    project = monorepo / "my wörkers" / FOLDER
    copy(versions, project, "v1.0.0", {})
    edit(monorepo, "other.txt", "x\n")
    commit(monorepo)
    edit(monorepo, "other.txt", "not committed\n")
    done = follow("An update", project)
    assert done.returncode == 0, done.stderr
    assert_updated(project)
    beside = [line for line in status(monorepo) if FOLDER not in line]
    assert beside == [" M other.txt"]
    assert (monorepo / "other.txt").read_text() == "not committed\n"


def test_signed_commits_and_no_identity(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a new machine, whose only setting is that commits are signed."""
    settings = project.parent / "gitconfig"
    settings.write_text("[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = false\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    for name in ("AUTHOR", "COMMITTER"):
        for what in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{name}_{what}", raising=False)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    refused = subprocess.run(
        ["git", "commit", "--allow-empty", "--message", "x"], cwd=project, capture_output=True
    )
    assert refused.returncode, "a commit of one's own needs an identity"
    done = follow("An update", project)
    assert done.returncode == 0, done.stderr
    assert_updated(project)


def test_line_ends(project: Path, tmp_path: Path) -> None:
    """A clone made by git for Windows, which turns LF into CRLF unless .gitattributes says no."""
    (tmp_path / "clone").mkdir()
    clone = tmp_path / "clone" / FOLDER
    git(tmp_path, "clone", "--config", "core.autocrlf=true", str(project), str(clone))
    done = follow("An update", clone)
    assert done.returncode == 0, done.stderr
    assert_updated(clone)
    for name in files_of(clone):
        assert b"\r" not in (clone / name).read_bytes(), name


# --- What Copier refuses --------------------------------------------------------------------------


def test_uncommitted_changes(project: Path) -> None:
    heading = "There are uncommitted changes"
    edit(project, "src/api.py", "# mine\n")
    [message] = quoted(PAGE, heading)
    assert_refused(project, message)
    assert follow(heading, project).returncode == 0
    assert_updated(project)


def test_no_repository(versions: Path, tmp_path: Path) -> None:
    heading = "The project is in no repository"
    project = tmp_path / FOLDER
    copy(versions, project, "v1.0.0", {})
    done = copier("update", "--defaults", folder=project)
    [message] = quoted(PAGE, heading)
    assert done.returncode == 1 and words(done.stderr) == message
    assert follow(heading, project).returncode == 0
    assert_updated(project)


def test_no_answers_file(project: Path) -> None:
    heading = "The answers file is missing"
    (project / ANSWERS).unlink()
    commit(project)
    edit(project, "src/api.py", "# mine\n")
    commit(project)
    [message] = quoted(PAGE, heading)
    assert_refused(project, message)
    done = follow(heading, project)
    assert done.returncode == 0, done.stderr
    assert_updated(project)


def test_a_downgrade(project: Path) -> None:
    heading = "You would go back"
    assert follow("An update", project).returncode == 0
    commit(project)
    [message] = quoted(PAGE, heading)
    assert_refused(project, message, "--vcs-ref=v1.0.0")
    assert follow(heading, project).returncode == 0
    assert "_commit: v1.0.0" in (project / ANSWERS).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("number", "line", "wrong"),
    [(0, "exposure: .*", "exposure: everywhere"), (1, "_commit: .*", "_commit: v7.7.7")],
)
def test_answers_that_are_not_allowed(project: Path, number: int, line: str, wrong: str) -> None:
    heading = "The answers file holds what is not allowed"
    by_hand(project, line, wrong)
    assert_refused(project, quoted(PAGE, heading)[number])
    assert follow(heading, project).returncode == 0
    assert_updated(project)


def by_hand(project: Path, line: str, wrong: str) -> None:
    answers = project / ANSWERS
    text, count = re.subn(f"^{line}$", wrong, answers.read_text("utf-8"), flags=re.MULTILINE)
    assert count == 1
    answers.write_text(text, encoding="utf-8")
    commit(project)


def test_answers_that_are_edited_by_hand_and_allowed(project: Path) -> None:
    """What follows from them never comes, and what is no question goes."""
    by_hand(project, "ci: none", "ci: github\ncolour: red")
    assert follow("An update", project).returncode == 0
    assert not (project / ".github").exists()
    answers = (project / ANSWERS).read_text(encoding="utf-8")
    assert "ci: github" in answers and "colour" not in answers
    commit(project)
    git(project, "revert", "--no-edit", "HEAD", "HEAD~1")
    done = copier("update", "--vcs-ref=:current:", "--defaults", "--data=ci=github", folder=project)
    assert done.returncode == 0 and (project / ".github").exists()


def test_a_misspelt_name(project: Path) -> None:
    done = follow("An answer has no effect", project)
    assert (done.returncode, done.stdout) == (0, "")
    assert status(project) == []


def test_every_section_is_tried() -> None:
    """Each heading with a command on the page is in this file or in another one."""
    page = section(PAGE, None)
    headings = re.findall(r"^##+ (.*)$", page, re.MULTILINE)
    tests = [path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    for heading in headings:
        if shell(PAGE, heading):
            assert any(f'"{heading}"' in text for text in tests), heading
