"""docs/team-kit.md does what it says, with the files of team-kit/ as they are.

Its shell blocks are run here, against a code host on this computer (hub.py). What it claims of
Copier and git is tried with repositories of our own.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import hub
import quicker
from conftest import FOLDER, ROOT, Render, git, snapshot
from files import read_jsonc, texts
from questions import ASKED

KIT = ROOT / "team-kit"
GUIDE = (ROOT / "docs" / "team-kit.md").read_text(encoding="utf-8")
SETTINGS = yaml.safe_load((KIT / "settings.yml").read_text(encoding="utf-8"))
ANSWERS = yaml.safe_load((KIT / "answers.yml").read_text(encoding="utf-8"))
TOKEN = "s3cret-t0ken"
NEWS = "news of the next version"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the guide's commands are for a shell"),
]


def blocks() -> dict[str, str]:
    """The guide's shell blocks by heading; a second one under a heading is "heading 2"."""
    found: dict[str, str] = {}
    for section in re.split(r"(?m)^##+ ", GUIDE)[1:]:
        heading, _, text = section.partition("\n")
        for number, commands in enumerate(re.findall(r"```sh\n(.*?)```", text, re.DOTALL), 1):
            found[heading if number == 1 else f"{heading} {number}"] = commands
    return found


BLOCKS = blocks()


def test_every_block_and_file_is_used() -> None:
    """A command of the guide that no test runs, or a file that it does not explain, would rot."""
    source = Path(__file__).read_text(encoding="utf-8")
    for heading in BLOCKS:
        assert f'BLOCKS["{heading}"]' in source, heading
    for file in KIT.iterdir():
        if file.is_file():
            assert f"/main/team-kit/{file.name})" in GUIDE, file.name


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`uvx copier` and `uv run` with what is installed here, but for the template's own tests."""
    folder = tmp_path_factory.mktemp("tools")
    quicker.uvx(folder)
    run = f'exec "{sys.executable}"'
    script(folder / "uv", f'test "$2" = pytest || {{ shift; {run} "$@"; }}\n')
    return folder


