"""Runs inside a rendered project, with properties_api.py as its API: see test_in_project.py.

What must hold for every input, not only for those of the conformance suite. Each expectation is
worked out here in another way than the guard's, from the rules it follows.
"""

import base64
import json
import json.scanner
import os
from collections import Counter
from itertools import cycle, islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from private_worker.testing.access import AUD, MACHINE, b64url

PROOF = "Cf-Access-Jwt-Assertion"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
MAX_NESTING = 32
MAX_INTEGER = 10**19 - 1
REFUSED, INVALID, NOT_CONFIGURED = (
    {"error": name} for name in ("Refused", "ValueError", "NotConfigured")
)


# One in how many examples. Before a release it is all of them.
THINNED = int(os.environ.get("PROPERTIES_THINNED", "1"))


def holds(max_examples):
    """The same examples on every run, and each may take as long as it needs."""
    return settings(
        max_examples=max_examples // THINNED,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def several(strategy, size=8):
    """More inputs in one request cost nearly nothing."""
    return st.lists(strategy, min_size=size, max_size=size)


@pytest.fixture
def ask(worker, access):
    """Send inputs to one of the guard's functions and get an answer for each."""
    headers = {**access.person(), "Content-Type": "application/json"}

    def ask(function, inputs):
        inputs = [
            base64.b64encode(each).decode() if isinstance(each, bytes) else each for each in inputs
        ]
        body = json.dumps({"function": function, "inputs": inputs})
        response = worker.fetch("/", method="POST", headers=headers, body=body)
        assert response.status == 200, worker.logs[-1:]
        return response.json()

    return ask


def expect(ask, function, cases):
    """`cases` are pairs of an input and its answer. repr, because 1 == 1.0 == True."""
    inputs = [value for value, _ in cases]
    for value, found, (_, expected) in zip(inputs, ask(function, inputs), cases, strict=True):
        assert repr(found) == repr(expected), value


def result(value):
    return {"result": value}


# ---------------------------------------------------------------- inputs

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-MAX_INTEGER, MAX_INTEGER),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def dumped(what, **more):
    """JSON text in one of the forms that json makes, which differ in blanks and escapes."""
    return st.builds(
        json.dumps,
        what,
        ensure_ascii=st.booleans(),
        indent=st.sampled_from([None, None, 0, 1, "\t"]),
        **more,
    )


def nest(inner, levels, count):
    """JSON text around JSON text, `count` times, `levels` (kind and a text in it) by turns."""
    for kind, text in islice(cycle(levels), count):
        other = json.dumps(text)
        if kind == "array":
            inner = f"[{other},{inner}]"
        elif kind == "object":
            inner = f"{{{other}:{inner}}}"
        else:
            inner = f"[[], {other}, {inner}, {{{other}: 0}}]"
    return inner


LEVELS = st.lists(
    st.tuples(
        st.sampled_from(["array", "object", "among others"]),
        st.text('[]{}"\\:,a', max_size=6),
    ),
    min_size=1,
    max_size=4,
)


def edited(texts, pieces, most=3):
    """A text in which pieces were put in, left out or replaced."""

    def edit(text, edits):
        for position, length, piece in edits:
            start = position % (len(text) + 1)
            text = text[:start] + piece + text[start + length :]
        return text

    # Small positions, also from the end: where a text begins and ends is where checks go wrong.
    positions = st.integers(-8, 8) | st.integers(0, 5000)
    edits = st.tuples(positions, st.sampled_from([0, 0, 1, 1, 4]), pieces)
    return st.builds(edit, texts, st.lists(edits, min_size=1, max_size=most))


# ---------------------------------------------------------------- base64url

blobs = st.binary(max_size=40)
# The alphabet and its near misses.
odd_letters = st.sampled_from([*"=+/ \n\t\r\0.~%,\u00e9\uff21\U0001d400", "==", "\r\n", *"AQgw-_"])
base64_texts = st.one_of(
    blobs.map(b64url),
    edited(blobs.map(b64url), odd_letters | st.sampled_from(ALPHABET) | st.just("")),
    st.builds(str.__add__, blobs.map(b64url), st.sampled_from(ALPHABET)),
    st.text(ALPHABET, max_size=12),
    st.text(ALPHABET + "=+/ \n\u00e9", max_size=12),
    st.text(max_size=12),
)


def from_base64url(text):
    """Bit by bit (RFC 4648 section 5); None when it is not the one way to write some bytes."""
    numbers = [ALPHABET.find(letter) for letter in text]
    bits = "".join(f"{number:06b}" for number in numbers)
    end = len(bits) // 8 * 8
    if -1 in numbers or len(bits) - end >= 6 or "1" in bits[end:]:
        return None
    return bytes(int(bits[start : start + 8], 2) for start in range(0, end, 8))


