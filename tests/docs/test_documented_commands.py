"""Issue 7: every command block of the documentation is run by a test, or compared with its tool.

The documents are the template's own and those of rendered projects, of every shape. A block of RUN
is run by the test that stands there, all others are taken apart by bash (documents.py) and compared
with what the real tool says of itself (checked.py, helptext.py). Commands in running text are
compared as well.
"""

import ast
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import helptext
import shapes
from documented_tools import NOT_HERE, SLOW, TOOLS, UNKNOWN, Place, problems, with_inner
from conftest import ROOT, Render, tracked_files
from documents import Words, headings, inline, shell_blocks, split

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")

HERE = Path(__file__).parent
PROJECT = "project: "  # a rendered document, of whatever shape

# Which test runs what. A heading's second block is "heading 2". "*" is a whole document, whose own
# test sees to it that every block is run.
RUN: dict[str, dict[str, str]] = {
    "README.md": {
        "private-worker": "test_first_hour.py::test_the_first_hour_of_one_person",
        "private-worker 2": "test_first_hour.py::test_the_first_hour_of_one_person",
        "Answers without questions": "test_first_hour.py::test_answers_without_questions",
        "Try it from a clone": "test_repository.py::test_readme_renders_from_a_clean_clone",
    },
    "docs/tutorial/personal.md": {
        "Render the project": "test_first_hour.py::test_the_first_hour_of_one_person",
        "Test and commit it": "test_first_hour.py::test_the_first_hour_of_one_person",
    },
    "docs/tutorial/production.md": {
        "Render the project 2": "test_first_hour.py::test_the_first_hour_of_a_team",
        "Test and commit it": "test_first_hour.py::test_the_first_hour_of_a_team",
        "Test and commit it 2": "test_first_hour.py::test_the_first_hour_of_a_team",
    },
    "docs/updates.md": {"*": "test_situations.py::test_every_section_is_tried"},
    "docs/team-kit.md": {"*": "test_team_kit.py::test_every_block_and_file_is_used"},
    f"{PROJECT}README.md": {
        "Start": "test_first_hour.py::test_the_first_hour_of_one_person",
        "Change an answer": "test_first_hour.py::test_the_first_hour_of_one_person",
        "Update": "test_first_hour.py::test_the_first_hour_of_one_person",
    },
}


@dataclass(frozen=True)
class Document:
    """A Markdown file; `name` is for messages, `key` for RUN."""

    name: str
    key: str
    text: str
    place: Place


@dataclass(frozen=True)
class Found:
    """A command of a document."""

    where: str
    words: Words
    place: Place

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.words)}"


def own_documents(rendered: Render) -> Iterator[Document]:
    """The template's. They speak of projects of any shape: one that has it all stands for them."""
    everything = shapes.make(
        profile="custom",
        callers=(shapes.HUMAN, shapes.MACHINE, shapes.BINDING),
        exposure="custom_domain",
        ops=True,
        staging=True,
        ci="github",
    )
    project = rendered(**shapes.answers(everything))
    place = Place((ROOT, project, ROOT / "team-kit"), project)
    for name in tracked_files():
        if name.endswith(".md") and not name.startswith("template/"):
            yield Document(name, name, (ROOT / name).read_text(encoding="utf-8"), place)


def rendered_documents(rendered: Render, chosen: Iterable[shapes.Shape]) -> Iterator[Document]:
    """Those of these shapes. What two of them have in common is there once."""
    seen = set()
    for shape in chosen:
        project = rendered(**shapes.answers(shape))
        place = Place((project,), project)
        scripts = (project / "package.json").read_text(encoding="utf-8")
        for file in sorted(project.rglob("*.md")):
            name, text = file.relative_to(project).as_posix(), file.read_text(encoding="utf-8")
            if (name, text, scripts) not in seen:
                seen.add((name, text, scripts))
                yield Document(f"{shapes.name_of(shape)}: {name}", PROJECT + name, text, place)


@pytest.fixture(scope="module")
def documents(rendered: Render) -> list[Document]:
    """The template's own, and those of a few shapes."""
    few = shapes.of_interest().values()
    return [*own_documents(rendered), *rendered_documents(rendered, few)]


@pytest.fixture(scope="module")
def all_documents(rendered: Render, documents: list[Document]) -> list[Document]:
    """Those too of the shapes that hold every pair of answers."""
    return [*documents, *rendered_documents(rendered, shapes.selection())]


def commands(document: Document) -> Iterator[Found]:
    """What is not run: the commands of its blocks, those in its text, and all they start."""
    run = RUN.get(document.key, {})
    names = headings(document.text)
    texts = tuple(block.text for block in shell_blocks(document.text))
    for number, words in split(texts, True).commands:
        if "*" in run or names[number] in run:
            continue
        for command in with_inner(words, document.place):
            yield Found(f"{document.name}, {names[number]}", command, document.place)
    mentioned = Place(document.place.folders, document.place.project, strict=False)
    for code in inline(document.text):
        tool, _, more = code.partition(" ")
        if tool in TOOLS and more and "…" not in code:
            for _, words in split((code,), False).commands:
                for command in with_inner(words, mentioned):
                    yield Found(f"{document.name}, in its text", command, mentioned)