def script(file: Path, commands: str) -> None:
    file.write_text(f"#!/bin/sh\n{commands}", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


Env = Callable[..., dict[str, str]]


@pytest.fixture
def env(tools: Path, tmp_path: Path) -> Env:
    """The environment with a folder as the code host, a home and a git configuration of its own."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], home / ".gitconfig")

    def env(host: Path, **more: str) -> dict[str, str]:
        path = os.pathsep.join([str(tools), os.environ["PATH"]])
        return hub.environment(
            host,
            PATH=path,
            HOME=str(home),
            GIT_CONFIG_GLOBAL=str(home / ".gitconfig"),
            COPIER_CACHE_DIR=str(tmp_path / "cache"),
            GIT_TERMINAL_PROMPT="0",
            **more,
        )

    return env


def shell(
    commands: str, folder: Path, env: dict[str, str], code: int | None = 0
) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-euc", commands]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert code is None or done.returncode == code, done.stdout[-1000:] + done.stderr[-3000:]
    return done


def small(host: Path, *versions: str, name: str = "org/private-worker.git") -> Path:
    """A template that is copied in a moment, in these versions."""
    repository = host / name
    hub.publish(repository, *versions, files=hub.SMALL)
    return repository


def copied(
    env: dict[str, str], project: Path, *options: str, source: str = "gh:org/private-worker"
) -> Path:
    """A committed copy."""
    hub.copier("copy", "--quiet", "--defaults", *options, source, project, env=env)
    hub.commit(project)
    return project


# ---------------------------------------------------------------- standard answers


def test_standard_answers_are_answers() -> None:
    """Copier ignores a misspelt name; here it is noticed."""
    assert ANSWERS and set(ANSWERS) <= set(ASKED)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """The template itself at org, as v1.0.0. Do not change it."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "org" / "private-worker.git").mkdir(parents=True)
    git(snapshot(folder / "org" / "private-worker.git", "v1.0.0"), "branch", "-M", "main")
    return folder


def test_copy_with_standard_answers(host: Path, tmp_path: Path, env: Env) -> None:
    """The guide's command, and the rest of the interview left to defaults."""
    shutil.copy(KIT / "answers.yml", tmp_path)
    command = BLOCKS["Standard answers"].strip()
    shell(f"{command} --defaults --data profile=production", tmp_path, env(host))
    project = tmp_path / "my-api"
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert ANSWERS.items() <= stored.items()
    variables = read_jsonc(project / "wrangler.jsonc")["vars"]
    assert variables["TEAM_DOMAIN"] == f"https://{ANSWERS['team_domain']}.cloudflareaccess.com"
    assert (project / ".github" / "workflows" / "ci.yml").exists()


@pytest.mark.parametrize("profile", ["personal", "production", "internal", "custom"])
def test_standard_answers_fit_every_profile(profile: str, rendered: Render) -> None:
    """What does not fit changes nothing, not even the answers file."""
    project = rendered(profile=profile, **ANSWERS)
    fitting = dict(ANSWERS)
    if profile == "internal":
        fitting = {"ci": ANSWERS["ci"]}
    assert texts(project) == texts(rendered(profile=profile, **fitting))


def test_what_is_typed_goes_first(tmp_path: Path, env: Env) -> None:
    """`--data` before the file or after it; and a name without a question says nothing."""
    small(tmp_path / "host", "v1.0.0")
    answers = tmp_path / "answers.yml"
    answers.write_text("team_domain: from-the-file\nteam_domian: x\n")
    file, typed = ("--data-file", str(answers)), ("--data", "team_domain=typed")
    for number, options in enumerate([(*file, *typed), (*typed, *file), file]):
        project = copied(env(tmp_path / "host"), tmp_path / str(number), *options)
        expected = "typed" if typed[1] in options else "from-the-file"
        assert hub.answer(project, "team_domain") == expected
        assert hub.answer(project, "team_domian") == ""


# ---------------------------------------------------------------- settings of one person


def settings(file: Path, **content: Any) -> dict[str, str]:
    file.write_text(yaml.safe_dump(content) if content else "")
    return {"COPIER_SETTINGS_PATH": str(file)}


SHIPPED = {"COPIER_SETTINGS_PATH": str(KIT / "settings.yml")}


def test_settings_are_what_the_guide_says() -> None:
    """Nothing that is computed is overridden, and both forms of trust end in a slash."""
    assert set(SETTINGS) == {"defaults", "trust"}
    assert SETTINGS["defaults"] and set(SETTINGS["defaults"]) <= set(ASKED)
    assert SETTINGS["trust"] == ["gh:org/", "https://github.com/org/"]


def test_defaults_of_the_settings(host: Path, tmp_path: Path, env: Env) -> None:
    """In a real copy, as the shipped file has them."""
    project = copied(env(host, **SHIPPED), tmp_path / FOLDER, "--data", "profile=production")
    assert hub.answer(project, "team_domain") == SETTINGS["defaults"]["team_domain"]


def test_defaults_come_last(tmp_path: Path, env: Env) -> None:
    """For every template with a question of that name, after the command line and the answers."""
    repository = small(tmp_path / "host", "v1.0.0")
    everywhere = env(tmp_path / "host", **SHIPPED)
    assert hub.answer(copied(everywhere, tmp_path / "a"), "team_domain") == "my-team"
    project = copied(everywhere, tmp_path / "b", "--data", "team_domain=typed")
    hub.publish(repository, "v1.1.0", files={"template/more.txt": "more\n"})
    hub.copier("update", "--quiet", "--defaults", project, env=everywhere)
    assert hub.answer(project, "team_domain") == "typed" and (project / "more.txt").exists()


def test_empty_settings_stop_copier(tmp_path: Path, env: Env) -> None:
    small(tmp_path / "host", "v1.0.0")
    nothing = settings(tmp_path / "settings.yml")
    options = ("copy", "--defaults", "gh:org/private-worker", tmp_path / "a")
    hub.copier(*options, env=env(tmp_path / "host", **nothing), code=1)


SHORT, LONG = "gh:org/private-worker", "https://github.com/org/private-worker"


@pytest.fixture(scope="module")
def migrating(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """v1.2.0 has a migration; a project at v1.1.0 for each form of the address."""
    folder = tmp_path_factory.mktemp("migrating")
    repository = small(folder / "host", "v1.0.0", "v1.1.0")
    migration = "_migrations:\n  - version: v1.2.0\n    command: touch migrated\n"
    config = hub.SMALL["copier.yml"] + migration
    env = hub.environment(folder / "host")
    copied(env, folder / "short", "--vcs-ref", "v1.0.0")
    copied(env, folder / "long", "--vcs-ref", "v1.0.0", source=LONG)
    for name in ("short", "long"):  # without a migration in between, nobody has to trust
        hub.copier("update", "--quiet", "--defaults", folder / name, env=env)
        assert hub.answer(folder / name, "_commit") == "v1.1.0"
        hub.commit(folder / name)
    hub.publish(repository, "v1.2.0", files={"copier.yml": config})
    return folder


@pytest.mark.parametrize(
    ("form", "trust", "allowed"),
    [
        ("short", SETTINGS["trust"], True),
        ("long", SETTINGS["trust"], True),
        ("short", [SHORT], True),
        ("short", [LONG, "https://github.com/org/"], False),  # the other form
        ("long", [SHORT, "gh:org/"], False),
        ("short", ["gh:org"], False),  # without the slash it is one address
    ],
)
def test_trust(
    form: str, trust: list[str], allowed: bool, migrating: Path, tmp_path: Path, env: Env
) -> None:
    """An update with a migration needs it for the address as it stands in the answers file."""
    shutil.copytree(migrating / form, tmp_path / "a")
    trusting = settings(tmp_path / "settings.yml", defaults={}, trust=trust)
    update = ("update", "--quiet", "--defaults", tmp_path / "a")
    code = 0 if allowed else 4
    done = hub.copier(*update, env=env(migrating / "host", **trusting), code=code)
    assert (tmp_path / "a" / "migrated").exists() == allowed
    assert allowed or "--trust" in done.stderr


def test_trust_once(migrating: Path, tmp_path: Path, env: Env) -> None:
    """The option instead of the settings; and a copy of the same version needs neither."""
    shutil.copytree(migrating / "short", tmp_path / "a")
    everywhere = env(migrating / "host")
    hub.copier("update", "--quiet", "--defaults", "--trust", tmp_path / "a", env=everywhere)
    assert (tmp_path / "a" / "migrated").exists()
    fresh = copied(everywhere, tmp_path / "b")
    assert hub.answer(fresh, "_commit") == "v1.2.0" and not (fresh / "migrated").exists()


# ---------------------------------------------------------------- a fork


def forked(host: Path, folder: Path, env: dict[str, str]) -> Path:
    """The host's fork button, then the guide's commands."""
    (host / "team").mkdir()
    upstream = str(host / "org" / "private-worker.git")
    git(host, "clone", "--bare", upstream, "team/private-worker.git")
    shell(BLOCKS["A fork"], folder, env)
    return folder / "private-worker"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) >= 1, old
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def preset(fork: Path, value: str) -> None:
    """What the guide's YAML block shows: one `default:` of the interview."""
    config = fork / "copier.yml"
    before, question, after = config.read_text(encoding="utf-8").partition("\nteam_domain:\n")
    assert question and '  default: ""\n' in after
    text = before + question + after.replace('  default: ""\n', f"  default: {value}\n", 1)
    config.write_text(text, encoding="utf-8")


MANAGED = "<!-- Managed by the private-worker template: do not edit, an update replaces it. -->\n"
OVERRIDDEN = "template/docs/TROUBLESHOOTING.md.jinja"


def next_version(upstream: Path) -> None:
    """v1.1.0: questions, files that the fork has edited or replaced, a new file. Then v1.2.0."""
    change(upstream / "copier.yml", "help: What is the project called?", "help: Its name?")
    change(upstream / "template" / "src" / "entry.py.jinja", "\n", f"\n# {NEWS}\n")
    change(upstream / "template" / "docs" / "SECURITY.md.jinja", "\n", f"\n<!-- {NEWS} -->\n")
    change(upstream / OVERRIDDEN, "\n", f"\n<!-- {NEWS} -->\n")
    hub.publish(upstream, "v1.1.0", files={"template/docs/NEW.md": f"{MANAGED}\n# New\n"})
    hub.publish(upstream, "v1.2.0")


def test_a_fork_from_the_first_clone_to_an_update(host: Path, tmp_path: Path, env: Env) -> None:
    """Presets, a file of its own, an edit and an override; merged without a conflict, and a project
    that follows. With upstream's unmerged tag beside it, all of that is gone from a copy."""
    here = tmp_path / "host"
    shutil.copytree(host, here)
    everywhere = env(here)
    fork = forked(here, tmp_path, everywhere)
    preset(fork, "acme-labs")
    hub.write(
        fork, {"template/docs/TEAM.md.jinja": f"{MANAGED}\n# {{{{ worker_name }}}} at ACME\n"}
    )
    with (fork / "template" / "docs" / "SECURITY.md.jinja").open("a") as file:
        file.write("\nAsk the platform team.\n")
    hub.write(fork, {OVERRIDDEN: f"{MANAGED}\n# Ask the platform team\n"})
    shell(BLOCKS["Your own files"], fork, everywhere)
    hub.publish(fork, "v1.0.0.post1")
    git_push = "git push --follow-tags origin main"
    shell(git_push, fork, everywhere)

    project = copied(everywhere, tmp_path / FOLDER, source="gh:team/private-worker")
    assert hub.answer(project, "_commit") == "v1.0.0.post1"
    assert hub.answer(project, "team_domain") == "acme-labs"
    assert "my-api at ACME" in (project / "docs" / "TEAM.md").read_text()
    variables = read_jsonc(project / "wrangler.jsonc")["vars"]
    assert variables["TEAM_DOMAIN"] == "https://acme-labs.cloudflareaccess.com"

    next_version(here / "org" / "private-worker.git")
    assert git_push in BLOCKS["Merging a version"]
    shell(BLOCKS["Merging a version"], fork, everywhere)
    assert git(fork, "status", "--porcelain") == ""
    tags = git(here / "team" / "private-worker.git", "tag").split()
    assert sorted(tags) == ["v1.0.0", "v1.0.0.post1", "v1.1.0", "v1.1.0.post1"]

    hub.copier("update", "--quiet", "--defaults", project, env=everywhere)
    assert hub.answer(project, "_commit") == "v1.1.0.post1"
    docs = project / "docs"
    assert NEWS in (project / "src" / "entry.py").read_text(encoding="utf-8")
    assert (docs / "NEW.md").exists() and (docs / "TEAM.md").exists()
    security = (docs / "SECURITY.md").read_text(encoding="utf-8")
    assert NEWS in security and "platform team" in security
    assert (docs / "TROUBLESHOOTING.md").read_text() == f"{MANAGED}\n# Ask the platform team\n"
    assert "UU" not in git(project, "status", "--short")

    shell("git fetch upstream", fork, everywhere)
    assert git(fork, "tag", "--list", "v1.2.0") == "", "the remote was added with --no-tags"
    shell("git fetch upstream tag v1.2.0 && git push --tags", fork, everywhere)
    other = copied(everywhere, tmp_path / "other", source="gh:team/private-worker")
    assert hub.answer(other, "_commit") == "v1.2.0"
    assert not (other / "docs" / "TEAM.md").exists()


def test_moving_a_project_to_the_fork(host: Path, tmp_path: Path, env: Env) -> None:
    """What is stored stays, presets are for new projects; the fork's files come."""
    here = tmp_path / "host"
    shutil.copytree(host, here)
    everywhere = env(here)
    fork = forked(here, tmp_path, everywhere)
    preset(fork, "acme-labs")
    hub.publish(fork, "v1.0.0.post1", files={"template/docs/TEAM.md": f"{MANAGED}\n# Team\n"})
    shell("git push --follow-tags origin main", fork, everywhere)
    project = copied(everywhere, tmp_path / FOLDER)
    shell(BLOCKS["Moving a project to the fork"], project, everywhere)
    assert hub.answer(project, "_src_path") == "gh:team/private-worker"
    assert hub.answer(project, "_commit") == "v1.0.0.post1"
    assert hub.answer(project, "team_domain") == "''"
    changed = git(project, "status", "--porcelain").split()
    assert changed == ["M", ".copier-answers.yml", "??", "docs/TEAM.md"]


def test_a_fork_keeps_the_tags_it_was_made_with(tmp_path: Path, env: Env) -> None:
    """Without the version that a project is at, its update has nowhere to start."""
    host = tmp_path / "host"
    everywhere = env(host)
    small(host, "v1.0.0")
    project = copied(everywhere, tmp_path / "a")
    fork = forked(host, tmp_path, everywhere)
    hub.publish(fork, "v1.0.0.post1")
    shell("git push --follow-tags origin main", fork, everywhere)
    change(project / ".copier-answers.yml", "gh:org/", "gh:team/")
    hub.commit(project)
    update = ("update", "--quiet", "--defaults", project)
    shell("git push --delete origin v1.0.0", fork, everywhere)
    hub.copier(*update, env=everywhere, code=1)
    shell("git push origin v1.0.0", fork, everywhere)
    hub.copier(*update, env=everywhere)
    assert hub.answer(project, "_commit") == "v1.0.0.post1"


def test_a_preset_that_its_validator_refuses(host: Path, tmp_path: Path, env: Env) -> None:
    """No copy at all, which the template's own tests notice."""
    here = tmp_path / "host"
    shutil.copytree(host, here)
    repository = here / "org" / "private-worker.git"
    preset(repository, "'not a team!'")
    hub.publish(repository, "v1.0.1")
    options = ("copy", "--defaults", "--data", "profile=production", SHORT, tmp_path / "a")
    refused = hub.copier(*options, env=env(here), code=1)
    assert "Validation error for question 'team_domain'" in refused.stderr


def test_a_question_that_is_not_asked(tmp_path: Path, env: Env) -> None:
    """`ask: false`: no interview, and still checked, stored, and open to --data."""
    host = tmp_path / "host"
    repository = small(host, "v1.0.0")
    everywhere = env(host)
    asked = shell(f"uvx copier copy {SHORT} a", tmp_path, everywhere, code=1)
    assert "Interactive session required" in asked.stderr
    config = hub.SMALL["copier.yml"] + (
        "  ask: false\n  validator: \"{{ 'too short' if team_domain | length < 3 else '' }}\"\n"
    )
    hub.publish(repository, "v1.1.0", files={"copier.yml": config})
    shell(f"uvx copier copy {SHORT} b", tmp_path, everywhere)
    assert hub.answer(tmp_path / "b", "team_domain") == "nobody"
    shell(f"uvx copier copy --data team_domain=others {SHORT} c", tmp_path, everywhere)
    assert hub.answer(tmp_path / "c", "team_domain") == "others"
    shell(f"uvx copier copy --data team_domain=x {SHORT} d", tmp_path, everywhere, code=1)


def test_merges_that_stop(tmp_path: Path, env: Env) -> None:
    """The same place on both sides, and a file that upstream deletes: seen, not lost."""
    host = tmp_path / "host"
    upstream = small(host, "v1.0.0")
    hub.publish(upstream, "v1.0.1", files={"template/a.txt": "a\n", "template/b.txt": "b\n"})
    everywhere = env(host)
    fork = forked(host, tmp_path, everywhere)
    mine = {"template/a.txt": "ours\n", "template/b.txt": "ours\n"}
    hub.publish(fork, "v1.0.1.post1", files=mine)
    (upstream / "template" / "b.txt").unlink()
    hub.publish(upstream, "v1.1.0", files={"template/a.txt": "theirs\n"})
    stopped = shell(BLOCKS["Merging a version"], fork, everywhere, code=1)
    assert "CONFLICT (content): Merge conflict in template/a.txt" in stopped.stdout
    assert "CONFLICT (modify/delete): template/b.txt" in stopped.stdout
    assert (fork / "template" / "b.txt").read_text() == "ours\n"
    assert git(fork, "tag", "--list", "v1.1.0.post1") == "", "nothing is tagged half-merged"


def newer(env: dict[str, str], project: Path) -> bool:
    """What check-update says, by its answer and by its exit code."""
    done = hub.copier("check-update", "--output-format", "json", project, env=env)
    found: bool = yaml.safe_load(done.stdout)["update_available"]
    hub.copier("check-update", "--quiet", project, env=env, code=2 if found else 0)
    return found


def test_versions_of_a_fork(tmp_path: Path, env: Env) -> None:
    """`.post1` is seen everywhere, `+team1` by updates only, and a migration runs once."""
    host = tmp_path / "host"
    repository = small(host, "v1.0.0", "v1.0.0+team1")
    everywhere = env(host)
    plus = copied(everywhere, tmp_path / "plus")
    assert hub.answer(plus, "_commit") == "v1.0.0+team1"
    hub.publish(repository, "v1.0.0+team2")
    assert not newer(everywhere, plus), "if this fails, Copier has learnt it: change the guide"
    hub.copier("update", "--quiet", "--defaults", plus, env=everywhere)
    assert hub.answer(plus, "_commit") == "v1.0.0+team2"

    hub.publish(repository, "v1.0.0.post1")
    post = copied(everywhere, tmp_path / "post")
    assert hub.answer(post, "_commit") == "v1.0.0.post1" and not newer(everywhere, post)
    migration = "_migrations:\n  - version: v1.1.0\n    command: echo x >> migrated\n"
    config = hub.SMALL["copier.yml"] + migration
    hub.publish(repository, "v1.1.0", "v1.1.0.post1", files={"copier.yml": config})
    assert newer(everywhere, post)
    update = ("update", "--quiet", "--defaults", post)
    hub.copier(*update, "--trust", env=everywhere)
    hub.commit(post)
    assert hub.answer(post, "_commit") == "v1.1.0.post1"
    hub.publish(repository, "v1.1.0.post2")
    assert newer(everywhere, post)
    hub.copier(*update, env=everywhere)  # without trust: nothing is left to migrate
    assert hub.answer(post, "_commit") == "v1.1.0.post2"
    assert (post / "migrated").read_text() == "x\n"
    hub.commit(post)
    hub.publish(repository, "v1.1.1")
    assert newer(everywhere, post)


# ---------------------------------------------------------------- private forks


def test_an_address_is_stored_as_typed(tmp_path: Path, env: Env) -> None:
    """So a token in it ends up in a file that is committed."""
    small(tmp_path / "host", "v1.0.0")
    address = f"https://ann:{TOKEN}@github.com/org/private-worker.git"
    project = copied(env(tmp_path / "host"), tmp_path / "a", source=address)
    assert hub.answer(project, "_src_path") == address
    assert TOKEN in git(project, "show", "HEAD:.copier-answers.yml")


def test_a_deploy_key(tmp_path: Path, env: Env) -> None:
    """The guide's line sends git through ssh, and the answers file keeps the short address."""
    host = tmp_path / "host"
    small(host, "v1.0.0")
    # In the place of ssh: what the code host would run, in its folder.
    script(
        tmp_path / "ssh",
        f"""for last; do :; done\ncd "{host}" && eval "$(echo "$last" | sed "s#'/#'./#")"\n""",
    )
    everywhere = env(host, GIT_SSH=str(tmp_path / "ssh"), GIT_CONFIG_COUNT="0")
    copy = f"uvx copier copy --defaults {SHORT} a"
    shell(copy, tmp_path, {**everywhere, "GIT_ALLOW_PROTOCOL": "ssh"}, code=1)
    shell(BLOCKS["Private forks"] + copy, tmp_path, everywhere)
    assert hub.answer(tmp_path / "a", "_src_path") == SHORT


# ---------------------------------------------------------------- a table


def test_the_table(tmp_path: Path, env: Env) -> None:
    """The guide's commands, with a project behind."""
    host = tmp_path / "host"
    repository = small(host, "v1.0.0")
    everywhere = env(host)
    project = copied(everywhere, tmp_path / "home" / "work" / "my-api")
    hub.publish(repository, "v1.1.0")
    shutil.copy(KIT / "lagging.py", tmp_path)
    (tmp_path / "projects.txt").write_text(f"{project.relative_to(tmp_path)}\n")
    for command in BLOCKS["A table"].splitlines():
        done = shell(command, tmp_path, everywhere, code=1)
        assert "v1.1.0" in done.stdout and "my-api" in done.stdout
