"""The team's keys: which are used, how long, and how often they are asked for.

Every key here really signs the token that is tried, so only the rule under test can refuse it.
"""

import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from private_worker.testing.access import Access, SigningKey, b64url
from private_worker.testing.runtime import Cancelled, Worker

from .lib import PROOF, Caller, Load, decisions, let_in, refused

HOUR = 60 * 60
DAY = 24 * HOUR
# DigestInfo of SHA-256, RFC 8017 section 9.2.
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


@pytest.fixture
def worker(fresh: Worker) -> Worker:
    """A new isolate for each test here."""
    return fresh


class Primes:
    """A key made of any primes and any exponent, as no library makes them."""

    def __init__(self, primes: Any, exponent: Any = 65537) -> None:
        self.primes = primes
        self.n = prod(primes)
        self.d = pow(exponent, -1, prod(prime - 1 for prime in primes))
        self.size = (self.n.bit_length() + 7) // 8
        self.kid = f"{self.n.bit_length()} bits, e = {exponent}"
        e = exponent.to_bytes((exponent.bit_length() + 7) // 8, "big")
        self.jwk = {
            **{"kty": "RSA", "kid": self.kid, "alg": "RS256", "use": "sig"},
            **{"n": b64url(self.n.to_bytes(self.size, "big")), "e": b64url(e)},
        }

    def sign(self, data: Any) -> Any:
        info = SHA256_INFO + hashlib.sha256(data).digest()
        block = b"\x00\x01" + b"\xff" * (self.size - len(info) - 3) + b"\x00" + info
        # Chinese remainders: one power of all of n would take seconds.
        message, signature = int.from_bytes(block, "big"), 0
        for prime in self.primes:
            rest = self.n // prime
            power = pow(message, self.d % (prime - 1), prime)
            signature += power * rest * pow(rest, -1, prime)
        return (signature % self.n).to_bytes(self.size, "big")


@pytest.fixture(scope="module")
def many_primes() -> Any:
    """Eight: their product has a little less than 8192 bits."""
    sizes = (2048, 2048, 2048, 2040)
    keys = [rsa.generate_private_key(65537, size).private_numbers() for size in sizes]
    return [prime for key in keys for prime in (key.p, key.q)]


def with_bits(primes: Any, bits: Any) -> Any:
    """A key of these primes and a small one, so that it has exactly so many bits."""
    n = prod(primes)
    for small in range(3, 10_000, 2):
        is_prime = all(small % divisor for divisor in range(3, small, 2))
        if is_prime and (n * small).bit_length() == bits:
            return Primes([*primes, small])
    raise AssertionError("no prime fits")


@pytest.fixture
def long_lived(caller: Caller) -> Any:
    """Headers with a token that is good for a week; each call makes another token."""
    return lambda **more: caller(exp=int(time.time()) + 7 * DAY, **more)


def unavailable(worker: Worker, headers: Any) -> None:
    response = worker.fetch(headers=headers)
    assert (response.status, response.json()) == (503, {"error": "keys_unavailable"})
    assert response.headers["Retry-After"] == "30"
    line = decisions(worker)[-1]
    assert (line["decision"], line["caller"]) == ("keys_unavailable", None)


def fetches(worker: Worker) -> Any:
    return len(worker.outbound)


def wait_for_requests(access: Access, count: Any) -> None:
    """Until the keys have been asked for so often."""
    deadline = time.monotonic() + 10
    while access.requests < count:
        assert time.monotonic() < deadline, "the guard does not fetch"
        time.sleep(0.01)


def unknown_kids(count: Any) -> Iterator[Any]:
    """Unsigned tokens, each with a key id of its own."""
    for number in range(count):
        header = json.dumps({"alg": "RS256", "kid": hashlib.sha256(b"%d" % number).hexdigest()})
        yield {"headers": {PROOF: f"{b64url(header.encode())}.e30.AAAA"}}


# ---------------------------------------------------------------- the request


def test_keys_come_from_the_team(worker: Worker, access: Access, caller: Caller) -> None:
    let_in(worker, caller())
    (sent,) = worker.outbound
    assert (sent["method"], sent["url"]) == ("GET", f"{access.team_domain}/cdn-cgi/access/certs")


def test_keys_never_come_from_the_token(load: Load, access: Access, caller: Caller) -> None:
    """Even if the other issuer is there and its keys are good."""
    other = "https://evil.cloudflareaccess.com"
    worker = load(routes={access.team_domain: access.url, other: access.url})
    refused(worker, "issuer", caller(iss=other))
    header = {**access.header(), "iss": other, "jku": other}
    refused(worker, "issuer", caller(header=header, iss=other))
    assert {sent["url"].split("/cdn-cgi")[0] for sent in worker.outbound} == {access.team_domain}


def test_nothing_of_the_request_goes_along(worker: Worker, caller: Caller) -> None:
    let_in(worker, {**caller(), "Cookie": "a=b", "Authorization": "Bearer x", "X-Y": "z"})
    (sent,) = worker.outbound
    names = {name.lower() for name, _ in sent["headers"]}
    assert names.isdisjoint({"cookie", "authorization", "x-y", PROOF.lower()})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(
    status: Any, load: Load, access: Access, caller: Caller
) -> None:
    """Not even to good keys on the same host."""
    other = "https://evil.example"
    worker = load(routes={access.team_domain: access.url, other: access.url})
    access.answer(status, headers={"Location": f"{other}/cdn-cgi/access/certs"})
    unavailable(worker, caller())
    assert fetches(worker) == 1


@pytest.mark.parametrize(
    "status", [201, 203, 204, 206, 226, 300, 304, 400, 401, 403, 404, 429, 500]
)
def test_only_status_200_counts(
    status: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    """It is an operator's problem, and no caller can do anything about it."""
    access.answer(status)
    unavailable(worker, caller())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"keys":null}',
        b'{"keys":{}}',
        b'{"keys":"x"}',
        b'{"keys":[]}',
        b'{"keys":[null,1,"x",[],{}]}',
        b"<!doctype html><title>Sign in</title>",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"keys":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"keys":' + b"[" * 60_000,
    ],
    ids=lambda body: ascii(body[:20]),
)
def test_answer_without_keys(body: Any, worker: Worker, access: Access, caller: Caller) -> None:
    access.answer(body=body)
    unavailable(worker, caller())
    assert fetches(worker) == 1


