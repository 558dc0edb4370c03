"""What owners add to the shared files has a place where no update meets it.

A merge of three versions conflicts where both sides change lines that touch. So each place lies
between two lines that stay as they are, whatever the answers are: FENCES. To change one of these
lines is a conflict in every project that has entries there.
"""

import json
import re
import shutil
import subprocess
import tomllib
from itertools import permutations
from pathlib import Path
from typing import Any

import json5
import pytest

import shapes
from conftest import FOLDER, Render, git, release, snapshot
from files import all_files, read_jsonc
from updates import assert_no_conflict, commit, copy, is_seed, update

FILES = ("package.json", "pyproject.toml", "wrangler.jsonc")
D1 = '{ "binding": "NOTES", "database_name": "notes", "database_id": "0000" }'
LIMIT = '{ "name": "MINE", "namespace_id": "1", "simple": { "limit": 1, "period": 10 } }'
# For each place the line above it, what an owner writes there, and the line below it.
FENCES: dict[str, list[tuple[str, str, str]]] = {
    "wrangler.jsonc": [
        (
            "  // Yours from here: bindings, triggers, queues, migrations, workflows, assets"
            " and so on.",
            f"""\
  "d1_databases": [
    {D1}
  ],
  "triggers": {{ "crons": ["0 3 * * *"] }},
  "queues": {{
    "producers": [{{ "binding": "JOBS", "queue": "jobs" }}],
    "consumers": [{{ "queue": "jobs" }}]
  }},
  "durable_objects": {{ "bindings": [{{ "name": "COUNTER", "class_name": "Counter" }}] }},
  "migrations": [{{ "tag": "v1", "new_sqlite_classes": ["Counter"] }}],
  "workflows": [{{ "binding": "FLOW", "name": "flow", "class_name": "Flow" }}],
  "assets": {{ "directory": "public", "binding": "ASSETS", "run_worker_first": true }},
""",
            "\n",
        ),
        (
            "    // Yours for other files:",
            '    { "type": "Data", "globs": ["**/*.csv"], "fallthrough": true },\n',
            "    // The template's:\n",
        ),
        (
            "    // Yours for previews:",
            f'    "d1_databases": [\n      {D1}\n    ],\n',
            '    "vars": {\n',
        ),
        (
            "      // Yours for staging:",
            f'      "d1_databases": [\n        {D1}\n      ],\n'
            '      "triggers": { "crons": [] },\n',
            '      "vars": {\n',
        ),
        ("    // Yours for other limits:", f"    {LIMIT},\n", "    // The template's:\n"),
        (
            "      // Yours for other limits of previews:",
            f"      {LIMIT},\n",
            "      // The template's:\n",
        ),
        (
            "        // Yours for other limits of staging:",
            f"        {LIMIT},\n",
            "        // The template's:\n",
        ),
    ],
    "pyproject.toml": [
        ("    # Yours for the Worker:", '    "jinja2==3.1.6",\n', "]\n"),
        ("    # Yours for development:", '    "polyfactory>=2",\n    "mypy>=1",\n', "]\n"),
        (
            "# Yours for pytest: markers, pythonpath, filterwarnings and so on.",
            'markers = ["slow"]\npythonpath = ["src"]\nfilterwarnings = [\n    "error",\n]\n',
            "\n",
        ),
        (
            "# Yours for ruff: target-version, per-file-target-version and so on.",
            'target-version = "py312"\n',
            "\n",
        ),
        (
            "# Yours for its rules: extend-select, ignore and so on.",
            'extend-select = [\n    "SIM",\n]\n',
            "\n",
        ),
        (
            "# Yours for its order of imports, and below that any table of your own.",
            "combine-as-imports = true\n\n[tool.mypy]\nstrict = true\n",
            "",
        ),
    ],
}
# JSON knows no comments and no comma at an end: the owner's lines go behind lines that stay.
LAST_SCRIPT = """\
    "format": "uv run ruff check --fix && uv run ruff format",
    "types": "uv run pywrangler types"
  },
"""
LAST_KEY = '  },\n  "private": true\n}\n'
OWN_JSON = {
    LAST_SCRIPT: LAST_SCRIPT.replace('types"\n', 'types",\n    "seed": "uv run python seed.py"\n'),
    LAST_KEY: LAST_KEY.replace(
        "true\n", 'true,\n  "dependencies": {\n    "htmx.org": "2.0.4"\n  }\n'
    ),
}
# The places of owners' limits, by block; only where the template has a limit.
LIMITS = {
    "": "    // Yours for other limits:",
    "previews": "      // Yours for other limits of previews:",
    "env": "        // Yours for other limits of staging:",
}
# An owner's own line length, in the template's line.
STYLE = ("line-length = 100\n", "line-length = 79\n")
# A var has no fence below it: projects that were made before there was one have the first
# setting there, filled in by hand, and a new line beside it would be a conflict in each of them.
OPENING = re.compile(r'^( +)"vars": {\n', re.MULTILINE)
OWN_VAR = '"GREETING": "hello",\n'