@holds(100)
@given(blobs=several(st.binary(max_size=300)))
def test_base64url_there_and_back(blobs, ask):
    cases = [(b64url(data), result(base64.b64encode(data).decode())) for data in blobs]
    expect(ask, "decode", cases)


@holds(200)
@given(texts=several(base64_texts, 16))
def test_base64url_is_canonical(texts, ask):
    found = [from_base64url(text) for text in texts]
    expect(
        ask,
        "decode",
        [
            (text, INVALID if data is None else result(base64.b64encode(data).decode()))
            for text, data in zip(texts, found, strict=True)
        ],
    )


# ---------------------------------------------------------------- strict JSON


@holds(100)
@given(texts=several(dumped(values)))
def test_json_gives_back_what_was_written(texts, ask):
    expect(ask, "loads", [(text.encode(), result(json.loads(text))) for text in texts])


def in_spellings(name):
    """The inside of JSON strings that all mean `name`."""

    def escape(letter, upper):
        units = letter.encode("utf-16-be").hex()
        return "".join(
            "\\u" + (part.upper() if upper else part)
            for part in (units[start : start + 4] for start in range(0, len(units), 4))
        )

    letters = [
        st.sampled_from(
            [json.dumps(letter, ensure_ascii=False)[1:-1], escape(letter, 0), escape(letter, 1)]
        )
        for letter in name
    ]
    return st.tuples(*letters).map("".join)


@st.composite
def repeated_names(draw):
    """A document with a repeated name somewhere in it, and the same one with another name."""
    members = draw(st.dictionaries(st.text(max_size=3), scalars, min_size=1, max_size=3))
    name = draw(st.sampled_from(sorted(members)))
    other = draw(st.text(max_size=3).filter(lambda text: text not in members))
    position = draw(st.integers(0, len(members)))
    value = json.dumps(draw(values))
    levels, count = draw(LEVELS), draw(st.integers(0, 4))
    written = [f'"{draw(in_spellings(key))}":{json.dumps(members[key])}' for key in members]

    def document(second):
        more = f'"{draw(in_spellings(second))}":{value}'
        inner = ",".join([*written[:position], more, *written[position:]])
        return nest(f"{{{inner}}}", levels, count)

    return document(name), document(other)


@holds(100)
@given(pairs=several(repeated_names(), 4))
def test_json_names_are_never_repeated(pairs, ask):
    expect(ask, "loads", [(bad.encode(), INVALID) for bad, _ in pairs])
    expect(ask, "loads", [(good.encode(), result(json.loads(good))) for _, good in pairs])


signs = st.sampled_from(["", "-"])
digits = st.integers(1, 9).map(str)
bad_numbers = st.one_of(
    st.sampled_from(["NaN", "Infinity", "-Infinity", "9" * 5000, "01", "+1", ".5", "1.", "0x1"]),
    st.builds("{}{}".format, signs, st.integers(MAX_INTEGER + 1, 10**400)),
    st.builds("{}{}e{}".format, signs, digits, st.integers(309, 10**6)),
    st.builds("{}{}.5E+{}".format, signs, digits, st.integers(309, 400)),
)
good_numbers = st.one_of(
    st.builds("{}{}".format, signs, st.integers(0, MAX_INTEGER) | st.just(MAX_INTEGER)),
    st.builds("{}{}e{}".format, signs, st.just(1), st.integers(-400, 308)),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)


@holds(150)
@given(
    bad=several(st.builds(nest, bad_numbers, LEVELS, st.integers(0, 4))),
    good=several(st.builds(nest, good_numbers, LEVELS, st.integers(0, 4)), 4),
)
def test_json_numbers_are_finite_and_short(bad, good, ask):
    expect(ask, "loads", [(text.encode(), INVALID) for text in bad])
    expect(ask, "loads", [(text.encode(), result(json.loads(text))) for text in good])


@st.composite
def around(draw):
    """A document with something before, in or after it that makes it none."""
    text = json.dumps(draw(st.lists(values, max_size=3))).encode()  # ASCII
    not_utf8 = [b"\xff", b"\x80", b"\xc0\xaf", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
    place = draw(st.integers(0, len(text)))
    before = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xc2\xa0", b"x", b"]", b"\0", b"\x0c", b"//\n"]
    after = [*before, b",", b"1", b'"', b"[]", b"{}", b"null", b"\x1a", b"\xe2\x80\xa8"]
    blanks = draw(st.sampled_from([b"", b" ", b"\r\n\t"]))
    bad = draw(
        st.one_of(
            st.sampled_from(not_utf8).map(lambda part: text[:place] + part + text[place:]),
            st.sampled_from(before).map(lambda part: blanks + part + text),
            st.sampled_from(after).map(lambda part: text + blanks + part + blanks),
            st.sampled_from(["utf-16", "utf-16-be", "utf-32-le"]).map(text.decode().encode),
            st.just(text[: min(place, len(text) - 1)]),
        )
    )
    return bad, blanks + text + blanks


