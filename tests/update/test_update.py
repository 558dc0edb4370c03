"""`copier update` keeps what people changed, and touches nothing when nothing changed.

Without trust, without conflict markers and .rej files, in any folder of a repository. Seed files
stay, and nothing that is rendered changes by itself. What Copier's users met:
https://github.com/copier-org/copier/issues/1285, 1842 (volatile content), 369 and 1894 (seeds).
"""

from pathlib import Path
from typing import Any

import pytest

import shapes
from commands import copier
from conftest import FOLDER, git, release
from files import texts
from next_version import CHANGED, NEWS, VENDOR, next_tools
from questions import ASKED
from updates import ANSWERS, assert_no_conflict, commit, copy, edit, files_of, is_seed, update


def edit_everything(project: Path) -> dict[str, str]:
    """A line added to every managed and shared file, seed files rewritten; committed."""
    mine: dict[str, str] = {}
    for name, text in files_of(project).items():
        if name != ANSWERS:
            mine[name] = f"# {name} is mine now\n" if is_seed(name) else edit(text, name)
            (project / name).write_text(mine[name], encoding="utf-8")
    commit(project)
    return mine


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["production", "internal-rpc"])
def test_edits_in_every_file_survive(versions: Path, tmp_path: Path, shape: str) -> None:
    """Also a setting that was filled in, and a file that was deleted. The next version changes
    some of those files and brings a new one."""
    project = tmp_path / FOLDER
    copy(versions, project, "v1.0.0", shapes.answers(shapes.of_interest()[shape]))
    commit(project)
    mine = edit_everything(project)
    wrangler = project / "wrangler.jsonc"
    mine["wrangler.jsonc"] = mine["wrangler.jsonc"].replace(
        '"compatibility_date": "2026-11-01"', '"compatibility_date": "2026-11-24"'
    )
    wrangler.write_text(mine["wrangler.jsonc"], encoding="utf-8")
    (project / "docs" / "TROUBLESHOOTING.md").unlink()
    commit(project)

    update(project)

    assert_no_conflict(project)
    now = files_of(project)
    assert mine.pop("docs/TROUBLESHOOTING.md") and "docs/TROUBLESHOOTING.md" not in now
    assert now["docs/NEW.md"].endswith("# New in my-api\n")
    assert '"compatibility_date": "2026-11-24"' in now["wrangler.jsonc"]
    assert "v1.1.0" in now[ANSWERS]
    for name, text in mine.items():
        if is_seed(name):
            assert now[name] == text, name
        elif name not in (".private-worker.toml", f"{VENDOR}/manifest.sha256"):  # hashes change
            lines = [line for line in now[name].splitlines() if NEWS not in line]
            assert lines == text.splitlines(), name
    here = {name.removesuffix(".jinja") for name in CHANGED} & set(mine)
    assert here == {name for name in mine if NEWS in now[name]} and len(here) >= 8


@pytest.mark.slow
def test_update_equals_a_fresh_copy(versions: Path, tmp_path: Path) -> None:
    """Without edits the next version is exactly what a new project gets, but for seed files."""
    answers = shapes.answers(shapes.of_interest()["everybody"])
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


@pytest.mark.slow
def test_nothing_to_update(versions: Path, tmp_path: Path) -> None:
    """An update to the same version leaves `git status` clean, edits or not."""
    project = tmp_path / FOLDER
    copy(versions, project, "v1.1.0", shapes.answers(shapes.of_interest()["everybody-fastapi"]))
    commit(project)
    update(project)
    assert git(project, "status", "--porcelain") == ""
    edit_everything(project)
    update(project)
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.slow
def test_other_tools_touch_nothing_else(versions: Path, tmp_path: Path) -> None:
    """A version that changes only vendor/: every other file is as it was, the answers file apart,
    which says the version."""
    repository, project = tmp_path / "versions", tmp_path / FOLDER
    git(tmp_path, "clone", "--quiet", str(versions), str(repository))
    copy(repository, project, "v1.1.0", shapes.answers(shapes.of_interest()["production"]))
    commit(project)
    for name, text in files_of(project).items():
        if name != ANSWERS and not name.startswith(f"{VENDOR}/"):
            (project / name).write_text(edit(text, name), encoding="utf-8")
    commit(project)
    next_tools(repository)
    release(repository, "v1.2.0")
    update(project)
    assert git(project, "status", "--porcelain").splitlines() == [
        f" M {ANSWERS}",
        f" M {VENDOR}/manifest.sha256",
        f" M {VENDOR}/src/private_worker/cli.py",
    ]


@pytest.mark.slow
def test_deleted_tests_stay_deleted(versions: Path, tmp_path: Path) -> None:
    """With an update and with another answer; the tests of what an answer brings come with it."""
    project = tmp_path / FOLDER
    copy(versions, project, "v1.0.0", {"profile": "custom", "callers": ["human"]})
    for name in ("conftest.py", "test_api.py"):
        (project / "tests" / name).unlink()
    commit(project)
    update(project)
    assert [path.name for path in project.glob("tests/*.py")] == ["test_doors.py"]
    commit(project)
    update(project, callers=["human", "binding"])
    found = sorted(path.name for path in project.glob("tests/*.py"))
    assert found == ["test_doors.py", "test_internal.py"]
    assert (project / "src" / "internal.py").exists()


@pytest.mark.slow
def test_a_seed_file_that_goes_with_its_answer_stays_in_git(versions: Path, tmp_path: Path) -> None:
    """Copier deletes it with the other files of the answer: seen in `git status`, still in HEAD."""
    project = tmp_path / FOLDER
    copy(versions, project, "v1.0.0", TOGGLES["other Workers"][1])
    (project / "src" / "internal.py").write_text("# a week of work\n")
    commit(project)
    update(project, callers=["human"])
    assert "D src/internal.py" in git(project, "status", "--short")
    assert git(project, "show", "HEAD:src/internal.py").strip() == "# a week of work"


