"""Change the guard rule by rule, and see that its tests notice each change.

    uv run python tests/guard/mutation_run.py                  unless nothing changed since the last
    uv run python tests/guard/mutation_run.py --always         in any case, as before a release
    uv run python tests/guard/mutation_run.py --only NESTING   what has this in its name
    uv run python tests/guard/mutation_run.py --write          finds tests for changes without one

The changes are those of mutations.py and generated_mutations.txt. A run of all of them in which
every one is noticed leaves a hash of the guard and its tests in mutations_green.txt. As long as it
fits, there is nothing to find out: tests/guard/test_mutations.py skips the run.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from copier import Settings, run_copy

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [
    str(ROOT / folder) for folder in ("model", "tests", "tests/support", "tools", "tests/guard")
]

import archives  # noqa: E402
import generated_mutations as generated  # noqa: E402
from mutations import MUTATIONS, SHAPES, Mutation  # noqa: E402

RUNNER = HERE / "mutation_runner.py"
RECORD = HERE / "mutations_green.txt"
PROCESSES = 2

# What a run depends on, from the top of the repository. Files that a shape has not are in it, too.
TOOLS = "template/vendor/private-worker/src/private_worker"
INPUTS = (
    *("includes/shape.jinja", "template/src/guard", "template/src/entry.py.jinja"),
    *("template/src/upstream.py.jinja", "template/src/bridge.py", "template/src/mcp_server.py"),
    *(f"{TOOLS}/{name}" for name in ("conformance", "testing", "standin", "project.py")),
    *(f"{TOOLS}/{name}" for name in ("config.py", "dev_vars.py", "text.py")),
    f"{TOOLS}/../../pytest.ini",
    *("copier.yml", "template/wrangler.jsonc.jinja"),
    *("tests/guard/mutations.py", "tests/guard/generated_mutations.py"),
    *("tests/guard/generated_mutations.txt", "tests/guard/mutation_runner.py"),
    "tests/guard/mutation_run.py",
)


def fingerprint(root: Path = ROOT) -> str:
    """SHA-256 over the names and contents of everything that decides how a run ends."""
    digest = hashlib.sha256()
    for name in INPUTS:
        path = root / name
        files = path.rglob("*") if path.is_dir() else [path]
        for file in sorted(file for file in files if file.is_file()):
            if "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{content} {file.relative_to(root).as_posix()}\n".encode())
    return digest.hexdigest()


def is_recorded() -> bool:
    """Whether the last complete run in which every change was noticed was of what is here now."""
    return RECORD.is_file() and RECORD.read_text(encoding="utf-8").split()[-1] == fingerprint()


# ---------------------------------------------------------------- the changes


@dataclass(frozen=True)
class Case:
    """A change of one file, and the tests of one shape that must notice. None: no change."""

    name: str
    shape: str
    file: str
    tests: tuple[str, ...]
    changed: Callable[[str], str] | None


def replacing(mutation: Mutation, source: str) -> str:
    found = source.count(mutation.old)
    assert found == 1, f"{mutation.file} has the text {found} times: {mutation.old}"
    return source.replace(mutation.old, mutation.new)


def removing(file: str, change: str, source: str) -> str:
    there = {removal.change: removal.text for removal in generated.removals(file, source)}
    assert change in there, f"{file} has this check no more, run with --write: {change}"
    return there[change]


def cases() -> list[Case]:
    """All of them, shape by shape. Before the changes of a shape come its tests without a change:
    otherwise a test that always fails would notice everything."""
    changes: list[Case] = []
    for each in MUTATIONS:
        change = partial(replacing, each)
        changes.append(Case(each.name, each.shape, each.file, (each.test,), change))
    for (file, name), row in generated.table().items():
        shape, _, test = row.rpartition(" ")
        title = f"{file.removesuffix('.py')}.{name}"
        change = partial(removing, file, name)
        changes.append(Case(title, shape or "everybody", file, (test,), change))
    found = []
    for shape in SHAPES:
        ours = [case for case in changes if case.shape == shape]
        tests = sorted({test for case in ours for test in case.tests})
        for file in sorted({test.partition("::")[0] for test in tests}):
            named = tuple(test for test in tests if test.startswith(file))
            found.append(Case(f"{shape}: {file} as it is", shape, "values.py", named, None))
        found += ours
    return found


# ---------------------------------------------------------------- running them


class Project:
    """A rendered project whose guard tests can be run again and again."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(RUNNER), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, case: Case, text: str | None) -> dict[str, Any]:
        """The runner's answer. text: what the file holds meanwhile, None for what it has."""
        assert self._process.stdin and self._process.stdout
        job = {"file": case.file, "text": text, "tests": case.tests}
        self._process.stdin.write(json.dumps(job) + "\n")
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


