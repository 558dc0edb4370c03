"""Which files of src/ a deploy takes: what `check` says of them; and wrangler does the same."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import Render
from files import read_jsonc
from private_worker.check.files import findings
from private_worker.config import Config
from private_worker.deployed import taken
from private_worker.project import read


@pytest.fixture
def folder(rendered: Render, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered(), tmp_path / "project"))


def found(folder: Path) -> list[tuple[str, str, str]]:
    each_one = findings(Config(folder / "wrangler.jsonc"), read(folder))
    return [(each.rule, each.file, each.fix) for each in each_one]


def put(folder: Path, name: str) -> None:
    path = folder / "src" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n")


@pytest.mark.parametrize(
    "name", ["a.css", "a.js", "deep/a.json", "a.svg", "a.png", "a.ico", "a.webmanifest", "a.sql"]
)
def test_the_templates_rules_take_what_a_page_needs(folder: Path, name: str) -> None:
    put(folder, name)
    assert found(folder) == []


def test_a_file_that_no_deploy_takes(folder: Path) -> None:
    for name in ("data.csv", "deep/README", "types.pyi", "py.typed", ".hidden", "__pycache__/a.x"):
        put(folder, name)
    rule = '{"type": "Data", "globs": ["**/*.csv"], "fallthrough": true}'
    fix = f'Add to "rules" in wrangler.jsonc: {rule}, or move it out of src/.'
    assert found(folder)[0] == ("not-deployed", "src/data.csv", fix)
    assert [file for _, file, _ in found(folder)] == ["src/data.csv", "src/deep/README"]
    config = folder / "wrangler.jsonc"
    place = "    // Yours for other files:\n"
    config.write_text(config.read_text().replace(place, f"{place}    {rule},\n"))
    assert [file for _, file, _ in found(folder)] == ["src/deep/README"]


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("asgi.py", "the package workers-runtime-sdk"),
        ("calendar.py", "Python itself"),
        ("workers/own.py", "the package workers-runtime-sdk"),
        ("vendored.py", "python_modules/"),
        ("compression.py", "Python itself"),
        ("js.py", "the runtime"),
    ],
)
def test_a_module_that_another_hides(folder: Path, name: str, by: str) -> None:
    (folder / "python_modules" / "vendored").mkdir(parents=True)
    for own in ("notes.py", "chunk.py", "resource.py"):  # the last two are not in Pyodide
        put(folder, own)
    assert found(folder) == []
    put(folder, name)
    [finding] = findings(Config(folder / "wrangler.jsonc"), read(folder))
    assert (finding.rule, finding.file) == ("hidden-module", f"src/{name.split('/')[0]}")
    assert finding.wrong.endswith(f"in {by}")


TYPES = "py txt html sql bin wasm css js mjs cjs json svg png ico webmanifest csv pyi map md jinja"
NAMES = [f"{folder}a.{ending}" for ending in TYPES.split() for folder in ("", "deep/er/")]
RULES: dict[str, list[dict[str, Any]] | None] = {
    "the template's": None,
    "none": [],
    "one that ends its type": [{"type": "Text", "globs": ["**/*.csv"]}],
    "one that does not": [{"type": "Text", "globs": ["**/*.csv"], "fallthrough": True}],
    "two of a type": [
        {"type": "Data", "globs": ["*.csv"], "fallthrough": True},
        {"type": "Data", "globs": ["deep/**/*.md"]},
        {"type": "Data", "globs": ["**/*.map"]},
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES)
def test_wrangler_takes_the_same(rules: str, folder: Path, node: Path, node_modules: Path) -> None:
    """A real `wrangler deploy --dry-run`."""
    shutil.rmtree(folder / "src")
    for name in ["entry.py", "README", *NAMES]:
        put(folder, name)
    config = folder / "wrangler.jsonc"
    own = RULES[rules]
    if own is not None:
        text = config.read_text()
        end = text.index("  ],\n", start := text.index('  "rules": ['))
        config.write_text(f'{text[:start]}  "rules": {json.dumps(own)},\n{text[end + 5 :]}')
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    out = folder / "out"
    wrangler = [str(node), str(node_modules / "wrangler" / "bin" / "wrangler.js")]
    done = subprocess.run(
        [*wrangler, "deploy", "--dry-run", "--outdir", str(out)],
        cwd=folder,
        env={**os.environ, "CI": "1", "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    there, left_out = taken(folder / "src", read_jsonc(config)["rules"])
    # wrangler writes a README of its own into the folder, and the main module whatever the rules.
    assert {"entry.py", *there} == deployed - {"README.md"}
    assert {*there, *left_out} == {"entry.py", "README", *NAMES}
    if own is None:  # JavaScript is text there, and nothing that would run
        assert re.search(r"a\.js\W+text\b", done.stdout), done.stdout
