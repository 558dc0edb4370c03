"""Runs a rendered project's guard tests over and over in one process: Pyodide starts only once.

    python mutation_runner.py PROJECT

Each line on stdin is a job, {"file": ..., "text": ..., "tests": [...]}: the file of src/guard gets
the text (null: stays as it is), the tests run until the first one fails, the file is put back.
Each line on stdout is {"exit": pytest's exit code, "failed": ids, "output": ...}.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest


class Failures:
    """Which tests failed; a test that could not begin is none of them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.when == "call":
            self.names.append(report.nodeid)


def keep_kit_running() -> Any:
    """Make the kit's fixtures use one Node process and one set of keys. Returns what ends it."""
    from kit import plugin  # type: ignore[import-not-found]

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
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "--tb=line", "--no-header", *tests]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(arguments, plugins=[failures])
    return {"exit": int(code), "failed": failures.names, "output": output.getvalue()[-3000:]}


def main() -> None:
    project = Path(sys.argv[1])
    os.chdir(project)
    sys.path.insert(0, str(project / "tests"))
    stop = keep_kit_running()
    try:
        for line in sys.stdin:
            job = json.loads(line)
            tests = [f"tests/guard/{test}" for test in job["tests"]]
            file = project / "src" / "guard" / job["file"]
            before = file.read_text(encoding="utf-8")
            try:
                if job["text"] is not None:
                    file.write_text(job["text"], encoding="utf-8")
                answer = run(tests)
            finally:
                file.write_text(before, encoding="utf-8")
            print(json.dumps(answer), flush=True)
    finally:
        stop()


if __name__ == "__main__":
    main()
