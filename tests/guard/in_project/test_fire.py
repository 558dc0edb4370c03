"""Runs inside a rendered project, with fire_api.py as its API: see test_in_project.py.

The guard under fire, at length: what a stranger may send all day, and what the issuer of the keys
may answer. The single cases are in the conformance suite, in test_keys.py and test_token.py.
"""

import json
import random
import threading
import time
from contextlib import contextmanager

import pytest

from private_worker.testing.access import b64url

PROOF = "Cf-Access-Jwt-Assertion"
COOLDOWN, MINUTE, HOUR, DAY = 30, 60, 60 * 60, 24 * 60 * 60  # seconds
FORBIDDEN = (403, b'{"error": "forbidden"}')


@pytest.fixture
def dice():
    return random.Random(1)


@pytest.fixture
def person(access):
    """Headers with a new token each time that outlives the test, whatever its clock."""
    made = iter(range(100_000))
    return lambda **more: access.person(exp=int(time.time()) + 3 * DAY, x=next(made), **more)


def fetches(worker):
    return len(worker.outbound)


def unknown(dice):
    """Headers with a token of the right form, with a key id that nobody has seen."""
    header = {"alg": "RS256", "kid": dice.randbytes(32).hex()}
    parts = json.dumps(header).encode(), dice.randbytes(400), dice.randbytes(256)
    return {PROOF: ".".join(map(b64url, parts))}


# ---------------------------------------------------------------- unknown key ids


