"""Random bytes while the Worker is imported: none, as every copy of a snapshot would share them.

The SDK lets packages have some that are known to need them for no secret.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import _kit_host as host  # type: ignore[import-not-found]

_allowed = 0  # calls


@contextmanager
def allow_bad_entropy_calls(calls: int) -> Iterator[None]:
    """Allow so many calls. What asks in C is not counted in the kit, so none need be made."""
    global _allowed
    before, _allowed = _allowed, calls
    try:
        yield
    finally:
        _allowed = before


def take() -> None:
    """Count a call. OSError with EIO if there may be none."""
    global _allowed
    if host.importing():
        if not _allowed:
            raise OSError(29, "Cannot get entropy outside of request context")
        _allowed -= 1