@pytest.mark.parametrize("spoil", ["repeated name", "NaN", "more text", "byte order mark"])
def test_key_set_is_strict_json(spoil: Any, worker: Worker, access: Access, caller: Caller) -> None:
    keys = json.dumps({"keys": access.keys})
    bodies = {
        "repeated name": f'{{"keys":[],{keys[1:]}',
        "NaN": f'{{"x":NaN,{keys[1:]}',
        "more text": keys + "x",
        "byte order mark": "\ufeff" + keys,
    }
    access.answer(body=bodies[spoil])
    unavailable(worker, caller())


def test_largest_answer(worker: Worker, access: Access, caller: Caller) -> None:
    keys = json.dumps({"keys": access.keys}).encode()
    access.answer(body=keys.ljust(64 * 1024 + 1))
    unavailable(worker, caller())
    worker.advance(31)
    access.answer(body=keys.ljust(64 * 1024))
    let_in(worker, caller())


def test_huge_answer(worker: Worker, access: Access, caller: Caller) -> None:
    access.answer(body=json.dumps({"keys": access.keys}).encode().ljust(5_000_000))
    unavailable(worker, caller())


def test_largest_set(worker: Worker, access: Access, caller: Caller) -> None:
    others = [{**access.signer.jwk, "kid": f"other {number}"} for number in range(16)]
    access.keys[:] = [*others, access.signer.jwk]
    unavailable(worker, caller())
    worker.advance(31)
    access.keys[:] = [*others[1:], access.signer.jwk]
    let_in(worker, caller())


