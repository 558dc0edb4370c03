"""The page of the interview's questions: what copier.yml says, and what it comes to."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from questions import (
    ASKED,
    FREE_TEXT,
    QUESTIONS,
    answered,
    asked,
    choices,
    complaint,
    default,
    fill,
    makes_sense,
)
from reference_markdown import code, either, table, text
from samples import BAD, CONTEXT, GOOD
from shapes import PARAMETERS, answers, selection

PROFILES = PARAMETERS["profile"]
PROJECT = "Invoice API"
# One name from which a Worker's name can be made, and one from which it cannot.
NAMES = (PROJECT, "日本語")
TYPES = {"str": "text", "bool": "`true` or `false`"}

INTRO = f"""# Questions of the interview

Every question of `copier.yml`, in the order in which it is asked. One that is not asked takes its
default, unless `--data name=answer` gives another answer. An answer that has no meaning for the
rest is left out.

The columns are the answers to `profile`. Defaults are shown for a project called "{PROJECT}" in the
folder `my-api`, as they are as long as nothing else is answered.

"""


def page() -> str:
    return INTRO + overview() + "".join(section(name) for name in ASKED)


def overview() -> str:
    rows = [
        [
            f"[{code(name)}](#{name})",
            *(
                share(asked(name, **each) for each in contexts(name, profile))
                for profile in PROFILES
            ),
        ]
        for name in ASKED
    ]
    return table(["asked?", *map(code, PROFILES)], rows)


def section(name: str) -> str:
    parts = [
        f"\n## {code(name)}\n\n{wording(name)}",
        f"\nThe answer is {kind(name)}. {conditions(name)}\n\n",
        options(name),
        table(["", *map(code, PROFILES)], [["default", *(default_in(name, p) for p in PROFILES)]]),
        samples(name),
    ]
    return "".join(parts)


def wording(name: str) -> str:
    """What the interview asks, in all its forms."""
    found = (
        " ".join(fill(QUESTIONS[name]["help"], each).split())
        for profile in PROFILES
        for each in contexts(name, profile)
        if makes_sense(name, **each)
    )
    return ">\n".join(f"> {text(words)}\n" for words in dict.fromkeys(found))


def kind(name: str) -> str:
    question = QUESTIONS[name]
    if "choices" in question:
        if not question.get("multiselect"):
            return "one of the choices"
        return "one or more of the choices" if "validator" in question else "any of the choices"
    return TYPES[question["type"]]


def conditions(name: str) -> str:
    """When it has a meaning, and when it is asked, from the expressions."""
    question = QUESTIONS[name]
    said = "It always has a meaning."
    if "when" in question:
        said = f"It has a meaning when {in_words(question['when'])}."
    return said + (f" It is asked when {in_words(question['ask'])}." if "ask" in question else "")


# What the expressions of copier.yml are made of, in words.
WORDS = (
    (r"(\w+) != \['(\w+)'\]", r"`\1` is not only `\2`"),
    (r"'(\w+)' in (\w+)", r"`\2` has `\1`"),
    (r"(\w+) in \['(\w+)', '(\w+)'\]", r"`\1` is `\2` or `\3`"),
    (r"(\w+) == '(\w+)'", r"`\1` is `\2`"),
    (r"(\w+) != '(\w+)'", r"`\1` is not `\2`"),
    (r"\Astaging\b", "`staging` is `true`"),
    (r"\bor not slug\(project_name\)", "or no name can be made of `project_name`"),
)


def in_words(expression: str) -> str:
    """A `when` or an `ask`. Raises ValueError if it is made of something else."""
    words = expression.split("{{")[1].removesuffix("}}").strip()
    for form, said in WORDS:
        words = re.sub(form, said, words)
    if re.search(r"[=!()\[\]{}|']", words):
        raise ValueError(f"no words for {expression}")
    return words


def options(name: str) -> str:
    """The choices, and to whom each is offered."""
    offers = {
        profile: [
            choices(name, **each) for each in contexts(name, profile) if makes_sense(name, **each)
        ]
        for profile in PROFILES
    }
    every = [offer for found in offers.values() for offer in found]
    words = {value: shown for offer in every for shown, value in offer.items()}
    if not words:
        return ""
    head, rows = (
        ["choice", "in words"],
        [[code(value), described(value, words[value])] for value in words],
    )
    if any(offer != every[0] for offer in every):
        head += map(code, PROFILES)
        for row in zip(rows, words, strict=True):
            row[0].extend(share(row[1] in offer.values() for offer in offers[p]) for p in PROFILES)
    return table(head, rows) + "\n"


def described(value: str, words: str) -> str:
    """Without the value in front, where the words are two columns."""
    return text(words.removeprefix(f"{value}  "))


def share(holds: Iterable[bool]) -> str:
    held = list(holds)
    return "no" if not any(held) else "yes" if all(held) else "sometimes"


def default_in(name: str, profile: str) -> str:
    context = answered({"profile": profile, "project_name": PROJECT})
    if not makes_sense(name, **context) and not any(
        makes_sense(name, **each) for each in contexts(name, profile)
    ):
        return "no meaning"
    value = default(name, answered({"profile": profile, "project_name": PROJECT}, before=name))
    if isinstance(value, list):
        return either([code(one) for one in value], "and") if value else "none of them"
    return code(typed(value))


def typed(value: Any) -> str:
    """As it is typed after `--data name=`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def contexts(name: str, profile: str) -> list[dict[str, Any]]:
    """The answers before that question, in all kinds of projects of the profile."""
    return [
        answered({**answers({**shape, **more}), "project_name": project}, before=name)
        for shape in selection()
        if shape["profile"] == profile
        for more in ({"filled": False, "staging": False}, {"filled": False, "staging": True})
        for project in NAMES
    ]


def samples(name: str) -> str:
    """Answers that are taken, and those that are not with what a person is told."""
    if "validator" not in QUESTIONS[name]:
        return ""
    good = dict.fromkeys(short(answer) for answer in GOOD.get(name, []) if readable(answer))
    taken = f"\nTaken, for example: {', '.join(good)}.\n" if good else ""
    rows = [[", ".join(some), text(why)] for why, some in refused(name).items()]
    return taken + "\n" + table(["refused", "what the interview says"], rows)


def refused(name: str) -> dict[str, list[str]]:
    """What a person is told, and up to four answers that are told so."""
    if QUESTIONS[name]["type"] == "bool":
        return {complaint(name, "nope"): ["another word"]}
    if name not in FREE_TEXT:  # choices: all that can be wrong is to choose none
        return {complaint(name, [], **CONTEXT): ["nothing selected"]}
    found: dict[str, list[str]] = {}
    for answer in filter(readable, BAD[name]):
        some = found.setdefault(complaint(name, answer, **CONTEXT), [])
        if len(some) < 4 and short(answer) not in some:
            some.append(short(answer))
    return found


def readable(answer: str) -> bool:
    return answer.isprintable() and "`" not in answer and answer == answer.strip()


def short(answer: str) -> str:
    return code(answer if len(answer) <= 48 else f"{answer[:24]}…")
