"""Migrations: no trust unless one is crossed, and a rename keeps edits.

hooks/README.md says what is shown here.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands import copier, copier_alone, documented
from conftest import FOLDER, ROOT, git, release, snapshot
from moves import move
from questions import CONFIG

MIGRATIONS = ROOT / "hooks" / "migrations"
REFUSED = "Template uses potentially unsafe feature: migrations."


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder of a repository. Migrations run in the project's own folder."""
    folder = tmp_path / "all our services" / FOLDER
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "old.py").write_text("# mine\n")
    git(folder.parent, "init")
    git(folder.parent, "add", "--all")
    git(folder.parent, "commit", "--message", "x")
    monkeypatch.chdir(folder)
    return folder


def status(project: Path) -> str:
    return git(project, "status", "--porcelain").strip()


def test_move(project: Path) -> None:
    """git knows that it is the same file, and the folder above it may be new."""
    move("src/old.py", "src/deep/new.py")
    assert (project / "src" / "deep" / "new.py").read_text() == "# mine\n"
    assert status(project) == f"R  {FOLDER}/src/old.py -> {FOLDER}/src/deep/new.py"


def test_move_a_folder(project: Path) -> None:
    move("src", "source code")
    assert [path.name for path in (project / "source code").iterdir()] == ["old.py"]


def test_move_again_changes_nothing(project: Path) -> None:
    move("src/old.py", "src/new.py")
    before = status(project)
    move("src/old.py", "src/new.py")
    assert status(project) == before


def test_move_leaves_alone_what_is_not_there(project: Path) -> None:
    (project / "src" / "old.py").unlink()
    git(project, "commit", "--all", "--message", "not wanted")
    move("src/old.py", "src/new.py")
    assert status(project) == "" and not (project / "src" / "new.py").exists()


def test_move_onto_another_file(project: Path) -> None:
    """One line that says what to do, and neither file is touched."""
    (project / "src" / "new.py").write_text("# also mine\n")
    git(project, "add", "--all")
    git(project, "commit", "--message", "both")
    with pytest.raises(SystemExit) as refusal:
        move("src/old.py", "src/new.py")
    expected = "Both src/old.py and src/new.py exist. Keep one, commit, and run the update again."
    assert refusal.value.code == expected
    assert status(project) == ""


def test_move_of_a_file_that_git_does_not_know(project: Path) -> None:
    (project / "notes.txt").write_text("x")
    with pytest.raises(SystemExit) as refusal:
        move("notes.txt", "new.txt")
    assert "notes.txt was not renamed to new.txt. git says: fatal" in str(refusal.value.code)
    assert (project / "notes.txt").exists()


# --- Through `copier update` ----------------------------------------------------------------------

OLD, NEW = "src/guard/answers.py", "src/guard/replies.py"
PLAIN_OLD, PLAIN_NEW = "src/guard/log.py", "src/guard/lines.py"  # nobody edits it
SCRIPT = f"""from moves import move

move("{OLD}", "{NEW}")
move("{PLAIN_OLD}", "{PLAIN_NEW}")
"""


