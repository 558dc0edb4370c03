"""The answers that the documentation gives to Copier are questions, and Copier takes them.

Copier says nothing about a misspelt name, and its help knows no names. So each documented
`copier copy` and `copier update` with `--data` is carried out, but for those that hold a value of
the reader's own.
"""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import hub
from conftest import FOLDER, ROOT, Render, tracked_files
from documents import VALUE, Words, commands, shell_blocks
from questions import ASKED, answered, complaint, makes_sense, offered
from updates import assert_no_conflict, commit

# These two have tests of their own; the first one shows a misspelt name.
ELSEWHERE = ("docs/updates.md", "docs/team-kit.md")


def answers(words: Words) -> dict[str, str]:
    """What stands after each `--data`."""
    given = re.findall(r"\0(?:-d|--data)[\0=]([^=\0]+)=([^\0]*)", "\0" + "\0".join(words))
    return dict(given)


def documented() -> dict[Words, str]:
    """Each `copier copy` or `update` that gives answers, and a document that has it."""
    found: dict[Words, str] = {}
    for name in tracked_files():
        if name.endswith(".md") and not name.startswith(("template/", "examples/", *ELSEWHERE)):
            for block in shell_blocks((ROOT / name).read_text(encoding="utf-8")):
                for words in commands(block.text):
                    if "copier" in words and answers(words):
                        found[words[words.index("copier") + 1 :]] = name
    return found


COMMANDS = documented()
COMPLETE = [words for words in COMMANDS if not any(VALUE in word for word in words)]


def test_answers_are_read() -> None:
    words = ("copy", "--data", "a=b, c=d", "-d", "e=", "--data=f=[g, h]", "--defaults", "x=y")
    assert answers(words) == {"a": "b, c=d", "e": "", "f": "[g, h]"}
    assert {"copy", "update"} == {words[0] for words in COMPLETE}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_name_is_a_question(words: Words) -> None:
    unknown = set(answers(words)) - set(ASKED)
    assert not unknown, f"{COMMANDS[words]}: no question is called {unknown}"


def assert_stored(project: Path, words: Words) -> None:
    """Each answer is there as it was given, not replaced by a default."""
    text = (project / ".copier-answers.yml").read_text(encoding="utf-8")
    stored: dict[str, Any] = yaml.safe_load(text)
    for name, value in answers(words).items():
        assert stored[name] in (value, yaml.safe_load(value)), (COMMANDS[words], name)


@pytest.mark.slow
@pytest.mark.parametrize("words", [w for w in COMPLETE if w[0] == "copy"], ids=" ".join)
def test_each_copy_is_accepted(words: Words, template: Path, tmp_path: Path) -> None:
    """As it stands, but with defaults."""
    at = words.index("gh:org/private-worker")
    given = [word for word in words[1:at] if word != "--defaults"]
    where = (str(template), str(tmp_path / FOLDER))
    hub.copier("copy", "--defaults", *given, *where, env=os.environ)
    assert_stored(tmp_path / FOLDER, words)


# What a page says the reader starts from, where it is not the personal project as rendered.
STARTS: dict[str, dict[str, Any]] = {
    "custom_domain": {"profile": "custom", "callers": ["human"]},
    "false": {"profile": "personal", "preview_urls": True},
    "[]": {
        "profile": "custom",
        "callers": ["human"],
        "access_scope": "hostname",
        "agents": ["local"],
    },
}


UPDATES = [words for words in COMPLETE if words[0] == "update"]


@pytest.mark.parametrize("words", [w for w in UPDATES if len(answers(w)) == 1], ids=" ".join)
def test_a_single_answer_is_accepted(words: Words) -> None:
    """By the question itself. The update is tried before a release."""
    [(name, value)] = answers(words).items()
    context = answered(STARTS.get(value, {"profile": "personal"}))
    assert makes_sense(name, **context)
    if allowed := offered(name, **context):
        chosen = yaml.safe_load(value)
        assert set(chosen if isinstance(chosen, list) else [value]) <= set(allowed)
    else:
        assert complaint(name, value, **context) == ""


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(w, marks=pytest.mark.slow if len(answers(w)) > 1 else pytest.mark.release)
        for w in UPDATES
    ],
    ids=" ".join,
)
def test_each_update_changes_the_answers(words: Words, render: Render, tmp_path: Path) -> None:
    """Without trust, without a conflict."""
    first = next(iter(answers(words).values()))
    project = tmp_path / FOLDER
    render(project, **STARTS.get(first, {"profile": "personal"}))
    commit(project)
    hub.copier(*words, str(project), env=os.environ)
    assert_stored(project, words)
    assert_no_conflict(project)
