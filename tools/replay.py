"""Old answers meet the new version: what Copier makes of those that people may have given."""

from collections.abc import Callable, Iterator
from functools import cache, partial

import samples
import shapes
from template import STOPS, Answers, Problem, Template, one_line

# What is put into accepted answers: letters of other alphabets, capitals, marks.
LETTERS = "aZ7-_.+'/ ,*=@:éß日𝔘"
LONGEST = 1000  # characters of a sample; what is longer only costs time
PASSES = "Give a default that passes its own validator"


@cache
def corpus() -> dict[str, Answers]:
    """Answers that people may have given: each profile with its defaults, the shapes that are
    tested, and every accepted sample of every free text."""
    found = {f"profile {name}": {"profile": name} for name in shapes.PARAMETERS["profile"]}
    found |= {name: shapes.answers(shape) for name, shape in shapes.of_interest().items()}
    everybody = found["everybody"] | {"worker_name": "other"}
    for number in range(max(map(len, samples.GOOD.values()))):
        chosen = {name: texts[number % len(texts)] for name, texts in samples.GOOD.items()}
        chosen["zone_name"] = "example.com"  # that of the route patterns
        path = chosen["route_pattern"].partition("/")[2]
        chosen["staging_route_pattern"] = f"staging.example.com/{path}"
        found[f"samples {number + 1}"] = everybody | chosen
        if number < len(samples.GOOD["route_pattern"]):
            found[f"route {number + 1}"] = everybody | chosen | {"exposure": "route"}
    return found


@cache
def answered(old: Template, label: str) -> Answers | None:
    """What the old version stored, or None if it refused."""
    try:
        return old.interview(corpus()[label])
    except STOPS:
        return None


def replayed(old: Template, new: Template, notes: str) -> Iterator[Problem]:
    """Old answers meet the new version, and the new version is copied with its own defaults."""
    found: dict[str, Problem] = {}
    accepted = 0
    for label, given in corpus().items():
        before = answered(old, label)
        if label.startswith("profile "):
            try:
                new.interview(given)
            except STOPS as error:
                problem = Problem(f"copier.yml, {label}", one_line(error), _do(error, PASSES))
                found.setdefault(str(error), problem)
        if before is None:
            continue
        accepted += 1
        try:
            now = new.interview({}, before)
        except STOPS as error:
            do = _do(error, "Accept what the last release accepted, or give a default that passes")
            problem = Problem(f"copier.yml, answers {label}", one_line(error), do)
            found.setdefault(str(error), problem)
            continue
        for name in before:
            if now.get(name) == before[name] or f"`{name}`" in notes:
                continue
            then = f"into {now[name]!r}" if name in now else "into no answer at all"
            what = f"an update would turn {before[name]!r} {then} without a word"
            do = f"Keep accepting it, or name `{name}` in the update notes"
            found.setdefault(name, Problem(f"copier.yml, {name}", what, do))
    if not accepted:
        do = "Look at model/shapes.py and model/samples.py"
        yield Problem("the stored answers", "the last release accepted none of them", do)
    yield from found.values()


def _do(error: Exception, refused: str) -> str:
    """Copier refuses an answer with a ValueError. All else is a mistake in the template."""
    return refused if isinstance(error, ValueError) else "Correct the template"


def every_pair(old: Template, new: Template, notes: str) -> Iterator[Problem]:
    """For every pair of answers: what was asked is still asked, and what it holds is accepted."""
    found: dict[str, Problem] = {}
    for shape in shapes.selection():
        stored = old.stored(shapes.answers(shape))
        before, now = old.context(stored)[0], new.context(stored)[0]
        for name in new.questions:
            where = f"copier.yml, {name}"
            if not new.applies(name, now):
                if name in stored and f"`{name}`" not in notes:
                    what = f"{stored[name]!r} would be no answer any more ({shapes.name_of(shape)})"
                    do = f"Keep asking for it, or name `{name}` in the update notes"
                    found.setdefault(name, Problem(where, what, do))
                continue
            said = new.complaint(name, now[name], now)
            if said and not (name in stored and old.complaint(name, stored[name], before)):
                what = f"{now[name]!r} is refused ({shapes.name_of(shape)}): {one_line(said)}"
                found.setdefault(name, Problem(where, what, PASSES))
    yield from found.values()


def validators(old: Template, new: Template, notes: str) -> Iterator[Problem]:
    """The validators side by side, with many more texts than a copy has time for."""
    names = [n for n, q in old.questions.items() if q.get("type") == "str" and "choices" not in q]
    if _rules(old) == _rules(new):
        return
    lost: dict[str, str] = {}
    seen: set[str] = set()
    for shape in shapes.selection():
        stored = old.stored(shapes.answers(shape))
        before, now = old.context(stored)[0], new.context(stored)[0]
        for name in names:
            if f"`{name}`" in notes or name in lost or name not in stored:
                continue
            # The many texts for one shape of each profile, the samples for all.
            many = (key := f"{name} {shape['profile']}") not in seen
            seen.add(key)
            fits = partial(_fits, old, name, before)
            texts = [*_variants(name), *_longest(name, fits)] if many else _samples(name)
            for text in texts:
                if fits(text) and new.complaint(name, text, now):
                    lost[name] = text
                    break
    for name, text in lost.items():
        shown = text if len(text) < 80 else f"{text[:40]}… ({len(text)} characters)"
        do = f"Keep accepting it, or name `{name}` in the update notes"
        yield Problem(f"copier.yml, {name}", f"{shown!r} was accepted and is refused", do)


def _fits(template: Template, name: str, context: Answers, text: str) -> bool:
    return not template.complaint(name, text, context)


def _longest(name: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """The good samples with as many letters put in as are accepted."""
    for text in samples.GOOD.get(name, []):
        for place in {len(text) // 2, len(text)}:
            start, end = text[:place], text[place:]
            low, high = 0, LONGEST
            while low < high:
                middle = (low + high + 1) // 2
                if fits(start + "a" * middle + end):
                    low = middle
                else:
                    high = middle - 1
            yield start + "a" * low + end


def _rules(template: Template) -> list[str]:
    """All that a validator is made of."""
    includes = sorted((template.folder / "includes").rglob("*.jinja"))
    return [
        *(path.read_text("utf-8") for path in includes),
        *(f"{name} {q.get('validator')} {q.get('when')}" for name, q in template.questions.items()),
    ]


def _samples(name: str) -> list[str]:
    texts = [*samples.GOOD.get(name, []), *samples.HOSTILE.values()]
    return [text for text in texts if len(text) <= LONGEST]


@cache
def _variants(name: str) -> list[str]:
    """The samples, and the good ones with a letter put in, in capitals."""
    found = dict.fromkeys(_samples(name))
    for text in samples.GOOD.get(name, []):
        middle = len(text) // 2
        for place in {0, min(1, middle), middle, max(0, len(text) - 1), len(text)}:
            for letter in LETTERS:
                found[text[:place] + letter + text[place:]] = None
        found |= dict.fromkeys([text.upper(), text.title(), f" {text} ", text.replace(",", " ,")])
    return list(found)