@holds(100)
@given(pairs=several(around()))
def test_json_is_utf8_and_nothing_else(pairs, ask):
    expect(ask, "loads", [(bad, INVALID) for bad, _ in pairs])
    expect(ask, "loads", [(good, result(json.loads(good))) for _, good in pairs])


def depth(value):
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0)


@holds(150)
@given(
    texts=several(
        st.builds(nest, st.sampled_from(["1", "[]", "{}", '"[{"']), LEVELS, st.integers(0, 40))
        | st.builds(nest, dumped(values), LEVELS, st.integers(28, 33))
    )
)
def test_json_nesting_is_limited(texts, ask):
    parsed = [json.loads(text) for text in texts]
    deep = [depth(value) > MAX_NESTING for value in parsed]
    raw = [text.encode() for text in texts]
    expect(
        ask, "too_deep", [(text, result(is_deep)) for text, is_deep in zip(raw, deep, strict=True)]
    )
    found = zip(raw, parsed, deep, strict=True)
    expect(
        ask,
        "loads",
        [(text, INVALID if is_deep else result(value)) for text, value, is_deep in found],
    )


def depth_reached(data):
    """How deep Python's parser gets before it ends or gives up: its pure Python form, counted."""
    now = deepest = 0

    def counted(parse):
        def step(*arguments):
            nonlocal now, deepest
            now += 1
            deepest = max(deepest, now)
            try:
                return parse(*arguments)
            finally:
                now -= 1

        return step

    decoder = json.JSONDecoder()
    decoder.parse_array = counted(json.decoder.JSONArray)
    decoder.parse_object = counted(json.decoder.JSONObject)
    decoder.scan_once = json.scanner.py_make_scanner(decoder)
    try:
        decoder.decode(data.decode())
    except ValueError:
        pass
    return deepest


json_pieces = st.sampled_from(
    [*b'[]{}"\\,: 1', b'\\"', b"\\\\", b'"a":', b"[" * 16, b'{"":' * 16, b'["]",' * 16, b"\xff"]
).map(lambda piece: bytes([piece]) if isinstance(piece, int) else piece)
junk = st.one_of(
    st.binary(max_size=60),
    st.lists(json_pieces, max_size=30).map(b"".join),
    edited(
        st.builds(nest, st.just("1"), LEVELS, st.integers(30, 40)).map(str.encode),
        json_pieces | st.just(b""),
    ),
)


@holds(200)
@given(inputs=several(junk, 16))
def test_json_from_anything(inputs, ask):
    """The parser never gets deeper than it may, and what is no JSON to `json` is none here."""
    for data, answer in zip(inputs, ask("too_deep", inputs), strict=True):
        assert answer == result(True) or depth_reached(data) <= MAX_NESTING, data
    for data, answer in zip(inputs, ask("loads", inputs), strict=True):
        if answer != INVALID:
            assert repr(answer) == repr(result(json.loads(data.decode()))), data


@holds(40)
@given(
    opening=st.sampled_from([b"[", b'{"":', b'["]",', b'[{"\\"":', b"[[],"]),
    count=st.sampled_from([33, 1000, 6000, 20_000, 100_000]),
    start=st.sampled_from([b"", b" ", b'["\\\\",', b'["\\"]",']),
    end=st.sampled_from([b"", b"]", b'"', b"}]" * 1000]),
)
def test_json_bombs(opening, count, start, end, ask):
    data = start + opening * count + end
    expect(ask, "too_deep", [(data, result(True))])
    expect(ask, "loads", [(data, INVALID)])


# ---------------------------------------------------------------- header

