"""The page of the interview's questions, evaluated like Copier does for every shape."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, meta

from questions import ASKED, QUESTIONS, complaint, fill
from reference_conditions import Facts, facts, plain, when
from reference_markdown import code, either, table, text
from samples import BAD, CONTEXT, GOOD
from shapes import PARAMETERS, Shape, answers, every_shape

PROFILES = PARAMETERS["profile"]
PROJECT, FOLDER = "Invoice API", "my-api"
# One name from which a Worker's name can be made, and one from which it cannot.
NAMES = (PROJECT, "日本語")
JINJA = Environment(extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"])
TYPES = {"str": "text", "bool": "yes or no"}

INTRO = f"""# Questions of the interview

Every question of `copier.yml`, in the order in which it is asked. One that is not asked takes its
default, unless `--data name=answer` gives another answer. An answer that has no meaning for the
rest is left out.

The columns are the answers to `profile`. Defaults are shown for a project called "{PROJECT}" in the
folder `{FOLDER}`.

"""


@dataclass(frozen=True)
class Case:
    """A question as it stands for some answers before it."""

    facts: Facts
    sense: bool
    asked: bool
    help: str
    default: Any
    choices: dict[str, Any]


def page() -> str:
    return INTRO + overview() + "".join(section(name) for name in ASKED)


def overview() -> str:
    rows = [
        [f"[{code(name)}](#{name})", *(seldom(asked_in(cases(name), each)) for each in PROFILES)]
        for name in ASKED
    ]
    return table(["asked?", *map(code, PROFILES)], rows)


def seldom(words: str) -> str:
    return words if words in ("yes", "no") else "sometimes"


def section(name: str) -> str:
    found = cases(name)
    parts = [
        f"\n## {code(name)}\n\n",
        wording(found),
        f"\nThe answer is {kind(name)}. {meaning(found)}\n\n",
        options(found),
        defaults(found),
        samples(name),
    ]
    return "".join(parts)


def wording(found: list[Case]) -> str:
    """What the interview asks; where that differs, for which answers."""
    each = by_value(found, lambda case: case.help)
    return ">\n".join(f"> {f'*{only}:* ' if only else ''}{text(words)}\n" for words, only in each)


def kind(name: str) -> str:
    question = QUESTIONS[name]
    if "choices" in question:
        return "one or more of the choices" if question.get("multiselect") else "one of the choices"
    return TYPES[question["type"]]


def meaning(found: list[Case]) -> str:
    condition = when([case.facts for case in found], [case.sense for case in found])
    return f"It has a meaning {condition}." if condition else "It always has a meaning."


def options(found: list[Case]) -> str:
    """The choices, and where they differ, for which answers each is offered."""
    longest = sorted(found, key=lambda case: -len(case.choices))  # it has the right order
    words = {value: words for case in longest for words, value in case.choices.items()}
    if not words:
        return ""
    head, rows = (
        ["choice", "in words"],
        [[code(value), described(value, words[value])] for value in words],
    )
    if any(case.choices != found[0].choices for case in found):
        head += [code(profile) for profile in PROFILES]
        rows = [[*row, *offered(found, value)] for row, value in zip(rows, words, strict=True)]
    return table(head, rows) + "\n"


def described(value: str, words: str) -> str:
    """Without the value in front, where the words are two columns."""
    return text(words.removeprefix(f"{value}  "))


def offered(found: list[Case], value: str) -> list[str]:
    return [
        share(sensible(found, profile), lambda case: value in case.choices.values())
        for profile in PROFILES
    ]


def sensible(found: list[Case], profile: str) -> list[Case]:
    return [case for case in found if case.facts["profile"] == profile and case.sense]


def share(found: list[Case], holds: Callable[[Case], bool]) -> str:
    """Whether it holds for these cases: yes, no, or when."""
    held = [holds(case) for case in found]
    if not any(held):
        return "no"
    return when([case.facts for case in found], held) or "yes"


def asked_in(found: list[Case], profile: str) -> str:
    return share([case for case in found if case.facts["profile"] == profile], lambda c: c.asked)


def defaults(found: list[Case]) -> str:
    asked = ["asked", *(asked_in(found, profile) for profile in PROFILES)]
    default = ["default", *(default_in(sensible(found, profile)) for profile in PROFILES)]
    return table(["", *map(code, PROFILES)], [asked, default])


def default_in(found: list[Case]) -> str:
    """The usual default, and when it is another one."""
    if not found:
        return "no meaning"
    (usual, _), *others = by_value(found, lambda case: case.default)
    return as_answer(usual) + "".join(f", but {as_answer(one)} {only}" for one, only in others)


def as_answer(value: Any) -> str:
    return (
        either([code(one) for one in value], "and")
        if isinstance(value, tuple)
        else code(plain(value))
    )


def by_value(found: list[Case], value: Callable[[Case], Any]) -> list[tuple[Any, str]]:
    """Each value with the condition for it, the one of most cases first."""
    values = [one for one, _ in Counter(map(value, found)).most_common()]
    known = [case.facts for case in found]
    return [(one, when(known, [value(case) == one for case in found])) for one in values]


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
    if name not in BAD:  # choices: all that can be wrong is to choose none
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


@cache
def cases(name: str) -> list[Case]:
    """One for each combination of the answers that the question looks at."""
    names = [one for one in PARAMETERS if one == "profile" or one in looks_at(name)]
    named = "project_name" in variables(name)
    projects = [{"project_name": project} for project in NAMES] if named else [{}]
    found: dict[tuple[Any, ...], Shape] = {}
    for shape in all_shapes():
        found.setdefault(tuple(shape[one] for one in names), shape)
    return [
        case(
            name, facts({**dict(zip(names, key, strict=True)), **project}), answers(shape), project
        )
        for key, shape in found.items()
        for project in projects
    ]


@cache
def all_shapes() -> list[Shape]:
    return [shape for shape in every_shape() if not shape["filled"]]


def case(name: str, known: Facts, given: dict[str, Any], project: dict[str, str]) -> Case:
    question = QUESTIONS[name]
    given = {**given, "project_name": PROJECT, **project}
    context = next(before for one, before in walk(given) if one == name)
    sense = truth(question.get("when", True), context)
    return Case(
        facts=known,
        sense=sense,
        asked=sense and truth(question.get("ask", True), context),
        help=" ".join(str(fill(question["help"], context)).split()),
        default=default_of(name, context),
        choices=choices_of(name, context),
    )


def walk(given: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each question with the answers before it. What is not given takes its default."""
    context: dict[str, Any] = {"_folder_name": FOLDER}
    for name in ASKED:
        yield name, context
        default = default_of(name, context)
        default = list(default) if isinstance(default, tuple) else default
        context = {**context, name: given.get(name, default)}


