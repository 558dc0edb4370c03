"""Every block of a rendered docs/WRITING.md works: the recipes of a shape, put together in one
project as the document says, pass their tests, and `check` and wrangler take their configuration.

A recipe is a heading. Its tests are in writing/, or blocks of the document itself. Its commands:
test_documented_commands.py.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import uv

import shapes
from conftest import FOLDER, ROOT, Render, install
from documents import SHELLS, Block, blocks
from files import read_jsonc
from lock import sync
from private_worker.project import read

TESTS = ROOT / "tests" / "docs" / "writing"
# Each heading that has blocks to the tests that show that they work.
RECIPES = {
    "Tests": ["test_hello"],
    "Methods": ["test_methods"],
    "Routes": ["test_routes"],
    "Roles": ["test_roles", "test_admin"],
    "Tools for agents": ["test_convert"],
    "Pages, and files beside the code": ["test_pages"],
    "Static assets": ["test_assets"],
    "Forms and uploads": ["test_uploads", "test_a_form_as_it_is_shown"],
    "KV": ["test_kv"],
    "D1": ["test_d1"],
    "R2": ["test_r2"],
    "Queues": ["test_queues"],
    "Cron": ["test_cron"],
    "Durable Objects": ["test_durable_objects"],
    "Workflows": ["test_workflows"],
    "Secrets and other sites": ["test_secrets", "test_weather", "test_other_sites"],
    "Streaming": ["test_streaming"],
    "WebSockets": ["test_websockets"],
    "OpenAPI": ["test_openapi", "test_openapi_json"],
    "Rate limits": ["test_rate_limits"],
}
# Those that together have every block in each of its forms.
DISTINCT = ("personal", "hostname-application", "everybody-fastapi", "internal-rpc", "agents")
FIRST_LINE = re.compile(r"(?:#|//|--) ([\w./]+)(, .+)?\n")
# What `check` may say of them: values to fill in, what to repeat for staging, and that assets need
# another answer, which the recipe says.
UNFINISHED = {"placeholder", "not-inherited", "not-a-repository"}
IMPORT = r"^(?:from|import) .*\n"
CLASSES = r"^CLASSES = \((.*?)\)(?:  #.*)?$"
LAST = "    return await bridge.run("  # of src/api.py with FastAPI
BINDINGS = {"KV", "DB", "FILES", "JOBS", "COUNTER", "ORDERS", "LIMIT", "ASSETS"}


def document(project: Path) -> str:
    return (project / "docs" / "WRITING.md").read_text(encoding="utf-8")


def recipes(text: str) -> list[Block]:
    """The blocks that belong in a file."""
    return [block for block in blocks(text) if block.language not in SHELLS]


def place(block: Block) -> tuple[str, str, str]:
    """The file that its first line names, what that says further, and the other lines."""
    found = FIRST_LINE.match(block.text)
    assert found, f"{block.heading}: the first line names no file: {block.text}"
    return found[1], found[2] or "", block.text[found.end() :]


# --- Put together ---------------------------------------------------------------------------------


def put_together(project: Path, text: str) -> None:
    """Do what the document says with each block, in its order."""
    for block in recipes(text):
        name, how, lines = place(block)
        file = project / name
        if name == "wrangler.jsonc":
            places = {"vars": '  "vars": {', "ratelimits": "    // Yours for other limits:"}
            found = (above for key, above in places.items() if key in how)
            insert(file, next(found, "  // Yours from here"), lines)
        elif name.endswith(".py") and file.exists() and not how:
            file.write_text(extended(file.read_text(encoding="utf-8"), lines), encoding="utf-8")
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(lines, encoding="utf-8")
    include(project)


def insert(file: Path, above: str, lines: str) -> None:
    """Put the lines below the one line of the file that begins with `above`."""
    text, count = re.subn(
        rf"^{re.escape(above)}.*\n", lambda found: found[0] + lines, file.read_text(), flags=re.M
    )
    assert count == 1, above
    file.write_text(text, encoding="utf-8")


def extended(text: str, lines: str) -> str:
    """A Python file with more in it: the imports come first, the rest to the end, and CLASSES names
    what it named before as well."""
    imports = "".join(re.findall(IMPORT, lines, re.M))
    rest = re.sub(IMPORT, "", lines, flags=re.M).strip("\n")
    docstring = re.match(r'""".*?"""\n', text, re.S)
    head = docstring[0] if docstring else ""
    if (before := re.search(CLASSES, text, re.M)) and re.search(CLASSES, rest, re.M):
        text = text.replace(before[0], "")
        rest = re.sub(CLASSES, lambda now: f"CLASSES = ({before[1]} {now[1]})", rest, flags=re.M)
    return f"{head}\n{imports}{text.removeprefix(head)}\n\n{rest}\n"


def include(project: Path) -> None:
    """Name every module that answers requests in src/api.py, as the document shows it for one."""
    api = project / "src" / "api.py"
    modules = {
        path.stem: path.read_text(encoding="utf-8") for path in (project / "src").glob("*.py")
    }
    more = [
        name
        for name, source in modules.items()
        if name not in ("hello", "api")
        and re.search(r"^router = |^async def handle\(request, i", source, re.M)
    ]
    if not api.exists():
        return
    text = api.read_text(encoding="utf-8")
    table = 'PARTS = {"hello": hello.handle}'
    if table in text:
        rows = "".join(f'    "{name}": {name}.handle,\n' for name in ["hello", *more])
        text = text.replace(table, f"PARTS = {{\n{rows}}}")
        text = text.replace(
            "import hello\n", "".join(f"import {name}\n" for name in [*more, "hello"])
        )
    else:
        for name in more:
            if "router = " in modules[name]:
                text = extended(text, f"import {name}\n\napp.include_router({name}.router)\n")
            else:  # it answers before the application
                first = f"""    if request.url.endswith("/{name}"):
        return await {name}.handle(request, identity, env, "")
