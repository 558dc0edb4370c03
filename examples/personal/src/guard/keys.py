# Managed by the private-worker template: do not edit, an update replaces it.
"""The team's signing keys: fetched, checked, cached for as long as the isolate lives.

Only finished things are kept between requests: imported keys and numbers. A lock, a task or a
promise that two requests share would hang one of them in workerd, or break the isolate for good.
So requests that find no keys each fetch them, up to COLD_ATTEMPTS and then one each second, and
whoever finishes first serves all that follow.
https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/validating-json/
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from . import platform, strictjson
from .refusal import KeysUnavailable
from .token import decode

FRESH = 60 * 60  # seconds until the set is fetched again
KEPT = 24 * 60 * 60  # seconds a set is used while it cannot be fetched again
COOLDOWN = 30  # seconds between two attempts, counted from the start of the first
COLD_ATTEMPTS = 50  # at once, while there are no keys and no attempt has ended; then one a second
TIMEOUT = 5  # seconds for one fetch, body included
MAX_BODY = 64 * 1024  # bytes
MAX_KEYS = 16
MIN_BITS, MAX_BITS = 2048, 8192
EXPONENT = "AQAB"  # 65537, the only one in use; e = 1 would let anybody forge
# Members of other kinds of key and of private keys (RFC 7518 section 6): not a public RSA key.
FOREIGN = frozenset({"crv", "x", "y", "k", "d", "p", "q", "dp", "dq", "qi", "oth"})


class Key(NamedTuple):
    """A usable public key. `imported` is the runtime's CryptoKey."""

    modulus: str
    imported: platform.CryptoKey


class KeySet:
    """The keys behind one URL, by key id."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: Mapping[str, Key] = {}
        self._fetched_at = 0.0
        self._next_attempt = 0.0
        self._cold_since = 0.0
        self._cold_attempts = 0

    async def find(self, kid: str, ctx: Any) -> Key | None:
        """The key with this id, or None when the set has none. Raises KeysUnavailable."""
        now = platform.now()
        if now - self._fetched_at > KEPT:
            self._keys = {}
        due = kid not in self._keys or now - self._fetched_at > FRESH
        if due and self._may_attempt(now):
            # To the end even if the caller leaves: callers who ask and hang up, one in each
            # COOLDOWN, would otherwise keep the old set alive.
            await platform.finish(ctx, self._refresh(now))
        if not self._keys:  # while attempts are running, one of them may have keys at any moment
            raise KeysUnavailable(COOLDOWN if now < self._next_attempt else 1)
        return self._keys.get(kid)

    def holds(self, kid: str, key: Key) -> bool:
        """Whether this very key is still in the set, and the set not too old to be used."""
        return self._keys.get(kid) is key and platform.now() - self._fetched_at <= KEPT

    def _may_attempt(self, now: float) -> bool:
        """Whether this request may fetch the set. Counts before the fetch begins, or a flood of
        unknown key ids would fetch once each."""
        if now < self._next_attempt:
            return False
        if self._keys:
            self._next_attempt = now + COOLDOWN
            return True
        # Without keys nobody can go on, so many may try until one of them has an answer. One more
        # each second: forged tokens could use them all up in a moment in which none is to be had.
        if now - self._cold_since > COOLDOWN:
            self._cold_since = now
            self._cold_attempts = 0
        if self._cold_attempts >= COLD_ATTEMPTS + int(now - self._cold_since):
            return False
        self._cold_attempts += 1
        return True

    async def _refresh(self, now: float) -> None:
        """Replace the set; what cannot be had or used leaves it as it is."""
        body = await platform.fetch_bytes(self._url, TIMEOUT, MAX_BODY)
        keys = await self._usable(body) if body is not None else {}
        # Only now: a request that comes while keys are imported has none yet and must try as well.
        self._next_attempt = max(self._next_attempt, now + COOLDOWN)
        if keys and now >= self._fetched_at:  # a slow answer never replaces a later one
            self._keys = keys
            self._fetched_at = now

    async def _usable(self, body: bytes) -> Mapping[str, Key]:
        usable: dict[str, Key] = {}
        for kid, modulus in public_keys(body).items():
            known = self._keys.get(kid)
            if known is not None and known.modulus == modulus:
                usable[kid] = known  # the same object, so that verified tokens stay known
                continue
            imported = await platform.import_key(modulus, EXPONENT)
            if imported is not None:
                usable[kid] = Key(modulus, imported)
        return usable


def public_keys(body: bytes) -> Mapping[str, str]:
    """Key id to modulus of every acceptable key in a JWK Set (RFC 7517 section 5).

    A key that is not acceptable is passed over. Two keys with one id: neither counts. An answer
    that is no key set, or a huge one, has no keys.
    """
    try:
        document = strictjson.loads(body)
    except ValueError:
        return {}
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        return {}
    jwks = [entry for entry in entries if isinstance(entry, dict)]
    ids = Counter(jwk["kid"] for jwk in jwks if isinstance(jwk.get("kid"), str))
    return {
        jwk["kid"]: jwk["n"]
        for jwk in jwks
        if isinstance(jwk.get("kid"), str) and ids[jwk["kid"]] == 1 and acceptable(jwk)
    }


def acceptable(jwk: Mapping[str, object]) -> bool:
    """Whether a JWK is a public RSA key for RS256 signatures, strong enough to be believed.

    WebCrypto alone would import RSA-1024 and e = 1 (RFC 7517 section 4, RFC 7518 section 6.3).
    """
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("kty") == "RSA"
        and jwk.get("alg", "RS256") == "RS256"
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and jwk.get("e") == EXPONENT
        and MIN_BITS <= _bits(jwk.get("n")) <= MAX_BITS
        and FOREIGN.isdisjoint(jwk)
    )


def _bits(modulus: object) -> int:
    """Length of a base64url number in bits, 0 when it is not one (RFC 7518 section 2)."""
    if not isinstance(modulus, str):
        return 0
    try:
        return int.from_bytes(decode(modulus), "big").bit_length()
    except ValueError:
        return 0
