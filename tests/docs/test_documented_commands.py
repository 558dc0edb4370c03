"""What the documentation tells people to type is there: npm scripts, commands, options, files.

The documents are the template's own and those of rendered projects. What a tool does with a command
is not tried here: test_first_hour.py, test_documented_answers.py, test_situations.py and
test_team_kit.py run the blocks of whole pages.
"""

import contextlib
import io
import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import hub
import shapes
from conftest import CACHE, NODE_MODULES, ROOT, Render, tracked_files
from documents import Words, commands, inline, shell_blocks
from private_worker import cli

OPTION = re.compile(r"(?<![\w-])-[-\w]+")
# An option with its value, as the help of Copier and of wrangler shows it.
WITH_VALUE = r"{}(?:, --[\w-]+)? (?:[A-Z]|<|.*\[(?:string|number|array)\])"
COPIER = ("copy", "update", "recopy", "check-update")
TOOLS = ("npm", "npx", "uv", "uvx", "sh", "private-worker", "copier", "wrangler", "python")


@dataclass(frozen=True)
class Typed:
    """A command of a document. `strict` is false in running text, which may leave out the rest."""

    document: str
    words: Words
    project: Path
    strict: bool = True

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.words)}"


def typed(document: str, text: str, project: Path) -> Iterator[Typed]:
    """The commands of a document, in its blocks and in its sentences."""
    for block in shell_blocks(text):
        for words in commands(block.text):
            yield Typed(document, words, project)
    for code in inline(text):
        tool, _, more = code.partition(" ")
        if tool in TOOLS and more and "…" not in code:
            for words in commands(code):
                yield Typed(document, words, project, strict=False)


def of_the_template() -> Iterator[Typed]:
    """They speak of projects of any shape: examples/everything stands for them."""
    for name in tracked_files():
        if name.endswith(".md") and not name.startswith(("template/", "examples/")):
            text = (ROOT / name).read_text(encoding="utf-8")
            yield from typed(name, text, ROOT / "examples" / "everything")


def of_a_project(project: Path) -> Iterator[Typed]:
    for path in sorted(project.rglob("*.md")):
        if "vendor" not in path.parts:
            yield from typed(path.name, path.read_text(encoding="utf-8"), project)


def complaints(command: Typed) -> Iterator[str]:
    """What is not there of what the command names."""
    words = command.words
    while words[:1] in (("uvx",), ("npx",)) or words[:2] == ("uv", "run"):
        words = words[1:] if words[0] != "uv" else without_options(words[2:])
    match words:
        case ("npm", "run", script, *more):
            yield from npm_script(command.project, script, more)
        case ("private-worker", name, *more):
            yield from unknown(more, helped(name), f"private-worker {name}")
        case ("copier", name, *more):
            known = copier_help(name) if name in COPIER else ""
            yield from unknown(more, known, f"copier {name}")
            yield from without_value(more, known) if command.strict else ()
        case ("python" | "sh", path, *_) if not path.startswith("-"):
            yield from no_file(path, command.project)
        case ("cp", *paths) if command.strict:
            for path in paths[:-1]:
                yield from no_file(path, command.project)


def no_file(path: str, project: Path) -> Iterator[str]:
    if not any((folder / path).is_file() for folder in (ROOT, ROOT / "team-kit", project)):
        yield f"there is no file {path}"


def without_options(words: Words) -> Words:
    """What `uv run` starts: `--group` and `--with` take a value."""
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in ("--group", "--with") else words[1:]
    return ("python", *words) if words and words[0].endswith(".py") else words


def npm_script(project: Path, script: str, more: list[str]) -> Iterator[str]:
    """The script is in package.json, and what follows `--` is for the command that it runs."""
    package = json.loads((project / "package.json").read_text(encoding="utf-8"))
    if script not in package["scripts"]:
        yield f"package.json has no script {script!r}"
    elif more and more[0] != "--":
        yield f"{more[0]!r} needs -- before it"
    elif found := re.search(r"private-worker (\w+)", package["scripts"][script]):
        yield from unknown(more[1:], helped(found[1]), f"private-worker {found[1]}")


def unknown(words: Words | list[str], known: str, tool: str) -> Iterator[str]:
    """Each option that the help does not name; the tool itself without a help."""
    if not known:
        yield f"there is no {tool}"
        return
    names = set(OPTION.findall(known))
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("--") and option != "--" and option not in names:
            yield f"{tool} has no option {option}"


def without_value(words: list[str], known: str) -> Iterator[str]:
    """The last option, where it takes a value and none is there."""
    if words and re.search(WITH_VALUE.format(re.escape(words[-1])), known):
        if words[-1].startswith("-"):
            yield f"{words[-1]} lacks its value"


@cache
def helped(name: str) -> str:
    """What `private-worker <name> --help` prints; nothing without such a command."""
    if name not in cli.COMMANDS:
        return ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        cli.run([name, "--help"])
    return printed.getvalue()


