"""Questions of copier.yml, evaluated alone: what Copier would offer, ask and refuse.

Copier needs a second for a copy; a validator alone takes a millisecond. What comes from here is
compared with Copier itself in tests/render/test_shapes.py and tests/interview.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

ROOT = Path(__file__).resolve().parents[1]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = {name: value for name, value in CONFIG.items() if not name.startswith("_")}
ASKED = list(QUESTIONS)
FREE_TEXT = [
    name
    for name, question in QUESTIONS.items()
    if question["type"] == "str" and "choices" not in question
]
FOLDER = "my-api"  # the folder's name is the project's default name


@cache
def _environment() -> SandboxedEnvironment:
    return SandboxedEnvironment(
        loader=FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        undefined=StrictUndefined,
    )


@cache
def _compiled(source: str) -> Any:
    return _environment().from_string(source)


def fill(source: Any, context: dict[str, Any]) -> Any:
    """A templated value of copier.yml with some answers."""
    return _compiled(source).render(context) if isinstance(source, str) else source


def complaint(question: str, answer: Any, **context: Any) -> str:
    """What the validator says; empty when the answer is good. `answer` is as it was given: of a
    yes or no the word."""
    copiers = {
        "_copier_answers": {question: answer},
        "_copier_conf": {"settings": {"defaults": {}}},
    }
    text: str = fill(QUESTIONS[question]["validator"], {**copiers, **context, question: answer})
    return text.strip()


def choices(question: str, **context: Any) -> dict[str, Any]:
    """What can be chosen: the words that are shown, and the answer that each stands for."""
    found = QUESTIONS[question].get("choices", {})
    if isinstance(found, str):
        found = yaml.safe_load(fill(found, context)) or {}
    return dict(found)


def offered(question: str, **context: Any) -> list[Any]:
    """The values that can be chosen."""
    return list(choices(question, **context).values())


def makes_sense(question: str, **context: Any) -> bool:
    """Whether the question has a meaning for these answers (`when`)."""
    return truth(QUESTIONS[question].get("when", True), context)


def asked(question: str, **context: Any) -> bool:
    """Whether a person is asked: it has a meaning, and the profile leaves it open (`ask`)."""
    return makes_sense(question, **context) and truth(QUESTIONS[question].get("ask", True), context)


def truth(source: Any, context: dict[str, Any]) -> bool:
    return bool(yaml.safe_load(str(fill(source, context))))


def default(question: str, context: dict[str, Any]) -> Any:
    """The answer of those who only press Enter."""
    value = fill(QUESTIONS[question].get("default", ""), context)
    if QUESTIONS[question].get("multiselect"):
        return yaml.safe_load(value)
    return truth(value, {}) if QUESTIONS[question]["type"] == "bool" else value


def answered(given: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """All answers, or those to the questions before that one. What is not given is its default."""
    context: dict[str, Any] = {"_folder_name": FOLDER}
    for name in QUESTIONS:
        if name == before:
            break
        context[name] = given[name] if name in given else default(name, context)
    return context


def shape(context: dict[str, Any]) -> Any:
    """What follows from all answers: the values of includes/shape.jinja as attributes."""
    return _environment().get_template("includes/shape.jinja").make_module(context)
