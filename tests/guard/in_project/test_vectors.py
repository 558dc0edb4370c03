"""Runs inside a rendered project, with vectors_api.py as its API: see test_in_project.py.

Published vectors (see vectors/README.md) through the guard's key stage and signature stage, in the
Worker's own Python. Their payloads are no claims, so the third stage has no part in this.
"""

import base64
import json
from collections import Counter
from pathlib import Path

import pytest

PAYLOAD, SIGNATURE = 1, 2  # parts of a JWS
ROCA = 7  # tcId in json_web_key_test.json


@pytest.fixture
def ask(worker, access):
    """Send many inputs to one stage; the answers by the names of the inputs."""

    def ask(stage, inputs):
        headers = {**access.person(), "Content-Type": "application/json"}
        body = json.dumps({"stage": stage, "inputs": list(inputs.values())})
        response = worker.fetch("/", method="POST", headers=headers, body=body)
        assert response.status == 200, worker.logs
        return dict(zip(inputs, response.json(), strict=True))

    return ask


@pytest.fixture
def check_tokens(ask):
    """Each token must get its answer, and no good one may survive the change of a bit."""

    def check(tokens, expected):
        assert ask("jws", tokens) == expected
        changed = {
            (name, part): [jwk, change_part(text, part)]
            for name, (jwk, text) in tokens.items()
            if expected[name]
            for part in (PAYLOAD, SIGNATURE)
        }
        assert changed
        assert ask("jws", changed) == dict.fromkeys(changed, False)

    return check


def change(data):
    """Another last bit; a byte where there is none."""
    return data[:-1] + bytes([data[-1] ^ 1]) if data else b"\0"


def change_part(text, part):
    parts = text.split(".")
    data = change(base64.urlsafe_b64decode(parts[part] + "=="))
    parts[part] = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    return ".".join(parts)


def read(name):
    path = Path(__file__).parent / "vectors" / name
    return json.loads(path.read_text(encoding="utf-8"))


def in_groups(name):
    """tcId -> test and its group."""
    groups = read(name)["testGroups"]
    found = [(test["tcId"], (test, group)) for group in groups for test in group["tests"]]
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    return dict(found)


def test_jws(check_tokens):
    """`result` is for verifiers of every algorithm, so it is not asserted."""
    tests = {test["tcId"]: test for test in read("rs256_jws_subset.json")["tests"]}
    expected = {number: test["rs256_expect"] for number, test in tests.items()}
    assert Counter(expected.values()) == {"valid": 8, "invalid": 310}
    check_tokens(
        {number: [test["jwk"], test["jws"]] for number, test in tests.items()},
        {number: value == "valid" for number, value in expected.items()},
    )


@pytest.mark.parametrize(
    ("bits", "counts", "small_exponent"),
    [
        (2048, {"valid": 9, "acceptable": 1, "invalid": 249}, {258, 259}),
        (4096, {"valid": 7, "acceptable": 1, "invalid": 250}, set()),
    ],
)
def test_signatures(bits, counts, small_exponent, ask):
    """A signature that is merely "acceptable" (it lacks a NULL) is refused. Two are good, but by
    keys with e = 3, which never get this far: the key stage must refuse them."""
    tests = in_groups(f"rsa_signature_{bits}_sha256_test.json")
    assert Counter(test["result"] for test, _ in tests.values()) == counts
    signatures = {
        number: [group["keyJwk"], test["msg"], test["sig"]]
        for number, (test, group) in tests.items()
    }
    good = {number for number, (test, _) in tests.items() if test["result"] == "valid"}
    assert ask("signature", signatures) == {number: number in good for number in tests}

    changed = {}
    for number in good:
        jwk, message, value = signatures[number]
        changed[number, PAYLOAD] = [jwk, change(bytes.fromhex(message)).hex(), value]
        changed[number, SIGNATURE] = [jwk, message, change(bytes.fromhex(value)).hex()]
    assert ask("signature", changed) == dict.fromkeys(changed, False)

    jwks = {number: [jwk] for number, (jwk, *_) in signatures.items()}
    assert ask("key", jwks) == {number: number not in small_exponent for number in tests}


def test_keys(ask, check_tokens):
    tests = in_groups("json_web_key_test.json")
    assert len(tests) == 26
    # Symmetric keys have no public half.
    sets = {number: group.get("public", group["private"]) for number, (_, group) in tests.items()}
    rsa = {
        number: [jwks["keys"][0], tests[number][0]["jws"]]
        for number, jwks in sets.items()
        if any(key["kty"] == "RSA" for key in jwks["keys"])
    }
    assert list(rsa) == [5, 6, ROCA, 8, 9, 24]
    published = {number: tests[number][0]["result"] == "valid" for number in rsa}
    assert [number for number in rsa if published[number]] == [5]

    # The only vector where the guard answers otherwise. A ROCA key is one that some smart cards
    # made so badly that it can be factored, which shows in its modulus alone. The guard does not
    # look for that: keys only ever come from Cloudflare's own endpoint, never from a caller.
    expected = {**published, ROCA: True}
    check_tokens(rsa, expected)

    # In a JWK Set, keys of another kind are passed over like the bad RSA keys ...
    usable = {number: [rsa[number][0]["kid"]] for number in (5, ROCA)}
    inputs = {number: [jwks] for number, jwks in sets.items()}
    assert ask("key_ids", inputs) == {number: usable.get(number, []) for number in tests}
    mixed = {"keys": [*sets[1]["keys"], *sets[5]["keys"], *sets[19]["keys"]]}
    assert ask("key_ids", {"mixed": [mixed]}) == {"mixed": usable[5]}

    # ... and their tokens are not taken with a good RSA key either.
    others = {number: [rsa[5][0], tests[number][0]["jws"]] for number in tests.keys() - rsa.keys()}
    assert ask("jws", others) == dict.fromkeys(others, False)


@pytest.mark.parametrize("name", ["rfc7515_a2.json", "rfc7520_4_1.json"])
def test_examples_of_the_standards(name, check_tokens):
    example = read(name)
    check_tokens({name: [example["jwk"], example["jws"]]}, {name: True})