def complaints(document: Document) -> Iterator[str]:
    """What bash has against the blocks: a quote without an end, a variable that nobody has set."""
    texts = tuple(block.text for block in shell_blocks(document.text))
    if complaint := split(texts, True).complaint:
        yield f"{document.name}: {complaint}"


def distinct(documents: list[Document]) -> list[Found]:
    """Each command once for each project."""
    unique = {
        (command.words, command.place.project, command.place.strict): command
        for document in documents
        for command in commands(document)
    }
    return list(unique.values())


@pytest.fixture(scope="module")
def found(documents: list[Document]) -> list[Found]:
    return distinct(documents)


def wrong(found: list[Found], *tools: str) -> list[str]:
    """A line for each thing that one of these tools does not know."""
    lines: dict[str, None] = {}
    for command in found:
        if command.words[0] in tools:
            for problem in problems(command.words, command.place):
                lines[f"{command}: {problem}"] = None
    return list(lines)


# --- The documents --------------------------------------------------------------------------------


def test_bash_takes_every_block(documents: list[Document]) -> None:
    assert [line for document in documents for line in complaints(document)] == []


def test_no_tool_is_unknown(found: list[Found]) -> None:
    unknown = [f"{command} {UNKNOWN}" for command in found if command.words[0] not in TOOLS]
    assert unknown == []


@pytest.mark.parametrize("tool", sorted(set(TOOLS) - set(SLOW)))
def test_commands_fit_their_tool(tool: str, found: list[Found]) -> None:
    assert wrong(found, tool) == []


@pytest.mark.slow
@pytest.mark.usefixtures("node", "node_modules")
def test_commands_of_every_shape(all_documents: list[Document]) -> None:
    """Those of wrangler too, by the version that package.json names."""
    assert [line for document in all_documents for line in complaints(document)] == []
    found = distinct(all_documents)
    assert len({command.words for command in found if command.words[0] in SLOW}) > 10
    assert {command.words[0] for command in found} <= set(TOOLS)
    assert wrong(found, *TOOLS) == []


def test_what_is_run_is_there(documents: list[Document]) -> None:
    """No row of RUN is left over, and each test takes the command from the document."""
    for key, rows in RUN.items():
        texts = [document.text for document in documents if document.key == key]
        assert texts, key
        for heading, test in rows.items():
            if heading != "*":
                assert any(heading in headings(text) for text in texts), (key, heading)
            file, _, name = test.partition("::")
            source = reached((HERE / file).read_text(encoding="utf-8"), name)
            assert Path(key.removeprefix(PROJECT)).name in source or heading == "*", (
                key,
                heading,
                test,
            )
            assert f'{heading}"' in source or heading == "*", (key, heading, test)


