"""The commands that a Markdown document shows: its shell blocks and its inline code.

bash itself splits them, so that quotes, pipes, `$(…)` and continued lines are what they are in a
reader's shell. It runs none of them: it gets a PATH without a program, and whatever it cannot find
it hands to `command_not_found_handle`, which only writes the words down.
"""

import re
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SHELLS = ("sh", "bash", "shell", "zsh", "console")
# A value of the reader's, such as <tunnel-id>. For bash it would be a redirection.
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


@dataclass(frozen=True)
class Split:
    """The commands of one or more blocks in their order, and what bash had against them."""

    commands: tuple[tuple[int, Words], ...]  # the block's number, from 0, and the words
    complaint: str


# `cd`, `read` and the like are bash's own. They must not act here, but are written down.
_PRELUDE = r"""
_note() { printf '%s\0' "$_at" "$#" "$@" >&3; }
command_not_found_handle() { _note "$@"; return "$_status"; }
cd() { _note cd "$@"; }
read() { _note read "$@"; [ "$#" -eq 0 ] || printf -v "${!#}" typed; }
.() { _note . "$@"; }
source() { _note . "$@"; }
exec() { _note "$@"; }
eval() { _note eval "$@"; }
exit() { _note exit "$@"; }
PATH=/dev/null
"""


def _bash(script: str, status: int) -> tuple[bytes, str]:
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, ".notes")
        done = subprocess.run(
            ["bash", "--norc", "-c", f'exec 3>"{notes}"\n_status={status}\n{_PRELUDE}{script}'],
            cwd=folder,
            env={"HOME": folder, "USER": "you"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
        )
        return notes.read_bytes(), done.stderr


@cache
def split(texts: tuple[str, ...], strict: bool) -> Split:
    """The commands of these blocks, typed one after the other into one shell.

    With `strict` a variable that none of them has set is a complaint.
    """
    script = "set -u\n" if strict else ""
    for number, text in enumerate(texts):
        script += f"_at={number}\n{PLACEHOLDER.sub(VALUE, text)}\n"
    seen, complaint = _bash(script, 0)
    if "||" in script:  # what comes after it is for a command that fails
        more, _ = _bash(script, 1)
        seen += more
    commands = dict.fromkeys(_records(seen.decode("utf-8").split("\0")[:-1]))
    return Split(tuple(commands), re.sub(r"bash: (line \d+: )?", "", complaint).strip())


def _records(fields: Sequence[str]) -> Iterator[tuple[int, Words]]:
    at = 0
    while at < len(fields):
        end = at + 2 + int(fields[at + 1])
        yield int(fields[at]), tuple(fields[at + 2 : end])
        at = end