def entry(version: str) -> str:
    """The lines for copier.yml that hooks/README.md gives to whoever writes a migration."""
    readme = (ROOT / "hooks" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert found
    assert "v2.0.0" in found[1] and "v2_0_0.py" in found[1]
    return found[1].replace("v2.0.0", version).replace("v2_0_0", version.replace(".", "_"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """v1.0.0; v1.1.0 with a new line; v2.0.0 with a renamed file and its migration; v2.1.0."""
    folder = snapshot(tmp_path_factory.mktemp("migrations"), "v1.0.0")
    template = folder / "template"
    gitignore = template / ".gitignore.jinja"
    gitignore.write_text(gitignore.read_text() + "news/\n")
    release(folder, "v1.1.0")
    (template / f"{OLD}.jinja").rename(template / f"{NEW}.jinja")
    (template / f"{PLAIN_OLD}.jinja").rename(template / f"{PLAIN_NEW}.jinja")
    subprocess.run([sys.executable, folder / "tools" / "manifest.py"], check=True)
    (folder / "hooks" / "migrations" / "v2_0_0.py").write_text(SCRIPT)
    with (folder / "copier.yml").open("a") as config:
        config.write("\n" + entry("v2.0.0"))
    release(folder, "v2.0.0")
    gitignore.write_text(gitignore.read_text() + "more/\n")
    release(folder, "v2.1.0")
    return folder


@pytest.fixture
def worker(repository: Path, tmp_path: Path) -> Path:
    """A project of v1.0.0 in a folder of a repository, with an edit in the file that will move."""
    monorepo = tmp_path / "all our services"
    worker = monorepo / FOLDER
    made = copier("copy", "--defaults", "--vcs-ref=v1.0.0", str(repository), str(worker))
    assert made.returncode == 0, made.stderr
    with (worker / OLD).open("a") as file:
        file.write("# mine\n")
    git(monorepo, "init")
    git(monorepo, "add", "--all")
    git(monorepo, "commit", "--message", "x")
    return worker


@pytest.mark.slow
def test_an_edit_survives_a_rename(worker: Path) -> None:
    """With the command of docs/updates.md. It is shown as a conflict, as no older version
    has the file under its new name. Without an edit there is none. Again, nothing is left to do."""
    plain = (worker / PLAIN_OLD).read_text(encoding="utf-8")
    [command] = documented("docs/updates.md", "A release with a migration")
    done = copier(*command[1:], folder=worker)
    assert done.returncode == 0, done.stderr
    assert "v2_0_0.py" in done.stderr, "Copier says what it runs"
    assert not (worker / OLD).exists()
    text = (worker / NEW).read_text(encoding="utf-8")
    assert text.endswith("<<<<<<< before updating\n# mine\n=======\n>>>>>>> after updating\n")
    assert text.count("<<<<<<<") == 1
    (worker / NEW).write_text(re.sub("^([<=>]{7}).*\n", "", text, flags=re.MULTILINE))
    assert (worker / PLAIN_NEW).read_text(encoding="utf-8") == plain
    conflicts = [line for line in status(worker).splitlines() if line.startswith("UU")]
    assert conflicts == [f"UU {FOLDER}/{NEW}"]
    assert not (worker / PLAIN_OLD).exists()
    assert "v2.1.0" in (worker / ".copier-answers.yml").read_text()
    git(worker, "add", "--all")
    git(worker, "commit", "--message", "updated")
    again = copier(*command[1:], folder=worker)
    assert again.returncode == 0, again.stderr
    assert "v2_0_0.py" not in again.stderr and status(worker) == ""
    script = ROOT / "hooks" / "migrations"
    run = [sys.executable, "-c", SCRIPT]
    subprocess.run(run, cwd=worker, env={"PYTHONPATH": str(script), "PATH": ""}, check=True)
    assert status(worker) == ""


@pytest.mark.slow
def test_without_trust_nothing_happens(worker: Path) -> None:
    """Copier refuses before it changes anything. Its words are in the documentation."""
    done = copier("update", "--defaults", folder=worker)
    assert done.returncode == 4
    assert REFUSED in done.stderr and status(worker) == ""
    for name in ("hooks/README.md", "docs/updates.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        quoted = [part for part in re.findall(r"```text\n(.*?)```", text, re.DOTALL)]
        assert any(part.strip() == done.stderr.strip() for part in quoted), name
        assert ["uvx", "copier", "update", "--defaults", "--trust"] in documented(name)


@pytest.mark.slow
def test_no_trust_where_no_migration_is_crossed(
    worker: Path, repository: Path, tmp_path: Path
) -> None:
    """Up to the release before it, from that release on, and for every copy."""
    done = copier("update", "--defaults", "--vcs-ref=v1.1.0", folder=worker)
    assert done.returncode == 0, done.stderr
    assert "v1.1.0" in (worker / ".copier-answers.yml").read_text()
    fresh = tmp_path / "fresh"
    made = copier("copy", "--defaults", "--vcs-ref=v2.0.0", str(repository), str(fresh))
    assert made.returncode == 0, made.stderr
    git(fresh, "init")
    git(fresh, "add", "--all")
    git(fresh, "commit", "--message", "x")
    done = copier("update", "--defaults", folder=fresh)
    assert done.returncode == 0, done.stderr
    assert "more/" in (fresh / ".gitignore").read_text()


@pytest.mark.slow
def test_both_names_exist(worker: Path) -> None:
    """The migration stops the update with its line. The project is as before."""
    (worker / NEW).write_text("# somebody else's\n")
    git(worker, "add", "--all")
    git(worker, "commit", "--message", "both")
    done = copier_alone("update", "--defaults", "--trust", folder=worker)
    assert done.returncode != 0
    assert f"Both {OLD} and {NEW} exist." in done.stderr
    assert status(worker) == ""


def test_migrations_of_this_version() -> None:
    """Each one has its script, and each script its entry."""
    scripts = {path.name for path in MIGRATIONS.glob("*.py")} - {"moves.py"}
    used = {
        Path(part).name
        for migration in CONFIG.get("_migrations", [])
        for part in migration["command"]
        if part.endswith(".py")
    }
    assert scripts == used