KID = "a" * 64
ALGORITHMS = [
    *("rs256", "Rs256", "RS256 ", " RS256", "RS2566", "RS25", "RS384", "PS256", "HS256", "none"),
    *(
        "",
        "RS256\0",
        "\uff32S256",
        256,
        True,
        ["RS256"],
        {"RS256": 1},
        {"alg": "RS256"},
        [["RS256"]],
    ),
]
HEADER = {
    "alg": st.sampled_from(ALGORITHMS) | values,
    "kid": st.sampled_from([KID.upper(), "", [KID], {KID: 1}, 0, True, None, "k" * 256, "k" * 257])
    | values,
    "crit": values | st.sampled_from([[], ["b64"], ["alg"], False]),
    "b64": values | st.sampled_from([False, True]),
}
unknown = st.dictionaries(
    st.sampled_from(["typ", "cty", "jwk", "jku", "x5u", "x5c", "x5t", "Alg", "ALG", "KID", "Crit"])
    | st.text(max_size=5).filter(lambda name: name not in HEADER),
    values,
    max_size=3,
)


@st.composite
def changed(draw, good, changes, more, most):
    """A good object of which up to `most` members were changed or dropped, in any order."""
    names = draw(st.lists(st.sampled_from(sorted(changes)), max_size=most, unique=True))
    members = {**good, **draw(more), **{name: draw(changes[name]) for name in names}}
    for name in draw(st.sampled_from([[], [], names[:1]])):
        del members[name]
    order = draw(st.permutations(sorted(members)))
    return {name: members[name] for name in order}


def key_id_in(header):
    """From the rules: RFC 7515 section 4 and what this guard allows of it."""
    kid = header.get("kid")
    alg = header.get("alg")
    if not (type(alg) is str and alg.encode() == b"RS256"):
        return REFUSED
    if {"crit", "b64"} & set(header) or type(kid) is not str or len(kid) > 256:
        return REFUSED
    return result(kid)


@holds(200)
@given(
    texts=several(
        dumped(changed({"alg": "RS256", "kid": KID}, HEADER, unknown, 2))
        | dumped(values)  # hardly ever a header
    )
)
def test_header(texts, ask):
    texts = [json.dumps({"alg": "RS256", "kid": KID}), *texts]
    cases = []
    for text in texts:
        header = json.loads(text)
        answer = key_id_in(header) if isinstance(header, dict) else REFUSED
        cases.append((f"{b64url(text.encode())}.e30.AA", answer))
    assert cases[0][1] == result(KID)
    expect(ask, "key_id", cases)


# ---------------------------------------------------------------- claims

NOW = 1_900_000_000
TEAM = "https://acme.cloudflareaccess.com"
OTHER_AUD = AUD[::-1]
PEOPLE = ["Ann@Example.com", "zo\u00eb@example.com"]
PERSON_CLAIMS = {
    "iss": TEAM,
    "aud": [AUD],
    "exp": NOW + 3600,
    "iat": NOW,
    "nbf": NOW,
    "type": "app",
    "email": "ann@example.com",
    "sub": "7b1a",
}
MACHINE_CLAIMS = {
    "iss": TEAM,
    "aud": [AUD],
    "exp": NOW + 3600,
    "iat": NOW,
    "type": "app",
    "common_name": MACHINE,
    "sub": "",
}
offsets = st.sampled_from([-30.5, -30, -29.5, -29, -1, 0, 1, 29, 29.5, 30, 30.5, 31])
edges = offsets.map(lambda offset: NOW + offset)
times = st.one_of(
    edges,
    edges,
    st.sampled_from([0, -1, 2**53, MAX_INTEGER, -MAX_INTEGER, 1e308, -1e308, 0.5]),
    st.sampled_from([True, False, None, "", str(NOW), [NOW], {"exp": NOW}]),
    values,
)
CLAIMS = {
    "iss": st.sampled_from([TEAM + "/", TEAM.upper(), TEAM[8:], [TEAM], {TEAM: 1}, ""]) | values,
    "aud": st.one_of(
        st.lists(st.sampled_from([AUD, OTHER_AUD, "", AUD[:-1], AUD.upper()]), max_size=3),
        st.sampled_from([AUD, OTHER_AUD, AUD + " ", f"{AUD},{OTHER_AUD}", {AUD: 1}, "", list(AUD)]),
        st.lists(st.sampled_from([AUD, 7, None, True, [AUD], {AUD: 1}]), max_size=3),
        values,
    ),
    "exp": times,
    "nbf": times,
    "iat": times,
    "type": st.sampled_from(["org", "App", "app ", "", ["app"], {"app": 1}, None, True]) | values,
    "email": st.one_of(
        st.sampled_from(
            [*PEOPLE, "ANN@EXAMPLE.COM", "ZO\u00cb@example.com", "zo\u00eb@EXAMPLE.com"]
        ),
        st.sampled_from(["bob@example.com", "ann@example.com ", "", "*", "zoe\u0308@example.com"]),
        st.sampled_from([None, True, 0, ["ann@example.com"], {"ann@example.com": 1}]),
        values,
    ),
    "common_name": st.sampled_from(
        [MACHINE, MACHINE.upper(), "b" + MACHINE[1:], MACHINE[:-7], "", "*", None, [MACHINE], 7]
    )
    | values,
    "sub": st.sampled_from(["", " ", None, False, 0, [], {}, "7b1a"]) | values,
}
other_claims = st.dictionaries(
    st.sampled_from(["Email", "EMAIL", "e-mail", "Common_name", "upn", "groups", "identity"])
    | st.text(max_size=5).filter(lambda name: name not in CLAIMS),
    values | st.sampled_from(["ann@example.com", MACHINE]),
    max_size=3,
)
NEARLY = {"exp": edges, "nbf": edges, "iat": edges}
lists = st.sampled_from(
    [
        (PEOPLE, [MACHINE]),
        (PEOPLE, [MACHINE]),
        (["*"], ["*"]),
        (PEOPLE, []),
        ([], [MACHINE]),
        (PEOPLE, ["*"]),
        (["*"], [MACHINE]),
    ]
)


