"""This Worker was made for machines: no list in its settings lets a person in."""

from typing import Any

import pytest

from private_worker.testing.access import Access

from .lib import Load, refused


@pytest.mark.parametrize("emails", [None, [], ["person@example.com"], ["*"], "*"], ids=repr)
def test_person(emails: Any, load: Load, access: Access) -> None:
    worker = load(ALLOWED_EMAILS=emails, ALLOWED_SERVICE_TOKENS=["*"])
    refused(worker, "caller_kind", access.person("person@example.com"))
    context = {"aud": access.aud, "identity": {"email": "person@example.com"}}
    refused(worker, "caller_kind", access=context)
