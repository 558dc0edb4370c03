"""docs/public-cases.md: every case is there, and the tests that it names exist and know of it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from conftest import ROOT

DOCUMENT = (ROOT / "docs" / "public-cases.md").read_text(encoding="utf-8")
COUNTS = {"J": 25, "H": 4, "P": 8, "W": 3, "U": 3, "T": 25}
CASES = [f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)]
FOLDERS = ("template/tests/guard", "tests", "tests/in_project")


def sources() -> dict[str, str]:
    """The test files by plain name, without Jinja's conditions."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).iterdir()):
            name = re.sub(r"\{%.*?%\}", "", path.name)
            if name.startswith("test_") and path.is_file():
                plain = name.removesuffix(".jinja")
                assert plain not in found, f"two files are called {plain}"
                found[plain] = path.read_text(encoding="utf-8")
    return found


@cache
def functions(source: str) -> dict[str, str]:
    """Each test's own source."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # Jinja inside
        starts = re.split(r"(?m)^def (?=test_\w+\()", source)[1:]
        bodies = (re.split(r"(?m)^(?:@|def |class |[A-Z])", start)[0] for start in starts)
        return {body.split("(")[0]: body for body in bodies}
    lines = source.splitlines()
    return {
        node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def module_docstring(source: str) -> str:
    found = re.match(r'(?:#.*\n)*"""(.*?)"""', source, re.DOTALL)
    return found[1] if found else ""


def mentioned(text: str) -> set[str]:
    """Ids in a text: "J3", "U1-U3", "threat 7", "threats 2, 11 and 15-19"."""
    found: set[str] = set()
    spans = re.findall(r"\b([JHPWU])(\d+)(?:-\1?(\d+))?\b", text)
    for numbers in re.findall(r"[Tt]hreats? ([\d, and-]+)", text):
        spans += [("T", *span) for span in re.findall(r"(\d+)(?:-(\d+))?", numbers)]
    for letter, first, last in spans:
        found |= {f"{letter}{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def rows() -> dict[str, list[tuple[str, str]]]:
    """Id to the tests in its row, as pairs of file and function."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in DOCUMENT.splitlines():
        row = re.match(r"\| ([JHPWUT]\d+) \|.*\|(.*)\|$", line)
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


SOURCES = sources()
ROWS = rows()
NOT_COVERED = DOCUMENT.split("\n## Not covered\n")[1]


def test_every_case_is_there() -> None:
    assert list(ROWS) == CASES


@pytest.mark.parametrize("case", CASES)
def test_named_tests_exist(case: str) -> None:
    """And one of them, or its file's first lines, carries the id."""
    known = set()
    for file, function in ROWS[case]:
        assert file in SOURCES, f"{case}: there is no {file}"
        there = functions(SOURCES[file])
        assert function in there, f"{case}: {file} has no {function}"
        known |= mentioned(there[function]) | mentioned(module_docstring(SOURCES[file]))
    if ROWS[case]:
        assert case in known, f"no test of {case} says so"
    else:
        assert re.search(rf"^- (\w+, )*{case}\b.*:", NOT_COVERED, re.MULTILINE), case


def test_what_is_not_covered_are_cases() -> None:
    lines = re.findall(r"^- (.*?):", NOT_COVERED, re.MULTILINE)
    named = [case for line in lines for case in line.split(", ")]
    assert named and set(named) <= set(CASES)


def test_ids_in_tests_are_cases() -> None:
    """A mistyped id would look like a case that is covered."""
    for name, source in SOURCES.items():
        if name == Path(__file__).name:
            continue
        for function, text in functions(source).items():
            docstring = re.search(r'"""(.*?)"""', text, re.DOTALL)
            unknown = mentioned(docstring[1] if docstring else "") - set(CASES)
            assert not unknown, f"{name}: {function}: {unknown}"


def test_reading() -> None:
    """So that the tests above mean something."""
    assert mentioned("J1, U1-U3 and P7-9; threats 2, 11 and 15-17. Threat 4: x") == {
        *("J1", "U1", "U2", "U3", "P7", "P8", "P9"),
        *("T2", "T11", "T15", "T16", "T17", "T4"),
    }
    jinja = (
        'import x\n{% if y %}\n\n\ndef test_a(x):\n    """J1."""\n\n\n@mark\ndef test_b():\n    1\n'
    )
    assert functions(jinja) == {
        "test_a": 'test_a(x):\n    """J1."""\n\n\n',
        "test_b": "test_b():\n    1\n",
    }
