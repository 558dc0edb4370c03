"""docs/public-cases.md: each case names tests that exist, or says why there is none."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from conftest import ROOT

DOCUMENT = (ROOT / "docs" / "public-cases.md").read_text(encoding="utf-8")
NOT_COVERED = DOCUMENT.split("\n## Not covered\n")[1]
SUITE = ROOT / "template/vendor/private-worker/src/private_worker/conformance"
FOLDERS = (SUITE, ROOT / "template" / "tests", ROOT / "tests")


def rows() -> dict[str, list[tuple[str, str]]]:
    """Each case's id with the tests in its row, as pairs of file and function."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in DOCUMENT.splitlines():
        row = re.match(r"\| ([A-Z]\d+) \|.*\|(.*)\|$", line)
        if not row:
            continue
        assert row[1] not in found, f"{row[1]} is there twice"
        file = ""
        found[row[1]] = []
        for word in re.findall(r"`([^`]+)`", row[2]):
            if word.endswith(".py"):
                file = word
            else:
                found[row[1]].append((file, word))
    return found


ROWS = rows()


@cache
def functions(file: str) -> set[str]:
    """The tests in a file of this name. In two files of one name, which would not do, none."""
    paths = [path for folder in FOLDERS for path in folder.rglob(file)]
    return _functions(paths[0]) if len(paths) == 1 else set()


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_there_are_cases() -> None:
    assert len(ROWS) == DOCUMENT.count("\n| ") - DOCUMENT.count("\n| id |") > 60


@pytest.mark.parametrize("case", ROWS)
def test_named_tests_exist(case: str) -> None:
    for file, function in ROWS[case]:
        assert function in functions(file), f"{file} has no {function}"
    if not ROWS[case]:
        assert re.search(rf"^- (\w+, )*{case}\b.*:", NOT_COVERED, re.MULTILINE), case


def test_what_is_not_covered_are_cases() -> None:
    lines = re.findall(r"^- (.*?):", NOT_COVERED, re.MULTILINE)
    named = [case for line in lines for case in line.split(", ")]
    assert named and set(named) <= set(ROWS)
