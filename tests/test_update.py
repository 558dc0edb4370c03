"""Issue 2: `copier update` keeps what people changed, and touches nothing when nothing changed.

C3 (no trust), C9 (nothing volatile), C11 (seed files), C12 (no conflict markers, no .rej), C17
(subdirectory of a repository), C22 (computed values follow the answers). Never with trust.
"""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from copier import VcsRef, run_copy, run_update

import shapes
from conftest import FOLDER, git, release, snapshot
from files import texts
from interview import CONFIG

ANSWERS = ".copier-answers.yml"
NEWS = "news of the next version"
# What the next version changes: a line under the one that names the owner.
CHANGED = (
    ".gitignore.jinja",
    "README.md.jinja",
    "docs/SETUP.md.jinja",
    "pyproject.toml.jinja",
    "src/entry.py.jinja",
    "src/guard/log.py.jinja",
    "src/guard/{% if pw_edge %}settings.py{% endif %}",
    "src/guard/{% if pw_edge %}token.py{% endif %}",
    "tests/kit/runtime.py",
    "wrangler.jsonc.jinja",
)
SEEDS = (
    "src/{% if pw_serves and not pw_fastapi %}api.py{% endif %}.jinja",
    "src/{% if pw_rpc %}internal.py{% endif %}.jinja",
)
COMMENTS = {".md": f"<!-- {NEWS} -->", ".jsonc": f"// {NEWS}"}


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """The working tree as v1.0.0, and a v1.1.0 after it."""
    repository = snapshot(tmp_path_factory.mktemp("versions"), "v1.0.0")
    folder = repository / "template"
    for name in (*CHANGED, *SEEDS):
        file = folder / name
        lines = file.read_text(encoding="utf-8").split("\n")
        owner = next((n for n, line in enumerate(lines) if "private-worker template" in line), 0)
        comment = COMMENTS.get(Path(name.removesuffix(".jinja")).suffix, f"# {NEWS}")
        file.write_text("\n".join([*lines[: owner + 1], comment, *lines[owner + 1 :]]))
    (folder / "docs" / "NEW.md.jinja").write_text(
        "<!-- Managed by the private-worker template: do not edit, an update replaces it. -->\n"
        "\n# New in {{ worker_name }}\n"
    )
    release(repository, "v1.1.0")
    return repository


def copy(repository: Path, project: Path, version: str, answers: dict[str, Any]) -> None:
    run_copy(
        str(repository),
        project,
        data=answers,
        vcs_ref=version,
        defaults=True,
        quiet=True,
        unsafe=False,
    )


def update(project: Path, **changed: Any) -> None:
    """To the newest version, or with some answers changed and nothing else."""
    ref = VcsRef.CURRENT if changed else None
    run_update(
        project,
        data=changed,
        vcs_ref=ref,
        defaults=True,
        overwrite=True,
        quiet=True,
        unsafe=False,
    )


def update_by_command(project: Path) -> None:
    """As a person would, without trust."""
    command = [sys.executable, "-m", "copier", "update", "--defaults", str(project)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "git status" in done.stderr, "the message says where to look for conflicts"


def commit(project: Path) -> None:
    if not (project / ".git").exists():
        git(project, "init")
    git(project, "add", "--all")
    git(project, "commit", "--message", "x")


def files_of(project: Path) -> dict[str, str]:
    listed = git(project, "ls-files", "--cached", "--others").splitlines()
    return {
        name: (project / name).read_text(encoding="utf-8")
        for name in sorted(set(listed))
        if (project / name).is_file()
    }


def is_seed(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in CONFIG["_skip_if_exists"])


def assert_no_conflict(project: Path) -> None:
    status = git(project, "status", "--porcelain")
    assert not [line for line in status.splitlines() if line[:2] in ("UU", "AA", "DU", "UD")]
    for name, text in files_of(project).items():
        assert not name.endswith(".rej"), name
        assert not re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE), name