def default_of(name: str, context: dict[str, Any]) -> Any:
    question = QUESTIONS[name]
    value = fill(question.get("default", ""), context)
    if question.get("multiselect"):
        return tuple(yaml.safe_load(value))
    return truth(value, {}) if question["type"] == "bool" else value


def choices_of(name: str, context: dict[str, Any]) -> dict[str, Any]:
    choices = QUESTIONS[name].get("choices", {})
    if isinstance(choices, str):
        choices = yaml.safe_load(fill(choices, context)) or {}
    return dict(choices)


def truth(source: Any, context: dict[str, Any]) -> bool:
    return bool(yaml.safe_load(str(fill(source, context))))


@cache
def variables(name: str) -> frozenset[str]:
    """The answers that the question itself names, but for its validator."""
    question = QUESTIONS[name]
    parts = [question.get(key) for key in ("help", "when", "ask", "choices", "default")]
    return frozenset(
        found
        for part in parts
        if isinstance(part, str)
        for found in meta.find_undeclared_variables(JINJA.parse(part))
    )


@cache
def looks_at(name: str) -> frozenset[str]:
    """Those, and what the defaults of the ones that are no choice look at in turn."""
    further: Iterable[frozenset[str]] = (
        looks_at(one) for one in variables(name) if one in QUESTIONS and one not in PARAMETERS
    )
    return variables(name).union(*further)