"""
                text = extended(text.replace(LAST, first + LAST), f"import {name}\n")
                assert first in text, name
    api.write_text(text, encoding="utf-8")


# --- Of each shape --------------------------------------------------------------------------------


def test_each_block_belongs_to_a_recipe_with_tests(project: Path, tmp_path: Path) -> None:
    """And each block of Python is in the style that `npm run lint` wants."""
    for number, block in enumerate(recipes(document(project))):
        assert block.heading in RECIPES, block.heading
        name, _, lines = place(block)
        if name.endswith(".py"):
            (tmp_path / f"{number}.py").write_text(lines, encoding="utf-8")
    style = ["ruff", "format", "--diff", "--isolated", "--line-length=100", str(tmp_path)]
    done = subprocess.run(style, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_recipe_is_in_some_shape(rendered: Render) -> None:
    """Of those that are tried below."""
    found = {
        block.heading
        for name in DISTINCT
        for block in recipes(document(rendered(**shapes.answers(shapes.of_interest()[name]))))
    }
    assert found == set(RECIPES)


def test_it_is_short(rendered: Render) -> None:
    assert document(rendered()).count("\n") <= 420


# --- They work ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", DISTINCT)
def test_recipes_work(name: str, rendered: Render, node_modules: Path, tmp_path: Path) -> None:
    """All of a shape in one project, in its style, and with its doors as closed as before."""
    project = tmp_path / FOLDER
    shutil.copytree(rendered(**shapes.answers(shapes.of_interest()[name])), project)
    install(project, node_modules)
    text = document(project)
    put_together(project, text)
    (project / "src" / "style.css").write_text("p { color: green }", encoding="utf-8")
    base = read(project).shape.base
    logo = project / f"public{base}" / "assets" / "logo.svg"
    logo.parent.mkdir(parents=True)
    logo.write_text("<svg/>", encoding="utf-8")
    (project / ".dev.vars").write_text("WEATHER_KEY='from .dev.vars'\n", encoding="utf-8")
    headings = {block.heading for block in recipes(text)}
    wanted = {test for heading in headings for test in RECIPES[heading]}
    for path in TESTS.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        if wanted & set(re.findall(r"^def (\w+)", source, re.M)):
            (project / "tests" / f"test_writing_{path.stem}.py").write_text(source)

    for package in re.findall(r"`uv add --raw ([\w-]+)`", text):
        run(project, "add", "--quiet", "--raw", package)
    sync(project)
    run(project, "run", "ruff", "check", "--fix-only", "src")  # the order of the imports
    run(project, "run", "ruff", "check", "src")
    assets = {"assets"} if read(project).shape.access_scope == "worker" else set()
    assert found_by_check(project) - UNFINISHED == assets
    deselected = [f"--deselect={test}" for test in (*without(headings), *dropped(text))]
    run(project, "run", "pytest", "--junitxml=results.xml", *deselected)
    passed = {test for test, well in results(project / "results.xml") if well}
    assert wanted <= passed, wanted - passed


def run(project: Path, *arguments: str) -> None:
    done = subprocess.run(
        [uv.find_uv_bin(), *arguments], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr


def found_by_check(project: Path) -> set[str]:
    """The rules that `npm run check` names."""
    done = subprocess.run(
        [uv.find_uv_bin(), "run", "private-worker", "check"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert "Problems found" in done.stdout, done.stdout + done.stderr
    return set(re.findall(r"^\S+  ([a-z-]+)$", done.stdout, re.M))


def dropped(text: str) -> Iterator[str]:
    """The project's own tests that the document says to delete."""
    for names, file in re.findall(r"delete (`.+`) from `(tests/\w+\.py)`", text):
        yield from (f"{file}::{name}" for name in re.findall(r"`(\w+)`", names))