def same_without_case(one, other):
    """Only where both are ASCII."""
    if one.isascii() and other.isascii():
        return one.upper() == other.upper()
    return one == other


def caller_in(claims, people, machines):
    """The table of claims, row by row."""

    def number(name):
        return type(claims[name]) in (int, float)

    aud = claims.get("aud")
    audiences = [aud] if type(aud) is str else aud
    rows = [
        claims.get("iss") == TEAM,
        type(audiences) is list and all(type(each) is str for each in audiences),
        type(audiences) is list and AUD in audiences,
        "exp" in claims and number("exp") and claims["exp"] > NOW - 30,
        "nbf" not in claims or (number("nbf") and claims["nbf"] <= NOW + 30),
        "iat" not in claims or (number("iat") and claims["iat"] <= NOW + 30),
        claims.get("type") == "app",
        ("email" in claims) != ("common_name" in claims),
    ]
    if not all(rows):
        return REFUSED
    if "email" in claims:
        email = claims["email"]
        if type(email) is str and email:
            if people == ["*"] or any(same_without_case(email, each) for each in people):
                return result({"kind": "human", "email": email})
        return REFUSED
    client_id = claims["common_name"]
    if type(client_id) is str and client_id.endswith(".access") and claims.get("sub", "") == "":
        if machines == ["*"] or client_id in machines:
            return result({"kind": "machine", "client_id": client_id})
    return REFUSED


@holds(200)
@given(
    inputs=several(
        st.tuples(
            changed(PERSON_CLAIMS, CLAIMS, other_claims, 2)
            | changed(MACHINE_CLAIMS, CLAIMS, other_claims, 2)
            | changed(PERSON_CLAIMS, NEARLY, st.just({}), 3),
            lists,
        ),
        12,
    )
)
def test_claims(inputs, ask):
    good = [(PERSON_CLAIMS, (PEOPLE, [])), (MACHINE_CLAIMS, ([], [MACHINE]))]
    cases = []
    for claims, (people, machines) in [*good, *inputs]:
        variables = {
            "TEAM_DOMAIN": TEAM,
            "POLICY_AUD": [AUD],
            "ALLOWED_EMAILS": people,
            "ALLOWED_SERVICE_TOKENS": machines,
        }
        payload = base64.b64encode(json.dumps(claims).encode()).decode()
        cases.append(([payload, variables, NOW], caller_in(claims, people, machines)))
    assert REFUSED not in (cases[0][1], cases[1][1])
    expect(ask, "caller", cases)


# ---------------------------------------------------------------- whole tokens

# What an HTTP header can carry. Blanks around a value are not part of it.
carried = st.characters(
    min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"
) | st.just("\t")


def let_in(worker, tokens):
    """Which of the tokens are let in. Everything else must get the one answer."""
    answers = worker.fetch_all([{"headers": {PROOF: token}} for token in tokens])
    for token, answer in zip(tokens, answers, strict=True):
        assert answer.status == 200 or (
            answer.status == 403 and answer.json() == {"error": "forbidden"}
        ), (token, answer)
    return [token for token, answer in zip(tokens, answers, strict=True) if answer.status == 200]