def with_own_entries(name: str, text: str, own_vars: int = 3) -> str:
    """The file as an owner would have it: an entry in every place that it has, and a var in so many
    of the blocks of vars: top level, previews, staging."""
    for above, own, below in FENCES.get(name, ()):
        assert text.count(f"{above}\n") == text.count(f"{above}\n{below}") <= 1, above
        text = text.replace(f"{above}\n", f"{above}\n{own}")
    if name == "package.json":
        for before, after in OWN_JSON.items():
            assert text.count(before) == 1
            text = text.replace(before, after)
    if name == "pyproject.toml":
        assert STYLE[0] in text
        text = text.replace(*STYLE)
    if name == "wrangler.jsonc" and own_vars:
        text = OPENING.sub(rf"\g<0>\1  {OWN_VAR}", text, own_vars)
    return text


def places_of(text: str) -> set[str]:
    """The places that a file has, by the lines above them."""
    return {above for found in FENCES.values() for above, _, _ in found if f"\n{above}\n" in text}


def assert_own_entries(name: str, text: str, places: set[str], own_vars: int) -> None:
    """Each stands in its place and nothing of the template's with it; the file can be read."""
    for above, own, below in FENCES.get(name, ()):
        assert (f"\n{above}\n{own}{below}" in text) == (above in places), above
    if name == "wrangler.jsonc":
        assert len(re.findall(rf'"vars": {{\n +{OWN_VAR}', text)) == own_vars
        config = json5.loads(text)
        assert config.get("vars", {}).get("GREETING") == ("hello" if own_vars else None)
    if name == "package.json":
        package = json.loads(text)
        assert package["scripts"]["seed"] == "uv run python seed.py"
        assert package["dependencies"] == {"htmx.org": "2.0.4"}
    if name == "pyproject.toml":
        settings = tomllib.loads(text)
        assert settings["tool"]["mypy"] == {"strict": True}
        assert settings["tool"]["ruff"]["line-length"] == 79
        assert settings["tool"]["pytest"]["ini_options"]["markers"] == ["slow"]
        assert settings["project"]["dependencies"][-1] == "jinja2==3.1.6"
        assert settings["dependency-groups"]["dev"][-1] == "mypy>=1"


def first_var(text: str) -> str:
    """The line below the opening of the top level's vars."""
    return OPENING.split(text)[2].split("\n", 1)[0]


def test_every_shape_has_the_places(project: Path) -> None:
    """Each fence stands there once; a second environment and previews have places of their own."""
    texts = {name: (project / name).read_text(encoding="utf-8") for name in FILES}
    config = read_jsonc(project / "wrangler.jsonc")
    blocks = {"previews", "env"} & set(config)
    expected = {above for found in FENCES.values() for above, _, _ in found}
    expected -= {"    // Yours for previews:"} if "previews" not in blocks else set()
    expected -= {"      // Yours for staging:"} if "env" not in blocks else set()
    for block, above in LIMITS.items():
        there = config if block == "" else config.get(block, {})
        there = there.get("staging", {}) if block == "env" else there
        expected -= {above} if "ratelimits" not in there else set()
    assert set().union(*map(places_of, texts.values())) == expected
    for name, text in texts.items():
        assert_own_entries(name, with_own_entries(name, text), expected, 1 + len(blocks))


