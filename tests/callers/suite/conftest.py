# Managed by the private-worker template: do not edit, an update replaces it.
"""Access in front of the project's own front door and guard, with the guard tests' small API."""

from collections.abc import Iterator

import pytest

from guard.conftest import Load, load, probe_source, warm  # noqa: F401
from kit.access import Access
from kit.edge import Edge
from kit.runtime import Worker


@pytest.fixture
def edge(access: Access, load: Load, warm: list[Worker]) -> Iterator[Edge]:  # noqa: F811
    """`edge.worker` may have served other tests; those that change it load their own."""
    if not warm:
        warm.append(load())
    edge = Edge(access, warm[0])
    yield edge
    edge.close()