def reached(source: str, name: str) -> str:
    """A function's source, with that of all functions and constants of its file that it uses."""
    parts: dict[str, ast.stmt] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            parts[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            parts[node.targets[0].id] = node
    assert name in parts, f"there is no test {name}"
    todo, done = [name], dict[str, str]()
    while todo:
        current = todo.pop()
        if current in done or current not in parts or current == "RUN":
            continue
        done[current] = ast.get_source_segment(source, parts[current]) or ""
        for used in ast.walk(parts[current]):
            if isinstance(used, ast.Name):
                todo.append(used.id)
            elif isinstance(used, ast.arg):
                todo.append(used.arg)  # a fixture
    return "\n".join(done.values())


# --- The checker finds what is wrong --------------------------------------------------------------

PLANTED = [
    ("git comit --all", "git has no command 'comit'"),
    ("git clean --forse", "no option --forse"),
    ("git remote ad upstream", "git remote has no command 'ad'"),
    ("npm run tset", "package.json has no script 'tset'"),
    ("npm run probe --env staging", "'--env' needs -- before it"),
    ("npm run probe -- --enviroment staging", "no option --enviroment"),
    ("npm instal-all", "npm has no command 'instal-all'"),
    ("uv run --grup ops pytest", "no option --grup"),
    ("uv run pytest --markers-of slow", "no option --markers-of"),
    ("uv run python -m ops cheque", "ops has no command 'cheque'"),
    ("uv run python nothing.py", "there is no file nothing.py"),
    ("uv lokc", "uv has no command 'lokc'"),
    ("uvx copier updat", "copier has no command 'updat'"),
    ("uvx copier copy --default gh:org/private-worker my-api", "no option --default"),
    ("uvx copier copy gh:org/private-worker", "destination_path is missing"),
    ("uvx copier update --data", "--data lacks its value"),
    ("uvx cookiecutter copy", UNKNOWN),
    ("npx vercel deploy", UNKNOWN),
    ("terraform apply", UNKNOWN),
    ("cp .dev.vars.exmaple .dev.vars", "there is no file .dev.vars.exmaple"),
    ("curl -i --heder x https://example.com", "no option --heder"),
    ("curl -i", "no address"),
    ("cloudflared access log-in https://example.com", "no command 'access log-in'"),
    ("cloudflared access token --ap=https://example.com", "no option --ap"),
    ("gh secret set NAME --repository x", "no option --repository"),
    ("sh callers/curl.sh / --location", "argument 2 is no option"),
    ("sh callers/crul.sh /", "there is no file callers/crul.sh"),
    ("true && git comit", "git has no command 'comit'"),
    ('git checkout "$(git rev-lisp HEAD)"', "git has no command 'rev-lisp'"),
    ("printf x | cul https://example.com", UNKNOWN),
    ("git status || git stauts", "git has no command 'stauts'"),
]
PLANTED_SLOW = [
    ("npx wrangler tial", "wrangler has no command 'tial'"),
    ("npx wrangler vpc servce list", "wrangler vpc has no command 'servce'"),
    ("npx wrangler secret", "wrangler secret has no command ''"),
    ("npx wrangler secret put", "<key> is missing"),
    ("npx wrangler tail a b", "'b' is one word too many"),
    ("npx wrangler vpc service create a --type https", "--type does not take 'https'"),
    ("npx wrangler vpc service create a --tunel-id x", "no option --tunel-id"),
    ("uv run pywrangler deploy --enviroment staging", "no option --enviroment"),
]
RIGHT = """\
git init   # a comment that isn't a command
git checkout "$(git rev-list --max-count=1 HEAD -- a)~" -- a && git push --follow-tags origin main
uvx copier copy --defaults \\
  --data 'allowed_emails=<address>, <address>' gh:org/private-worker <folder>
curl -sS -H 'X: a b' --data '{"a": 1}' https://example.com | sh
npm run probe -- --env staging
"""


def planted(text: str, place: Place) -> list[str]:
    """What is found in a document with this one block."""
    document = Document("a.md", "a.md", f"# A\n\n```sh\n{text}\n```\n", place)
    found = [*complaints(document)]
    for command in commands(document):
        found += problems(command.words, command.place)
    return found


@pytest.fixture(scope="module")
def place(rendered: Render) -> Place:
    project = rendered(profile="production", staging=True)
    return Place((project,), project)


@pytest.mark.parametrize(("text", "expected"), PLANTED, ids=[text for text, _ in PLANTED])
def test_a_planted_mistake_is_found(text: str, expected: str, place: Place) -> None:
    assert [problem for problem in planted(text, place) if expected in problem]


@pytest.mark.slow
@pytest.mark.usefixtures("node", "node_modules")
@pytest.mark.parametrize(("text", "expected"), PLANTED_SLOW, ids=[text for text, _ in PLANTED_SLOW])
def test_a_planted_mistake_for_wrangler_is_found(text: str, expected: str, place: Place) -> None:
    assert [problem for problem in planted(text, place) if expected in problem]


def test_what_is_right_is_left_alone(place: Place) -> None:
    assert planted(RIGHT, place) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('curl -i "$ADDRESS/"', "ADDRESS: unbound variable"),
        ("git status &&", "syntax error"),
        ("git commit --message 'x", "unexpected EOF"),
        ("./deploy.sh", "No such file or directory"),
    ],
)
def test_a_block_that_bash_refuses_is_found(text: str, expected: str, place: Place) -> None:
    assert any(expected in line for line in planted(text, place))


def test_nothing_is_run(tmp_path: Path, place: Place) -> None:
    """bash writes the words down, and that is all."""
    target = tmp_path / "target"
    split((f"touch {target}\ncd {tmp_path}\nexec touch {target}\n",), True)
    assert not target.exists()


def test_running_text_is_looked_at(place: Place) -> None:
    """A mention may leave out what follows; what it says has to be right."""
    text = "Then `uvx copier copy`, `npm run chek` and `some code of yours`.\n"
    found = list(commands(Document("a.md", "a.md", text, place)))
    assert [problem for one in found for problem in problems(one.words, one.place)] == [
        "package.json has no script 'chek'"
    ]


@pytest.mark.parametrize("tool", NOT_HERE)
def test_the_table_fits_a_tool_that_is_installed(tool: str) -> None:
    """Where there is none, nothing can be compared."""
    if shutil.which(tool):
        for command, options in NOT_HERE[tool].items():
            text = helptext.ask(tool, *command.split(), "--help")
            assert re.search(rf"{tool} {command}\b", text)
            assert helptext.mentioned_problems(text, list(options)) == []
