"""Every shape renders to files that parse and have nothing left over, and the rendered source and
documentation have what the public cases (docs/public-cases.md) ask of them."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import json5
import pytest
import yaml

import shapes
from conftest import Render
from files import all_files, anchors, links, read_jsonc, texts
from questions import ASKED
from shapes import BINDING, HUMAN, MACHINE, Shape

EXPRESSION = re.compile(r"\$\{\{ [\w.\-' |&=!()/:]+ \}\}")


def own_files(project: Path) -> Iterator[tuple[str, Path]]:
    """All but vendor/, which is not rendered."""
    return ((name, path) for name, path in all_files(project) if not name.startswith("vendor/"))


def test_every_file_parses(project: Path) -> None:
    """JSON, JSONC, TOML, YAML and Python, by the readers of those formats."""
    for name, path in own_files(project):
        text = path.read_text(encoding="utf-8")
        match path.suffix:
            case ".json":
                json.loads(text)
            case ".jsonc":
                read_jsonc(path)
            case ".json5":
                assert json5.loads(text), name
            case ".toml":
                tomllib.loads(text)
            case ".yml" | ".yaml":
                assert yaml.safe_load(text), name
            case ".py":
                ast.parse(text, filename=name)


def test_configuration_is_ascii(project: Path) -> None:
    """pywrangler reads wrangler.jsonc in the encoding of the locale."""
    for name in ("wrangler.jsonc", "package.json"):
        assert (project / name).read_bytes().isascii(), name


def test_configuration_is_ascii_whatever_the_answers(rendered: Render) -> None:
    project = rendered(
        profile="production",
        project_name="Ünïcödé 🔐",
        description="日本語のAPI",
        allowed_emails="jörg@bücher.example",
    )
    test_configuration_is_ascii(project)
    assert read_jsonc(project / "wrangler.jsonc")["vars"]["ALLOWED_EMAILS"] == [
        "jörg@bücher.example"
    ]


def test_links_and_anchors_resolve(project: Path) -> None:
    """Each relative link leads to a file of this shape, each anchor to a heading."""
    for name, text in texts(project).items():
        if not name.endswith(".md"):
            continue
        for link in links(text):
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", f"{name}: {link}"
                continue
            target = (project / name).parent / unquote(parts.path) if parts.path else project / name
            assert target.exists(), f"{name}: {link}"
            assert target.resolve().is_relative_to(project.resolve()), f"{name}: {link}"
            if parts.fragment:
                there = anchors(target.read_text(encoding="utf-8"))
                assert unquote(parts.fragment) in there, f"{name}: {link}"


def test_no_template_residue(project: Path) -> None:
    """Nothing of Jinja is left, and workflow expressions are whole."""
    for name, path in own_files(project):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\.jinja$|[{}%]", name), name
        if name.startswith((".github/", "callers/github-actions.yml")):
            text = EXPRESSION.sub("", text)
        # Two braces alone are no residue: Python's f-strings have them, too.
        left = re.search(r".*(\{\{[\s-]|\{%|%\}|\{#|#\}).*", text)
        assert not left, f"{name}: {left[0]}"


def test_whitespace(project: Path) -> None:
    """Lines end without spaces, files with one line feed, and no file is empty."""
    for name, path in own_files(project):
        data = path.read_bytes()
        if path.name == "py.typed":  # says all by being there
            continue
        assert data.strip(), f"{name} is empty"
        assert data.endswith(b"\n") and not data.endswith(b"\n\n"), name
        assert b"\r" not in data and not re.search(rb"[ \t]\n", data), name


def test_no_empty_folders(project: Path) -> None:
    """A condition on a file name instead of its folder would leave one."""
    assert [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


def test_answers_file_holds_the_answers(project: Path, shape: shapes.Shape) -> None:
    """It is there, by its default name, and holds what was answered and nothing else."""
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert "_src_path" in stored
    assert {name for name in stored if not name.startswith("_")} <= set(ASKED)
    for name, answer in shapes.answers(shape).items():
        assert stored[name] == answer, name


def test_formatted_and_linted(rendered: Render) -> None:
    """Each project by its own configuration: a later `ruff format` changes nothing. That leaves the
    template's files out, so they are looked at as well."""
    folders = [str(rendered(**shapes.answers(shape))) for shape in shapes.of_interest().values()]
    everything = ["--config", 'extend-exclude = ["vendor"]']
    modules = ["kit", "private_api", "private_worker", "private_worker_client"]
    everything += ["--config", f"lint.isort.known-first-party = {json.dumps(modules)}"]
    for command in (["format", "--check"], ["check"]):
        for options in ([], everything):
            run = ["ruff", *command, "--no-cache", *options, *folders]
            done = subprocess.run(run, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


# ---------------------------------------------------------------- the source

# What two requests could wait for together.
PRIMITIVES = {"Lock", "RLock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"}
PRIMITIVES |= {"Queue", "LifoQueue", "PriorityQueue", "Future", "create_future"}
TASKS = {"create_task", "ensure_future", "gather", "shield", "run_coroutine_threadsafe", "fetch"}
TASKS |= {"importKey", "TaskGroup"}

Lint = Callable[[ast.Module], Iterator[ast.AST]]


def called(node: ast.AST) -> str:
    """The last name of what a call calls, empty for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    return getattr(function, "attr", None) or getattr(function, "id", None) or ""


def shared_awaitables(tree: ast.Module) -> Iterator[ast.AST]:
    """Two requests share nothing that they could wait for: no lock or the like anywhere, no task
    and no unawaited call that outlives its request."""
    awaitables = TASKS | {
        node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)
    }
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    shared = {
        name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names
    }
    for node in ast.walk(tree):
        if called(node) in PRIMITIVES:
            yield node
        if called(node) in awaitables and id(node) not in inside:
            yield node
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and called(node.value or node) in awaitables
        ):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(not isinstance(to, ast.Name) or to.id in shared for to in targets):
                yield node


def other_settings(tree: ast.Module) -> Iterator[ast.AST]:
    """Settings that do not come from the `env` that the entrypoint was given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and {alias.name for alias in node.names} & {"os", "dotenv"}:
            yield node
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if node.module == "os" or (node.module or "") == "workers" and "env" in names:
                yield node
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("workers.env", "js.process"):
            yield node


def truth_of_bindings(tree: ast.Module) -> Iterator[ast.AST]:
    """A binding is a proxy, and asking whether it is true fails."""
    binding = re.compile(r"(\w+\.)*env\.\w+|getattr\((\w+\.)*env, .*\)|(\w+\.)*env\[.*\]")
    for node in ast.walk(tree):
        asked: list[ast.expr] = []
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            asked = [node.test]
        elif isinstance(node, ast.BoolOp):
            asked = node.values
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            asked = [node.operand]
        elif isinstance(node, ast.comprehension):
            asked = node.ifs
        elif isinstance(node, ast.Call) and called(node) == "bool":
            asked = node.args
        yield from (test for test in asked if binding.fullmatch(ast.unparse(test)))


def cache_api(tree: ast.Module) -> Iterator[ast.AST]:
    """Cloudflare's cache is shared by all callers, and its key is the URL."""
    for node in ast.walk(tree):
        if "caches" in (getattr(node, "id", ""), getattr(node, "attr", "")):
            yield node
        if isinstance(node, ast.ImportFrom) and "caches" in {alias.name for alias in node.names}:
            yield node


LINTS = (shared_awaitables, other_settings, truth_of_bindings, cache_api)


@pytest.mark.parametrize("lint", LINTS, ids=lambda lint: lint.__name__)
def test_source(lint: Lint, project: Path) -> None:
    """See the lints."""
    for path in sorted((project / "src").rglob("*.py")):
        found = list(lint(ast.parse(path.read_text(encoding="utf-8"))))
        assert not found, f"{path.name}: {ast.unparse(found[0])}"


@pytest.mark.parametrize(
    ("lint", "source"),
    [
        (shared_awaitables, "LOCK = asyncio.Lock()"),
        (shared_awaitables, "class Keys:\n    lock = Lock()"),
        (shared_awaitables, "class Keys:\n    def __init__(self):\n        self.ready = Event()"),
        (shared_awaitables, "waiting = loop.create_future()"),
        (shared_awaitables, "async def f():\n    ...\nTASK = asyncio.ensure_future(f())"),
        (shared_awaitables, "async def f():\n    ...\nPENDING = f()"),
        (shared_awaitables, "def g(self):\n    self.pending = fetch(url)"),
        (shared_awaitables, "def g(self):\n    self.task: object = create_task(x)"),
        (shared_awaitables, "def g():\n    global task\n    task = asyncio.create_task(x)"),
        (shared_awaitables, "def g():\n    PENDING['x'] = crypto.subtle.importKey(x)"),
        (other_settings, "import os"),
        (other_settings, "from os import environ"),
        (other_settings, "from workers import Response, env"),
        (other_settings, "import workers\nx = workers.env.X"),
        (truth_of_bindings, "if env.BILLING:\n    pass"),
        (truth_of_bindings, "x = self.env.BILLING and 1"),
        (truth_of_bindings, "x = 1 if not getattr(env, 'BILLING', None) else 2"),
        (truth_of_bindings, "x = bool(env.BILLING)"),
        (truth_of_bindings, "assert env['BILLING']"),
        (truth_of_bindings, "x = [1 for y in z if self.env.BILLING]"),
        (cache_api, "from js import caches"),
        (cache_api, "x = await js.caches.default.match(request)"),
    ],
)
def test_lints_notice(lint: Lint, source: str) -> None:
    """So that the test before this one means something."""
    assert list(lint(ast.parse(source)))


def test_lints_let_pass() -> None:
    """What belongs to one request is fine."""
    source = (
        "async def f(env, ctx):\n"
        "    task = asyncio.ensure_future(g())\n"
        "    self.answer = await fetch(url)\n"
        "    if env is not None and env.BILLING is not None:\n"
        "        return await env.BILLING.fetch(url)\n"
    )
    assert not [found for lint in LINTS for found in lint(ast.parse(source))]


def test_only_the_settings_are_read(project: Path) -> None:
    """The guard looks at the vars of wrangler.jsonc, and at no other."""
    read: set[str] = set()
    looks = []
    for path in sorted((project / "src" / "guard").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VARIABLES":
                read |= set(ast.literal_eval(node.value))
            if called(node) == "variable" and isinstance(node, ast.Call):
                name = node.args[1]
                read |= {str(name.value)} if isinstance(name, ast.Constant) else set()
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "env":
                looks.append(ast.unparse(node))
            if called(node) == "getattr" and ast.unparse(node).startswith("getattr(env,"):
                looks.append(f"{path.name}: {ast.unparse(node)}")
    assert looks == ["platform.py: getattr(env, name, None)"]
    others = {"ALLOWED_EMAILS", "ALLOWED_SERVICE_TOKENS"}  # the guard knows both, see shape.py
    others |= {"ROLES", "LOG_WHO", "LOG_KEY"}  # optional
    rendered_vars = set(read_jsonc(project / "wrangler.jsonc")["vars"])
    assert rendered_vars <= read <= rendered_vars | others


def test_a_whole_domain(rendered: Render) -> None:
    """In the list of the guard, and in the policy that SETUP has somebody make by hand."""
    project = rendered(allowed_emails="ann@example.net, @example.com")
    listed = read_jsonc(project / "wrangler.jsonc")["vars"]["ALLOWED_EMAILS"]
    assert listed == ["ann@example.net", "@example.com"]
    rows = (project / "docs" / "SETUP.md").read_text(encoding="utf-8").replace("\\", "")
    assert "| Allow | Emails | ann@example.net |" in rows
    assert "| the same Allow | Emails ending in | @example.com |" in rows
    alone = rendered(allowed_emails="@example.com") / "docs" / "SETUP.md"
    rows = alone.read_text(encoding="utf-8").replace("\\", "")
    assert "| Allow | Emails ending in | @example.com |" in rows and "| Emails |" not in rows


# ---------------------------------------------------------------- the documentation


def edge(shape: Shape) -> bool:
    return bool(shape["exposure"] != "none")


# Where a case can only be told: who has to read it, where, and the words that say it.
TOLD: dict[str, tuple[Callable[[Shape], bool], str, str]] = {
    "who refused": (
        edge,
        "docs/CALLING.md",
        r'`403` `{"error": "forbidden"}` \| guard \|',
    ),
    "dev is local": (
        edge,
        "README.md",
        r"`npm run dev` runs the Worker on this computer. The `access.dev` block .* stands in for",
    ),
    "old versions": (
        edge,
        "docs/SECURITY.md",
        r"each old version would have an address|old versions keep the code and the settings",
    ),
    "tokens by name": (
        lambda shape: MACHINE in shape["callers"],
        "docs/SETUP.md",
        r"Service Auth \| Service Token \| .*not Any Access Service Token",
    ),
    "whose user": (
        lambda shape: BINDING in shape["callers"],
        "docs/CALLING.md",
        r"Which user stands behind a call does not come through a binding",
    ),
    "applications for a path": (
        lambda shape: shape["access_scope"] == "worker",
        "docs/SECURITY.md",
        r"covers every address; an application for a hostname or a path would come before it",
    ),
    "SameSite": (
        lambda shape: HUMAN in shape["callers"],
        "docs/SETUP.md",
        r"set \*\*SameSite\*\* to Lax",
    ),
}


@pytest.mark.parametrize("case", TOLD)
def test_documentation_tells(case: str, rendered: Render) -> None:
    """In every shape that it concerns."""
    concerns, file, words = TOLD[case]
    concerned = [shape for shape in shapes.of_interest().values() if concerns(shape)]
    assert concerned
    for shape in concerned:
        text = (rendered(**shapes.answers(shape)) / file).read_text(encoding="utf-8")
        assert re.search(words, text), shapes.name_of(shape)


def test_nobody_is_sent_to_remote_development(project: Path) -> None:
    """Against a host behind Access, `wrangler dev --remote` ends at the login page."""
    for name, text in texts(project).items():
        assert not re.search(r"dev\b.*(--remote|--host)\b", text), name
