"""The calling Workers in callers/ of a rendered project: real tsc, wrangler and workerd take them.

What they do when they call: in_project/test_caller_workers.py.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs
import pytest

import shapes
from conftest import ROOT, Render, npm_packages
from files import read_jsonc
from wrangler_dev import QUIET, Dev

TEMPLATE = ROOT / "template" / "callers"
WORKERS = ("worker-python", "worker-typescript")
SHAPES = {name: shape for name, shape in shapes.of_interest().items() if shape["binding_style"]}
STYLES = ("internal-rpc", "internal-fetch", "everybody")  # one of each; the others for a release
RPC = {name: shape for name, shape in SHAPES.items() if shape["binding_style"] != "fetch"}


@pytest.mark.slow
def test_shapes() -> None:
    """So that the tests below mean something."""
    assert {SHAPES[name]["binding_style"] for name in STYLES} == {"rpc", "fetch", "both"}
    assert {shape["filled"] for shape in SHAPES.values()} == {True, False}


@pytest.fixture(scope="session")
def typescript(node: Path) -> Path:
    """node_modules with the packages that only the TypeScript caller needs, installed once."""
    wanted = json.loads((TEMPLATE / "worker-typescript" / "package.json.jinja").read_text())
    del wanted["devDependencies"]["wrangler"]
    content = json.dumps(wanted)
    key = "typescript-" + hashlib.sha256(content.encode()).hexdigest()[:16]
    return npm_packages(Path(platformdirs.user_cache_dir("private-worker-tests")) / key, content)


def copied(rendered: Render, shape: shapes.Shape, worker: str, folder: Path) -> Path:
    """The caller, copied out of its project as its first lines say."""
    project = rendered(**shapes.answers(shape))
    return Path(shutil.copytree(project / "callers" / worker, folder / worker))


# ---------------------------------------------------------------- types


def tsc(node: Path, folder: Path, packages: Path) -> str:
    """What the type checker says; empty when all is well."""
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(packages, target_is_directory=True)
    command = [str(node), str(packages / "typescript" / "bin" / "tsc"), "--pretty", "false"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (done.returncode == 0) == (done.stdout == ""), done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_types(name: str, rendered: Render, node: Path, typescript: Path, tmp_path: Path) -> None:
    folder = copied(rendered, SHAPES[name], "worker-typescript", tmp_path)
    assert tsc(node, folder, typescript) == ""


MISTAKES = {
    "another method": ("private-api.ts", "await api.greet(name)", "await api.great(name)"),
    "another argument": ("private-api.ts", "await api.greet(name)", "await api.greet(7)"),
    "no argument": ("private-api.ts", "await api.greet(name)", "await api.greet()"),
    "unchecked answer": ("private-api.ts", "if (!answer.ok) {", "if (false) {"),
    "unknown code": (
        "private-api.ts",
        "if (!answer.ok) {",
        'if (!answer.ok && answer.error == "x") {',
    ),
    "another result": ("index.ts", "const greeting = await", "const greeting: number = await"),
    "another path": ("index.ts", "env.API_PATH", "7"),
    "no binding": ("index.ts", "env.PRIVATE_API, env.NAME", "env, env.NAME"),
    "not awaited": ("private-api.ts", "valueOf(await api", "valueOf(api"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_types_notice(
    mistake: str, rendered: Render, node: Path, typescript: Path, tmp_path: Path
) -> None:
    """The types say something: each of these is an error."""
    folder = copied(rendered, SHAPES["everybody"], "worker-typescript", tmp_path)
    file, old, new = MISTAKES[mistake]
    source = (folder / "src" / file).read_text(encoding="utf-8")
    assert source.count(old) == 1
    (folder / "src" / file).write_text(source.replace(old, new), encoding="utf-8")
    assert "error TS" in tsc(node, folder, typescript)


@pytest.mark.slow
@pytest.mark.parametrize("name", RPC)
def test_types_follow_the_methods(name: str, rendered: Render) -> None:
    """Nothing makes the types from METHODS, so in a fresh project they have to agree."""
    project = rendered(**shapes.answers(RPC[name]))
    tree = ast.parse((project / "src" / "internal.py").read_text(encoding="utf-8"))
    exposed = next(
        [getattr(item, "id", "") for item in getattr(node.value, "elts", [])]
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "METHODS"
    )
    python = {
        node.name: [argument.arg for argument in node.args.args[2:]]
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef) and node.name in exposed
    }
    file = project / "callers" / "worker-typescript" / "src" / "private-api.ts"
    body = re.search(r"interface Methods \{\n(.*?)\n\}", file.read_text(encoding="utf-8"), re.S)
    assert body
    methods = re.findall(r"^  (\w+)\((.*?)\): Promise<Answer<.*>>;$", body[1], re.M)
    assert len(methods) == len(body[1].splitlines())
    assert {name: re.findall(r"(\w+):", given) for name, given in methods} == python


# ---------------------------------------------------------------- wrangler


def wrangler(node: Path, node_modules: Path, *arguments: str) -> list[str]:
    return [str(node), str(node_modules / "wrangler" / "bin" / "wrangler.js"), *arguments]


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in STYLES else pytest.mark.release)
        for name in SHAPES
    ],
)
def test_dry_run(
    name: str,
    worker: str,
    rendered: Render,
    node: Path,
    node_modules: Path,
    sdk: Path,
    tmp_path: Path,
) -> None:
    """Each can be deployed as it is, or not at all while nobody has named it."""
    shape = SHAPES[name]
    folder = copied(rendered, shape, worker, tmp_path)
    if worker == "worker-python":
        shutil.copytree(sdk, folder / "python_modules")
    bundle = tmp_path / "bundle"
    done = subprocess.run(
        wrangler(node, node_modules, "deploy", "--dry-run", "--outdir", str(bundle)),
        cwd=folder,
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
    )
    output = done.stdout + done.stderr
    if not shape["filled"]:
        assert done.returncode != 0
        assert 'Expected "name"' in output and "REPLACE_WITH_CALLING_WORKER" in output
        return
    assert done.returncode == 0, output
    assert "--dry-run: exiting now." in output
    assert not re.search("unexpected field|deprecated|warning", output, re.I), output
    assert "env.PRIVATE_API (my-api#Internal)" in output
    asked = {"NAME"} if shape["binding_style"] != "fetch" else set()
    asked |= {"API_PATH"} if shape["binding_style"] != "rpc" else set()
    assert set(re.findall(r"env\.([A-Za-z_0-9]+)", output)) == asked | {"PRIVATE_API"}
    there = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*")}
    if worker == "worker-python":
        assert {"entry.py", "private_api.py", "python_modules/workers/__init__.py"} <= there
    else:
        assert "index.js" in there
    config = read_jsonc(folder / "wrangler.jsonc")
    assert config["services"][0]["props"] == {"caller": shapes.CALLING_WORKERS[0]}
    assert config["name"] not in shapes.CALLING_WORKERS  # the real one would be replaced


@pytest.mark.slow
def test_versions_are_the_projects(rendered: Render) -> None:
    """Also the compatibility date, which chooses the Python that runs the caller."""
    project = rendered(**shapes.answers(SHAPES["everybody"]))
    pinned = json.loads((project / "package.json").read_text())["devDependencies"]["wrangler"]
    date = read_jsonc(project / "wrangler.jsonc")["compatibility_date"]
    for worker in WORKERS:
        folder = project / "callers" / worker
        packages = json.loads((folder / "package.json").read_text())["devDependencies"]
        assert packages["wrangler"] == pinned
        assert read_jsonc(folder / "wrangler.jsonc")["compatibility_date"] == date
    pins = re.compile(r'"(workers-[\w-]+==[\d.]+)"')
    ours = (project / "pyproject.toml").read_text(encoding="utf-8")
    theirs = (project / "callers/worker-python/pyproject.toml").read_text(encoding="utf-8")
    assert sorted(pins.findall(theirs)) == sorted(pins.findall(ours)) and pins.findall(theirs)


# ---------------------------------------------------------------- workerd

# Stands in for the project's Worker, whose Python needs a download that a test cannot count on.
CALLEE = """
import { WorkerEntrypoint } from "cloudflare:workers";
const allowed = (props) => props?.caller === "gateway";
export class Internal extends WorkerEntrypoint {
  greet(name) {
    if (!allowed(this.ctx.props)) return { ok: false, error: "forbidden" };
    return { ok: true, value: `Hello ${name}, says ${this.ctx.props.caller}` };
  }
  fetch(request) {
    if (!allowed(this.ctx.props)) return new Response("", { status: 403 });
    return Response.json({ path: new URL(request.url).pathname });
  }
}
export default { fetch: () => new Response("", { status: 403 }) };
"""


@pytest.fixture
def dev(node: Path, node_modules: Path, tmp_path: Path) -> Iterator[Callable[[Path], Dev]]:
    started: list[Dev] = []

    def dev(folder: Path) -> Dev:
        started.append(Dev(wrangler(node, node_modules), folder, tmp_path / "registry"))
        return started[-1]

    yield dev
    for each in started:
        each.stop()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="ends processes by their group")
def test_callee_first(dev: Callable[[Path], Dev], rendered: Render, tmp_path: Path) -> None:
    """In workerd: without the Worker behind its binding the TypeScript caller fails; with it, it
    calls by both ways, under its name. HTTP gets nothing from it."""
    caller = dev(copied(rendered, SHAPES["everybody"], "worker-typescript", tmp_path))
    caller.until(r"env\.PRIVATE_API \(my-api#Internal\) .*\[not connected\]")
    cron = caller.until(r'curl "http://127\.0\.0\.1:\d+(/[\w/-]+)"')
    assert caller.get(cron) == 500
    caller.until(r'Worker "my-api" not found\. Make sure it is running locally\.')
    assert caller.get("/") == 500

    callee = tmp_path / "callee"
    callee.mkdir()
    (callee / "index.js").write_text(CALLEE)
    config = {"name": "my-api", "main": "index.js", "compatibility_date": "2026-11-01"}
    (callee / "wrangler.json").write_text(json.dumps(config))
    dev(callee)
    caller.until(r"\[connected\]")
    assert caller.get(cron) == 200
    for line in (
        '{"event":"greeting","value":"Hello Ann, says gateway"}',
        '{"event":"answer","value":{"path":"/"}}',
    ):
        caller.until(re.escape(line))  # what is logged may come after the answer