def without(headings: set[str]) -> Iterator[str]:
    """The tests of the recipes that this shape does not have."""
    for heading, tests in RECIPES.items():
        if heading not in headings:
            yield from (f"tests/test_writing_pages.py::{test}" for test in tests)


def results(file: Path) -> Iterator[tuple[str, bool]]:
    for case in ElementTree.parse(file).iter("testcase"):
        yield case.attrib["name"].partition("[")[0], len(case) == 0


# --- And can be deployed --------------------------------------------------------------------------


@pytest.mark.slow
def test_wrangler_takes_them(
    rendered: Render, node: Path, node_modules: Path, tmp_path: Path
) -> None:
    """Real wrangler lists every binding, bundles the files beside the code, and knows the
    migrations."""
    project = tmp_path / FOLDER
    shutil.copytree(rendered(), project)
    text = document(project)
    put_together(project, text)
    (project / "node_modules").symlink_to(node_modules, target_is_directory=True)
    (project / "public").mkdir()
    (project / "src" / "style.css").write_text("p { color: green }")
    (project / "src" / "data.csv").write_text("1,2")

    def wrangler(*arguments: str) -> str:
        done = subprocess.run(
            [str(node), str(node_modules / "wrangler" / "bin" / "wrangler.js"), *arguments],
            cwd=project,
            env={**os.environ, "CI": "1", "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    said = wrangler("deploy", "--dry-run", "--outdir", str(tmp_path / "bundle"))
    listed = set(re.findall(r"env\.([A-Za-z_0-9]+)", said))
    assert listed >= BINDINGS, said
    bundle = {
        path.relative_to(tmp_path / "bundle").as_posix()
        for path in (tmp_path / "bundle").rglob("*")
    }
    assert bundle >= {"entry.py", "notes.py", "style.css"}, said
    assert "data.csv" not in bundle  # as the document says

    found = re.search(
        r'"predeploy": "uv run private-worker locked && wrangler (d1 .+) --remote"', text
    )
    assert found and f"npx wrangler {found[1]} --local" in text
    assert "0001_first.sql" in wrangler(*found[1].split(), "--local")
    assert "No migrations to apply" in wrangler(*found[1].split(), "--local")


def test_the_merged_configuration(rendered: Render, tmp_path: Path) -> None:
    """Every store and class stands in it once, and what was there before still does."""
    project = tmp_path / FOLDER
    shutil.copytree(rendered(), project)
    before = read_jsonc(project / "wrangler.jsonc")
    put_together(project, document(project))
    after = read_jsonc(project / "wrangler.jsonc")
    more = after["vars"].keys() - before["vars"].keys()
    assert more == {"ROLES"} and before["vars"].items() <= after.pop("vars").items()
    del before["vars"]
    assert after.items() >= before.items()
    assert after["assets"]["run_worker_first"] is True
