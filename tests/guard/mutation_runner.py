"""Runs the guard's suite in a project over and over in one process: Pyodide starts only once.

    python mutation_runner.py PROJECT

Each line on stdin is a job, {"file": ..., "text": ..., "tests": [...]}: the file of src/guard gets
the text (null: stays as it is), the tests run until the first one fails, the file is put back.
Each line on stdout is {"exit": pytest's exit code, "failed": names of tests, "output": ...}.
"""

import contextlib
import importlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

VENDORED = Path("vendor", "private-worker")
SUITE = VENDORED / "src" / "private_worker" / "conformance"
# As `npm run test:guard` does, with the plugin by name because nothing is installed here.
OPTIONS = ["-c", str(VENDORED / "pytest.ini"), "--rootdir=.", "--confcutdir", str(VENDORED)]
OPTIONS += ["-p", "private_worker.testing.plugin", "-p", "no:cacheprovider", "-p", "no:xdist"]
OPTIONS += ["-x", "-q", "--tb=line", "--no-header"]


class Failures:
    """Which tests failed; a test that could not begin is none of them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.when == "call":
            self.names.append(report.nodeid.partition("[")[0].rpartition("/")[2])


def keep_kit_running() -> Callable[[], object]:
    """Make the kit's fixtures use one Node process and one set of keys. Returns what ends it."""
    plugin: Any = importlib.import_module("private_worker.testing.plugin")  # the project's own
    runtime_class, issuer = plugin.Runtime, plugin.Issuer()
    kept: list[Any] = []

    class Kept(runtime_class):  # type: ignore[misc, valid-type]
        def start(self) -> None:
            if self.process is None or self.process.poll() is not None:
                super().start()

        def stop(self) -> None:
            pass

    def runtime(*arguments: Any) -> Any:
        if not kept:
            kept.append(Kept(*arguments))
        return kept[0]

    issuer.close = lambda: None
    plugin.Runtime = runtime
    plugin.Issuer = lambda: issuer
    return lambda: kept and runtime_class.stop(kept[0])


def run(tests: list[str]) -> dict[str, Any]:
    failures = Failures()
    output = io.StringIO()
    paths = [str(SUITE / test) for test in tests]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main([*OPTIONS, *paths], plugins=[failures])
    return {"exit": int(code), "failed": failures.names, "output": output.getvalue()[-3000:]}


def main() -> None:
    project = Path(sys.argv[1])
    os.chdir(project)
    sys.path.insert(0, str(project / VENDORED / "src"))
    stop = keep_kit_running()
    try:
        for line in sys.stdin:
            job = json.loads(line)
            file = project / "src" / "guard" / job["file"]
            before = file.read_text(encoding="utf-8")
            try:
                if job["text"] is not None:
                    file.write_text(job["text"], encoding="utf-8")
                answer = run(job["tests"])
            finally:
                file.write_text(before, encoding="utf-8")
            print(json.dumps(answer), flush=True)
    finally:
        stop()


if __name__ == "__main__":
    main()
