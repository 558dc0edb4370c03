"""When something holds, in words: found by trying, not by reading the expressions.

A case is one combination of the answers that decide, as facts: name of an answer to its value, and
for an answer of several values also whether it has each of them.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from reference_markdown import code, either

Facts = dict[str, Any]
HAS = " has "


def facts(answers: Mapping[str, Any]) -> Facts:
    """`callers: (human, machine)` becomes that, and `callers has human: True`, and so on."""
    found = dict(answers)
    for name, value in answers.items():
        if isinstance(value, tuple):
            for part in ("human", "machine", "binding"):
                found[f"{name}{HAS}{part}"] = part in value
    return found


def when(cases: Sequence[Facts], holds: Sequence[bool]) -> str:
    """`when …` or `unless …`: the fewest answers that decide, in few words; empty for always.

    Raises ValueError if no answers decide, or if it never holds.
    """
    if all(holds):
        return ""
    if not any(holds):
        raise ValueError("it never holds")
    for size in range(1, len(cases[0]) + 1):
        found = [
            words
            for names in combinations(cases[0], size)
            for words in _deciding(names, cases, holds)
        ]
        if found:
            return min(found, key=lambda words: (len(words), words))
    raise ValueError("something else decides")


def _deciding(names: tuple[str, ...], cases: Sequence[Facts], holds: Sequence[bool]) -> list[str]:
    """Both ways to say it with these answers; nothing if they do not decide."""
    found: dict[bool, set[tuple[Any, ...]]] = {True: set(), False: set()}
    for case, held in zip(cases, holds, strict=True):
        found[held].add(tuple(case[name] for name in names))
    if found[True] & found[False]:
        return []
    order = [tuple(case[name] for name in names) for case in cases]
    yes = [row for row in dict.fromkeys(order) if row in found[True]]
    no = [row for row in dict.fromkeys(order) if row in found[False]]
    known = {name: list(dict.fromkeys(case[name] for case in cases)) for name in names}
    return [f"when {_words(known, yes)}", f"unless {_words(known, no)}"]


def _words(known: dict[str, list[Any]], rows: list[tuple[Any, ...]]) -> str:
    """As `a is x or y and b is z` if all combinations of these are there, else one by one.

    `known` are the values that each answer has in any case.
    """
    columns = [list(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
    size = 1
    for column in columns:
        size *= len(column)
    if size == len(rows):
        parts = [_is(name, known[name], some) for name, some in zip(known, columns, strict=True)]
        return " and ".join(parts)
    return ", or ".join(_words(known, [row]) for row in rows)


def _is(name: str, known: list[Any], values: list[Any]) -> str:
    if HAS in name:
        answer, part = name.split(HAS)
        return f"{code(answer)} {'has' if values[0] else 'lacks'} {code(part)}"
    others = [value for value in known if value not in values]
    if len(others) == 1 and len(values) > 2 and None not in others:
        return f"{code(name)} is not {shown(others)}"
    if None in values:
        rest = [value for value in values if value is not None]
        return f"{code(name)} has no meaning" + (f" or is {shown(rest)}" if rest else "")
    return f"{code(name)} is {shown(values)}"


def shown(values: list[Any]) -> str:
    if isinstance(values[0], tuple):
        return either([_selection(value) for value in values])
    return either([code(plain(value)) for value in values])


def plain(value: Any) -> str:
    """As it is typed after `--data name=`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _selection(value: tuple[str, ...]) -> str:
    return f"only {code(value[0])}" if len(value) == 1 else " + ".join(map(code, value))