@cache
def copier_help(name: str) -> str:
    return hub.copier(name, "--help", env=os.environ).stdout


# --- The documents --------------------------------------------------------------------------------


def wrong(found: list[Typed]) -> list[str]:
    return [f"{command}: {line}" for command in found for line in complaints(command)]


def test_the_templates_documents() -> None:
    found = list(of_the_template())
    assert {"npm", "npx", "uv", "uvx", "sh"} <= {command.words[0] for command in found}
    assert wrong(found) == []


@pytest.mark.parametrize("name", ["personal", "everything"])
def test_the_examples_documents(name: str) -> None:
    found = list(of_a_project(ROOT / "examples" / name))
    assert len(found) > 50
    assert wrong(found) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", shapes.of_interest())
def test_the_documents_of_a_shape(name: str, rendered: Render) -> None:
    project = rendered(**shapes.answers(shapes.of_interest()[name]))
    assert wrong(list(of_a_project(project))) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")
def test_bash_takes_every_block(rendered: Render) -> None:
    project = rendered(**shapes.answers(shapes.of_interest()["everybody"]))
    names = [name for name in tracked_files() if name.endswith(".md")]
    names = [name for name in names if not name.startswith(("template/", "examples/"))]
    for path in [*map(ROOT.joinpath, names), *sorted(project.rglob("*.md"))]:
        for block in shell_blocks(path.read_text(encoding="utf-8")):
            text = re.sub(r"<[^<>\n]+>", "value", block.text)
            done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
            assert done.returncode == 0, f"{path.name}, {block.heading}: {done.stderr}"


def wranglers_help(node: Path, names: Words) -> str:
    """What it says of a command. Kept beside the npm packages, of which it is a part."""
    kept = NODE_MODULES.with_name("help") / " ".join(("wrangler", *names))
    if NODE_MODULES == CACHE and kept.is_file():
        return kept.read_text(encoding="utf-8")
    done = subprocess.run(
        [str(node), str(NODE_MODULES / "wrangler" / "bin" / "wrangler.js"), *names, "--help"],
        env={**os.environ, "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1", "CI": "1"},
        capture_output=True,
        text=True,
    )
    if NODE_MODULES == CACHE and done.returncode == 0:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(done.stdout, encoding="utf-8")
    return done.stdout


@pytest.mark.slow
def test_wrangler_knows_its_commands(rendered: Render, node: Path, node_modules: Path) -> None:
    """Asked for an unknown command below a known one, wrangler shows the help of the known one."""
    project = rendered(**shapes.answers(shapes.of_interest()["everybody"]))
    lines = [*of_the_template(), *of_a_project(project)]
    asked = {command.words[2:] for command in lines if command.words[:2] == ("npx", "wrangler")}
    paths: dict[Words, set[str]] = {}
    for words in asked:
        names = tuple(itertools.takewhile(re.compile(r"[a-z][a-z0-9]*\Z").match, words))
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        paths.setdefault(names, set()).update(options)
    assert len(paths) > 5
    for names, options in paths.items():
        text = wranglers_help(node, names)
        usage = re.search(r"^wrangler((?: [a-z][a-z0-9-]*)*)", text, re.MULTILINE)
        known = usage[1].split() if usage else []
        assert known and known == list(names[: len(known)]), names
        assert options <= set(OPTION.findall(text)), names


# --- It finds what is wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("npm run tset", "package.json has no script 'tset'"),
        ("npm run probe --env staging", "'--env' needs -- before it"),
        ("npm run probe -- --enviroment staging", "no option --enviroment"),
        ("uv run private-worker cheque", "there is no private-worker cheque"),
        ("uv run --group commands private-worker probe --enviroment x", "no option --enviroment"),
        ("uv run python nothing.py", "there is no file nothing.py"),
        ("uv run tools/nothing.py", "there is no file tools/nothing.py"),
        ("uvx copier updat", "there is no copier updat"),
        ("uvx copier copy --default gh:org/private-worker my-api", "no option --default"),
        ("uvx copier update --data", "--data lacks its value"),
        ("cp .dev.vars.exmaple .dev.vars", "there is no file .dev.vars.exmaple"),
        ("sh callers/crul.sh /", "there is no file callers/crul.sh"),
        ("true && npm run tset", "package.json has no script 'tset'"),
    ],
)
def test_a_mistake_is_found(text: str, expected: str) -> None:
    everything = ROOT / "examples" / "everything"
    found = list(typed("a.md", f"# A\n\n```sh\n{text}\n```\n", everything))
    assert [line for line in wrong(found) if expected in line]


def test_a_mistake_in_a_sentence_is_found() -> None:
    text = "Then `uvx copier update --data`, `npm run chek` and `some code of yours`.\n"
    found = list(typed("a.md", text, ROOT / "examples" / "everything"))
    assert wrong(found) == ["a.md: npm run chek: package.json has no script 'chek'"]
