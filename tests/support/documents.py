"""The commands that a Markdown document shows: its shell blocks and its inline code."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

SHELLS = ("sh", "bash", "shell", "zsh", "console")
# A value of the reader's, such as <tunnel-id>. For a shell it would be a redirection.
PLACEHOLDER = re.compile(r"<(\w(?:[^<>\n]*[^<>\s])?)>")
VALUE = "YOUR_VALUE"

Words = tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the heading above it, and its text without the indent."""

    language: str
    heading: str
    text: str


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text, also those inside lists and tabs."""
    heading, fence, indent, language = "", "", "", ""
    inside: list[str] = []
    for line in text.splitlines():
        mark = re.match(r"([ \t]*)(`{3,})([\w-]*)", line)
        if fence:
            if mark and mark[2] == fence and not mark[3]:
                yield Block(language, heading, textwrap.dedent("\n".join(inside)) + "\n")
                fence, inside = "", []
            else:
                inside.append(line.removeprefix(indent))
        elif mark:
            indent, fence, language = mark[1], mark[2], mark[3]
        elif found := re.match(r"#+ (.*)$", line):
            heading = found[1]
    if fence:
        raise ValueError(f"the block under {heading!r} has no end")


def shell_blocks(text: str) -> list[Block]:
    """Those for a shell."""
    return [block for block in blocks(text) if block.language in SHELLS]


def headings(text: str) -> list[str]:
    """For each shell block its heading, numbered from the second one of a heading on."""
    counted: dict[str, int] = {}
    found = []
    for block in shell_blocks(text):
        number = counted[block.heading] = counted.get(block.heading, 0) + 1
        found.append(block.heading if number == 1 else f"{block.heading} {number}")
    return found


def inline(text: str) -> list[str]:
    """The inline code of a Markdown text, in tables too."""
    inside = re.compile(r"^([ \t]*)(`{3,})[^`\n]*\n.*?^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", inside.sub("", text))


def commands(text: str) -> list[Words]:
    """Each simple command of a shell text, without redirections and variables set before it.

    `$(…)` is not looked into. Raises ValueError for a quote without an end.
    """
    plain = re.sub(r"(?m)(^|[ \t])#.*$", "", PLACEHOLDER.sub(VALUE, text).replace("\\\n", " "))
    lexer = shlex.shlex(plain, posix=True, punctuation_chars=";&|<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("<>&|") and set(word) & set("<>"):
            next(lexer, None)  # the file
        elif set(word) <= set(";&|\n"):
            found.append([])
        elif found[-1] or not re.match(r"[A-Za-z_]\w*=", word):
            found[-1].append(word)
    return [tuple(words) for words in found if words]
