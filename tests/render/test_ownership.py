"""Every file's first line tells who owns it.

`managed` files are the template's, `shared` ones are merged, `seed` files are the user's and are in
_skip_if_exists, so that an update never touches them.
"""

from fnmatch import fnmatch
from pathlib import Path

import pytest

import shapes
from conftest import Render
from files import texts
from questions import CONFIG

MANAGED = "Managed by the private-worker template: do not edit, an update replaces it."
SHARED = "Shared with the private-worker template: change what you like, an update merges"
# JSON has no comments, and Copier's own file says it in its own words.
NO_HEADER = {"package.json", "tsconfig.json"}
ANSWERS = ".copier-answers.yml"
SHARED_FILES = {"README.md", "pyproject.toml", "renovate.json5", "wrangler.jsonc"}


@pytest.fixture(params=list(shapes.of_interest().values()), ids=list(shapes.of_interest()))
def project(request: pytest.FixtureRequest, rendered: Render) -> Path:
    return rendered(**shapes.answers(request.param))


def is_seed(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in CONFIG["_skip_if_exists"])


def test_first_line_names_the_owner(project: Path) -> None:
    for name, text in texts(project).items():
        if name.rpartition("/")[2] in NO_HEADER or name.startswith("vendor/"):
            continue
        first = text.removeprefix("#!").split("\n", 1)[0]
        if name == ANSWERS:
            assert "Do not edit" in first
        elif is_seed(name):
            beginning = " ".join(text.split()[:40])
            assert "ours from the first copy on" in beginning, name
        elif name in SHARED_FILES:
            assert SHARED in first, name
        else:
            assert MANAGED in first, name


def test_only_seed_files_say_that_they_are_yours(project: Path) -> None:
    for name, text in texts(project).items():
        if name.startswith("vendor/"):
            continue  # says it in its README.md
        says_so = "an update never touches this file" in " ".join(text[:1000].split())
        assert says_so == is_seed(name), name


def test_seed_files_are_there(rendered: Render) -> None:
    """Each seed file that is promised is rendered by some shape."""
    names: set[str] = set()
    for shape in shapes.of_interest().values():
        names.update(texts(rendered(**shapes.answers(shape))))
    for pattern in CONFIG["_skip_if_exists"]:
        assert any(fnmatch(name, pattern) for name in names), pattern


def test_a_front_door_is_short(project: Path) -> None:
    """entry.py is the edge and nothing else."""
    lines = (project / "src" / "entry.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 30