def test_fetch_ends_after_five_seconds(load: Load, access: Access, caller: Caller) -> None:
    """Whether the answer does not begin or does not end."""
    arrived = threading.Semaphore(0)
    release = threading.Event()
    waits = iter([False, True])

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            begin = next(waits)
            if begin:
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"keys":')
            arrived.release()
            release.wait(9)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    with server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever, 0.05)
        try:
            worker = load(routes={access.team_domain: f"http://127.0.0.1:{server.server_port}"})
            started = time.monotonic()
            pending = []
            for _ in range(2):
                pending.append(worker.start(headers=caller()))
                assert arrived.acquire(timeout=10)
            answers = [each.result() for each in pending]
            took = time.monotonic() - started
        finally:
            release.set()
            server.shutdown()
    assert [answer.status for answer in answers] == [503, 503]
    assert 4.9 < took < 8.5


def test_nobody_there(load: Load, access: Access, caller: Caller) -> None:
    worker = load(routes={access.team_domain: "http://127.0.0.1:9"})
    unavailable(worker, caller())


# ---------------------------------------------------------------- which keys are used

KEY_CHANGES = {
    "kty EC": {"kty": "EC"},
    "kty oct": {"kty": "oct"},
    "kty in lower case": {"kty": "rsa"},
    "kty missing": {"kty": ...},
    "kty null": {"kty": None},
    "alg RS512": {"alg": "RS512"},
    "alg PS256": {"alg": "PS256"},
    "alg none": {"alg": "none"},
    "alg RSA-OAEP": {"alg": "RSA-OAEP"},
    "alg RSA1_5": {"alg": "RSA1_5"},
    "alg in lower case": {"alg": "rs256"},
    "alg empty": {"alg": ""},
    "alg null": {"alg": None},
    "alg list": {"alg": ["RS256"]},
    "use enc": {"use": "enc"},
    "use empty": {"use": ""},
    "use null": {"use": None},
    "use list": {"use": ["sig"]},
    "key_ops encrypt": {"key_ops": ["encrypt"]},
    "key_ops sign": {"key_ops": ["sign"]},
    "key_ops empty": {"key_ops": []},
    "key_ops null": {"key_ops": None},
    "key_ops text": {"key_ops": "verify"},
    "key_ops object": {"key_ops": {"verify": True}},
    "e missing": {"e": ...},
    "e null": {"e": None},
    "e number": {"e": 65537},
    "e padded": {"e": "AQAB="},
    "e with leading zero": {"e": "AAEAAQ"},
    "e in hex": {"e": "010001"},
    "n missing": {"n": ...},
    "n null": {"n": None},
    "n number": {"n": 7},
    "n empty": {"n": ""},
    "n not base64url": {"n": "!!"},
    "curve": {"crv": "P-256"},
    **{f"point {name}": {name: "AAAA"} for name in ("x", "y")},
    "symmetric key": {"k": "AAAA"},
    **{f"private {name}": {name: "AAAA"} for name in ("d", "p", "q", "dp", "dq", "qi")},
    "more primes": {"oth": []},
}


def changed(jwk: Any, change: Any) -> Any:
    return {name: value for name, value in {**jwk, **change}.items() if value is not ...}


@pytest.mark.parametrize("part", range(0, len(KEY_CHANGES), 15))
def test_unusable_keys_are_passed_over(
    part: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    """The same good key under many ids, with one thing wrong under each."""
    bad = list(KEY_CHANGES)[part : part + 15]
    jwk = access.signer.jwk
    access.keys[:] = [changed({**jwk, "kid": name}, KEY_CHANGES[name]) for name in bad]
    access.keys.append(jwk)
    let_in(worker, caller())
    for name in bad:
        refused(worker, "token_key", caller(header={"alg": "RS256", "kid": name}))


def test_modulus_is_strict_base64url(worker: Worker, access: Access, caller: Caller) -> None:
    jwk = access.signer.jwk
    n = jwk["n"]
    spoiled = [n[:9] + defect + n[9:] for defect in ("=", " ", "\n", "\u00e9", "~~~~")]
    spoiled += [n + "=" * (-len(n) % 4), n.replace("-", "+").replace("_", "/"), n[:-1] + "_"]
    access.keys += [{**jwk, "kid": str(number), "n": bad} for number, bad in enumerate(spoiled)]
    let_in(worker, caller())
    for number, bad in enumerate(spoiled):
        assert bad != n
        refused(worker, "token_key", caller(header={"alg": "RS256", "kid": str(number)}))


def test_key_without_an_id(worker: Worker, access: Access, caller: Caller) -> None:
    jwk = access.signer.jwk
    no_ids: list[Any] = [..., None, 7, [], {}]
    access.keys[:] = [changed(jwk, {"kid": kid}) for kid in no_ids] + [jwk]
    let_in(worker, caller())
    for kid in ("", "7", "None", "null", "[]"):
        refused(worker, "token_key", caller(header={"alg": "RS256", "kid": kid}))


@pytest.mark.parametrize(
    "change",
    [
        {"alg": ...},
        {"use": ...},
        {"alg": ..., "use": ...},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"x5c": ["MIIB"], "x5t": "AAAA", "ext": True, "kid2": "x"},
    ],
    ids=lambda change: ", ".join(change),
)
def test_usable_key(change: Any, worker: Worker, access: Access, caller: Caller) -> None:
    access.keys[:] = [changed(access.signer.jwk, change)]
    let_in(worker, caller())


