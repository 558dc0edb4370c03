"""A token's shape and signature, before any of its claims is believed.

Every bad token here is signed with the published key and has good claims, unless the test is
about just that: only the rule under test can refuse it.
"""

import base64
import hashlib
import hmac
import json
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512

from private_worker.testing.access import Access, b64url
from private_worker.testing.runtime import Worker

from .lib import PROOF, Caller, let_in, refused

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def signed(access: Access, header_part: Any, payload_part: Any) -> Any:
    """Headers with a token whose first two parts are exactly these, and a good signature."""
    text = f"{header_part}.{payload_part}"
    return {PROOF: f"{text}.{b64url(access.signer.sign(text.encode()))}"}


def parts_of(headers: Any) -> Any:
    return headers[PROOF].split(".")


def bearer(*parts: Any) -> Any:
    return {PROOF: ".".join(parts)}


def from_b64url(part: Any) -> Any:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def to_json(value: Any) -> Any:
    return json.dumps(value).encode()


def part_of_length(value: Any, length: Any) -> Any:
    """A JSON object in base64url, made exactly `length` characters long with one more member."""
    for fill in range(max(0, length * 3 // 4 - len(to_json({**value, "fill": ""})) - 4), length):
        part = b64url(to_json({**value, "fill": "x" * fill}))
        if len(part) >= length:
            assert len(part) == length, "no base64url text has this length"
            return part


def nested(levels: int, inside: str = "1") -> str:
    """JSON text of objects and arrays by turns, `levels` deep."""
    for level in range(levels):
        inside = f"[{inside}]" if level % 2 else f'{{"a":{inside}}}'
    return inside


# ---------------------------------------------------------------- size


def test_longest_token(worker: Worker, access: Access, claims: dict[str, Any]) -> None:
    for fill in range(4):
        header = b64url(to_json({**access.header(), "fill": "x" * fill}))
        room = 16 * 1024 - len(header) - len(access.token(claims).split(".")[2]) - 2
        if room % 4 > 1:  # no base64url text is 1, 5, 9... characters long
            break
    let_in(worker, signed(access, header, part_of_length(claims, room)))
    refused(worker, "token_shape", signed(access, header, part_of_length(claims, room + 1)))


def test_longest_header_part(worker: Worker, access: Access, claims: dict[str, Any]) -> None:
    payload = b64url(to_json(claims))
    let_in(worker, signed(access, part_of_length(access.header(), 2048), payload))
    refused(worker, "token_shape", signed(access, part_of_length(access.header(), 2050), payload))


def test_huge_token(worker: Worker, access: Access, claims: dict[str, Any]) -> None:
    """Its length is enough to refuse it."""
    refused(worker, "token_shape", {PROOF: access.token({**claims, "fill": "x" * 64 * 1024})})


# ---------------------------------------------------------------- three parts

PARTS = {
    "nothing": lambda h, p, s: "",
    "one dot": lambda h, p, s: ".",
    "two dots": lambda h, p, s: "..",
    "word": lambda h, p, s: "null",
    "header alone": lambda h, p, s: h,
    "no signature part": lambda h, p, s: f"{h}.{p}",
    "no header": lambda h, p, s: f".{p}.{s}",
    "no payload": lambda h, p, s: f"{h}.{s}",
    "four parts": lambda h, p, s: f"{h}.{p}.{s}.{s}",
    "four parts, one empty": lambda h, p, s: f"{h}.{p}.{s}.",
    "empty part first": lambda h, p, s: f".{h}.{p}.{s}",
    "five parts (JWE)": lambda h, p, s: f"{h}.{p}.{s}.{p}.{s}",
    "other dots": lambda h, p, s: f"{h}..{p}..{s}",
    "with a scheme": lambda h, p, s: f"Bearer {h}.{p}.{s}",
    "in quotes": lambda h, p, s: f'"{h}.{p}.{s}"',
    "two tokens": lambda h, p, s: f"{h}.{p}.{s},{h}.{p}.{s}",
    "JSON serialisation": lambda h, p, s: json.dumps(
        {"protected": h, "payload": p, "signature": s}
    ),
}


@pytest.mark.parametrize("make", PARTS.values(), ids=PARTS)
def test_three_parts(make: Any, worker: Worker, caller: Caller) -> None:
    headers = {PROOF: make(*parts_of(caller()))}
    response = worker.fetch(headers=headers)
    assert response.status == 403
    let_in(worker, caller())


# ---------------------------------------------------------------- base64url


def loose_end(part: Any) -> Any:
    """The same bytes with unused bits set in the last character."""
    assert len(part) % 4
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) + 1]


