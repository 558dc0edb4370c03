"""Machines: which service token is on the list. All tokens here have a good signature."""

from typing import Any

import pytest

from private_worker.testing.access import MACHINE, Access
from private_worker.testing.runtime import Worker

from .lib import Load, let_in, refused

OTHER = "fedcba9876543210fedcba9876543210.access"


def test_machine(worker: Worker, access: Access) -> None:
    """No nbf, an empty sub."""
    assert let_in(worker, access.machine()) == {"kind": "machine", "client_id": MACHINE}


def test_machine_as_access_sends_it(worker: Worker, access: Access) -> None:
    """The three differences from a person's token at once."""
    claims = access.claims_machine()
    assert "nbf" not in claims and "email" not in claims and claims["sub"] == ""
    let_in(worker, access.machine(aud=access.aud))


def test_machine_without_a_subject(worker: Worker, access: Access) -> None:
    let_in(worker, access.machine(drop=("sub",)))


def test_machine_not_on_the_list(worker: Worker, access: Access) -> None:
    """A service token of the same team is not enough."""
    refused(worker, "not_allowed", access.machine(OTHER))


def test_any_machine(load: Load, access: Access) -> None:
    worker = load(ALLOWED_SERVICE_TOKENS=["*"])
    assert let_in(worker, access.machine(OTHER)) == {"kind": "machine", "client_id": OTHER}


def test_any_machine_of_the_list(load: Load, access: Access) -> None:
    worker = load(ALLOWED_SERVICE_TOKENS=[OTHER, MACHINE])
    let_in(worker, access.machine(OTHER))
    let_in(worker, access.machine(MACHINE))


@pytest.mark.parametrize("listed", [[MACHINE], ["*"]], ids=repr)
def test_common_name_is_a_client_id(listed: Any, load: Load, access: Access) -> None:
    """Others belong to client certificates."""
    worker = load(ALLOWED_SERVICE_TOKENS=listed)
    names = ("", "*", MACHINE.removesuffix(".access"), "host.example.com", "person@example.com")
    spoiled = (MACHINE + " ", MACHINE + "\n", MACHINE + ".evil", MACHINE.replace(".", "-"))
    for common_name in (*names, *spoiled, None, True, 0, 7, [], [MACHINE], {"x": MACHINE}):
        refused(worker, "identity_unclear", access.machine(common_name=common_name))


def test_client_id_is_compared_whole(worker: Worker, access: Access) -> None:
    for client_id in (MACHINE.upper().replace("ACCESS", "access"), "x" + MACHINE, MACHINE[1:]):
        refused(worker, "not_allowed", access.machine(client_id))


@pytest.mark.parametrize("listed", [[MACHINE], ["*"]], ids=repr)
def test_machine_with_a_subject(listed: Any, load: Load, access: Access) -> None:
    """Whoever has a subject is a person or nobody."""
    worker = load(ALLOWED_SERVICE_TOKENS=listed)
    subjects: list[Any] = ["x", " ", "person@example.com", True, 7, [], {"x": 1}]
    for sub in subjects:
        refused(worker, "identity_unclear", access.machine(sub=sub))


@pytest.mark.parametrize("listed", [[MACHINE], ["*"]], ids=repr)
def test_machine_with_an_address(listed: Any, load: Load, access: Access) -> None:
    """No program passes as a person."""
    worker = load(ALLOWED_SERVICE_TOKENS=listed)
    emails: list[Any] = ["person@example.com", "", None, [], 0]
    for email in emails:
        refused(worker, "identity_unclear", access.machine(email=email))