@dataclass
class Bench:
    """Renders the shapes into `folder`, and gives each process a copy of its own."""

    folder: Path
    node_modules: Path

    def root(self, shape: str) -> Path:
        """The shape as rendered. Do not change it."""
        root = self.folder / shape
        if not root.exists():
            template = self.folder / "template"
            if not template.exists():
                archives.working_tree(ROOT, template)
            run_copy(
                str(template),
                root,
                data=SHAPES[shape],
                defaults=True,
                quiet=True,
                settings=Settings(),  # not those of whoever runs this
            )
        return root

    def changed(self, case: Case) -> str | None:
        """The file with the change of the case."""
        if case.changed is None:
            return None
        file = self.root(case.shape) / "src/guard" / case.file
        text = case.changed(file.read_text(encoding="utf-8"))
        compile(text, case.file, "exec")
        return text

    def project(self, shape: str, number: int) -> Project:
        """A copy, with a process."""
        copy = self.folder / f"{shape}-{number}"
        if not copy.exists():
            shutil.copytree(self.root(shape), copy)
            (copy / "node_modules").symlink_to(self.node_modules, target_is_directory=True)
        return Project(copy)


@dataclass(frozen=True)
class Result:
    case: Case
    good: bool  # a change was noticed; without a change, the tests passed
    seconds: float
    output: str

    def __str__(self) -> str:
        kind = "survived" if self.case.changed else "fails"
        return f"{kind}: {self.case.name} ({', '.join(self.case.tests)})"


def run(wanted: list[Case], bench: Bench) -> Iterator[Result]:
    """Every case's result, as they come, from PROCESSES processes side by side."""
    queue: SimpleQueue[tuple[Case, str | None]] = SimpleQueue()
    done: SimpleQueue[Result | BaseException] = SimpleQueue()
    for case in wanted:  # not in the threads: Python 3.11 cannot parse in two at once
        queue.put((case, bench.changed(case)))

    def work(number: int) -> None:
        project, shape = None, ""
        try:
            while True:
                case, text = queue.get_nowait()
                if project is None or shape != case.shape:
                    if project:
                        project.close()
                    project, shape = bench.project(case.shape, number), case.shape
                began = time.monotonic()
                answer = project.run(case, text)
                seconds = time.monotonic() - began
                ok = answer["exit"] == (1 if case.changed else 0)
                good = ok and bool(answer["failed"]) == bool(case.changed)
                done.put(Result(case, good, seconds, answer["output"]))
        except Empty:
            pass
        except BaseException as error:
            done.put(error)
        finally:
            if project:
                project.close()

    for number in range(PROCESSES):
        threading.Thread(target=work, args=[number], daemon=True).start()
    for _ in wanted:
        result = done.get()
        if isinstance(result, BaseException):
            raise result
        yield result