@holds(100)
@given(
    number=st.integers(0, 10**9),
    edits=several(
        st.tuples(
            st.sampled_from(["start", "header", "payload", "signature"]),
            st.sampled_from([0, 0, -1]) | st.integers(0, 400),
            st.sampled_from([0, 0, 1, 1, 3000]),
            st.sampled_from([*"=~. ", "", "=="])
            | st.sampled_from([*"+/\t%,\u00e9\u00a0AQgw-_"])
            | carried,
        ),
        16,
    ),
)
def test_token_with_a_change_anywhere(number, edits, worker, access):
    """Neither before nor after the good one was let in, and so is remembered."""
    good = access.token({**access.claims_person(), "number": number})
    header, payload, _ = good.split(".")
    ends = {
        "start": 0,
        "header": len(header),
        "payload": len(f"{header}.{payload}"),
        "signature": len(good),
    }
    tokens = []
    for end, before, length, piece in edits:
        start = max(ends[end] - before, 0)
        tokens.append(good[:start] + piece + good[start + length :])
    same = [token for token in tokens if token.strip(" \t") == good]
    assert let_in(worker, [*tokens, good, *tokens]) == [*same, good, *same]


def part(what):
    return what.map(lambda value: b64url(json.dumps(value).encode()))


@holds(100)
@given(
    texts=several(st.text(carried, max_size=40)),
    parts=several(st.tuples(part(values), part(values), blobs.map(b64url)), 4),
    payloads=several(values, 2),
    headers=several(changed({"alg": "RS256", "kid": KID}, HEADER, unknown, 2), 2),
    signature=st.binary(max_size=300),
)
def test_any_token(texts, parts, payloads, headers, signature, worker, access):
    claims = access.claims_person()
    good = access.token(claims)
    signed = [access.token(json.dumps(payload).encode()) for payload in payloads]
    forged = f"{good.rpartition('.')[0]}.{b64url(signature)}"
    bad = [*texts, *map(".".join, parts), *signed, forged]
    assert let_in(worker, [*bad, good]) == [good]

    for header in headers:
        header |= {"kid": access.signer.kid} if header.get("kid") == KID else {}
        expected = key_id_in(header) == result(access.signer.kid)
        token = access.token(claims, header=header)
        assert let_in(worker, [token]) == [token] * expected, header


# ---------------------------------------------------------------- key sets


