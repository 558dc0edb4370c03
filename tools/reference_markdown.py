"""Pieces of Markdown that the generated pages are made of."""

import re
from collections.abc import Iterable, Sequence


def text(words: str) -> str:
    """Words that mean nothing to Markdown, on one line, fit for a table."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(words.split()))


def code(words: str) -> str:
    """A code span, fit for a table. The empty text has none."""
    return f"`{words.replace('|', '&#124;')}`" if words else "(empty)"


def either(words: Sequence[str], last: str = "or") -> str:
    """a, b or c."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def block(language: str, content: str) -> str:
    """A code block. Its content has no line that could end it."""
    assert "```" not in content
    return f"```{language}\n{content.rstrip()}\n```\n"
