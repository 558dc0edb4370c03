"""Questions of copier.yml, evaluated alone: what Copier would offer, ask and refuse.

Copier needs a second for a copy; a validator alone takes a millisecond. What comes from here is
compared with Copier itself in tests/render/test_shapes.py and tests/interview.
"""

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
    """What the validator says; empty when the answer is good. `answer` is as it was given: for a
    yes or no also the word."""
    copiers = {
        "_copier_answers": {question: answer},
        "_copier_conf": {"settings": {"defaults": {}}},
    }
    text: str = fill(QUESTIONS[question]["validator"], {**copiers, **context, question: answer})
    return text.strip()


def offered(question: str, **context: Any) -> list[Any]:
    """The values that can be chosen."""
    choices = QUESTIONS[question]["choices"]
    if isinstance(choices, str):
        choices = yaml.safe_load(fill(choices, context)) or {}
    return list(choices.values())


def makes_sense(question: str, **context: Any) -> bool:
    """Whether the question has a meaning for these answers (`when`)."""
    return bool(yaml.safe_load(str(fill(QUESTIONS[question].get("when", True), context))))