def edit(text: str, name: str) -> str:
    """A line of the user's at the end of a file."""
    return text + ("// mine\n" if name.endswith((".jsonc", ".json", ".mjs")) else "# mine\n")


@pytest.mark.parametrize("shape", ["production", "internal-rpc"])
def test_edits_in_every_file_survive(versions: Path, tmp_path: Path, shape: str) -> None:
    """A line added to every managed and shared file, seed files rewritten, settings filled in, one
    file deleted; then the next version, with changes in ten of those files and a new one."""
    project = tmp_path / FOLDER
    answers = shapes.answers(shapes.of_interest()[shape])
    copy(versions, project, "v1.0.0", answers)
    commit(project)
    mine: dict[str, str] = {}
    for name, text in files_of(project).items():
        if name == ANSWERS:
            continue
        mine[name] = f"# {name} is mine now\n" if is_seed(name) else edit(text, name)
        (project / name).write_text(mine[name], encoding="utf-8")
    wrangler = project / "wrangler.jsonc"
    mine["wrangler.jsonc"] = mine["wrangler.jsonc"].replace(
        '"compatibility_date": "2026-11-01"', '"compatibility_date": "2026-11-24"'
    )
    wrangler.write_text(mine["wrangler.jsonc"], encoding="utf-8")
    (project / "docs" / "TROUBLESHOOTING.md").unlink()
    commit(project)

    update_by_command(project)

    assert_no_conflict(project)
    now = files_of(project)
    assert "docs/TROUBLESHOOTING.md" not in now
    assert now["docs/NEW.md"].endswith("# New in my-api\n")
    assert '"compatibility_date": "2026-11-24"' in now["wrangler.jsonc"]
    assert "v1.1.0" in now[ANSWERS]
    changed = 0
    for name, text in mine.items():
        if name == "docs/TROUBLESHOOTING.md":
            continue
        if is_seed(name):
            assert now[name] == text, name
            continue
        assert now[name].endswith(edit("", name)), name
        lines = [line for line in now[name].splitlines() if NEWS not in line]
        assert lines == text.splitlines(), name
        changed += NEWS in now[name]
    pruned = [name for name in CHANGED if "pw_edge" in name] if shape == "internal-rpc" else []
    assert changed == len(CHANGED) - len(pruned)


@pytest.mark.parametrize("shape", ["everybody"])
def test_update_equals_a_fresh_copy(versions: Path, tmp_path: Path, shape: str) -> None:
    """Without edits the next version is exactly what a new project gets, but for seed files."""
    answers = shapes.answers(shapes.of_interest()[shape])
    old, new = tmp_path / "old" / FOLDER, tmp_path / "new" / FOLDER
    copy(versions, old, "v1.0.0", answers)
    commit(old)
    before = files_of(old)
    update(old)
    copy(versions, new, "v1.1.0", answers)
    now, fresh = files_of(old), texts(new)
    assert set(now) == set(fresh)
    for name in now:
        assert now[name] == (before[name] if is_seed(name) else fresh[name]), name


@pytest.mark.parametrize("shape", ["everybody-fastapi"])
def test_nothing_to_update(versions: Path, tmp_path: Path, shape: str) -> None:
    """C9: an update to the same version leaves `git status` clean, edits or not."""
    project = tmp_path / FOLDER
    copy(versions, project, "v1.1.0", shapes.answers(shapes.of_interest()[shape]))
    commit(project)
    update(project)
    assert git(project, "status", "--porcelain") == ""
    for name, text in files_of(project).items():
        if name != ANSWERS:
            (project / name).write_text(edit(text, name), encoding="utf-8")
    commit(project)
    update(project)
    assert git(project, "status", "--porcelain") == ""


