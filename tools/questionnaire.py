"""What is written in copier.yml: trust, settings, questions, choices."""

from collections.abc import Iterator
from typing import Any

import shapes
from template import STOPS, Answers, Problem, Template, one_line

WHERE = "copier.yml"
# Copier asks for trust because of these, for ever after the first release that has one.
NEEDS_TRUST = ("_tasks", "_jinja_extensions", "_external_data")
# Each of these has a rule of its own, or nothing can go wrong.
MAY_CHANGE = {"_exclude", "_migrations", "_min_copier_version", "_skip_if_exists", *NEEDS_TRUST}
NEVER_CHANGES = ("type", "multiselect")


def trust(new: Template) -> Iterator[Problem]:
    for name in NEEDS_TRUST:
        if new.config.get(name):
            yield Problem(WHERE, f"{name} would ask for --trust on every copy", "Remove it")


def settings(old: Template, new: Template, notes: str) -> Iterator[Problem]:
    """How Copier reads the template. An update renders with the new settings what was stored and
    edited under the old ones."""
    for name in sorted(old.config.keys() | new.config.keys()):
        if not name.startswith("_") or name.startswith("_message_") or name in MAY_CHANGE:
            continue
        if old.config.get(name) != new.config.get(name):
            yield Problem(f"{WHERE}, {name}", "the setting has changed", "Put it back")
    name = "_min_copier_version"
    if old.config.get(name) != new.config.get(name) and f"`{name}`" not in notes:
        what = f"people need Copier {new.config.get(name)} now"
        yield Problem(f"{WHERE}, {name}", what, f"Name `{name}` in the update notes")


def questions(old: Template, new: Template) -> Iterator[Problem]:
    for name, before in old.questions.items():
        now = new.questions.get(name)
        if now is None:
            yield Problem(f"{WHERE}, {name}", "the question is gone", "Put it back")
            continue
        for key in NEVER_CHANGES:
            if before.get(key) != now.get(key):
                what = f"`{key}` was {before.get(key)!r} and is {now.get(key)!r}"
                do = "Put it back: stored answers are of that kind"
                yield Problem(f"{WHERE}, {name}", what, do)
    for name, question in new.questions.items():
        if name not in old.questions and "default" not in question:
            do = "Give it one that renders what was rendered before"
            yield Problem(f"{WHERE}, {name}", "the new question has no default", do)
        if question.get("secret"):
            what = "a secret answer is not stored, so every update would render its default"
            yield Problem(f"{WHERE}, {name}", what, "Ask for no secret")


def seeds(old: Template, new: Template) -> Iterator[Problem]:
    for name in old.seeds:
        if name not in new.seeds:
            what = f"{name} is no seed file any more, so an update would change people's own code"
            yield Problem(f"{WHERE}, _skip_if_exists", what, "Put it back")


def choices(old: Template, new: Template) -> Iterator[Problem]:
    lost: dict[tuple[str, str], Answers] = {}
    for shape in shapes.selection():
        given = shapes.answers(shape)
        try:
            (_, before), (_, now) = old.context(given), new.context(given)
        except STOPS as error:
            yield Problem(WHERE, one_line(error), "Use only what is asked before")
            return
        for name in before.keys() & new.questions.keys():
            kept = [_typed(value) for value in now.get(name, [])]
            for value in before[name]:
                if name not in now or _typed(value) not in kept:
                    lost.setdefault((name, repr(value)), given)
    for (name, value), given in lost.items():
        what = f"the choice {value} is gone (profile {given['profile']})"
        yield Problem(f"{WHERE}, {name}", what, "Put it back: people have answered it")


def _typed(value: Any) -> tuple[type, Any]:
    """1 and true are equal in Python, and two answers."""
    return type(value), value
