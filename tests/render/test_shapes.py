"""Every valid combination of the decisive answers, and no other, can be answered.

shapes.py says which combinations there are, copier.yml which ones are offered. Neither was made
from the other, so each checks the other.
"""

import re
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest

import shapes
from conftest import Render
from questions import QUESTIONS, answered, complaint, fill, makes_sense, offered

# What decides a shape, in the order of the interview. The other questions do not depend on it.
DECISIVE = (
    "profile",
    "callers",
    "exposure",
    "access_scope",
    "preview_urls",
    "identity_provider",
    "binding_style",
    "framework",
)


def shown(question: str, context: dict[str, Any]) -> list[Any]:
    """What a person could answer; [None] where the question is not asked."""
    if not makes_sense(question, **context):
        return [None]
    if QUESTIONS[question]["type"] == "bool":
        return [False, True]
    values = offered(question, **context)
    if not QUESTIONS[question].get("multiselect"):
        return values
    groups = chain.from_iterable(combinations(values, size) for size in range(len(values) + 1))
    return [group for group in groups if not complaint(question, list(group))]


def interviews(context: dict[str, Any], questions: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Every way through the interview from here."""
    if not questions:
        yield tuple(context[question] for question in DECISIVE)
        return
    for value in shown(questions[0], context):
        answer = list(value) if isinstance(value, tuple) else value
        yield from interviews({**context, questions[0]: answer}, questions[1:])


def test_how_many() -> None:
    """The numbers in docs: change them with the table of rules."""
    assert len(shapes.every_shape()) == 105_984
    assert len(shapes.selection()) < 60


def test_selection_holds_every_valid_pair() -> None:
    """Each two answers that go together are rendered together somewhere."""
    covered = set[shapes.Pair]().union(*map(shapes.pairs, shapes.selection()))
    assert covered == shapes.valid_pairs()


def test_selection_is_valid() -> None:
    assert [shape for shape in shapes.selection() if shapes.broken(shape)] == []


def test_interview_offers_exactly_the_valid_combinations() -> None:
    """Every way through the questionnaire, compared with every combination in the table."""
    possible = list(interviews({}, DECISIVE))
    valid = {tuple(shape[question] for question in DECISIVE) for shape in shapes.every_shape()}
    assert len(possible) == len(valid)
    assert {tuple(map(_hashable, found)) for found in possible} == valid


def test_who_is_asked_about_agents() -> None:
    """Where people call a hostname, and then every choice of agents is as good as another."""
    found = {tuple(shape[name] for name in (*DECISIVE, "agents")) for shape in shapes.every_shape()}
    for *decisive, agents in found:
        context = dict(zip(DECISIVE, decisive, strict=True))
        assert makes_sense("agents", **context) == (agents is not None)


def test_nobody_has_agents_unasked() -> None:
    for callers in (["human"], ["human", "machine"]):
        assert answered({"profile": "production", "callers": callers})["agents"] == []


def test_the_scope_that_is_the_default() -> None:
    """On the hostname with programs, which Access then names to the Worker; else on the Worker.
    With it goes whether previews are on offer."""
    decided = {(s["profile"], s["callers"], s["exposure"]) for s in shapes.every_shape()}
    for profile, callers, exposure in decided:
        given = {"profile": profile, "callers": list(callers), "exposure": exposure}
        if exposure != "none":
            context = answered(given)
            wanted = "hostname" if shapes.MACHINE in callers else "worker"
            assert context["access_scope"] == wanted
            assert makes_sense("preview_urls", **context) == (wanted == "worker")


def test_the_interview_says_why_a_hostname_is_for_programs() -> None:
    """Only to those who have programs."""
    for callers in (["human"], ["machine"], ["human", "machine"], ["human", "binding"]):
        said = fill(QUESTIONS["access_scope"]["help"], answered({"callers": callers}))
        why = "may not learn which program is calling" in " ".join(said.split())
        assert why == ("machine" in callers)


def test_shapes_of_interest_have_the_default_scope() -> None:
    """So that what is tried is what people get; previews are a choice."""
    other = {
        name
        for name, shape in shapes.of_interest().items()
        if not shape["preview_urls"]
        and shape["exposure"] != "none"
        and (shape["access_scope"] == "hostname") != (shapes.MACHINE in shape["callers"])
    }
    assert other == {"hostname-application"}


def test_nobody_is_no_shape() -> None:
    """A Worker without callers could not be called."""
    assert "at least one" in complaint("callers", [])


# Combinations that would be open or unreachable: what Copier says to `--data`, on one line.
UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"profile": "personal", "callers": ["machine"]}, "'machine' is not in ['human']"),
    ({"profile": "personal", "callers": ["human", "binding"]}, "'binding' is not in ['human']"),
    ({"profile": "personal", "exposure": "custom_domain"}, "is not in ['workers_dev']"),
    ({"profile": "personal", "exposure": "none"}, "'none' is not in ['workers_dev']"),
    ({"profile": "production", "callers": ["binding"]}, "is not in ['human', 'machine']"),
    ({"profile": "production", "exposure": "workers_dev"}, "is not in ['custom_domain']"),
    ({"profile": "production", "exposure": "none"}, "is not in ['custom_domain']"),
    ({"profile": "internal", "callers": ["human"]}, "'human' is not in ['binding']"),
    ({"profile": "internal", "exposure": "workers_dev"}, "is not in ['none']"),
    ({"profile": "custom", "callers": []}, "Select at least one kind of caller"),
    ({"profile": "custom", "callers": ["human"], "exposure": "none"}, "'none' is not in"),
    ({"profile": "custom", "callers": ["machine", "binding"], "exposure": "none"}, "is not in"),
    ({"profile": "custom", "callers": ["binding"], "exposure": "route"}, "is not in ['none']"),
    ({"profile": "custom", "callers": ["binding"], "exposure": "workers_dev"}, "['none']"),
    ({"profile": "production", "agents": ["everyone"]}, "'everyone' is not in ['local', 'claude'"),
    ({"profile": "everything"}, "'everything' is not in ['personal', 'production', "),
]


@pytest.mark.parametrize(
    ("answers", "message"),
    [UNSUPPORTED[0], *(pytest.param(*case, marks=pytest.mark.slow) for case in UNSUPPORTED[1:])],
)
def test_unsupported_combination_is_refused(
    render: Render, tmp_path: Path, answers: dict[str, Any], message: str
) -> None:
    """Copier refuses it with a line that names what can be chosen, and writes nothing."""
    with pytest.raises(ValueError) as refusal:
        render(tmp_path / "out", **answers)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("answers", "without_meaning"),
    [
        (
            {"profile": "internal"},
            {
                "hostname": "api.example.net",
                "zone_name": "example.net",
                "access_scope": "hostname",
                "preview_urls": True,
                "allowed_emails": "ann@example.net",
                "allowed_service_tokens": shapes.CLIENT_IDS[0],
                "team_domain": "acme",
                "policy_aud": shapes.AUD,
                "framework": "fastapi",
                "agents": ["claude"],
            },
        ),
        pytest.param(
            {"profile": "production", "access_scope": "worker"},
            {"agents": ["other"], "agent_redirect_uris": "https://agent.example.net/cb"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"profile": "personal"},
            {"hostname": "api.example.net", "binding_style": "fetch", "calling_workers": "other"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"profile": "personal", "access_scope": "hostname"},
            {"preview_urls": True},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_answers_without_meaning_change_nothing(
    rendered: Render, answers: dict[str, Any], without_meaning: dict[str, Any]
) -> None:
    """`--data` for a question that the shape does not have neither opens nor adds anything."""
    plain, loaded = rendered(**answers), rendered(**answers, **without_meaning)
    assert _files(loaded) == _files(plain)


def _hashable(answer: Any) -> Any:
    return tuple(answer) if isinstance(answer, list) else answer


def _files(folder: Path) -> dict[str, bytes]:
    """Every file; without where the template lay, which differs between pytest's processes."""
    return {
        path.relative_to(folder).as_posix(): re.sub(rb"_src_path: .*", b"", path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }
