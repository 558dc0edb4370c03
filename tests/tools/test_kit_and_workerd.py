"""docs/reference/kit-and-workerd.md: each known difference has a line, and each line its tests."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import ROOT

PAGE = ROOT / "docs" / "reference" / "kit-and-workerd.md"
FILES = ("test_kit_refuses", "test_kit_equal", "test_kit_fastapi", "test_check_files", "test_kit")

# What was found when a Worker's tests ran in workerd, each by words that its line has.
KNOWN = """
`to_js` / `JSON.parse` / `create_proxy` / `.new()` / default argument / cache / kept exception
`console.log` / `env.OBJ` / `asyncio.Lock` / promise / `jsnull`
`crypto.subtle` at import
`random.Random()` / `crypto.randomUUID()` / `AbortSignal.timeout` / `socket.connect`
`eval` / `Function` / `run_js`
`WebAssembly.Module`
Writing below `/session/metadata`
Files that are not deployed
`cache` / default, reload or force-cache / `integrity` / unknown method
foreign characters / empty / short / number or null / 32 768 bits / 0, 1, 2 or huge
stream or reader kept
promise that another request resolves
`Semaphore`
`input()` / `sys.stdin.read()`
`Authorization` after a redirect
Text of headers
Answers in gzip and br
`Content-Encoding: gzip` on a Response
101 or 999
`Connection`
`Content-Length` of an answer whose length is known
wrong `Content-Length` or `Transfer-Encoding`
bad `Content-Length` of a request
bare 500
Functions and classes
`Headers` as a result of RPC
`request.cf`
`ctx.exports`, `ctx.cache`, `ctx.tracing`
`def` endpoints
`setTimeout` without a delay
`Response("", status=204)`
307 with a body
`data:` URLs
dict as JWK
user and password in a URL
PS256
MD5
name of a package's
"""


class Row(NamedTuple):
    what: str
    kit: str
    tests: list[str]


def rows() -> list[Row]:
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith("| what |"):
            what, _, kit, tests = (cell.strip() for cell in line.strip("|").split(" | "))
            found.append(Row(what, kit, re.findall(r"`([^`]+)`", tests)))
    return found


def named_tests(file: str) -> set[str]:
    tree = ast.parse((Path(__file__).parent / f"{file}.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("known", KNOWN.strip().splitlines())
def test_each_difference_has_one_line(known: str) -> None:
    assert [all(words in row.what for words in known.split(" / ")) for row in rows()].count(
        True
    ) == 1


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.what[:40])
def test_each_line_has_its_tests(row: Row) -> None:
    everything = set().union(*map(named_tests, FILES))
    assert row.tests and set(row.tests) <= everything
    assert re.match(r"(refused|equal)\b|differs: .+", row.kit)


@pytest.mark.parametrize("file", FILES[:3])
def test_each_test_belongs_to_a_line(file: str) -> None:
    listed = {test for row in rows() for test in row.tests}
    others = {"test_upstreams_stay_in_reach"}  # what is not refused
    tests = {name for name in named_tests(file) if name.startswith("test_")}
    assert tests - others <= listed
