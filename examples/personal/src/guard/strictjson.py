# Managed by the private-worker template: do not edit, an update replaces it.
"""JSON from strangers.

In workerd, `json.loads` on some 6 000 nested brackets ends the isolate for everybody, and no
`try` catches it. So nesting is counted on the bytes before anything is parsed. Repeated names,
NaN, infinities, huge integers and half surrogate pairs, which `json` would take, are refused as
well (RFC 8259 leaves them open, RFC 7515 section 4 forbids repeated names).
"""

import json
import math

MAX_NESTING = 32
MAX_INTEGER_DIGITS = 19


def loads(data: bytes) -> object:
    """Parse UTF-8 JSON. Raises ValueError for everything that is not strict JSON."""
    if too_deep(data):
        raise ValueError("nested too deeply")
    value = _STRICT.decode(data.decode("utf-8"))
    if b"\\u" in data:  # an escape may be half of a surrogate pair, which no UTF-8 can hold
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def too_deep(data: bytes) -> bool:
    """Whether brackets outside strings are nested deeper than MAX_NESTING, or cannot be counted.

    Where the bytes are not JSON the count may be off, but then `json.loads` stops before it gets
    to the place where it is. Bytes with a NUL may be UTF-16 or UTF-32, which `json.loads` takes
    and where other letters have a byte like a quote; UTF-8 JSON has no NUL.
    """
    if b"\0" in data:
        return True
    if data.count(b"[") + data.count(b"{") <= MAX_NESTING:
        return False  # nearly every document: too few brackets to be too deep
    without_escapes = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(without_escapes.split(b'"')[::2])
    depth = 0
    for byte in outside_strings:
        if byte in b"[{":
            depth += 1
            if depth > MAX_NESTING:
                return True
        elif byte in b"]}":
            depth -= 1
    return False


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name is repeated")
    return result


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise ValueError("an integer is too long")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value


def _constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


# Made once: `json.loads` with these options would make a decoder for every document.
_STRICT = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_number,
    parse_constant=_constant,
)
