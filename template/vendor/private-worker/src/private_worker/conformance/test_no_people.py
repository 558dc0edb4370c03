"""This Worker was made for machines: no list in its settings lets a person in."""

import pytest

from .lib import refused


@pytest.mark.parametrize("emails", [None, [], ["person@example.com"], ["*"], "*"], ids=repr)
def test_person(emails, load, access):
    worker = load(ALLOWED_EMAILS=emails, ALLOWED_SERVICE_TOKENS=["*"])
    refused(worker, "caller_kind", access.person("person@example.com"))
    context = {"aud": access.aud, "identity": {"email": "person@example.com"}}
    refused(worker, "caller_kind", access=context)