def test_project_in_a_subdirectory(versions: Path, tmp_path: Path) -> None:
    """C17: one folder of a repository with other things in it, spaces and all."""
    monorepo = tmp_path / "all our services"
    project = monorepo / "workers" / FOLDER
    copy(versions, project, "v1.0.0", {"profile": "production"})
    (monorepo / "other.txt").write_text("other\n")
    commit(monorepo)
    update(project)
    assert_no_conflict(project)
    assert (project / "docs" / "NEW.md").exists()
    changed = git(monorepo, "status", "--porcelain").splitlines()
    assert changed and all(FOLDER in line for line in changed)


CUSTOM = {"profile": "custom", "exposure": "workers_dev"}
PERSONAL = {"profile": "personal", "callers": ["human"], "exposure": "workers_dev", "ci": "none"}
PRODUCTION = {"profile": "production", "callers": ["human"], "exposure": "custom_domain"}
TOGGLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "other Workers": (
        {**CUSTOM, "callers": ["human"]},
        {**CUSTOM, "callers": ["human", "binding"]},
    ),
    "programs": ({**CUSTOM, "callers": ["human"]}, {**CUSTOM, "callers": ["human", "machine"]}),
    "upstreams": ({**PRODUCTION, "upstreams": ""}, {**PRODUCTION, "upstreams": "billing, b2"}),
    "binding style": (
        {"profile": "internal", "binding_style": "rpc"},
        {"profile": "internal", "binding_style": "both"},
    ),
    "previews": ({**CUSTOM, "preview_urls": False}, {**CUSTOM, "preview_urls": True}),
    "personal to production": (PERSONAL, {**PRODUCTION, "ci": "github"}),
    "ci": ({**PRODUCTION, "ci": "github"}, {**PRODUCTION, "ci": "gitlab"}),
    "settings": (
        {**PRODUCTION, "team_domain": "", "policy_aud": ""},
        {**PRODUCTION, "team_domain": "acme", "policy_aud": shapes.AUD},
    ),
}


def without_seeds(found: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in found.items() if not is_seed(name) and name != ANSWERS}


@pytest.mark.parametrize("name", TOGGLES)
def test_changed_answers_there_and_back(versions: Path, tmp_path: Path, name: str) -> None:
    """`copier update --vcs-ref=:current: --data …`, as the rendered project says: the same as a
    fresh copy with the new answers, and changed back the same as before.

    Seed files stay as they are; one that was not there before comes with the change.
    """
    old, new = TOGGLES[name]
    project, fresh = tmp_path / "changed" / FOLDER, tmp_path / "fresh" / FOLDER
    copy(versions, project, "v1.0.0", old)
    commit(project)
    before = files_of(project)
    copy(versions, fresh, "v1.0.0", new)

    update(project, **new)
    assert_no_conflict(project)
    now, expected = files_of(project), texts(fresh)
    assert without_seeds(now) == without_seeds(expected)
    assert set(now) >= set(expected)
    for file in filter(is_seed, now):
        assert now[file] == before.get(file, expected.get(file)), file
    commit(project)

    update(project, **old)
    assert_no_conflict(project)
    assert without_seeds(files_of(project)) == without_seeds(before)


def test_internal_appears_with_binding_callers(versions: Path, tmp_path: Path) -> None:
    project = tmp_path / FOLDER
    old, new = TOGGLES["other Workers"]
    copy(versions, project, "v1.0.0", old)
    commit(project)
    assert not (project / "src" / "internal.py").exists()
    update(project, **new)
    assert (project / "src" / "internal.py").exists()
    assert "class Internal(" in (project / "src" / "entry.py").read_text(encoding="utf-8")


def test_a_seed_file_that_goes_with_its_answer_stays_in_git(versions: Path, tmp_path: Path) -> None:
    """Copier deletes it with the other files of the answer: seen in `git status`, still in HEAD."""
    project = tmp_path / FOLDER
    copy(versions, project, "v1.0.0", TOGGLES["other Workers"][1])
    (project / "src" / "internal.py").write_text("# a week of work\n")
    commit(project)
    update(project, callers=["human"])
    assert "D src/internal.py" in git(project, "status", "--short")
    assert git(project, "show", "HEAD:src/internal.py").strip() == "# a week of work"
