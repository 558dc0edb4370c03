"""This Worker was made for people: no list in its settings lets a service token in."""

import pytest

from .lib import refused

CLIENT_ID = "0123456789abcdef0123456789abcdef.access"


@pytest.mark.parametrize("client_ids", [None, [], [CLIENT_ID], ["*"], "*"], ids=repr)
def test_service_token(client_ids, load, access):
    worker = load(ALLOWED_SERVICE_TOKENS=client_ids, ALLOWED_EMAILS=["*"])
    refused(worker, "caller_kind", access.machine(CLIENT_ID))
    refused(worker, "caller_kind", access={"aud": access.aud, "identity": None})


def test_service_token_as_access_sends_it(worker, access):
    """The audience as text, no nbf, an empty sub."""
    refused(worker, "caller_kind", access.machine(CLIENT_ID, aud=access.aud))


def test_service_token_with_a_subject(worker, access):
    """A subject makes no person of it."""
    for sub in ("x", " ", "person@example.com", True, 7, [], {"x": 1}):
        refused(worker, "identity_unclear", access.machine(CLIENT_ID, sub=sub))
