"""Issue 2: `copier update` keeps what people changed, and touches nothing when nothing changed.

C3 (no trust), C9 (nothing volatile), C11 (seed files), C12 (no conflict markers, no .rej), C17
(subdirectory of a repository), C22 (computed values follow the answers). Never with trust.
"""

from pathlib import Path
from typing import Any

import pytest

import shapes
from commands import copier
from conftest import FOLDER, git
from files import texts
from questions import ASKED
from updates import ANSWERS, assert_no_conflict, commit, copy, edit, files_of, is_seed, update
from next_version import CHANGED, NEWS


def update_by_command(project: Path, **changed: Any) -> None:
    """As a person would, without trust."""
    data = [
        part for name, value in changed.items() for part in ("--data", f"{name}={typed(value)}")
    ]
    ref = ["--vcs-ref=:current:"] if changed else []
    done = copier("update", "--defaults", *ref, *data, folder=project)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "git status" in done.stderr, "the message says where to look for conflicts"


def typed(value: Any) -> str:
    """An answer as it is typed after `--data name=`."""
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)


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
# An answer once stored stays, also one that was made from another: hence a hostname.
EVERYBODY = {
    "profile": "custom",
    "hostname": "api.example.com",
    "callers": ["human", "machine", "binding"],
    "exposure": "custom_domain",
    "binding_style": "both",
    "ci": "none",
}
ROUTE = {**EVERYBODY, "callers": ["human"], "exposure": "route"}
# Together they change every answer. Those of the first few run always, the others are slow.
TOGGLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "other Workers": (
        {**CUSTOM, "callers": ["human"]},
        {**CUSTOM, "callers": ["human", "binding"]},
    ),
    "personal to production": (PERSONAL, {**PRODUCTION, "ci": "github"}),
    "settings": (
        {**PRODUCTION, "team_domain": "", "policy_aud": "", "allowed_emails": ""},
        {
            **PRODUCTION,
            "team_domain": "acme",
            "policy_aud": shapes.AUD,
            "allowed_emails": "ann@example.com",
        },
    ),
    "programs": ({**CUSTOM, "callers": ["human"]}, {**CUSTOM, "callers": ["human", "machine"]}),
    "upstreams": ({**PRODUCTION, "upstreams": ""}, {**PRODUCTION, "upstreams": "billing, b2"}),
    "binding style": (
        {"profile": "internal", "binding_style": "rpc"},
        {"profile": "internal", "binding_style": "both"},
    ),
    "previews": ({**CUSTOM, "preview_urls": False}, {**CUSTOM, "preview_urls": True}),
    "ci": ({**PRODUCTION, "ci": "github"}, {**PRODUCTION, "ci": "gitlab"}),
    "no ci": ({**PRODUCTION, "ci": "gitlab"}, {**PRODUCTION, "ci": "none"}),
    "ops": ({**EVERYBODY, "ops": True}, {**EVERYBODY, "ops": False}),
    "framework": ({**EVERYBODY, "framework": "plain"}, {**EVERYBODY, "framework": "fastapi"}),
    "no address": (
        {**CUSTOM, "callers": ["human", "binding"], "exposure": "workers_dev"},
        {**CUSTOM, "callers": ["binding"], "exposure": "none"},
    ),
    "names": (
        {**EVERYBODY, "project_name": "One", "worker_name": "one", "description": "The first"},
        {**EVERYBODY, "project_name": "Two", "worker_name": "two", "description": "The second"},
    ),
    "hostname": (
        {**EVERYBODY, "hostname": "one.example.com"},
        {**EVERYBODY, "hostname": "two.example.com"},
    ),
    "route": (
        {**ROUTE, "zone_name": "example.com", "route_pattern": "api.example.com/*"},
        {**ROUTE, "zone_name": "example.net", "route_pattern": "example.net/api/*"},
    ),
    "staging": (
        {**EVERYBODY, "staging": False, "upstreams": "billing"},
        {**EVERYBODY, "staging": True, "upstreams": "billing"},
    ),
    "staging's hostname": (
        {
            **EVERYBODY,
            "staging": True,
            "staging_hostname": "dev.example.com",
            "staging_policy_aud": "",
        },
        {
            **EVERYBODY,
            "staging": True,
            "staging_hostname": "test.example.com",
            "staging_policy_aud": shapes.STAGING_AUD,
        },
    ),
    "staging's route": (
        {**ROUTE, "staging": True, "staging_route_pattern": "dev.example.com/*"},
        {**ROUTE, "staging": True, "staging_route_pattern": "test.example.com/*"},
    ),
    "hostname application": (
        {**EVERYBODY, "access_scope": "worker"},
        {**EVERYBODY, "access_scope": "hostname"},
    ),
    "who else": (
        {**EVERYBODY, "allowed_service_tokens": "", "calling_workers": ""},
        {
            **EVERYBODY,
            "allowed_service_tokens": shapes.CLIENT_IDS[0],
            "calling_workers": "gateway, nightly-job",
        },
    ),
    "login": (
        {**EVERYBODY, "identity_provider": "otp", "session_duration": "24h"},
        {**EVERYBODY, "identity_provider": "existing", "session_duration": "6h"},
    ),
}
SOME, OTHERS = list(TOGGLES)[:3], list(TOGGLES)[3:]


def difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in new.items() if old[name] != value}


def test_every_answer_is_changed() -> None:
    assert {name for pair in TOGGLES.values() for name in difference(*pair)} == set(ASKED)


def without_seeds(found: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in found.items() if not is_seed(name) and name != ANSWERS}


@pytest.mark.parametrize(
    "name", [*SOME, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
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

    update_by_command(project, **difference(old, new))
    assert_no_conflict(project)
    now, expected = files_of(project), texts(fresh)
    assert without_seeds(now) == without_seeds(expected)
    assert set(now) >= set(expected)
    for file in filter(is_seed, now):
        assert now[file] == before.get(file, expected.get(file)), file
    commit(project)

    update_by_command(project, **difference(new, old))
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
