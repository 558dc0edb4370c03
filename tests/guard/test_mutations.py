"""The guard's tests notice when a rule of the guard is taken out.

For each row of mutations.py and generated_mutations.txt: change the guard of a rendered project, run the tests
that are named there, and expect one to fail. The guard as it is must pass them all. And the two
together leave out no check: generated_mutations.py finds all there are.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import generated_mutations
from mutations import MUTATIONS, SHAPES, Mutation

pytestmark = pytest.mark.slow

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


@dataclass(frozen=True)
class Case:
    """A change of one file, and the tests of one shape that must notice."""

    name: str
    shape: str
    file: str
    tests: str
    changed: Callable[[str], str]


def replacing(mutation: Mutation) -> Callable[[str], str]:
    def changed(source: str) -> str:
        found = source.count(mutation.old)
        assert found == 1, f"{mutation.file} has the text {found} times: {mutation.old}"
        return source.replace(mutation.old, mutation.new)

    return changed


def removing(file: str, change: str) -> Callable[[str], str]:
    def changed(source: str) -> str:
        there = {removal.change: removal.text for removal in generated_mutations.removals(file, source)}
        assert change in there, "this check is gone: run tests/guard/generated_mutations.py --write"
        return there[change]

    return changed


def every_case() -> Iterator[Case]:
    for each in MUTATIONS:
        yield Case(each.name, each.shape, each.file, each.tests, replacing(each))
    for (file, change), test in generated_mutations.table().items():
        shape, _, tests = test.rpartition(" ")
        name = f"{file.removesuffix('.py')}.{change}"
        yield Case(name, shape or "everybody", file, tests, removing(file, change))


CASES = list(every_case())


def by_shape() -> Iterator[Any]:
    """Shape by shape: the guard as it is, then each change.

    In two halves, of one process each: more would each make the projects and start Node again.
    """
    for shape in SHAPES:
        half = pytest.mark.xdist_group("mutations")
        yield pytest.param(shape, None, id=f"{shape}: as it is", marks=half)
        for number, case in enumerate(CASES):
            if case.shape == shape:
                half = pytest.mark.xdist_group(f"mutations {number % 2}")
                yield pytest.param(shape, case, id=case.name, marks=half)


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert sorted(names) == sorted(set(names))


def test_no_check_is_forgotten(project: Callable[[str], Project]) -> None:
    """Each is in one of three places, and nothing else is there. WRITE_CHECKS: see generated_mutations.py."""
    found = {
        (removal.file, removal.change): removal
        for file in generated_mutations.FILES
        for removal in generated_mutations.removals(file, project("everybody").source(file))
    }
    by_hand = set()
    for mutation in MUTATIONS:
        source = project("everybody").source(mutation.file)
        if mutation.old in source:
            by_hand.add(generated_mutations.program(source.replace(mutation.old, mutation.new)))
    wanted = [key for key, removal in found.items() if generated_mutations.program(removal.text) not in by_hand]
    equivalent = {
        (file, change) for file in generated_mutations.EQUIVALENT for change in generated_mutations.EQUIVALENT[file]
    }
    wanted = [key for key in wanted if key not in equivalent]
    rows = generated_mutations.table()
    if os.environ.get("WRITE_CHECKS"):
        before, rows = rows, {}
        for key in wanted:
            if test := before.get(key) or who_notices(found[key], project):
                rows[key] = test
                generated_mutations.write({**before, **rows})
        generated_mutations.write(rows)
    assert equivalent <= set(found), "an equivalent change that is no more"
    assert [key for key in wanted if key not in rows] == [], "run tests/guard/generated_mutations.py --write"
    assert set(rows) <= set(wanted), "rows too many: run tests/guard/generated_mutations.py --write"


def who_notices(removal: generated_mutations.Removal, project: Callable[[str], Project]) -> str | None:
    """A line for generated_mutations.txt."""
    for shape in SHAPES:
        tests = generated_mutations.FILES[removal.file] if shape == "everybody" else generated_mutations.OTHER_SHAPES[shape]
        if removal.file not in ("identity.py", "settings.py") and shape != "everybody":
            continue  # the kinds of callers matter nowhere else
        there = project(shape)
        changed = removing(removal.file, removal.change)(there.source(removal.file))
        failed: list[str] = []
        for some in (generated_mutations.QUICK if removal.file == "keys.py" else (), tests):
            if some and not failed:
                failed = there.run(removal.file, changed, list(some))["failed"]
        if failed:
            test = failed[0].removeprefix("tests/guard/").partition("[")[0]
            line = test if shape == "everybody" else f"{shape} {test}"
            print(f"{removal.file} {removal.change}\n    {line}", flush=True)
            return line
    print(f"{removal.file} {removal.change}\n    SURVIVES", flush=True)
    return None


@pytest.mark.parametrize(("shape", "case"), list(by_shape()))
def test_guard(shape: str, case: Case | None, project: Callable[[str], Project]) -> None:
    there = project(shape)
    if case is None:  # otherwise the changes would show nothing
        tests = sorted({each.tests for each in CASES if each.shape == shape})
        result = there.run("values.py", None, tests)
        assert result["exit"] == 0, result["output"]
        return
    changed = case.changed(there.source(case.file))
    compile(changed, case.file, "exec")
    result = there.run(case.file, changed, [case.tests])
    assert result["exit"] == 1 and result["failed"], f"survived: {result['output']}"