CUSTOM = {"profile": "custom", "exposure": "workers_dev"}
# An answer once stored stays, also one that was made from another: hence a hostname and, where
# programs are added, the scope.
EVERYBODY = {
    "profile": "custom",
    "hostname": "api.example.com",
    "callers": ["human", "machine", "binding"],
    "exposure": "custom_domain",
    "binding_style": "both",
    "staging": True,
    "ci": "none",
}
ROUTE = {"profile": "custom", "callers": ["human"], "exposure": "route", "staging": True}
# Together they change every answer.
TOGGLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "other Workers": (
        {**CUSTOM, "callers": ["human"]},
        {**CUSTOM, "callers": ["human", "binding"]},
    ),
    "personal to production": (
        {
            "profile": "personal",
            "callers": ["human"],
            "exposure": "workers_dev",
            "access_scope": "worker",
            "ci": "none",
            "staging": False,
            "upstreams": "",
            "team_domain": "",
            "policy_aud": "",
            "allowed_emails": "",
        },
        {
            "profile": "production",
            "callers": ["human", "machine"],
            "exposure": "custom_domain",
            "access_scope": "worker",
            "ci": "github",
            "staging": True,
            "upstreams": "billing, b2",
            "team_domain": "acme",
            "policy_aud": shapes.AUD,
            "allowed_emails": "ann@example.com",
        },
    ),
    "binding style": (
        {"profile": "internal", "binding_style": "rpc", "ci": "github"},
        {"profile": "internal", "binding_style": "both", "ci": "gitlab"},
    ),
    "no address": (
        {**CUSTOM, "callers": ["human", "binding"], "preview_urls": True},
        {**CUSTOM, "callers": ["binding"], "exposure": "none", "preview_urls": False},
    ),
    "names and settings": (
        {
            **EVERYBODY,
            "project_name": "One",
            "worker_name": "one",
            "description": "The first",
            "staging_hostname": "dev.example.com",
            "staging_policy_aud": "",
            "access_scope": "worker",
            "identity_provider": "otp",
            "session_duration": "24h",
            "allowed_service_tokens": "",
            "calling_workers": "",
            "requests_per_minute": "0",
            "framework": "plain",
            "ops": True,
        },
        {
            **EVERYBODY,
            "hostname": "other.example.com",
            "project_name": "Two",
            "worker_name": "two",
            "description": "The second",
            "staging_hostname": "test.example.com",
            "staging_policy_aud": shapes.STAGING_AUD,
            "access_scope": "hostname",
            "identity_provider": "existing",
            "session_duration": "6h",
            "allowed_service_tokens": shapes.CLIENT_IDS[0],
            "calling_workers": "gateway, nightly-job",
            "requests_per_minute": "60",
            "framework": "fastapi",
            "ops": False,
        },
    ),
    "agents": (
        {"profile": "production", "agents": [], "agent_redirect_uris": ""},
        {
            "profile": "production",
            "agents": ["cursor", "other"],
            "agent_redirect_uris": "https://agent.example.com/cb",
        },
    ),
    "route": (
        {
            **ROUTE,
            "zone_name": "example.com",
            "route_pattern": "api.example.com/*",
            "staging_route_pattern": "dev.example.com/*",
        },
        {
            **ROUTE,
            "zone_name": "example.net",
            "route_pattern": "example.net/api/*",
            "staging_route_pattern": "dev.example.net/api/*",
        },
    ),
}


def difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in new.items() if old[name] != value}


def test_every_answer_is_changed() -> None:
    assert {name for pair in TOGGLES.values() for name in difference(*pair)} == set(ASKED)


def without_seeds(found: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in found.items() if not is_seed(name) and name != ANSWERS}


@pytest.mark.slow
@pytest.mark.parametrize("name", TOGGLES)
def test_changed_answers_there_and_back(versions: Path, tmp_path: Path, name: str) -> None:
    """The same as a fresh copy with the new answers, and changed back the same as before.

    Seed files stay as they are; one that was not there before comes with the change, but for the
    test of the API, which its owner may have deleted.
    """
    old, new = TOGGLES[name]
    project, fresh = tmp_path / "changed" / FOLDER, tmp_path / "fresh" / FOLDER
    copy(versions, project, "v1.0.0", old)
    commit(project)
    before = files_of(project)
    copy(versions, fresh, "v1.0.0", new)

    update(project, **difference(old, new))
    assert_no_conflict(project)
    now, expected = files_of(project), texts(fresh)
    assert without_seeds(now) == without_seeds(expected)
    assert set(expected) - set(now) <= {"tests/test_api.py"} - set(before)
    for file in filter(is_seed, now):
        assert now[file] == before.get(file, expected.get(file)), file
    commit(project)

    update(project, **difference(new, old))
    assert_no_conflict(project)
    assert without_seeds(files_of(project)) == without_seeds(before)


@pytest.mark.slow
def test_answers_are_changed_by_command(versions: Path, tmp_path: Path) -> None:
    """A list and a text, as they are typed; the message says where to look for conflicts."""
    project = tmp_path / FOLDER
    copy(versions, project, "v1.0.0", TOGGLES["other Workers"][0])
    commit(project)
    data = ("--data", "callers=[human, binding]", "--data", "calling_workers=gateway, nightly-job")
    done = copier("update", "--defaults", "--vcs-ref=:current:", *data, folder=project)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "git status" in done.stderr
    assert "class Internal(" in (project / "src" / "entry.py").read_text(encoding="utf-8")
    assert "nightly-job" in (project / "wrangler.jsonc").read_text(encoding="utf-8")