def test_short_keys(worker: Worker, access: Access, caller: Caller) -> None:
    short = [SigningKey(bits) for bits in (1024, 2040, 2047)]
    access.keys += [key.jwk for key in short]
    let_in(worker, caller())
    for key in short:
        refused(worker, "token_key", caller(key=key))


def test_longest_key(worker: Worker, access: Access, caller: Caller, many_primes: Any) -> None:
    """WebCrypto would take more; 8192 bits is where it starts to cost."""
    longest = with_bits(many_primes, 8192)
    too_long = with_bits(many_primes, 8193)
    access.keys += [longest.jwk, too_long.jwk]
    let_in(worker, caller(key=longest))
    refused(worker, "token_key", caller(key=too_long))


@pytest.mark.parametrize("exponent", [1, 3])
def test_exponent(exponent: Any, worker: Worker, access: Access, caller: Caller) -> None:
    """With e = 1 everybody can sign."""
    private = rsa.generate_private_key(3, 2048).private_numbers()
    key = Primes([private.p, private.q], exponent)
    access.keys.append(key.jwk)
    refused(worker, "token_key", caller(key=key))
    let_in(worker, caller())


@pytest.mark.parametrize("twin", ["another key", "the same key", "an unusable key", "no RSA key"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_two_keys_with_one_id(
    twin: Any, first: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    double = access.signer
    good = access.rotate()
    other = {
        "another key": {**access.stranger.jwk, "kid": double.kid},
        "the same key": double.jwk,
        "an unusable key": {**double.jwk, "use": "enc"},
        "no RSA key": {"kty": "EC", "kid": double.kid},
    }[twin]
    access.keys[:] = [other, double.jwk, good.jwk] if first else [good.jwk, double.jwk, other]
    let_in(worker, caller())
    refused(worker, "token_key", caller(key=double))
    refused(worker, "token_key", caller(header=access.header(double), key=access.stranger))


def test_odd_entries_harm_no_others(worker: Worker, access: Access, caller: Caller) -> None:
    access.keys[:] = [None, 1, "x", [], True, *access.keys, {}, {"kid": "x"}, {"kid": []}, 1.5]
    let_in(worker, caller())


def test_every_key_of_the_set_counts(worker: Worker, access: Access, caller: Caller) -> None:
    """Not only the first."""
    old = access.signer
    new = access.rotate()
    let_in(worker, caller(key=old))
    let_in(worker, caller(key=new))
    assert fetches(worker) == 1


# ---------------------------------------------------------------- how long


def test_warm(worker: Worker, caller: Caller) -> None:
    """Fifty tokens, one fetch."""
    let_in(worker, caller())
    answers = worker.fetch_all([{"headers": caller(x=number)} for number in range(50)])
    assert {answer.status for answer in answers} == {200}
    assert fetches(worker) == 1


def test_fresh_for_an_hour(worker: Worker, long_lived: Any) -> None:
    let_in(worker, long_lived())
    worker.advance(HOUR - 60)
    let_in(worker, long_lived(x=1))
    assert fetches(worker) == 1
    worker.advance(120)
    let_in(worker, long_lived(x=2))
    assert fetches(worker) == 2
    let_in(worker, long_lived(x=3))
    assert fetches(worker) == 2


FAILURES = {
    "500": {"status": 500},
    "404": {"status": 404},
    "redirect": {"status": 302, "headers": {"Location": "/"}},
    "empty set": {"body": '{"keys":[]}'},
    "HTML": {"body": "<html>"},
    "too long": {"body": '{"keys":[]}'.ljust(70_000)},
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_old_keys_are_kept_for_a_day(
    failure: Any, worker: Worker, access: Access, long_lived: Any
) -> None:
    """As long as there are no new ones to be had."""
    let_in(worker, long_lived())
    access.answer(**failure)
    worker.advance(2 * HOUR)
    let_in(worker, long_lived(x=1))
    worker.advance(DAY - 2 * HOUR - 60)
    let_in(worker, long_lived(x=2))
    worker.advance(120)
    unavailable(worker, long_lived(x=3))
    access.answer()
    worker.advance(31)
    let_in(worker, long_lived(x=4))


def test_failed_refresh_counts_as_an_attempt(
    worker: Worker, access: Access, long_lived: Any
) -> None:
    let_in(worker, long_lived())
    access.answer(500)
    worker.advance(2 * HOUR)
    for number in range(10):
        let_in(worker, long_lived(x=number))
    assert fetches(worker) == 2
    worker.advance(31)
    let_in(worker, long_lived(x=11))
    assert fetches(worker) == 3


def test_key_that_left_the_set(worker: Worker, access: Access, long_lived: Any) -> None:
    old = access.signer
    access.rotate()
    let_in(worker, long_lived(key=old))
    del access.keys[1]
    let_in(worker, long_lived(key=old, x=1))
    worker.advance(HOUR + 60)
    refused(worker, "token_key", long_lived(key=old, x=2))
    let_in(worker, long_lived(x=3))


def test_key_replaced_under_its_id(worker: Worker, access: Access, long_lived: Any) -> None:
    old = access.signer
    let_in(worker, long_lived())
    access.keys[:] = [{**access.stranger.jwk, "kid": old.kid}]
    worker.advance(HOUR + 60)
    refused(worker, "token_signature", long_lived(x=1))
    let_in(worker, long_lived(header=access.header(old), key=access.stranger))


# ---------------------------------------------------------------- unknown key ids


def test_rotation(worker: Worker, access: Access, caller: Caller) -> None:
    old = access.signer
    let_in(worker, caller())
    worker.advance(31)
    new = access.rotate()
    let_in(worker, caller(key=new))
    let_in(worker, caller(key=old, x=1))
    assert fetches(worker) == 2


def test_rotation_is_seen_after_the_cooldown(
    worker: Worker, access: Access, caller: Caller
) -> None:
    let_in(worker, caller())
    new = access.rotate()
    headers = caller(key=new)
    worker.advance(20)
    refused(worker, "token_key", headers)
    assert fetches(worker) == 1
    worker.advance(11)
    let_in(worker, headers)
    assert fetches(worker) == 2


def test_flood_of_unknown_key_ids(worker: Worker, caller: Caller) -> None:
    """At most one fetch in 30 seconds, and nobody else notices."""
    let_in(worker, caller())
    worker.advance(31)
    requests = list(unknown_kids(1000))
    started = time.monotonic()
    answers = worker.fetch_all(requests[:500])
    let_in(worker, caller(x=1))
    answers += worker.fetch_all(requests[500:])
    assert {answer.status for answer in answers} == {403}
    assert fetches(worker) == 2
    worker.advance(max(0, 25 - (time.monotonic() - started)))
    worker.fetch_all(requests[:10])
    assert fetches(worker) == 2
    worker.advance(11)
    worker.fetch_all(requests[:10])
    assert fetches(worker) == 3


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_failed_attempt_starts_the_cooldown(
    failure: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    """With good keys at hand."""
    let_in(worker, caller())
    worker.advance(31)
    access.answer(**failure)
    for request in unknown_kids(20):
        refused(worker, "token_key", **request)
    let_in(worker, caller(x=1))
    assert fetches(worker) == 2


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_failed_first_attempt_starts_the_cooldown(
    failure: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    """Without any keys."""
    access.answer(**failure)
    unavailable(worker, caller())
    access.answer()
    for number in range(20):
        unavailable(worker, caller(x=number))
    assert fetches(worker) == 1
    worker.advance(31)
    let_in(worker, caller())
    assert fetches(worker) == 2


def test_cooldown_counts_from_the_start_of_the_attempt(
    worker: Worker, access: Access, caller: Caller
) -> None:
    """So that an answer which takes its time does not shorten it, nor prolong it."""
    let_in(worker, caller())
    worker.advance(31)
    access.answer(delay=0.5)
    (first,) = unknown_kids(1)
    pending = worker.start(**first)
    wait_for_requests(access, 2)
    for request in unknown_kids(20):
        refused(worker, "token_key", **request)
    worker.advance(20)
    assert pending.result().status == 403
    worker.advance(11)
    access.answer()
    refused(worker, "token_key", **first)
    assert fetches(worker) == 3


# ---------------------------------------------------------------- several requests at once


def test_cold_requests_at_once(worker: Worker, access: Access, caller: Caller) -> None:
    access.answer(delay=0.3)
    answers = worker.fetch_all([{"headers": caller(x=number)} for number in range(20)])
    assert {answer.status for answer in answers} == {200}
    access.answer(500)
    let_in(worker, caller())
    assert fetches(worker) <= 20


def test_most_cold_requests_at_once(worker: Worker, access: Access, caller: Caller) -> None:
    """While the issuer hangs, a flood does not become a flood at the issuer."""
    access.answer(delay=2)
    headers = caller()
    refused(worker, "no_proof")  # the first request of all takes longer
    began = time.monotonic()
    pending = [worker.start(headers=headers) for _ in range(60)]
    while sum(each.done() for each in pending) + fetches(worker) < 60:
        time.sleep(0.01)
    seconds = int(time.monotonic() - began)  # of these each allows one more
    answers = [each.result() for each in pending]
    assert 50 <= fetches(worker) <= 50 + seconds
    statuses = [answer.status for answer in answers]
    assert (statuses.count(200), statuses.count(503)) == (fetches(worker), 60 - fetches(worker))
    again = {answer.headers["Retry-After"] for answer in answers if answer.status == 503}
    assert again == {"1"}  # the others may have brought the keys by then
    access.answer(500)
    let_in(worker, caller())


def test_forged_tokens_do_not_use_the_attempts_up(
    worker: Worker, access: Access, caller: Caller
) -> None:
    """Many of them, in a moment in which the issuer hangs, must not mean that nobody tries again
    as soon as it answers."""
    access.answer(delay=4.8)  # of the 5 s after which the guard gives up
    hanging = [worker.start(**request) for request in unknown_kids(55)]
    wait_for_requests(access, 50)
    access.answer()
    for _ in range(3):
        worker.advance(1.1)
        forged = {answer.status for answer in worker.fetch_all(list(unknown_kids(20)))}
        assert forged <= {403, 503}
    let_in(worker, caller())
    for each in hanging:
        each.cancel()
    assert fetches(worker) < 60


def test_failed_cold_requests_are_forgotten(worker: Worker, access: Access, caller: Caller) -> None:
    access.answer(500, delay=2)
    answers = worker.fetch_all([{"headers": caller()}] * 75)
    assert {answer.status for answer in answers} == {503}
    access.answer()
    worker.advance(31)
    let_in(worker, caller())


def test_cold_requests_at_once_without_keys(worker: Worker, access: Access, caller: Caller) -> None:
    access.answer(500, delay=0.3)
    answers = worker.fetch_all([{"headers": caller(x=number)} for number in range(20)])
    assert {answer.status for answer in answers} == {503}


def test_requests_that_come_while_keys_are_imported(
    worker: Worker, access: Access, caller: Caller
) -> None:
    """Whoever is cold gets keys or waits for them: there is no moment in which nobody has any."""
    others = [{**access.signer.jwk, "kid": f"other {number}"} for number in range(15)]
    access.keys[:] = [*others, access.signer.jwk]
    access.answer(delay=0.2)
    headers = [caller(x=number) for number in range(50)]
    pending = [worker.start(headers=headers.pop())]
    while not pending[0].done() and headers:
        pending.append(worker.start(headers=headers.pop()))
        time.sleep(0.004)
    assert {each.result().status for each in pending} == {200}


@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
def test_cancelled_cold_request_harms_nobody(
    which: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    """No request waits for what another one began: the runtime may end that one."""
    access.answer(delay=0.5)
    pending = [worker.start(headers=caller(x=number)) for number in range(3)]
    wait_for_requests(access, 3)
    cancelled = pending.pop(which)
    cancelled.cancel()
    with pytest.raises(Cancelled):
        cancelled.result()
    assert [each.result().status for each in pending] == [200, 200]
    let_in(worker, caller())


def test_everybody_cancelled(worker: Worker, access: Access, caller: Caller) -> None:
    """Nothing that was begun for them stands in the way of those who come after."""
    access.answer(delay=0.5)
    pending = [worker.start(headers=caller(x=number)) for number in range(3)]
    wait_for_requests(access, 3)
    for each in pending:
        each.cancel()
    access.answer()
    let_in(worker, caller())


def test_cancelled_refresh_keeps_the_keys(worker: Worker, access: Access, long_lived: Any) -> None:
    let_in(worker, long_lived())
    worker.advance(2 * HOUR)
    access.answer(delay=0.5)
    pending = worker.start(headers=long_lived(x=1))
    wait_for_requests(access, 2)
    pending.cancel()
    let_in(worker, long_lived(x=2))


def test_cancelled_refresh_goes_on(worker: Worker, access: Access, long_lived: Any) -> None:
    """Who asks for keys and hangs up, again and again, cannot keep the old set alive."""
    old = access.signer
    let_in(worker, long_lived())
    new = access.rotate()
    del access.keys[1]
    worker.advance(31)
    access.answer(delay=1)
    (unknown,) = unknown_kids(1)
    pending = worker.start(**unknown)
    wait_for_requests(access, 2)
    pending.cancel()
    with pytest.raises(Cancelled):
        pending.result()
    time.sleep(2)
    let_in(worker, long_lived(key=new))
    refused(worker, "token_key", long_lived(key=old))
    assert fetches(worker) == 2


def test_late_answer_does_not_replace_a_later_one(
    worker: Worker, access: Access, caller: Caller
) -> None:
    """A rotation while two requests fetch: the newer set stays."""
    old = access.signer
    access.answer(delay=0.6)
    pending = worker.start(headers=caller(key=old))
    wait_for_requests(access, 1)
    time.sleep(0.1)
    access.rotate()
    access.answer()
    let_in(worker, caller())
    pending.result()
    let_in(worker, caller(x=1))
    let_in(worker, caller(key=old, x=2))
    assert fetches(worker) == 2


def test_slow_attempt_does_not_end_the_cooldown_of_a_later_one(
    worker: Worker, access: Access, caller: Caller
) -> None:
    access.answer(delay=1.5)
    pending = worker.start(headers=caller())
    wait_for_requests(access, 1)
    access.answer()
    worker.advance(20)
    let_in(worker, caller(x=1))
    assert pending.result().status == 200
    worker.advance(20)
    for request in unknown_kids(3):
        refused(worker, "token_key", **request)
    assert fetches(worker) == 2


def test_rotation_under_load(worker: Worker, access: Access, caller: Caller) -> None:
    """Callers with old and with new tokens notice nothing."""
    old = access.signer
    let_in(worker, caller())
    worker.advance(31)
    new = access.rotate()
    access.answer(delay=0.2)
    let_in(worker, caller(key=new))
    requests = [{"headers": caller(key=key, x=n)} for n in range(20) for key in (old, new)]
    random.Random(1).shuffle(requests)
    answers = worker.fetch_all(requests)
    assert {answer.status for answer in answers} == {200}
    assert fetches(worker) == 2
