"""The guard's tests notice when a rule of the guard is taken out.

For each row of mutations.py: change the guard of a rendered project, run the tests that are named
there, and expect one to fail. The guard as it is must pass them all.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mutations import MUTATIONS, SHAPES, Mutation

# One process for all: a project and a Node for each shape would be made again in every other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mutations")]

RUNNER = Path(__file__).with_name("mutation_runner.py")


class Project:
    """A rendered project whose guard tests can be run again and again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._process = subprocess.Popen(
            [sys.executable, str(RUNNER), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def source(self, file: str) -> str:
        return (self.root / "src" / "guard" / file).read_text(encoding="utf-8")

    def run(self, file: str, text: str | None, tests: list[str]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"file": file, "text": text, "tests": tests}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the test process has ended"
        result: dict[str, Any] = json.loads(answer)
        return result

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def project(
    render: Callable[..., Path], node_modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Project]]:
    """The project of a shape; one at a time, because each keeps a Node process."""
    current: dict[str, Project] = {}

    def project(shape: str) -> Project:
        if shape not in current:
            close()
            root = render(tmp_path_factory.mktemp("mutated") / "project", **SHAPES[shape])
            (root / "node_modules").symlink_to(node_modules, target_is_directory=True)
            current[shape] = Project(root)
        return current[shape]

    def close() -> None:
        while current:
            current.popitem()[1].close()

    yield project
    close()


def cases() -> Iterator[Any]:
    """Shape by shape: the guard as it is, then each mutation."""
    for shape in SHAPES:
        yield pytest.param(shape, None, id=f"{shape}: as it is")
        for mutation in MUTATIONS:
            if mutation.shape == shape:
                yield pytest.param(shape, mutation, id=mutation.name)


def test_names_are_unique() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("shape", "mutation"), list(cases()))
def test_guard(shape: str, mutation: Mutation | None, project: Callable[[str], Project]) -> None:
    there = project(shape)
    if mutation is None:  # otherwise the mutations would show nothing
        tests = sorted({each.tests for each in MUTATIONS if each.shape == shape})
        result = there.run("values.py", None, tests)
        assert result["exit"] == 0, result["output"]
        return
    source = there.source(mutation.file)
    found = source.count(mutation.old)
    assert found == 1, f"{mutation.file} has the text of this rule {found} times: {mutation.old}"
    changed = source.replace(mutation.old, mutation.new)
    compile(changed, mutation.file, "exec")
    result = there.run(mutation.file, changed, [mutation.tests])
    assert result["exit"] == 1 and result["failed"], f"survived: {result['output']}"