PAIRS = [
    pytest.param(old, new, id=f"{old}-to-{new}")
    for old, new in permutations(shapes.of_interest(), 2)
]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_other_answers_meet_no_own_entry(
    rendered: Render, tmp_path: Path, old: str, new: str
) -> None:
    """As Copier merges, from each shape to each other one. Entries of a block that the answers take
    away, such as `env.staging`, are not there: see the last test."""
    both = [rendered(**shapes.answers(shapes.of_interest()[name])) for name in (old, new)]
    for name in FILES:
        base, theirs = ((folder / name).read_text(encoding="utf-8") for folder in both)
        places = places_of(base) & places_of(theirs)
        own_vars = int(name == "wrangler.jsonc" and first_var(base) == first_var(theirs))
        mine = with_own_entries(name, base, own_vars)
        for above, own, _ in FENCES.get(name, ()):
            if above not in places:
                mine = mine.replace(f"{above}\n{own}", f"{above}\n")
        for which, text in (("mine", mine), ("base", base), ("theirs", theirs)):
            (tmp_path / which).write_text(text, encoding="utf-8")
        merge = ["git", "merge-file", "-p", "mine", "base", "theirs"]
        done = subprocess.run(merge, cwd=tmp_path, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout
        assert_own_entries(name, done.stdout, places, own_vars)


# --- By Copier, to a version that changes all around the places -----------------------------------

COMMENT = {"wrangler.jsonc": "  // changed\n", "pyproject.toml": "# changed\n"}


def change_around(folder: Path) -> None:
    """A new line directly above and below each pair of fences; other scripts and versions."""
    for name, found in FENCES.items():
        file = folder / f"{name}.jinja"
        text = file.read_text(encoding="utf-8")
        for above, _, below in found:
            new = f"{COMMENT[name]}{above}\n{below}"
            # Below the others there is nothing that the template could change: own vars, the end.
            if below in ("\n", "]\n"):
                new += COMMENT[name]
            assert text.count(f"{above}\n{below}") == 1
            text = text.replace(f"{above}\n{below}", new)
        file.write_text(text, encoding="utf-8")
    file = folder / "package.json.jinja"
    text = file.read_text(encoding="utf-8")
    for old, new in {
        '    "test": "uv run pytest",\n': '    "test": "uv run pytest -q",\n',
        '    "format":': '    "changed": "true",\n    "format":',
        '">=22.12"\n': '">=24.1"\n',
        '    "wrangler": "4.164.0"\n': '    "wrangler": "4.165.0",\n    "wrangler-too": "1.0.0"\n',
    }.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """Two versions of the template, without the many files of vendor/."""
    repository = snapshot(tmp_path_factory.mktemp("repository"), "v0.9.0")
    shutil.rmtree(repository / "template" / "vendor")
    release(repository, "v1.0.0")
    change_around(repository / "template")
    release(repository, "v1.1.0")
    return repository


SMALL = {"profile": "custom", "callers": ["human"], "exposure": "workers_dev", "ci": "none"}
LARGE: dict[str, Any] = {
    **SMALL,
    "callers": ["human", "machine", "binding"],
    "preview_urls": True,
    "staging": True,
    "upstreams": "billing, reports",
    "framework": "fastapi",
    "ops": False,
}
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "more of everything": (
        SMALL,
        {
            "callers": ["human", "machine", "binding"],
            "exposure": "custom_domain",
            "hostname": "api.example.com",
            "preview_urls": True,
            "staging": True,
            "upstreams": "billing",
            "framework": "fastapi",
            "ops": False,
        },
    ),
    "less of everything": (
        LARGE,
        {
            "callers": ["human"],
            "exposure": "route",
            "upstreams": "",
            "framework": "plain",
            "ops": True,
        },
    ),
    "other Workers": (
        {"profile": "internal", "staging": True, "binding_style": "rpc"},
        {"binding_style": "fetch", "framework": "fastapi", "upstreams": "billing", "ops": False},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_own_entries_survive(repository: Path, tmp_path: Path, name: str) -> None:
    """A new version, then other answers."""
    old, changed = CHANGES[name]
    project = tmp_path / FOLDER
    copy(repository, project, "v1.0.0", old)
    places = set()
    for file in FILES:
        text = (project / file).read_text(encoding="utf-8")
        places |= places_of(text)
        (project / file).write_text(with_own_entries(file, text), encoding="utf-8")
    own_vars = (project / "wrangler.jsonc").read_text(encoding="utf-8").count(OWN_VAR)
    commit(project)
    for answers in ({}, changed):
        update(project, **answers)
        assert_no_conflict(project)
        for file in FILES:
            text = (project / file).read_text(encoding="utf-8")
            assert "changed" in text
            assert_own_entries(file, text, places, own_vars)
        commit(project)


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_what_uv_and_npm_write_is_in_place(repository: Path, tmp_path: Path) -> None:
    """`uv add` puts a name where the alphabet wants it, if the list is sorted, else at the end."""
    project = tmp_path / FOLDER
    copy(repository, project, "v1.0.0", LARGE)
    commit(project)
    for command in (
        "uv add --frozen aiohttp jinja2",
        "uv add --frozen --dev attrs polyfactory",
        "uv add --frozen --group docs zensical",
        "uv add --frozen --group aside attrs",
        "npm pkg set scripts.seed=true dependencies.alpinejs=3.0.0 type=module",
    ):
        done = subprocess.run(command.split(), cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    commit(project)
    update(project)
    assert_no_conflict(project)
    commit(project)
    update(project, **CHANGES["less of everything"][1])
    assert_no_conflict(project)
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["dependencies"] == ["aiohttp", "jinja2"]
    groups = settings["dependency-groups"]
    assert (groups["aside"], groups["docs"]) == (["attrs"], ["zensical"])
    assert groups["dev"][-2:] == ["attrs", "polyfactory"]
    package = json.loads((project / "package.json").read_text(encoding="utf-8"))
    assert package["scripts"]["seed"] == "true" and package["type"] == "module"
    assert package["dependencies"] == {"alpinejs": "3.0.0"}


@pytest.mark.slow
def test_entries_of_a_block_that_goes_are_not_dropped_silently(
    repository: Path, tmp_path: Path
) -> None:
    """Nobody but their owner knows where they belong, so this is a conflict, there and nowhere
    else; without them there is none."""
    project = tmp_path / FOLDER
    copy(repository, project, "v1.0.0", {**SMALL, "staging": True})
    for file in FILES:
        text = (project / file).read_text(encoding="utf-8")
        (project / file).write_text(with_own_entries(file, text), encoding="utf-8")
    commit(project)
    update(project, staging=False)
    assert git(project, "diff", "--name-only", "--diff-filter=U").split() == ["wrangler.jsonc"]
    text = (project / "wrangler.jsonc").read_text(encoding="utf-8")
    (conflict,) = re.findall(r"<{7}.*?>{7}", text, re.DOTALL)
    assert '"staging": {' in conflict and "Yours from here" not in conflict
    assert f"\n{FENCES['wrangler.jsonc'][0][1]}" in text
    resolved = re.sub(r"<{7}.*?>{7}[^\n]*\n", "", text, flags=re.DOTALL)
    assert json5.loads(resolved)["vars"]["GREETING"] == "hello"


# --- Style ---------------------------------------------------------------------------------------


def test_a_line_length_of_ones_own_is_not_for_the_templates_files(
    rendered: Render, tmp_path: Path
) -> None:
    """`npm run lint` stays green, and `npm run format` leaves managed files as they are."""
    project = tmp_path / FOLDER
    shutil.copytree(rendered(**shapes.answers(shapes.of_interest()["everybody-fastapi"])), project)
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(*STYLE), encoding="utf-8")
    mine = project / "src" / "mine.py"
    mine.write_text(f'name = "{"x" * 40}" + "{"y" * 40}"\n', encoding="utf-8")
    before = {name: path.read_bytes() for name, path in all_files(project)}
    for command in (["format"], ["check", "--fix", "--exit-zero"]):
        subprocess.run(["ruff", *command, "--no-cache"], cwd=project, check=True)
    after = {name: path.read_bytes() for name, path in all_files(project)}
    changed = {name for name in before if before[name] != after[name]}
    assert "src/mine.py" in changed
    assert all(name == "src/mine.py" or is_seed(name) for name in changed), changed
