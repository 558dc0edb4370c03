"""What `check` looks for in pylock.toml."""

from pathlib import Path

from .. import lock
from ..project import Problem
from .finding import Finding, Findings


def findings(root: Path) -> Findings:
    """Whether it is there and has what pyproject.toml asks for."""
    try:
        found = list(lock.out_of_date(root, lock.read(root)))
    except lock.NotLocked as wrong:
        found = [wrong]
    except Problem:  # about pyproject.toml, without which `uv run` starts nothing
        return
    for one in found:
        yield Finding("lock", lock.LOCK, 0, one.wrong, one.fix)