def test_flood_of_unknown_key_ids(worker, access, person, dice):
    """10,000 within COOLDOWN fetch the keys once, all get the one 403, and none leaves a trace."""
    claims, stranger = access.claims_person(), access.stranger

    def signed_by_a_stranger(kid):
        header = {"alg": "RS256", "kid": kid}
        payload = {**claims, "identity_nonce": dice.randbytes(12).hex()}
        return {PROOF: access.token(payload, header=header, key=stranger)}

    @contextmanager
    def standing_clock():
        """However long it takes."""
        started = time.monotonic()
        yield
        worker.advance(started - time.monotonic())

    def fire(count):
        for _ in range(count // 500):
            with standing_clock():
                shots = [unknown(dice) for _ in range(400)]
                shots += [signed_by_a_stranger(dice.randbytes(32).hex()) for _ in range(50)]
                shots += [signed_by_a_stranger(access.signer.kid) for _ in range(50)]
                dice.shuffle(shots)
                answers = worker.fetch_all([{"headers": headers} for headers in shots])
            assert {(answer.status, answer.body) for answer in answers} == {FORBIDDEN}

    def memory():
        with standing_clock():
            return worker.fetch("/", method="POST", headers=good).json()

    good = person()
    assert worker.fetch("/", headers=good).status == 200
    memory()
    worker.advance(COOLDOWN + 1)
    assert fetches(worker) == 1
    fire(2000)
    before = memory()
    fire(8000)
    after = memory()
    assert fetches(worker) == 2
    # malloc takes a while to settle, but whatever was kept of a request would have more bytes.
    assert after["objects"] - before["objects"] < 100, (before, after)
    assert after["bytes"] - before["bytes"] < 8 * 8000, (before, after)
    assert after["webassembly"] == before["webassembly"]

    worker.advance(COOLDOWN - 5)
    fire(500)
    assert fetches(worker) == 2
    worker.advance(10)
    fire(500)
    assert fetches(worker) == 3


# ---------------------------------------------------------------- nesting


def nested(dice, size):
    """JSON of nearly `size` bytes that is nothing but nesting, with its end or without."""
    forms = (b"[", b""), (b"[", b"]"), (b'{"":', b""), (b'[{"":', b"}]")
    opening, closing = dice.choice(forms)
    levels = size // len(opening + closing)
    return opening * levels + closing * levels


def deep_tokens(access, dice):
    """Tokens with deep JSON in header or payload, most of them unsigned."""
    start = json.dumps(access.header()).encode()
    payload = json.dumps(access.claims_person()).encode()
    while True:
        for size in 1400, dice.randint(4000, 11_000):  # within the limit of a header, and beyond
            header = start[:-1] + b', "x": ' + nested(dice, size) + b"}"
            yield f"{b64url(header)}.{b64url(payload)}."
        deep = nested(dice, dice.randint(8000, 11_500))
        yield f"{b64url(start)}.{b64url(deep)}."
        yield access.token(deep, header=access.header(), key=access.stranger)
        # By the published key: no stranger can, but only here is the payload ever parsed.
        yield access.token(deep)


def test_deep_token_then_good_token(worker, access, person, dice):
    """A thousand times, in an interpreter that lives to the end.

    The end is played out: the kit ends the isolate when json gets 4,000 levels to parse.
    """
    assert worker.fetch("/", headers=person()).json() == {"served": 1}
    bombs = deep_tokens(access, dice)
    for number in range(1000):
        answer = worker.fetch("/", headers={PROOF: next(bombs)})
        assert (answer.status, answer.body) == FORBIDDEN
        answer = worker.fetch("/", headers=person())
        assert (answer.status, answer.json()) == (200, {"served": number + 2})
    assert fetches(worker) == 1


# ---------------------------------------------------------------- the issuer


# Without a body of their own, they bring the key set.
FAILURES = {
    "302": {"status": 302, "headers": {"Location": "/"}},
    "404": {"status": 404},
    "500": {"status": 500},
    "HTML": {"body": "<!doctype html>", "headers": {"Content-Type": "text/html"}},
    "empty set": {"body": '{"keys": []}'},
}
BROKEN = {
    "for encryption": {"use": "enc"},
    "e = 1": {"e": "AQ"},
    "short": {"n": "AQAB"},
    "no base64url": {"n": "+/=="},
    "symmetric": {"kty": "oct", "k": "AAAA"},
    "private": {"d": "AAAA"},
}


def test_bad_day_of_the_issuer(worker, access, person, dice):
    """One isolate through everything that may happen to the keys, each COOLDOWN after the other.

    Each event costs one fetch, and whoever holds a good token is let in all along.
    """
    old, new = access.signer, access.rotate()
    both, only_old, only_new = access.keys[:], [old.jwk], [new.jwk]
    too_long = {"body": json.dumps({"keys": both}).ljust(5_000_000)}
    failures = {**FAILURES, "5 MB": too_long}.values()
    known = {key: person(key=key) for key in (old, new)}  # the same token again and again

    def everybody(with_old, with_new):
        """All at once, with the statuses that those with the old key and the new one must get."""
        crowd = [(unknown(dice), 403) for _ in range(5)]
        for key, status in (old, with_old), (new, with_new):
            crowd += [(known[key], status)] * 3
            crowd += [(person(key=key), status) for _ in range(3)]
        dice.shuffle(crowd)
        answers = worker.fetch_all([{"headers": headers} for headers, _ in crowd])
        assert [answer.status for answer in answers] == [status for _, status in crowd]

    def event(with_old, with_new, after=COOLDOWN + 1):
        before = fetches(worker)
        worker.advance(after)
        assert worker.fetch("/", headers=unknown(dice)).status == 403
        everybody(with_old, with_new)
        assert fetches(worker) == before + 1

    access.keys[:] = only_old
    assert worker.fetch("/", headers=known[old]).status == 200
    everybody(200, 403)
    assert fetches(worker) == 1

    access.keys[:] = both  # nobody may see it as long as it comes along with a failure
    access.answer(delay=8)  # longer than the guard waits
    worker.advance(COOLDOWN + 1)
    waiting = worker.start("/", headers=unknown(dice))
    while access.requests < 2 and not waiting.done():
        time.sleep(0.01)
    everybody(200, 403)
    assert not waiting.done()
    assert waiting.result().status == 403
    everybody(200, 403)
    assert fetches(worker) == 2

    for failure in failures:
        access.answer(**failure)
        event(200, 403)
    access.answer()
    event(200, 200)
    for change in BROKEN.values():
        # If they counted, they would push out the good ones, whose ids they have.
        access.keys[:] = [{**access.stranger.jwk, "kid": jwk["kid"], **change} for jwk in both]
        event(200, 200)
    access.keys[:] = only_new
    event(403, 200)

    # From here on nothing good comes any more, and the last good set counts for a day.
    access.keys[:] = both
    for failure in failures:
        access.answer(**failure)
        event(403, 200, after=3 * HOUR)
    left = DAY - len(failures) * 3 * HOUR
    event(403, 200, after=left - 5 * MINUTE)
    worker.advance(10 * MINUTE)
    assert worker.fetch("/", headers=known[new]).status == 503
    access.answer()
    worker.advance(COOLDOWN + 1)
    everybody(200, 200)


def test_endless_answer(worker, access, person, monkeypatch):
    """The guard hangs up when it has had enough, whatever may still come."""
    sent = 0
    hung_up = threading.Event()

    def endless(handler):
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(64 * 1024))
                sent += 64 * 1024
        except OSError:
            hung_up.set()

    monkeypatch.setattr(access, "_serve", endless)
    assert worker.fetch("/", headers=person()).status == 503
    assert hung_up.wait(10)
    assert sent < 16 * 1024 * 1024  # what fits into the buffers on the way, and no more