def record(results: Iterable[Result], before: str) -> bool:
    """Write down that this was a complete run in which everything was good, if it was.

    before: the fingerprint when the run began; what changed meanwhile was not looked at.
    """
    found = {result.case.name: result.good for result in results}
    names = {case.name for case in cases()}
    if set(found) != names or not all(found.values()) or fingerprint() != before:
        return False
    text = f"Written by mutation_run.py: {len(names)} runs, all as they should be, of\n{before}\n"
    RECORD.write_text(text, encoding="utf-8")
    return True


def run_all(bench: Bench, only: str = "") -> list[Result]:
    """Run and record. Returns what was not as it should be. Progress goes to stderr."""
    before, results = fingerprint(), []
    wanted = [case for case in cases() if only.lower() in case.name.lower()]
    began = time.monotonic()
    for result in run(wanted, bench):
        results.append(result)
        if not result.good:
            print(result, file=sys.stderr, flush=True)
        if len(results) % 50 == 0 or len(results) == len(wanted):
            took = time.monotonic() - began
            print(f"{len(results)} of {len(wanted)}, {took:.0f} s", file=sys.stderr, flush=True)
    record(results, before)
    return [result for result in results if not result.good]


# ---------------------------------------------------------------- the table of generated changes


def unwritten(source: Callable[[str], str]) -> tuple[list[generated.Removal], list[str]]:
    """Generated changes without a row, and what is in the table or EQUIVALENT for nothing.

    source: gives the text of a file of the guard, in a project for everybody.
    """
    rows = generated.table()
    found = {
        (file, removal.change): removal
        for file in generated.FILES
        for removal in generated.removals(file, source(file))
    }
    equivalent = {(file, name) for file, names in generated.EQUIVALENT.items() for name in names}
    missing = [found[key] for key in found if key not in rows and key not in equivalent]
    stale = {key for key in rows if key in equivalent} | ({*rows, *equivalent} - set(found))
    return missing, sorted(f"{file}: {name}" for file, name in stale)


def write(bench: Bench) -> int:
    """Find a test for each generated change without a row. Returns how many have none."""

    def source(file: str) -> str:
        return (bench.root("everybody") / "src/guard" / file).read_text(encoding="utf-8")

    missing, _ = unwritten(source)
    rows, survivors = generated.table(), 0
    projects: dict[str, Project] = {}
    for removal in missing:
        row = ""
        for shape, tests in generated.candidates(removal.file):
            if shape not in projects:
                projects[shape] = bench.project(shape, 0)
            change = partial(removing, removal.file, removal.change)
            case = Case(removal.change, shape, removal.file, tests, change)
            failed = [] if row else projects[shape].run(case, bench.changed(case))["failed"]
            if failed:
                test = failed[0].partition("[")[0]
                row = test if shape == "everybody" else f"{shape} {test}"
        print(f"{removal.file} {removal.change}\n    {row or 'SURVIVES'}", flush=True)
        survivors += not row
        if row:
            rows[removal.file, removal.change] = row
    for project in projects.values():
        project.close()
    order = [
        (file, removal.change)
        for file in generated.FILES
        for removal in generated.removals(file, source(file))
    ]
    generated.write({key: rows[key] for key in order if key in rows})
    return survivors


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--always", action="store_true", help="run although nothing changed")
    parser.add_argument("--only", default="", help="what has this in its name; records nothing")
    parser.add_argument("--write", action="store_true", help="write generated_mutations.txt")
    options = parser.parse_args()
    if is_recorded() and not (options.always or options.only or options.write):
        print("Nothing changed since the last complete run; --always runs it all the same.")
        return 0
    from conftest import NODE_MODULES, npm_packages  # the tests' own cache

    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), NODE_MODULES)
        if not NODE_MODULES.exists():
            package = (bench.root("people") / "package.json").read_text(encoding="utf-8")
            npm_packages(NODE_MODULES.parent, package)
        if options.write:
            return 1 if write(bench) else 0
        bad = run_all(bench, options.only)
    for result in bad:
        print(f"\n{result}\n{result.output}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
