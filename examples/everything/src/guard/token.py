# Managed by the private-worker template: do not edit, an update replaces it.
"""The application token: a JWS in compact form (RFC 7515) that carries JWT claims (RFC 7519).

Two stages. `parse` and `key_id` look at shape and header, which nobody has signed yet. `claims`
is called with the payload once the signature has been verified, never before.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from . import strictjson
from .refusal import Reason, Refused
from .settings import Settings

MAX_TOKEN = 16 * 1024  # characters
MAX_HEADER = 2 * 1024  # characters of the encoded header part
MAX_KEY_ID = 256  # characters
LEEWAY = 30  # seconds that clocks may differ
ALGORITHM = "RS256"


class Token(NamedTuple):
    """A token taken apart, nothing verified. `signed` are the bytes under the signature."""

    header: Mapping[str, object]
    payload: bytes
    signed: bytes
    signature: bytes


def parse(text: str) -> Token:
    """Take a compact JWS apart (RFC 7515 section 5.2, RFC 8725 section 3.1). Raises Refused."""
    if len(text) > MAX_TOKEN or not text.isascii():
        raise Refused(Reason.TOKEN_SHAPE)
    parts = text.split(".")
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER:
        raise Refused(Reason.TOKEN_SHAPE)
    try:
        header_bytes, payload, signature = (decode(part) for part in parts)
    except ValueError:
        raise Refused(Reason.TOKEN_SHAPE) from None
    header = _object(header_bytes, Reason.TOKEN_HEADER)
    # The algorithm is ours, not the token's: only this one is ever used (RFC 8725 section 3.1).
    if header.get("alg") != ALGORITHM:
        raise Refused(Reason.TOKEN_ALGORITHM)
    # No extension is understood here, so none may be asked for (RFC 7515 section 4.1.11).
    # `b64` (RFC 7797) would change what is signed. jwk, jku, x5u and x5c are never looked at.
    if "crit" in header or "b64" in header:
        raise Refused(Reason.TOKEN_HEADER)
    return Token(header, payload, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def key_id(token: Token) -> str:
    """The `kid` that says which key of the key set to use. Raises Refused."""
    kid = token.header.get("kid")
    if not isinstance(kid, str) or len(kid) > MAX_KEY_ID:
        raise Refused(Reason.TOKEN_HEADER)
    return kid


def claims(payload: bytes, settings: Settings, now: float) -> Mapping[str, object]:
    """The claims of a payload whose signature is verified. `now` in seconds. Raises Refused."""
    found = _object(payload, Reason.TOKEN_PAYLOAD)
    if found.get("iss") != settings.issuer:
        raise Refused(Reason.ISSUER)
    if not _audience_matches(found.get("aud"), settings.audiences):
        raise Refused(Reason.AUDIENCE)
    expires = found.get("exp")
    if not _is_time(expires) or expires <= now - LEEWAY:
        raise Refused(Reason.EXPIRED)
    for name in ("nbf", "iat"):
        starts = found.get(name, now)  # a service token's has no nbf
        if not _is_time(starts) or starts > now + LEEWAY:
            raise Refused(Reason.NOT_YET_VALID)
    # "org" is the team-wide session token, which is no proof for this application.
    if found.get("type") != "app":
        raise Refused(Reason.TOKEN_TYPE)
    return found


def expiry(verified: Mapping[str, object]) -> float:
    """`exp` of claims that `claims` has checked, in seconds."""
    value = verified["exp"]
    assert _is_time(value)
    return value


def decode(text: str) -> bytes:
    """Base64url without padding (RFC 7515 section 2), strictly. Raises ValueError.

    The decoder skips what it does not know, so the result is encoded again and must be the input.
    That also refuses bits left over in the last character.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text.encode("utf-8"):
        raise ValueError("not base64url")
    return data


def _object(data: bytes, reason: Reason) -> dict[str, object]:
    try:
        value = strictjson.loads(data)
    except ValueError:
        raise Refused(reason) from None
    if not isinstance(value, dict):
        raise Refused(reason)
    return value


def _audience_matches(audience: object, allowed: frozenset[str]) -> bool:
    if isinstance(audience, str):
        return audience in allowed
    if not isinstance(audience, list) or not all(isinstance(item, str) for item in audience):
        return False
    return not allowed.isdisjoint(audience)


def _is_time(value: object) -> TypeGuard[int | float]:
    """A finite JSON number; in Python `True` is an int as well."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
