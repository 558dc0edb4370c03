"""`locked`: put into python_modules/ what pylock.toml says, and refuse anything else.

`npm run deploy` and the CI begin with it. pywrangler keeps the versions in pylock.toml where it
can, and silently takes others where it cannot.
"""

import argparse
import subprocess
import sys

from . import lock
from .lock import ANEW, LOCK
from .project import Problem, Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace) -> int:
    """0 when what a deploy takes is what is locked, 1 otherwise. Raises Problem."""
    project: Project = options.project
    before = lock.up_to_date(project.root)
    if subprocess.run([sys.executable, "-m", "pywrangler", "sync"], cwd=project.root).returncode:
        raise Problem("pywrangler could not install the packages; it says why above")
    after = lock.read(project.root)
    if changed := {*before} ^ {*after}:
        names = ", ".join(sorted({package.name for package in changed}))
        wrong = f"pywrangler has changed {LOCK} ({names}): run the tests, then commit it"
    elif not lock.matches(after, project.root / "python_modules"):
        wrong = f"python_modules/ is not what {LOCK} says: run `{ANEW}`"
    else:
        return 0
    print(f"private-worker: {wrong}", file=sys.stderr)
    return 1
