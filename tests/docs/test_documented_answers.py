"""Issue 7: the answers that the documentation gives to Copier are questions, and are accepted.

Copier says nothing about a misspelt name, and its help knows no names. So each documented
`copier copy` with `--data` is carried out, but for those that hold a value of the reader's own.
test_topics.py carries out each `copier update`.
"""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import hub
from conftest import FOLDER, ROOT, tracked_files
from documents import VALUE, Words, shell_blocks, split
from questions import ASKED

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")

# These two have tests of their own; the first one shows a misspelt name.
ELSEWHERE = ("docs/updates.md", "docs/team-kit.md")


def answers(words: Words) -> dict[str, str]:
    """What stands after each `--data`."""
    given = re.findall(r"\0(?:-d|--data)[\0=]([^=\0]+)=([^\0]*)", "\0" + "\0".join(words))
    return dict(given)


def commands() -> dict[Words, str]:
    """Each documented `copier copy` or `update` that gives answers, and a document that has it."""
    found: dict[Words, str] = {}
    for name in tracked_files():
        if name.endswith(".md") and not name.startswith(("template/", *ELSEWHERE)):
            texts = tuple(block.text for block in shell_blocks((ROOT / name).read_text("utf-8")))
            for _, words in split(texts, True).commands:
                if "copier" in words and answers(words):
                    found[words[words.index("copier") + 1 :]] = name
    return found


COMMANDS = {} if os.name == "nt" else commands()


def test_answers_are_read() -> None:
    words = ("copy", "--data", "a=b, c=d", "-d", "e=", "--data=f=[g, h]", "--defaults", "x=y")
    assert answers(words) == {"a": "b, c=d", "e": "", "f": "[g, h]"}
    assert any("README.md" == name for name in COMMANDS.values())


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words))
def test_each_name_is_a_question(words: Words) -> None:
    unknown = set(answers(words)) - set(ASKED)
    assert not unknown, f"{COMMANDS[words]}: no question is called {unknown}"


def stored(project: Path) -> Any:
    return yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))


def assert_stored(project: Path, words: Words) -> None:
    """Each answer is there as it was given, not replaced by a default."""
    for name, value in answers(words).items():
        assert stored(project)[name] in (value, yaml.safe_load(value)), (COMMANDS[words], name)


COPIES = [
    words for words in COMMANDS if words[0] == "copy" and not any(VALUE in word for word in words)
]


@pytest.mark.slow
@pytest.mark.parametrize("words", COPIES, ids=lambda words: " ".join(words))
def test_each_copy_is_accepted(words: Words, template: Path, tmp_path: Path) -> None:
    """As it stands, but with defaults."""
    at = words.index("gh:org/private-worker")
    given = [word for word in words[1:at] if word != "--defaults"]
    where = (str(template), str(tmp_path / FOLDER))
    hub.copier("copy", "--defaults", *given, *where, env={**os.environ})
    assert_stored(tmp_path / FOLDER, words)