DEFECTS = {
    "padding": lambda part: part + "=" * (-len(part) % 4),
    "one pad character": lambda part: part + "=",
    "space": lambda part: part[:8] + " " + part[8:],
    "tab": lambda part: part[:8] + "\t" + part[8:],
    "alphabet of base64": lambda part: part.replace("-", "+").replace("_", "/"),
    "foreign character": lambda part: part[:8] + "!" + part[8:],
    "four foreign characters": lambda part: part[:8] + "~~~~" + part[8:],
    "percent escape": lambda part: part[:8] + f"%{ord(part[8]):02x}" + part[9:],
    "not ASCII": lambda part: part[:8] + "\u00e9" + part[8:],
    "loose bits at the end": loose_end,
    "impossible length": lambda part: part[: len(part) // 4 * 4 + 1],
}


@pytest.mark.parametrize("which", ["header", "payload", "signature"])
@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS)
def test_strict_base64url(
    defect: Any, which: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    # Both parts hold - and _ and end in the middle of a group, so that every defect is one.
    header = {**access.header(), "fill": ">>>???~~~"}
    payload = {**claims, "fill": ">>>???~~~"}
    while len(b64url(to_json(header))) % 4 == 0:
        header["fill"] += "x"
    while len(b64url(to_json(payload))) % 4 == 0:
        payload["fill"] += "x"
    good = {"header": b64url(to_json(header)), "payload": b64url(to_json(payload))}
    let_in(worker, signed(access, **{f"{name}_part": part for name, part in good.items()}))
    if which == "signature":
        parts = parts_of(signed(access, good["header"], good["payload"]))
        bad = defect(parts[2])
        headers = bearer(*parts[:2], bad)
        assert bad != parts[2]
    else:
        bad = defect(good[which])
        assert bad != good[which]
        text = ".".join({**good, which: bad}.values())
        signature = access.signer.sign(text.encode("latin-1"))
        headers = {PROOF: f"{text}.{b64url(signature)}"}
    refused(worker, "token_shape", headers)


# ---------------------------------------------------------------- JSON

# What is done to the text of a good JSON object.
NOT_STRICT = {
    "nothing": lambda text: b"",
    "blanks": lambda text: b"   ",
    "cut off": lambda text: text[:-1],
    "more text": lambda text: text + b"x",
    "two objects": lambda text: text + text,
    "null": lambda text: b"null",
    "true": lambda text: b"true",
    "number": lambda text: b"1",
    "string": lambda text: b'"x"',
    "in a list": lambda text: b"[" + text + b"]",
    "list": lambda text: b"[]",
    "in a string": lambda text: to_json(text.decode()),
    "not UTF-8": lambda text: text[:-1] + b',"x":"\xff"}',
    "overlong UTF-8": lambda text: text[:-1] + b',"x":"\xc0\xaf"}',
    "half a surrogate pair": lambda text: text[:-1] + rb',"x":"\ud800"}',
    "surrogate in UTF-8": lambda text: text[:-1] + b',"x":"\xed\xa0\x80"}',
    "latin-1": lambda text: text[:-1] + b',"x":"\xe9"}',
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.decode().encode("utf-16-le"),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "repeated name": lambda text: text[:-1] + b',"x":1,"x":1}',
    "repeated name, escaped": lambda text: text[:-1] + b',"x":1,"\\u0078":1}',
    "repeated name further in": lambda text: text[:-1] + b',"x":[{"y":1,"y":1}]}',
    "first name repeated": lambda text: text[:-1] + b"," + text[1:],
    "NaN": lambda text: text[:-1] + b',"x":NaN}',
    "NaN further in": lambda text: text[:-1] + b',"x":[{"y":NaN}]}',
    "Infinity": lambda text: text[:-1] + b',"x":Infinity}',
    "-Infinity": lambda text: text[:-1] + b',"x":-Infinity}',
    "float beyond all floats": lambda text: text[:-1] + b',"x":1e999}',
    "integer of 20 digits": lambda text: text[:-1] + b',"x":' + b"1" * 20 + b"}",
    "negative integer of 20 digits": lambda text: text[:-1] + b',"x":-' + b"1" * 20 + b"}",
    "integer of 100 digits": lambda text: text[:-1] + b',"x":' + b"9" * 100 + b"}",
    "negative integer of 100 digits": lambda text: text[:-1] + b',"x":-' + b"9" * 100 + b"}",
    "integer of 1000 digits": lambda text: text[:-1] + b',"x":' + b"9" * 1000 + b"}",
    "leading zero": lambda text: text[:-1] + b',"x":01}',
    "plus sign": lambda text: text[:-1] + b',"x":+1}',
    "comma at the end": lambda text: text[:-1] + b",}",
    "single quotes": lambda text: text[:-1] + b",'x':1}",
    "name without quotes": lambda text: text[:-1] + b",x:1}",
    "comment": lambda text: text + b"/**/",
    "line break in a string": lambda text: text[:-1] + b',"x":"\n"}',
    "zero byte": lambda text: text + b"\x00",
}


@pytest.mark.parametrize("spoil", NOT_STRICT.values(), ids=NOT_STRICT)
def test_header_is_strict_json(
    spoil: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    header = spoil(to_json(access.header()))
    refused(worker, "token_header", {PROOF: access.token(claims, header=header)})


@pytest.mark.parametrize("spoil", NOT_STRICT.values(), ids=NOT_STRICT)
def test_payload_is_strict_json(
    spoil: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    payload = spoil(to_json(claims))
    refused(worker, "token_payload", {PROOF: access.token(payload)})


def test_integer_of_5000_digits(worker: Worker, access: Access, claims: dict[str, Any]) -> None:
    """Python refuses to convert it, which must not look like a mistake in the guard."""
    payload = to_json(claims)[:-1] + b',"x":' + b"9" * 5000 + b"}"
    refused(worker, "token_payload", {PROOF: access.token(payload)})


FINE = {
    "blanks": lambda text: b" \n\t" + text.replace(b'":', b'" :\r\n') + b"\n",
    "letters of the world": lambda text: text[:-1] + ',"x":"Zoë 山 🔑"}'.encode(),
    "escapes": lambda text: text[:-1] + b',"x":"\\u0041\\n\\"\\\\","\\u0079":1}',
    "numbers": lambda text: text[:-1] + b',"x":[0,-1,1.5,1e3,9007199254740993]}',
    "integers of 19 digits": lambda text: (
        text[:-1] + b',"x":' + b"9" * 19 + b',"y":-' + b"9" * 19 + b"}"
    ),
    "nesting": lambda text: text[:-1] + b',"x":' + nested(8).encode() + b"}",
    "32 levels": lambda text: text[:-1] + f',"y":{{}},"x":{nested(31)}}}'.encode(),
    "brackets in a string": lambda text: text[:-1] + b',"x":"' + b"[{" * 100 + b'"}',
    "brackets after a quote": lambda text: text[:-1] + b',"x":"\\"' + b"[{" * 100 + b'"}',
    "brackets in a name": lambda text: text[:-1] + b',"' + b"[" * 100 + b'":1}',
    "many brackets side by side": lambda text: text[:-1] + b',"x":[' + b"{}," * 50 + b"[]]}",
    "everything empty": lambda text: text[:-1] + b',"x":[null,"",{},[]]}',
}


@pytest.mark.parametrize("change", FINE.values(), ids=FINE)
def test_any_other_json_is_fine(
    change: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    header, payload = change(to_json(access.header())), change(to_json(claims))
    let_in(worker, {PROOF: access.token(payload, header=header)})


# What makes 33 levels, the object itself included.
TOO_DEEP = {
    "at the end": lambda text: text[:-1] + f',"x":{nested(32)}}}'.encode(),
    "at the start": lambda text: f'{{"x":{nested(32)},'.encode() + text[1:],
    "arrays": lambda text: text[:-1] + b',"x":' + b"[" * 32 + b"]" * 32 + b"}",
    "objects": lambda text: text[:-1] + b',"x":' + b'{"":' * 32 + b"1" + b"}" * 32 + b"}",
    "after shallow ones": lambda text: text[:-1] + f',"y":[{{}},[]],"x":{nested(32)}}}'.encode(),
    "after an escaped backslash": lambda text: (
        text[:-1] + rf',"y":"\\","x":{nested(32)},"z":"\\"}}'.encode()
    ),
    "after an escaped quote": lambda text: (
        text[:-1] + rf',"y":"\"","x":{nested(32)},"z":"\""}}'.encode()
    ),
    "between closing brackets in strings": lambda text: (
        text[:-1] + f',"y":"{"]" * 40}","x":{nested(32)}}}'.encode()
    ),
}


@pytest.mark.parametrize("deepen", TOO_DEEP.values(), ids=TOO_DEEP)
def test_nesting_is_limited(
    deepen: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    header, payload = deepen(to_json(access.header())), deepen(to_json(claims))
    refused(worker, "token_header", {PROOF: access.token(claims, header=header)})
    refused(worker, "token_payload", {PROOF: access.token(payload)})


@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["arrays", "objects"])
def test_deep_tokens_do_not_end_the_isolate(
    opening: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    """In workerd some 6 000 levels end it, and no `try` catches that."""
    let_in(worker, caller())
    bomb = opening.encode() * 8000
    in_header = b64url(bomb)[:2000]
    in_payload = b64url(bomb)[:8000]
    header, payload, signature = parts_of(caller())
    tokens = [
        f"{in_header}.{payload}.{signature}",
        f"{header}.{in_payload}.{signature}",
        f"{in_payload}.{payload}.",
        f"{b64url(bomb)}.{payload}.{signature}",
    ]
    request = [{"headers": {PROOF: token}} for token in tokens]
    for _ in range(10):
        answers = worker.fetch_all(request * 12 + [{"headers": caller()}])
        assert [answer.status for answer in answers] == [403] * 48 + [200]


def test_deep_payload_with_a_good_signature(worker: Worker, access: Access, caller: Caller) -> None:
    payload = b"[" * 8000
    token = access.token(payload)
    assert len(token) < 16 * 1024
    refused(worker, "token_payload", {PROOF: token})
    let_in(worker, caller())


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff", b"[]", b"[" * 6000], ids=lambda data: repr(data[:9])
)
def test_payload_is_not_looked_at_before_the_signature(
    payload: Any, worker: Worker, access: Access
) -> None:
    """What nobody signed is not parsed, and tells nothing about the claims."""
    forged = access.token(payload, header=access.header(), key=access.stranger)
    refused(worker, "token_signature", {PROOF: forged})


# ---------------------------------------------------------------- algorithm

OTHER_ALGORITHMS = [
    *("none", "None", "NONE", "nOnE", "", " "),
    *("HS256", "HS384", "HS512", "RS384", "RS512", "RS1", "PS256", "PS384", "PS512"),
    *("ES256", "ES256K", "EdDSA", "rs256", "Rs256", "RS256 ", " RS256", "RS256\x00", "RS2561"),
    *("RSA-OAEP", "dir", "RSASSA-PKCS1-v1_5"),
    *(None, True, 256, [], ["RS256"], {}, {"alg": "RS256"}),
]


@pytest.mark.parametrize("alg", OTHER_ALGORITHMS, ids=repr)
def test_other_algorithm(alg: Any, worker: Worker, access: Access, caller: Caller) -> None:
    """A list of one: whatever is not RS256 is refused."""
    refused(worker, "token_algorithm", caller(header={**access.header(), "alg": alg}))


def test_no_algorithm(worker: Worker, access: Access, caller: Caller) -> None:
    refused(worker, "token_algorithm", caller(header={"kid": access.signer.kid, "typ": "JWT"}))


@pytest.mark.parametrize("signature", ["", "AA", None], ids=["empty", "short", "of another token"])
@pytest.mark.parametrize("alg", ["none", "None", "RS256"])
def test_unsigned(
    alg: Any, signature: Any, worker: Worker, access: Access, claims: dict[str, Any], caller: Caller
) -> None:
    """The oldest trick."""
    header = b64url(to_json({**access.header(), "alg": alg}))
    last = parts_of(caller())[2] if signature is None else signature
    response = worker.fetch(headers=bearer(header, b64url(to_json({**claims, "x": 1})), last))
    assert response.status == 403


@pytest.mark.parametrize("secret", ["PEM", "PEM without line end", "DER", "modulus", "n"])
@pytest.mark.parametrize("alg", ["HS256", "RS256"])
def test_public_key_as_hmac_secret(
    alg: Any, secret: Any, fresh: Worker, access: Access, claims: dict[str, Any]
) -> None:
    """The key set names no algorithm, and the token asks for another."""
    del access.keys[0]["alg"]
    public = access.signer.private.public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(serialization.Encoding.PEM, info)
    n = public.public_numbers().n
    secrets = {
        "PEM": pem,
        "PEM without line end": pem.strip(),
        "DER": public.public_bytes(serialization.Encoding.DER, info),
        "modulus": n.to_bytes(256, "big"),
        "n": access.signer.jwk["n"].encode(),
    }
    header = b64url(to_json({**access.header(), "alg": alg}))
    payload = b64url(to_json(claims))
    mac = hmac.digest(secrets[secret], f"{header}.{payload}".encode(), hashlib.sha256)
    reason = "token_algorithm" if alg == "HS256" else "token_signature"
    refused(fresh, reason, bearer(header, payload, b64url(mac)))


GOOD_SIGNATURES = {
    "RS384": (padding.PKCS1v15(), SHA384()),
    "RS512": (padding.PKCS1v15(), SHA512()),
    "PS256": (padding.PSS(padding.MGF1(SHA256()), 32), SHA256()),
    "PS384": (padding.PSS(padding.MGF1(SHA384()), 48), SHA384()),
    "PS512": (padding.PSS(padding.MGF1(SHA512()), 64), SHA512()),
}


@pytest.mark.parametrize("alg", GOOD_SIGNATURES)
def test_token_does_not_choose_the_algorithm(
    alg: Any, fresh: Worker, access: Access, claims: dict[str, Any]
) -> None:
    """The published key really made this signature, and its entry names no algorithm."""
    del access.keys[0]["alg"]
    text = f"{b64url(to_json({**access.header(), 'alg': alg}))}.{b64url(to_json(claims))}"
    signature = access.signer.private.sign(text.encode(), *GOOD_SIGNATURES[alg])
    refused(fresh, "token_algorithm", {PROOF: f"{text}.{b64url(signature)}"})
    let_in(fresh, {PROOF: access.token(claims)})


# ---------------------------------------------------------------- other members of the header


@pytest.mark.parametrize(
    "crit", [["x"], [], "x", "", None, True, 0, {}, ["alg"], ["b64"], ["exp"]], ids=repr
)
def test_any_crit(crit: Any, worker: Worker, access: Access, caller: Caller) -> None:
    """No extension is understood here."""
    refused(worker, "token_header", caller(header={**access.header(), "crit": crit, "x": 1}))


@pytest.mark.parametrize("name", ["crit", "b64"])
def test_escaped_name(name: Any, worker: Worker, access: Access, claims: dict[str, Any]) -> None:
    """The same name in another spelling of JSON."""
    spelled = "".join(f"\\u{ord(letter):04x}" for letter in name)
    for value in ('["x"]', "[]", '"x"', "false", "true", "null"):
        header = to_json(access.header())[:-1] + f',"{spelled}":{value}}}'.encode()
        refused(worker, "token_header", {PROOF: access.token(claims, header=header)})


@pytest.mark.parametrize("more", [{}, {"crit": ["b64"]}], ids=["alone", "with crit"])
@pytest.mark.parametrize("b64", [False, True, None, 0, "false", []], ids=repr)
def test_unencoded_payload(
    b64: Any, more: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    """RFC 7797."""
    header = {**access.header(), "b64": b64, **more}
    refused(worker, "token_header", {PROOF: access.token(claims, header=header)})


def test_payload_that_really_is_unencoded(
    worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    """Signed as RFC 7797 wants it."""
    header = b64url(to_json({**access.header(), "b64": False, "crit": ["b64"]}))
    signature = b64url(access.signer.sign(f"{header}.".encode() + to_json(claims)))
    refused(worker, "token_header", bearer(header, b64url(to_json(claims)), signature))


FOREIGN_KEYS = {
    "jwk": lambda key: key.jwk,
    "jku": lambda key: "https://evil.example/keys.json",
    "x5u": lambda key: "https://evil.example/cert.pem",
    "x5c": lambda key: ["MIIB"],
    "x5t": lambda key: "AAAA",
    "x5t#S256": lambda key: "AAAA",
}


@pytest.mark.parametrize(("name", "value"), FOREIGN_KEYS.items(), ids=FOREIGN_KEYS)
def test_key_in_the_token_is_ignored(
    name: Any, value: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    """A key that comes with the token proves nothing."""
    stranger = access.stranger
    more = {name: value(stranger)}
    let_in(worker, caller(header={**access.header(), **more}))
    forged = caller(header={**access.header(), **more}, key=stranger)
    refused(worker, "token_signature", forged)
    refused(worker, "token_key", caller(header={**access.header(stranger), **more}, key=stranger))
    certs = f"{access.team_domain}/cdn-cgi/access/certs"
    assert {sent["url"] for sent in worker.outbound} == {certs}


# ---------------------------------------------------------------- key id


@pytest.mark.parametrize(
    "kid", [None, True, 0, 7, 1.5, [], {}, "list of it", "dict of it"], ids=repr
)
def test_key_id_is_a_string(kid: Any, worker: Worker, access: Access, caller: Caller) -> None:
    of_it = {"list of it": [access.signer.kid], "dict of it": {access.signer.kid: 1}}
    bad = of_it.get(kid, kid) if isinstance(kid, str) else kid
    refused(worker, "token_header", caller(header={"alg": "RS256", "kid": bad}))


def test_no_key_id(worker: Worker, caller: Caller) -> None:
    """Not even with one key in the set, which it could only be."""
    refused(worker, "token_header", caller(header={"alg": "RS256", "typ": "JWT"}))


def test_longest_key_id(fresh: Worker, access: Access, caller: Caller) -> None:
    access.keys[:] = [
        {**access.signer.jwk, "kid": "k" * 256},
        {**access.signer.jwk, "kid": "k" * 257},
    ]
    let_in(fresh, caller(header={"alg": "RS256", "kid": "k" * 256}))
    refused(fresh, "token_header", caller(header={"alg": "RS256", "kid": "k" * 257}))


@pytest.mark.parametrize(
    "change", [str.upper, lambda kid: kid[:-1], lambda kid: kid + " ", lambda kid: ""]
)
def test_key_id_is_compared_whole(
    change: Any, worker: Worker, access: Access, caller: Caller
) -> None:
    let_in(worker, caller())
    header = {**access.header(), "kid": change(access.signer.kid)}
    refused(worker, "token_key", caller(header=header))


@pytest.mark.parametrize(
    "kid",
    ["../../x", "https://evil.example/", "' or 1=1 --", "__proto__", "\U0001f600", "\x00", "é" * 9],
    ids=ascii,
)
def test_odd_key_ids(kid: Any, worker: Worker, caller: Caller) -> None:
    refused(worker, "token_key", caller(header={"alg": "RS256", "kid": kid}))
    let_in(worker, caller())


# ---------------------------------------------------------------- signature


def flipped(signature: Any, bit: Any) -> Any:
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


FORGERIES = {
    "empty": lambda good: b"",
    "one byte": lambda good: b"\x00",
    "cut off": lambda good: good[:-1],
    "first byte missing": lambda good: good[1:],
    "zero byte after it": lambda good: good + b"\x00",
    "zero byte before it": lambda good: b"\x00" + good,
    "twice": lambda good: good * 2,
    "zeros": lambda good: bytes(256),
    "one": lambda good: bytes(255) + b"\x01",
    "ones": lambda good: b"\xff" * 256,
    "reversed": lambda good: good[::-1],
    **{f"bit {bit}": partial(flipped, bit=bit) for bit in (0, 7, 1024, 2047)},
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_signature_tampered_with(forge: Any, worker: Worker, caller: Caller) -> None:
    header, payload, signature = parts_of(caller())
    good = from_b64url(signature)
    refused(worker, "token_signature", bearer(header, payload, b64url(forge(good))))


def test_signature_out_of_range(worker: Worker, access: Access, caller: Caller) -> None:
    """Not reduced modulo n: RFC 8017 section 5.2.2 refuses it."""
    n = access.signer.private.public_key().public_numbers().n
    for _ in range(50):
        header, payload, signature = parts_of(caller())
        larger = int.from_bytes(from_b64url(signature), "big") + n
        if larger < 1 << 2048:
            break
    forged = larger.to_bytes((larger.bit_length() + 7) // 8, "big")
    refused(worker, "token_signature", bearer(header, payload, b64url(forged)))


def test_payload_changed_after_signing(
    worker: Worker, claims: dict[str, Any], caller: Caller
) -> None:
    header, _, signature = parts_of(caller())
    for changed in ({**claims, "exp": claims["exp"] + 1}, {**claims, "x": 1}):
        refused(worker, "token_signature", bearer(header, b64url(to_json(changed)), signature))


def test_header_changed_after_signing(worker: Worker, access: Access, caller: Caller) -> None:
    _, payload, signature = parts_of(caller())
    changed = b64url(to_json({**access.header(), "x": 1}))
    refused(worker, "token_signature", bearer(changed, payload, signature))


def test_signed_by_another_key(worker: Worker, access: Access, caller: Caller) -> None:
    refused(worker, "token_signature", caller(header=access.header(), key=access.stranger))
    refused(worker, "token_key", caller(key=access.stranger))


def test_signed_by_another_key_of_the_set(fresh: Worker, access: Access, caller: Caller) -> None:
    old = access.signer
    new = access.rotate()
    refused(fresh, "token_signature", caller(header=access.header(old), key=new))
    refused(fresh, "token_signature", caller(header=access.header(new), key=old))


@pytest.mark.parametrize(
    ("scheme", "digest"),
    [
        (padding.PKCS1v15(), SHA512()),
        (padding.PKCS1v15(), SHA1()),
        (padding.PSS(padding.MGF1(SHA256()), 32), SHA256()),
    ],
    ids=["RS512", "RS1", "PS256"],
)
def test_good_signature_of_another_kind(
    scheme: Any, digest: Any, worker: Worker, access: Access, claims: dict[str, Any]
) -> None:
    text = f"{b64url(to_json(access.header()))}.{b64url(to_json(claims))}"
    signature = access.signer.private.sign(text.encode(), scheme, digest)
    refused(worker, "token_signature", {PROOF: f"{text}.{b64url(signature)}"})
