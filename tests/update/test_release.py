"""tools/release.py refuses what would break somebody's next update.

A copy or an update that asks for trust, a default that its own validator refuses, a choice that is
gone, a file that is renamed: each rule is broken at least once.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import archives
import compatible
import exclusions
import migrations
import questionnaire
import quicker
import rendered
import replay
import shapes
from conftest import ROOT, git, snapshot
from questions import FREE_TEXT
from samples import GOOD
from tags import tags
from template import Problem, Template

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


def appended(text: str, file: str = "copier.yml") -> Change:
    def change(folder: Path) -> None:
        (folder / file).write_text((folder / file).read_text("utf-8") + text, encoding="utf-8")

    return change


def renamed(before: str, after: str) -> Change:
    def change(folder: Path) -> None:
        (folder / "template" / before).rename(folder / "template" / after)

    return change


def removed(name: str) -> Change:
    """A file or a folder, and its lines in the list of what is hashed."""

    def change(folder: Path) -> None:
        path = folder / "template" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        listed = folder / "template" / ".private-worker.toml.jinja"
        lines = listed.read_text("utf-8").splitlines(keepends=True)
        start = f'  "{name.removesuffix(".jinja")}'
        kept = [line for line in lines if not line.startswith(start)]
        listed.write_text("".join(kept), encoding="utf-8")

    return change


def written(name: str, text: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")

    return change


def many(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def excluded(lines: str) -> Change:
    """More lines in the list of what is not rendered."""
    return replaced("  - node_modules\n", f"  - node_modules\n  - |\n{lines}")


NEW_QUESTION = "\ncolour:\n  type: str\n"
EMAILS = "check.emails(allowed_emails) }}"
DESCRIPTION = "check.line(description, 'a description', 200) }}"
WORKERS = "check.calling_workers(calling_workers, worker_name) }}"
NO_STAR = replaced(EMAILS, EMAILS + "{{ 'No star.' if '*' in allowed_emails }}")
SCRIPT = "hooks/migrations/v2_0_0.py"
RENAME = renamed("src/guard/values.py", "src/guard/plain_values.py")
MOVE = 'from moves import move\n\nmove("src/guard/values.py", "src/guard/plain_values.py")\n'
NO_LOG = (
    "    {%- if ci == 'gitlab' and ops and staging %}\n    /src/guard/log.py\n    {%- endif %}\n"
)


def migration(version: str = "v2.0.0", stage: str = "before", script: str = SCRIPT) -> Change:
    """As hooks/README.md says."""
    path = "{{ _copier_conf.src_path }}/" + script
    return appended(
        f"\n_migrations:\n  - version: {version}\n    when: \"{{{{ _stage == '{stage}' }}}}\"\n"
        f'    command: ["{{{{ _copier_python }}}}", "{path}"]\n'
    )


Rule = Callable[[Template, Template], Iterable[Problem]]


def trust(old: Template, new: Template) -> Iterable[Problem]:
    return questionnaire.trust(new)


def names(old: Template, new: Template) -> Iterable[Problem]:
    return rendered.names(new)


def exclude(old: Template, new: Template) -> Iterable[Problem]:
    return exclusions.exclude({"v1.0.0": old}, new)


def left_behind(old: Template, new: Template) -> Iterable[Problem]:
    return exclusions.left_behind({"v1.0.0": old}, new, "")


def everything(old: Template, new: Template) -> Iterable[Problem]:
    return compatible.problems({"v1.0.0": old}, new, "", "v2.0.0")


settings = partial(questionnaire.settings, notes="")
moves = partial(migrations.migrations, last="v1.0.0", version="v2.0.0")
validators = partial(replay.validators, notes="")
every_pair = partial(replay.every_pair, notes="")
owners = partial(rendered.owners, notes="")
paths = partial(rendered.paths, notes="")
wrangler = partial(rendered.wrangler, notes="")

# What was changed, the rule, and what it says about it: rules that cost a moment.
QUICK: dict[str, tuple[Change, Rule, str]] = {
    "a question is renamed": (
        replaced("\nsession_duration:", "\nsession_length:"),
        questionnaire.questions,
        "copier.yml, session_duration: the question is gone. Put it back",
    ),
    "a question is computed now": (
        replaced("\nops:\n  type: bool\n", "\nops:\n  type: bool\n  when: false\n"),
        questionnaire.questions,
        "copier.yml, ops: the question is gone. Put it back",
    ),
    "a yes or no becomes a text": (
        replaced("\npreview_urls:\n  type: bool", "\npreview_urls:\n  type: str"),
        questionnaire.questions,
        "copier.yml, preview_urls: `type` was 'bool' and is 'str'. Put it back",
    ),
    "several answers become one": (
        replaced("callers:\n  type: str\n  multiselect: true\n", "callers:\n  type: str\n"),
        questionnaire.questions,
        "copier.yml, callers: `multiselect` was True and is None. Put it back",
    ),
    "an answer is secret": (
        replaced("\nteam_domain:\n", "\nteam_domain:\n  secret: true\n"),
        questionnaire.questions,
        "copier.yml, team_domain: a secret answer is not stored",
    ),
    "a new question without a default": (
        appended(NEW_QUESTION),
        questionnaire.questions,
        "copier.yml, colour: the new question has no default. Give it one",
    ),
    "another folder is rendered": (
        replaced("_subdirectory: template\n", "_subdirectory: includes\n"),
        settings,
        "copier.yml, _subdirectory: the setting has changed. Put it back",
    ),
    "misspelt names are let through": (
        replaced("  undefined: jinja2.StrictUndefined", "  undefined: jinja2.Undefined"),
        settings,
        "copier.yml, _envops: the setting has changed. Put it back",
    ),
    "another answers file": (
        appended("\n_answers_file: answers.yml\n"),
        settings,
        "copier.yml, _answers_file: the setting has changed. Put it back",
    ),
    "a newer Copier": (
        replaced('"9.19.0"', '"9.19.1"'),
        settings,
        "copier.yml, _min_copier_version: people need Copier 9.19.1 now. Name `_min_copier_version",
    ),
    "a task": (
        appended("\n_tasks: [echo]\n"),
        trust,
        "copier.yml: _tasks would ask for --trust on every copy. Remove it",
    ),
    "a task through a merge key": (
        appended("\n<<: {_tasks: [echo]}\n"),
        trust,
        "copier.yml: _tasks would ask for --trust on every copy. Remove it",
    ),
    "an extension": (
        appended("\n_jinja_extensions: [jinja2.ext.do]\n"),
        trust,
        "copier.yml: _jinja_extensions would ask for --trust on every copy. Remove it",
    ),
    "a migration without a version": (
        appended("\n_migrations:\n  - command: [echo]\n    when: false\n"),
        moves,
        "copier.yml, _migrations: a migration without `version:` would ask for --trust on every",
    ),
    "a migration that is a command alone": (
        appended("\n_migrations: [echo]\n"),
        moves,
        "copier.yml, _migrations: a migration without `version:` would ask for --trust on every",
    ),
    "a migration of a version that is none": (
        many(migration("next"), written(SCRIPT, MOVE)),
        moves,
        "copier.yml, _migrations: Invalid version: 'next'. Give it the version",
    ),
    "a migration that has run before": (
        many(migration("v1.0.0"), written(SCRIPT, MOVE)),
        moves,
        "that of v1.0.0 does not run on the way from v1.0.0 to this release. Give it v2.0.0",
    ),
    "a migration that does not run yet": (
        many(migration("v2.1.0"), written(SCRIPT, MOVE)),
        moves,
        "that of v2.1.0 does not run on the way from v1.0.0 to this release. Give it v2.0.0",
    ),
    "a migration after the update": (
        many(migration(stage="after"), written(SCRIPT, MOVE)),
        moves,
        f"{SCRIPT} does not run before the update and only then. Afterwards the old names are gone",
    ),
    "a migration without its script": (
        migration(),
        moves,
        f"copier.yml, _migrations: {SCRIPT} is missing. Add it, or correct the name",
    ),
    "a migration through a shell": (
        appended("\n_migrations:\n  - version: v2.0.0\n    command: git mv a b\n"),
        moves,
        "copier.yml, _migrations: that of v2.0.0 runs another command. Write it as hooks/README.md",
    ),
    "a migration in Copier's old form": (
        appended("\n_migrations:\n  - version: v2.0.0\n    before: [[git, mv, a, b]]\n"),
        moves,
        "copier.yml, _migrations: that of v2.0.0 has other keys. Write it as hooks/README.md says",
    ),
    "a seed file is taken out of _skip_if_exists": (
        replaced("\n  - src/internal.py\n", "\n"),
        questionnaire.seeds,
        "copier.yml, _skip_if_exists: src/internal.py is no seed file any more",
    ),
    "_exclude imports a file": (
        excluded("    {%- import 'includes/shape.jinja' as shape with context %}\n    /x\n"),
        exclude,
        "copier.yml, _exclude: it imports a file, which a release before this one has not",
    ),
}
# Those that look at every shape, or render some.
SLOW: dict[str, tuple[Change, Rule, str]] = {
    "a choice is renamed": (
        replaced('"6 hours": "6h"', '"6 hours": "360m"'),
        questionnaire.choices,
        "copier.yml, session_duration: the choice '6h' is gone (profile personal). Put it back",
    ),
    "a templated choice is gone for one profile": (
        replaced("{% if profile in ['production', 'custom'] %}", "{% if profile == 'custom' %}"),
        questionnaire.choices,
        "copier.yml, callers: the choice 'machine' is gone (profile production). Put it back",
    ),
    "a choice goes away for some answers only": (
        replaced(
            "{% if callers == ['binding'] %}\n    \"nowhere",
            "{% if callers == ['binding'] and profile != 'custom' %}\n    \"nowhere",
        ),
        questionnaire.choices,
        "copier.yml, exposure: the choice 'none' is gone (profile custom)",
    ),
    "a mistake in what is only shown": (
        appended(f"{NEW_QUESTION}  default: red\n  help: For {{{{ nobody }}}}\n"),
        questionnaire.choices,
        "copier.yml: 'nobody' is undefined. Use only what is asked before",
    ),
    "a managed file becomes a seed file": (
        replaced("\n  - src/internal.py\n", "\n  - src/internal.py\n  - src/guard/to*.py\n"),
        owners,
        "copier.yml, _skip_if_exists: src/guard/token.py would be a seed file, and never be updated"
        " again. Name new files only, or name `src/guard/token.py` in the update notes",
    ),
    "_exclude uses what an old release has not": (
        many(
            appended(f"{NEW_QUESTION}  default: red\n"),
            excluded("    {{ '/x' if colour == 'blue' }}\n"),
        ),
        exclude,
        "copier.yml, _exclude: an update of a project of v1.0.0 would stop: 'colour' is undefined",
    ),
    "_exclude takes a file away for two answers together": (
        excluded(NO_LOG),
        left_behind,
        "src/guard/log.py: an update would leave it in projects of v1.0.0 (answers",
    ),
    "_exclude takes a seed file away": (
        excluded("    /src/api.py\n"),
        left_behind,
        "src/api.py: an update would leave it in projects of v1.0.0 (answers personal). Take it out"
        " of `_exclude`",
    ),
    "_exclude names a file without its folder": (
        replaced("  - node_modules\n", "  - node_modules\n  - log.py\n"),
        left_behind,
        "src/guard/log.py: an update would leave it in projects of v1.0.0 (answers personal)",
    ),
    "a managed file is gone": (
        removed("src/guard/log.py.jinja"),
        paths,
        "src/guard/log.py: an update would delete it, and people's edits with it (answers personal)"
        ". Keep it, name `src/guard/log.py` in the update notes, or move it in a migration",
    ),
    "a migration of another file": (
        many(RENAME, migration(), written(SCRIPT, 'move("src/other.py", "src/new.py")\n')),
        paths,
        "src/guard/values.py: an update would delete it",
    ),
    "a seed file is renamed, with a migration": (
        many(
            renamed("src/internal.py.jinja", "src/private.py.jinja"),
            migration(),
            written(SCRIPT, 'move("src/internal.py", "src/private.py")\n'),
        ),
        paths,
        "src/internal.py: an update would delete people's own code",
    ),
    "a default that is refused for two answers together": (
        appended(
            f"{NEW_QUESTION}  default: red\n"
            "  validator: \"{{ 'No.' if ci == 'gitlab' and profile == 'production' }}\"\n"
        ),
        every_pair,
        "): No. Give a default that passes its own validator",
    ),
    "an answer is dropped for two answers together": (
        replaced(
            'when: "{{ \'binding\' in callers }}"\n  default: ""',
            "when: \"{{ 'binding' in callers and exposure != 'route' }}\"\n  default: \"\"",
        ),
        every_pair,
        " would be no answer any more (custom-",
    ),
    "a validator is tightened for one shape": (
        replaced(
            WORKERS, WORKERS + "{{ 'No.' if exposure == 'none' and staging and calling_workers }}"
        ),
        validators,
        "copier.yml, calling_workers: 'gateway' was accepted and is refused",
    ),
    "a validator is tightened for long texts": (
        replaced(DESCRIPTION, DESCRIPTION.replace("200", "199")),
        validators,
        "(200 characters)' was accepted and is refused. Keep accepting it, or name",
    ),
    "a macro is tightened": (
        replaced(
            "{%- if name != '*' and (",
            "{%- if name != '*' and (name != name | lower or ",
            "includes/checks.jinja",
        ),
        validators,
        "copier.yml, allowed_emails: 'Zann@example.com' was accepted and is refused",
    ),
    "names that differ in capitals only": (
        written("template/docs/Setup.md", "x\n"),
        names,
        "docs/SETUP.md: docs/Setup.md differs from it in capitals only",
    ),
    "a name that Windows refuses": (
        written("template/docs/aux.md", "x\n"),
        names,
        "docs/aux.md: Windows refuses the name. Take another one",
    ),
    "git overlooks what is rendered": (
        appended("docs/SETUP.md\n", "template/.gitignore.jinja"),
        names,
        "docs/SETUP.md: .gitignore hides it, so an update overwrites it without a word",
    ),
    "who gets in is another default": (
        replaced(
            "items(allowed_emails, 'REPLACE_WITH_YOUR_EMAIL')",
            "items(allowed_emails, '*')",
            "includes/shape.jinja",
        ),
        wrangler,
        "wrangler.jsonc: an update would change vars.ALLOWED_EMAILS from "
        "['REPLACE_WITH_YOUR_EMAIL'] to ['*'] (answers personal). Keep it, or name `ALLOWED_EMAILS",
    ),
    "a file that cannot be rendered": (
        appended("{{ nobody }}\n", "template/docs/SETUP.md.jinja"),
        rendered.renders,
        "template/, answers personal: 'nobody' is undefined. Correct the template",
    ),
    "another template in the answers file": (
        written(
            "template/{{ _copier_conf.answers_file }}.jinja",
            "{{ dict(_copier_answers, _src_path='gh:somebody/else') | to_nice_yaml -}}\n",
        ),
        rendered.renders,
        ".copier-answers.yml: it says {'_src_path': 'gh:somebody/else'} where Copier gave only",
    ),
    "no answers file": (
        removed("{{ _copier_conf.answers_file }}.jinja"),
        rendered.renders,
        ".copier-answers.yml is not rendered, and no update works without it. Correct",
    ),
}


# Mistakes of each group of rules: the first group that finds something is the last one.
GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "as it is written": (
        ("a question is renamed", "a task", "another answers file"),
        ("a seed file is taken out of _skip_if_exists", "_exclude imports a file"),
        ("a migration through a shell", "a choice goes away for some answers only"),
    ),
    "answers": (
        ("an answer is dropped for two answers together", "a managed file becomes a seed file"),
        ("a validator is tightened for long texts",),
    ),
    "rendered": (("a file that cannot be rendered",),),
}
# The last group beside what is allowed.
REFUSED = (
    "a managed file is gone",
    "a name that Windows refuses",
    "who gets in is another default",
    "_exclude takes a seed file away",
)
TOGETHER = {name for group in GROUPS.values() for part in group for name in part} | {*REFUSED}


def marked(name: str) -> Any:
    """The slow ones that are tried together with others below are tried alone before a release."""
    if name in QUICK:
        return name
    mark = pytest.mark.release if name in TOGETHER else pytest.mark.slow
    return pytest.param(name, marks=mark)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Copier's folders
@pytest.mark.parametrize("name", [marked(name) for name in [*QUICK, *SLOW]])
def test_what_breaks_updates_is_refused(old: Template, tmp_path: Path, name: str) -> None:
    change, rule, expected = {**QUICK, **SLOW}[name]
    archives.working_tree(ROOT, tmp_path)
    change(tmp_path)
    lines = [str(problem) for problem in rule(old, Template(tmp_path))]
    assert [line for line in lines if expected in line], lines
    assert_each_says_what_to_do(lines)


def assert_each_says_what_to_do(lines: list[str]) -> None:
    assert all("\n" not in line and line.count(". ") >= 1 for line in lines)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_every_rule_is_asked(old: Template, tmp_path: Path, group: str) -> None:
    """Many mistakes of a group, in one list."""
    archives.working_tree(ROOT, tmp_path)
    cases = [{**QUICK, **SLOW}[name] for part in GROUPS[group] for name in part]
    for change, _, _ in cases:
        change(tmp_path)
    lines = [str(problem) for problem in everything(old, Template(tmp_path))]
    for _, _, expected in cases:
        assert [line for line in lines if expected in line], (expected, lines)
    assert_each_says_what_to_do(lines)


@pytest.mark.slow
def test_what_copier_refuses(old: Template, tmp_path: Path) -> None:
    """In the words of Copier, for a mistake that the other rules do not see: the answer of a
    profile that makes its own default."""
    archives.working_tree(ROOT, tmp_path)
    replaced("\nci:\n  type: str\n", "\nci:\n  type: nonsense\n")(tmp_path)
    lines = [str(problem) for problem in replay.replayed(old, Template(tmp_path), "")]
    assert lines and all("nonsense" in line for line in lines), lines


@pytest.mark.slow
def test_what_is_allowed(old: Template, tmp_path: Path) -> None:
    """A question with a default and a further choice; a rename with its migration. If the update
    notes name them: an answer that falls back to its default, a setting that changes, a managed
    file that goes, alone or with its folder, one that is left behind, one that becomes a seed.
    Beside them what is not allowed of the last group of rules, in one list."""
    archives.working_tree(ROOT, tmp_path)
    many(
        appended(f"{NEW_QUESTION}  default: red\n"),
        replaced('    "1 month": "730h"\n', '    "1 month": "730h"\n    "2 months": "1460h"\n'),
        many(RENAME, migration(), written(SCRIPT, MOVE)),
        NO_STAR,
        replaced('"2026-11-01"', '"2026-12-01"', "template/wrangler.jsonc.jinja"),
        removed("src/bridge.py"),
        removed("callers/curl.sh"),
        removed("callers/python/"),
        excluded("    /docs/SECURITY.md\n"),
        replaced("\n  - src/internal.py\n", "\n  - src/internal.py\n  - src/guard/to*.py\n"),
    )(tmp_path)
    notes = """
        - `allowed_emails`: a star is not accepted. `compatibility_date` is another one.
        - `src/bridge.py`, `callers/curl.sh` and `callers/python/` are gone; delete
          `docs/SECURITY.md`. `src/guard/token.py` is yours now.
    """
    cases = [SLOW[name] for name in REFUSED]
    for change, _, _ in cases:
        change(tmp_path)
    problems = compatible.problems({"v1.0.0": old}, Template(tmp_path), notes, "v2.0.0")
    lines = [str(problem) for problem in problems]
    for _, _, expected in cases:
        assert [line for line in lines if line.startswith(expected)], (expected, lines)
    assert_each_says_what_to_do(lines)
    where = {"src/guard/log.py", "wrangler.jsonc", "src/api.py"}
    where |= {"docs/aux.md", "template/docs/aux.md"}
    assert {problem.where for problem in problems} == where, lines


def test_a_folder_that_stays_is_named_for_other_reasons() -> None:
    """Only a folder from which all is gone stands for its files."""
    here = {"src/api.py", "tests/test_api.py"}
    for notes in ("`tests/kit/runtime.py`", "`tests/kit/`", "`tests/kit/`, `tests/guard/`"):
        assert rendered.withdrawn("tests/kit/runtime.py", notes, here)
    for notes in ("", "tests/kit/", "`tests/kit`", "`tests/`", "`tests/guard/`", "`runtime.py`"):
        assert not rendered.withdrawn("tests/kit/runtime.py", notes, here)
    assert not rendered.withdrawn("src/log.py", "`src/`", here)


def test_a_question_that_nobody_was_asked_may_go(old: Template, tmp_path: Path) -> None:
    """It was computed, so no answers file has it. `_exclude` of later versions cannot use it."""
    archives.working_tree(ROOT, tmp_path)
    appended("\npw_edge:\n  type: bool\n  when: false\n  default: true\n")(tmp_path)
    before = Template(tmp_path)
    assert list(questionnaire.questions(before, old)) == []


@pytest.mark.parametrize("text", ["- a list\n", "a: 1\n---\n_tasks: [echo]\n", "!include x.yml\n"])
def test_a_questionnaire_that_hides_something(tmp_path: Path, text: str) -> None:
    """More than one document, and what is included, Copier would read and we would not."""
    (tmp_path / "copier.yml").write_text(text)
    with pytest.raises(ValueError):
        Template(tmp_path)


def test_a_migration_stays(tmp_path: Path, old: Template) -> None:
    """Somebody crosses its release later."""
    archives.working_tree(ROOT, tmp_path / "before")
    many(migration(), written(SCRIPT, MOVE))(tmp_path / "before")
    with_one = Template(tmp_path / "before")
    lines = [str(x) for x in migrations.migrations(with_one, old, "v2.0.0", "v2.1.0")]
    assert lines == [
        "copier.yml, _migrations: the migration of v2.0.0 is gone or has changed. "
        "Put it back: people cross that release later than you"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["personal", "everybody", "internal-both-fastapi"])
def test_names_are_those_of_a_copy(old: Template, shape: str) -> None:
    """What is evaluated here is what Copier renders."""
    given = shapes.answers(shapes.of_interest()[shape])
    copied = old.interview(given)
    assert old.stored(given) == copied
    assert old.names(old.context(given)[0]) == set(old.files(given))


@pytest.mark.slow
@pytest.mark.parametrize("version", archives.released(ROOT / "releases"))
def test_names_of_a_release(tmp_path: Path, version: str) -> None:
    """Old ones have conditions in the names of files."""
    archive = archives.released(ROOT / "releases")[version]
    released = Template(archives.unpack(archive, tmp_path))
    given = shapes.answers(shapes.of_interest()["everybody"], domain=False)
    assert released.names(released.context(given)[0]) == set(released.files(given))


@pytest.mark.slow
def test_the_answers_that_are_kept(old: Template) -> None:
    """Every free text with samples; every profile and shape accepted by what is checked."""
    assert set(GOOD) == set(FREE_TEXT)
    corpus = replay.corpus()
    assert len(corpus) > 25
    for label, given in corpus.items():
        assert old.interview(given)["profile"] == given["profile"], label


def test_the_newest_release_is_the_last(tmp_path: Path) -> None:
    """By version, not by name."""
    for version in ("v1.10.0", "v1.9.0", "v0.2.0"):
        (tmp_path / f"{version}.tar.xz").touch()
    (tmp_path / "README.md").touch()
    assert list(archives.released(tmp_path)) == ["v0.2.0", "v1.9.0", "v1.10.0"]
    (tmp_path / "v1.10.0 (copy).tar.xz").touch()
    with pytest.raises(ValueError, match="is named after no version"):
        archives.released(tmp_path)


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """A clone without tags, without archives and with nothing in its changelog."""
    folder = snapshot(tmp_path_factory.mktemp("made") / "private-worker", "x")
    git(folder, "tag", "--delete", "x")
    (folder / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n", encoding="utf-8")
    for archive in archives.released(folder / "releases").values():
        archive.unlink()
    return folder


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Path:
    """A copy of it to work in."""
    folder: Path = shutil.copytree(made, tmp_path / "private-worker")
    return folder


def tool(repository: Path, *arguments: str) -> tuple[int, list[str], list[str]]:
    command = [sys.executable, quicker.__file__, "tools/release.py", *arguments]
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
    """A repository with a release, which had a question that is gone now."""
    appended(f"{NEW_QUESTION}  default: red\n")(repository)
    git(repository, "commit", "--all", "--message", "x")
    archives.write(repository, "HEAD", repository / "releases" / "v0.1.0.tar.xz")
    git(repository, "tag", "--annotate", "v0.1.0", "--message", "v0.1.0")
    replaced(f"{NEW_QUESTION}  default: red\n", "")(repository)
    return repository


@pytest.mark.slow
def test_a_second_release(second: Path) -> None:
    """It is compared with the newest archive."""
    code, _, lines = tool(second, "check")
    assert code == 1 and len(lines) == 1
    assert lines[0].startswith("copier.yml, colour: the question is gone")


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", ["v0.1.0", "v0.1.2", "v0.3.0", "v3.0.0", "0.2.0", "v0.2", "v0.2.0rc1"]
)
def test_no_step(second: Path, wrong: str) -> None:
    code, _, lines = tool(second, "check", wrong)
    assert code == 1 and "Take one of v0.1.1, v0.2.0, v1.0.0" in lines[0]


@pytest.mark.slow
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


# --- What would make the archive another one than the tag -----------------------------------------


def linked(repository: Path) -> None:
    (repository / "template" / "docs" / "LINK.md").symlink_to("SETUP.md.jinja")


def executable(repository: Path) -> None:
    (repository / "template" / "docs" / "RUN.md").write_text("x\n")
    (repository / "template" / "docs" / "RUN.md").chmod(0o755)


def nested(repository: Path) -> None:
    inner = repository / "template" / "inner"
    inner.mkdir()
    git(inner, "init")
    git(inner, "commit", "--allow-empty", "--message", "x")


def large(repository: Path) -> None:
    (repository / "template" / "large.txt").write_bytes(b"x" * (archives.LARGEST + 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (linked, "template/docs/LINK.md is a symbolic link."),
        (executable, "template/docs/RUN.md is executable."),
        (nested, "template/inner is another repository."),
        (large, "the files have more than 5000000 bytes."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.skipif(os.name == "nt", reason="links and modes of POSIX")
def test_no_archive_of_what_is_no_plain_file(
    second: Path, change: Callable[[Path], None], message: str
) -> None:
    change(second)
    git(second, "-c", "advice.addEmbeddedRepo=false", "add", "--all")
    git(second, "commit", "--message", "x")
    code, _, lines = tool(second, "make", "v0.2.0")
    assert code == 1 and lines == [message]
    assert list(archives.released(second / "releases")) == ["v0.1.0"]


@pytest.mark.slow
def test_settings_of_git_change_nothing(repository: Path, tmp_path: Path) -> None:
    """Line ends, attributes and what is marked as unchanged: the archive is of the commit."""
    plain, other = tmp_path / "1.tar.xz", tmp_path / "2.tar.xz"
    archives.write(repository, "HEAD", plain)
    git(repository, "config", "core.autocrlf", "true")
    (repository / ".git" / "info" / "attributes").write_text("template/docs/* export-ignore\n")
    git(repository, "update-index", "--assume-unchanged", "copier.yml")
    (repository / "copier.yml").write_text("x: y\n")
    archives.write(repository, "HEAD", other)
    assert plain.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("template/../../outside", tarfile.REGTYPE),
        ("/template/outside", tarfile.REGTYPE),
        ("template/link", tarfile.SYMTYPE),
        ("template/link", tarfile.LNKTYPE),
        ("template/device", tarfile.CHRTYPE),
        ("setup.py", tarfile.REGTYPE),
    ],
)
def test_an_archive_that_leads_outside(tmp_path: Path, name: str, kind: bytes) -> None:
    archive = tmp_path / "v1.0.0.tar.xz"
    with tarfile.open(archive, "x:xz") as made:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "../../outside"
        made.addfile(entry, BytesIO())
    with pytest.raises(ValueError, match="holds"):
        archives.unpack(archive, tmp_path / "here" / "there")
    assert [path.name for path in tmp_path.rglob("*")] == ["v1.0.0.tar.xz"]


def release_lines(repository: Path) -> list[str]:
    return [str(x) for x in tags(repository, archives.released(repository / "releases"))]


@pytest.mark.slow
def test_tags_and_archives_belong_together(second: Path) -> None:
    archive = second / "releases" / "v0.1.0.tar.xz"
    assert release_lines(second) == []
    git(second, "tag", "--annotate", "old", "--message", "x", "v0.1.0^{}")
    assert ["old is on the same commit" in line for line in release_lines(second)] == [True]
    git(second, "tag", "--delete", "old")
    git(second, "commit", "--allow-empty", "--message", "x")
    git(second, "tag", "2026.1")
    assert release_lines(second) == [
        "2026.1: Copier takes this tag for a version above all releases. "
        "Delete it here and at the remote"
    ]
    git(second, "tag", "--delete", "2026.1")
    git(second, "tag", "v0.1.1")
    assert ["v0.1.1: the tag has no archive" in line for line in release_lines(second)] == [True]
    git(second, "tag", "--delete", "v0.1.1")
    archive.unlink()
    git(second, "rm", "--quiet", "--cached", "CHANGELOG.md")
    archives.write(second, "HEAD", archive)
    assert release_lines(second) == [], "the same parts, another commit"
    (second / "copier.yml").write_text("x: y\n")
    git(second, "commit", "--message", "x", "copier.yml")
    archive.unlink()
    archives.write(second, "HEAD", archive)
    assert ["does not hold what the tag holds" in line for line in release_lines(second)] == [True]


@pytest.mark.slow
def test_a_release_needs_the_tags(second: Path) -> None:
    """A clone that is shallow, or without them, cannot see what was released."""
    git(second, "add", "--all")
    git(second, "commit", "--message", "x")
    git(second, "tag", "--delete", "v0.1.0")
    code, _, lines = tool(second, "make", "v0.2.0")
    assert code == 1 and lines[0].startswith("v0.1.0: the tag is not here. Run `git fetch --tags`")
    git(second, "tag", "v0.1.0", "HEAD~1")
    code, _, lines = tool(second, "make", "v0.2.0")
    assert code == 1 and lines[0].startswith("v0.1.0: the tag is not annotated")


@pytest.mark.slow
def test_a_second_questionnaire(second: Path) -> None:
    """Copier stops where copier.yaml stands beside copier.yml."""
    (second / "copier.yaml").write_text("x: y\n")
    code, _, lines = tool(second, "check")
    assert (code, lines) == (1, ["copier.yaml: Copier stops when it finds two. Remove it"])