def modulus(bits):
    return b64url(((1 << bits - 1) + bits).to_bytes((bits + 7) // 8, "big"))


MODULI = [modulus(bits) for bits in (2048, 2056, 3072, 4096, 8192)]
good_members = st.fixed_dictionaries(
    {
        "kty": st.just("RSA"),
        "e": st.just("AQAB"),
        "n": st.sampled_from(MODULI),
        "kid": st.sampled_from([*"abcdefghijklmnop", "", "A", "\u00e9"]),
    },
    optional={
        "alg": st.just("RS256"),
        "use": st.just("sig"),
        "key_ops": st.sampled_from([["verify"], ["sign", "verify"], ["verify", 7]]),
        "x5c": values,
        "ext": values,
    },
)
WRONG = {
    "kty": ["EC", "rsa", "RSA ", "oct", ["RSA"], 1, True],
    "e": ["AQ", "Aw", "AAEAAQ", "AQAB=", "aqab", 65537, ["AQAB"], ""],
    "n": [
        *map(modulus, [512, 1024, 2040, 2047, 8193, 16384]),
        *("", MODULI[0] + "=", MODULI[0][:-1] + "+", [MODULI[0]], 7, "\u00e9" * 400),
        b64url(bytes(300) + b"\1" * 200),
    ],
    "alg": ["RS384", "rs256", "none", "PS256", "", 256, ["RS256"], False],
    "use": ["enc", "SIG", "", 0, ["sig"]],
    "key_ops": [[], ["sign"], "verify", {"verify": 1}, [["verify"]], 0, False],
    "kid": [1, True, ["a"], {"a": 1}],
    **{name: ["AQ", 0] for name in ("d", "p", "oth", "k", "crv", "x", "y")},
}


@st.composite
def one_wrong_member(draw):
    jwk = draw(good_members)
    name = draw(st.sampled_from(list(WRONG)))
    if name in ("kty", "e", "n", "kid") and draw(st.integers(0, 4)) == 0:
        del jwk[name]
    else:
        foreign = [] if name in ("d", "p", "oth", "k", "crv", "x", "y") else [None]
        jwk[name] = draw(st.sampled_from([*WRONG[name], *foreign]))
    return jwk


entries = st.one_of(
    good_members.map(lambda jwk: (jwk, True)),
    good_members.map(lambda jwk: (jwk, True)),
    one_wrong_member().map(lambda jwk: (jwk, False)),
    st.dictionaries(st.just("kid"), st.sampled_from("abcdef"), max_size=1).map(
        lambda x: (x, False)
    ),
    values.map(lambda value: (value, False)),
)


@st.composite
def key_sets(draw):
    """A JWK Set and the good keys in it."""
    found = draw(st.lists(entries, max_size=8))
    size = draw(st.sampled_from([0, 0, 0, 16, 17]))
    found += [({"kty": "EC"}, False)] * (size - len(found))
    found = draw(st.permutations(found))
    document = {"keys": [jwk for jwk, _ in found], **draw(st.just({}) | unknown)}
    ids = Counter(
        jwk["kid"] for jwk, _ in found if isinstance(jwk, dict) and type(jwk.get("kid")) is str
    )
    good = {jwk["kid"]: jwk["n"] for jwk, is_good in found if is_good and ids[jwk["kid"]] == 1}
    return document, good if len(found) <= 16 else {}


@holds(150)
@given(sets=several(key_sets(), 6), other=values)
def test_key_sets(sets, other, ask):
    inputs = [json.dumps(document).encode() for document, _ in sets]
    for (document, good), answer in zip(sets, ask("public_keys", inputs), strict=True):
        assert answer == result(good), document
    strange = [other, {"keys": {"a": other}}, {"keys": "a"}, {"Keys": [sets[0][0]["keys"]]}]
    expect(ask, "public_keys", [(json.dumps(each).encode(), result({})) for each in strange])


# ---------------------------------------------------------------- settings

FINE = {
    "TEAM_DOMAIN": TEAM,
    "POLICY_AUD": [AUD],
    "ALLOWED_EMAILS": ["*"],
    "ALLOWED_SERVICE_TOKENS": ["*"],
}
HOST = ".cloudflareaccess.com"
letters = st.sampled_from([*"abcxyz019-"])
labels = st.text(letters, min_size=1, max_size=5) | st.sampled_from(["a" * 63, "a" * 64, "acme"])
nasty = st.sampled_from(
    [*" \t\n\0/\\.:@?#%*,_[]\u212a\u0130\u017f\u3002\uff41\u00fc\u0430", ".evil.com"]
)
spellings = st.one_of(
    labels,
    st.builds("{}{}{}".format, st.sampled_from(["", "https://"]), labels, st.just(HOST)),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(
            ["http://127.0.0.1", "http://localhost", "http://127.0.0.2", "http://[::1]"]
        ),
        st.sampled_from(["", ":"]),
        st.sampled_from(["", "1", "8788", "65535", "65536", "0", "99999", "100000", "x"]),
        st.sampled_from(["", "/", "/x"]),
    ),
    st.builds(
        "{}{}{}{}{}{}".format,
        st.sampled_from(["", "https://", "https://", "http://", "//", "https:", "ftp://"]),
        st.sampled_from(["", "", "", "user@", "user:word@", "evil.com#", "evil.com/", "a.", "*."]),
        labels,
        st.sampled_from([HOST, HOST, HOST, "", ".evil.com", HOST + ".evil.com", "x" + HOST[1:]]),
        st.sampled_from(["", "", "", ":443", ":", "@evil.com", "."]),
        st.sampled_from(["", "", "/", "///", "/x", "/?x", "?x", "#x", "/cdn-cgi/access/certs"]),
    ),
)
team_domains = st.one_of(
    spellings,
    spellings.map(str.upper),
    spellings.map(str.title),
    spellings.map(lambda text: text + "/"),
    spellings.map(lambda text: text.replace("c", "\u212a", 1)),  # whose lower() is an ASCII k
    edited(spellings, nasty | letters | st.just(""), 1),
    st.text(max_size=10),
    values,
)


def issuer_of(value):
    """The rules for TEAM_DOMAIN without an expression that could match too much."""
    if type(value) is not str or not value.isascii():
        return None
    text = value.lower().rstrip("/")
    for local in ("http://127.0.0.1", "http://localhost"):
        colon, port = text[len(local) :][:1], text[len(local) + 1 :]
        if text == local:
            return text
        if text.startswith(local) and colon == ":" and port.isdigit() and len(port) <= 5:
            return text if 0 < int(port) < 65536 else None
    label = text
    if text.endswith(HOST):
        label = text[: -len(HOST)].removeprefix("https://")
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if not 1 <= len(label) <= 63 or set(label) - allowed or "-" in (label[0], label[-1]):
        return None
    return f"https://{label}{HOST}" if label != "your-team" else None


@holds(300)
@given(spelled=several(team_domains, 16))
def test_team_domain(spelled, ask):
    cases = []
    for value in ["acme", *spelled]:
        issuer = issuer_of(value)
        expected = NOT_CONFIGURED if issuer is None else result([issuer, [AUD], ["*"], ["*"]])
        cases.append(({**FINE, "TEAM_DOMAIN": value}, expected))
    assert cases[0][1] != NOT_CONFIGURED
    expect(ask, "load", cases)


LISTED = {
    "POLICY_AUD": [
        AUD,
        AUD.upper(),
        OTHER_AUD,
        AUD[:-1],
        AUD + "0",
        "\uff10" + AUD[1:],
        "g" + AUD[1:],
    ],
    "ALLOWED_EMAILS": [
        *PEOPLE,
        "a.b+c@x-y.example",
        "ann",
        "a@b@c.d",
        "<a@b.c>",
        "@b.c",
        "@B-x.c",
        "a@b",
    ],
    "ALLOWED_SERVICE_TOKENS": [MACHINE, MACHINE.upper(), "a.access", ".access", "a b.access", "a"],
}
blank = st.sampled_from(
    ["", " ", "\t\n", "\u00a0", "*", "REPLACE_WITH_IT", "replace_with_it", "*,*"]
)


def acceptable(name, entry, local):
    """One entry of a list, without regular expressions."""
    if "REPLACE_WITH" in entry.upper() or not entry.strip():
        return False
    if name == "POLICY_AUD":
        return local or (len(entry) == 64 and set(entry) <= set("0123456789abcdefABCDEF"))
    if entry == "*":
        return True
    if name == "ALLOWED_SERVICE_TOKENS":
        label, end = entry[:-7].replace("-", "a").replace("_", "a"), entry[-7:]
        return end == ".access" and label.isascii() and label.isalnum()
    if set(entry) & set('*,;:<>()[]"\\') or any(letter.isspace() for letter in entry):
        return False
    local_part, _, host = entry.partition("@")
    if entry[:1] == "@":  # a whole domain
        labels = [label for label in host.split(".") if label.replace("-", "a").isalnum()]
        fits = all(label.strip("-") == label and len(label) < 64 for label in labels)
        return host.isascii() and fits and len(labels) == host.count(".") + 1 > 1
    dots = [*local_part.split("."), *host.split(".")]
    return "@" not in host and "." in host and all(dots)


def entries_of(name, value, local):
    """What is to become of a list; None when it does not configure anything."""
    listed = [each.strip() for each in value.split(",")] if type(value) is str else value
    if type(listed) is not list or (name == "POLICY_AUD" and not listed):
        return None
    if not all(type(each) is str and acceptable(name, each, local) for each in listed):
        return None
    fold = name == "ALLOWED_EMAILS" or (name == "POLICY_AUD" and not local)
    return sorted({each.lower() if fold and each.isascii() else each for each in listed})


@st.composite
def list_settings(draw):
    name = draw(st.sampled_from(sorted(LISTED)))
    good = st.sampled_from(LISTED[name])
    entry = good | good | edited(good, nasty | st.just(""), 1) | blank
    texts = st.lists(entry, min_size=1, max_size=3)
    value = draw(
        st.one_of(
            st.lists(good, max_size=3),
            texts,
            st.lists(entry | values, max_size=3),
            texts.map(",".join),
            texts.map(" , ".join),
            values,
        )
    )
    return name, value, draw(st.sampled_from([TEAM, "http://localhost"]))


@holds(200)
@given(chosen=several(list_settings(), 8))
def test_lists_in_settings(chosen, ask):
    cases = []
    for name, value, team in chosen:
        variables = {**FINE, "TEAM_DOMAIN": team, name: value}
        expected = [team, [AUD], ["*"], ["*"]]
        found = entries_of(name, value, team != TEAM)
        expected[1 + list(LISTED).index(name)] = found
        cases.append((variables, NOT_CONFIGURED if found is None else result(expected)))
    expect(ask, "load", cases)


# Letters that some way of ignoring case takes for others.
tricky = st.text(
    "aAkKsSiIfFzZ\u212a\u0131\u0130\u017f\u00df\u1e9e\ufb01\u00eb\u00cb\u03c3\u03c2\uff41",
    max_size=5,
)
addresses = st.builds("{}@{}.com".format, tricky, tricky)
likenesses = st.sampled_from(
    [str.lower, str.upper, str.swapcase, str.casefold, str.title, lambda text: text]
    + [lambda text: text.upper().lower(), lambda text: text[:-1], lambda text: text + " "]
)


@holds(200)
@given(
    pairs=several(
        st.tuples(addresses, addresses)
        | st.tuples(addresses, likenesses).map(lambda pair: (pair[0], pair[1](pair[0]))),
        16,
    )
)
def test_addresses(pairs, ask):
    cases = [(list(pair), result(same_without_case(*pair))) for pair in pairs]
    expect(ask, "same_address", [*cases, (["a@B.com", "A@b.com"], result(True))])
