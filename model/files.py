"""Reading a rendered project the way its tools do."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import json5
from markdown_it import MarkdownIt
from markdown_it.token import Token

_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def all_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file with its path inside the folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def texts(folder: Path) -> dict[str, str]:
    """Every file's text. A file that is not UTF-8 is an error: there are no others."""
    return {name: path.read_bytes().decode("utf-8") for name, path in all_files(folder)}


def read_jsonc(path: Path) -> Any:
    """JSON with comments and nothing else: a trailing comma is an error."""
    return json.loads(_without_comments(path.read_text(encoding="utf-8")))


@cache
def _without_comments(text: str) -> str:
    plain = _STRING_OR_COMMENT.sub(lambda match: match[1] or "", text)
    assert json5.loads(text) == json.loads(plain), "the comments were not read right"
    return plain


def markdown(text: str) -> list[Token]:
    """A Markdown file's tokens, those inside lines included."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [inner for token in tokens for inner in (token, *(token.children or []))]


def headings(text: str) -> list[str]:
    """The plain text of each heading."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [
        "".join(inner.content for inner in tokens[index + 1].children or [])
        for index, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


def anchors(text: str) -> set[str]:
    """The anchors GitHub gives a file's headings."""
    found: set[str] = set()
    for heading in headings(text):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        name, count = slug, 0
        while name in found:
            count += 1
            name = f"{slug}-{count}"
        found.add(name)
    return found


def links(text: str) -> list[str]:
    """Where a Markdown file points to."""
    return [
        str(token.attrs.get("href") or token.attrs.get("src") or "")
        for token in markdown(text)
        if token.type in ("link_open", "image")
    ]
