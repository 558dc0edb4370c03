"""What the guard remembers: tokens that it verified a short while ago, and only those."""

import time
from typing import Any

import pytest

from private_worker.testing.access import Access
from private_worker.testing.runtime import Worker

from .lib import PROOF, Caller, Load, let_in, refused

MINUTE, DAY = 60, 24 * 60 * 60


@pytest.fixture
def worker(fresh: Worker) -> Worker:
    """A new isolate for each test here."""
    return fresh


def work(worker: Worker, headers: Any) -> Any:
    """Fetches, key imports and verifications that one request costs, as the probe counts them."""
    before = count(worker, headers)
    after = count(worker, headers)
    return sum(after.values()) - sum(before.values())


def count(worker: Worker, headers: Any) -> Any:
    response = worker.fetch(headers=headers)
    assert response.status == 200
    return response.json()["work"]


def test_first_request(worker: Worker, caller: Caller) -> None:
    assert count(worker, caller()) == {"fetch_bytes": 1, "import_key": 1, "verify": 1}


def test_known_token_costs_nothing(worker: Worker, caller: Caller) -> None:
    headers = caller()
    first = count(worker, headers)
    for _ in range(50):
        assert count(worker, headers) == first


def test_new_token_costs_one_verification(worker: Worker, caller: Caller) -> None:
    first = count(worker, caller())
    assert count(worker, caller(x=1)) == {**first, "verify": first["verify"] + 1}


def test_known_for_five_minutes(worker: Worker, caller: Caller) -> None:
    headers = caller()
    let_in(worker, headers)
    worker.advance(5 * MINUTE - 5)
    assert count(worker, headers)["verify"] == 1
    worker.advance(10)
    assert count(worker, headers)["verify"] == 2
    assert count(worker, headers)["verify"] == 2


def test_known_until_it_expires(worker: Worker, caller: Caller) -> None:
    headers = caller(exp=int(time.time()) + 100)
    let_in(worker, headers)
    worker.advance(90)
    assert count(worker, headers)["verify"] == 1
    worker.advance(15)
    assert count(worker, headers)["verify"] == 2  # still within the leeway
    worker.advance(30)
    refused(worker, "expired", headers)


def test_known_no_longer_than_its_keys(worker: Worker, access: Access, caller: Caller) -> None:
    """A set that cannot be fetched again counts for a day, for known tokens as for new ones."""
    headers = caller(exp=int(time.time()) + 7 * DAY)
    let_in(worker, headers)
    access.answer(500)
    worker.advance(DAY - MINUTE)
    let_in(worker, headers)
    worker.advance(2 * MINUTE)
    assert worker.fetch(headers=headers).status == 503


def test_known_only_as_it_is(worker: Worker, caller: Caller) -> None:
    """Not one character of a known token may change."""
    headers = caller()
    let_in(worker, headers)
    token = headers[PROOF]
    for changed in (token[:-1], token + "A", token + "=", token[:-4] + "AAAA", token.lower()):
        assert worker.fetch(headers={PROOF: changed}).status == 403
    assert worker.fetch(headers={PROOF: token.rpartition(".")[0] + "."}).status == 403
    let_in(worker, headers)


def test_unknown_again_when_its_key_leaves(worker: Worker, access: Access, caller: Caller) -> None:
    headers = caller()
    let_in(worker, headers)
    access.rotate()
    del access.keys[1]
    worker.advance(31)
    let_in(worker, caller())
    refused(worker, "token_key", headers)


def test_unknown_again_when_its_key_is_replaced(
    worker: Worker, access: Access, caller: Caller
) -> None:
    headers = caller()
    let_in(worker, headers)
    old = access.signer
    new = access.rotate()
    access.keys[:] = [new.jwk, {**access.stranger.jwk, "kid": old.kid}]
    worker.advance(31)
    let_in(worker, caller())
    refused(worker, "token_signature", headers)


def test_still_known_when_its_key_stays(worker: Worker, access: Access, caller: Caller) -> None:
    headers = caller()
    let_in(worker, headers)
    access.rotate()
    worker.advance(31)
    let_in(worker, caller())
    assert work(worker, headers) == 0
    assert count(worker, headers) == {"fetch_bytes": 2, "import_key": 2, "verify": 2}


def test_table_is_bounded(worker: Worker, caller: Caller) -> None:
    first, last = caller(x="first"), caller(x="last")
    let_in(worker, first)
    others = [{"headers": caller(x=number)} for number in range(511)]
    assert {answer.status for answer in worker.fetch_all(others)} == {200}
    assert work(worker, first) == 0  # 512 of them fit
    before = count(worker, last)
    assert count(worker, last) == before
    assert count(worker, first)["verify"] == before["verify"] + 1


def test_refusals_are_not_kept(worker: Worker, access: Access, caller: Caller) -> None:
    """What was refused a moment ago may be good now."""
    early = caller(nbf=int(time.time()) + 100)
    refused(worker, "not_yet_valid", early)
    new = access.rotate()
    rotated = caller(key=new)
    refused(worker, "token_key", rotated)
    worker.advance(90)
    let_in(worker, early)
    let_in(worker, rotated)


def test_refusals_cost_no_more_than_one_verification(worker: Worker, caller: Caller) -> None:
    let_in(worker, caller())
    for _ in range(20):
        refused(worker, "audience", caller(aud="x"))
        refused(worker, "token_shape", {PROOF: "x" * 20_000})
    counted = count(worker, caller(x=1))
    assert counted == {"fetch_bytes": 1, "import_key": 1, "verify": 22}


def test_nothing_is_shared_between_callers(load: Load, caller: Caller) -> None:
    """A known token says who its own holder is, and nothing of others."""
    worker = load(ALLOWED_EMAILS=["*"], ALLOWED_SERVICE_TOKENS=["*"])
    name = "other@example.access"  # has the form of either kind
    mine, others = caller(), caller(name)
    for _ in range(3):
        assert name not in let_in(worker, mine).values()
        assert name in let_in(worker, others).values()
        refused(worker, "no_proof")
