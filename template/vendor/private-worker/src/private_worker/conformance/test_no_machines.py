"""This Worker was made for people: no list in its settings lets a service token in."""

from typing import Any

import pytest

from private_worker.testing.access import Access
from private_worker.testing.runtime import Worker

from .lib import Load, refused

CLIENT_ID = "0123456789abcdef0123456789abcdef.access"


@pytest.mark.parametrize("client_ids", [None, [], [CLIENT_ID], ["*"], "*"], ids=repr)
def test_service_token(client_ids: Any, load: Load, access: Access) -> None:
    worker = load(ALLOWED_SERVICE_TOKENS=client_ids, ALLOWED_EMAILS=["*"])
    refused(worker, "caller_kind", access.machine(CLIENT_ID))
    refused(worker, "caller_kind", access={"aud": access.aud, "identity": None})


def test_service_token_as_access_sends_it(worker: Worker, access: Access) -> None:
    """The audience as text, no nbf, an empty sub."""
    refused(worker, "caller_kind", access.machine(CLIENT_ID, aud=access.aud))


def test_service_token_with_a_subject(worker: Worker, access: Access) -> None:
    """A subject makes no person of it."""
    subjects: list[Any] = ["x", " ", "person@example.com", True, 7, [], {"x": 1}]
    for sub in subjects:
        refused(worker, "identity_unclear", access.machine(CLIENT_ID, sub=sub))
