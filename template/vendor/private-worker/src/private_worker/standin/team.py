"""An organisation at Cloudflare Access with one application: real keys, tokens and signatures.

What is in a token and in the key set follows Cloudflare's documentation:
https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/
"""

import base64
import hashlib
import json
import time
import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

TEAM_DOMAIN = "https://team-under-test.cloudflareaccess.com"
AUD = hashlib.sha256(b"the application under test").hexdigest()
PERSON = "person@example.com"
MACHINE = "0123456789abcdef0123456789abcdef.access"
CERTS = "/cdn-cgi/access/certs"


def b64url(data: bytes) -> str:
    """Base64url without padding, as in RFC 7515."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SigningKey:
    """An RSA key pair with its public half as JWK."""

    def __init__(self, bits: int = 2048) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        n = self.private.public_key().public_numbers().n
        modulus = n.to_bytes((n.bit_length() + 7) // 8, "big")
        self.kid = hashlib.sha256(modulus).hexdigest()
        self.jwk = {
            "kid": self.kid,
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "e": "AQAB",
            "n": b64url(modulus),
        }

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256."""
        return self.private.sign(data, padding.PKCS1v15(), SHA256())


class Team:
    """An organisation at Cloudflare Access with one application: its keys, and tokens by them."""

    team_domain = TEAM_DOMAIN
    aud = AUD

    def __init__(self, key: SigningKey) -> None:
        self.keys: list[Any] = []  # published; a test may change it
        self.lasts = 3600  # seconds that a new token is good for
        self.skew = 0  # seconds that the clock is ahead of the real time
        self.sign_with(key)

    def now(self) -> int:
        """Seconds since 1970 by the organisation's clock."""
        return int(time.time()) + self.skew

    def sign_with(self, key: SigningKey, publish: bool = True) -> None:
        """Sign with this key from now on; those before stay published."""
        self.signer = key
        if publish:
            self.keys.insert(0, key.jwk.copy())

    def claims_person(self, email: str = PERSON) -> dict[str, Any]:
        """The claims of a person's application token."""
        now = self.now()
        return {
            "aud": [self.aud],
            "email": email,
            "exp": now + self.lasts,
            "iat": now,
            "nbf": now,
            "iss": self.team_domain,
            "type": "app",
            "identity_nonce": "6ei69kawdKzMIAPF",
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{email}")),
            "country": "US",
        }

    def claims_machine(self, client_id: str = MACHINE) -> dict[str, Any]:
        """The claims of a service token: no e-mail, no nbf, an empty sub."""
        now = self.now()
        return {
            "type": "app",
            "aud": [self.aud],
            "exp": now + self.lasts,
            "iat": now,
            "iss": self.team_domain,
            "common_name": client_id,
            "sub": "",
        }

    def header(self, key: SigningKey | None = None) -> dict[str, Any]:
        """The JOSE header of a token signed with `key`."""
        return {"alg": "RS256", "kid": (key or self.signer).kid, "typ": "JWT"}

    def token(
        self,
        claims: dict[str, Any] | bytes,
        header: dict[str, Any] | bytes | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """Sign anything. Bytes go in as they are, so that broken tokens can be made as well."""
        key = key or self.signer
        parts = [self.header(key) if header is None else header, claims]
        raw = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts]
        signed = ".".join(b64url(part) for part in raw)
        return f"{signed}.{b64url(key.sign(signed.encode()))}"

    def person(
        self,
        email: str = PERSON,
        /,
        *,
        drop: tuple[str, ...] = (),
        header: dict[str, Any] | bytes | None = None,
        key: SigningKey | None = None,
        **claims: Any,
    ) -> dict[str, str]:
        """Request headers of a person; `claims` replace or add claims, `drop` leaves some out."""
        return self._headers({**self.claims_person(email), **claims}, drop, header, key)

    def machine(
        self,
        client_id: str = MACHINE,
        /,
        *,
        drop: tuple[str, ...] = (),
        header: dict[str, Any] | bytes | None = None,
        key: SigningKey | None = None,
        **claims: Any,
    ) -> dict[str, str]:
        """Request headers of a service token; the arguments of `person`."""
        return self._headers({**self.claims_machine(client_id), **claims}, drop, header, key)

    def _headers(
        self,
        claims: dict[str, Any],
        drop: tuple[str, ...],
        header: dict[str, Any] | bytes | None,
        key: SigningKey | None,
    ) -> dict[str, str]:
        kept = {name: value for name, value in claims.items() if name not in drop}
        return {"Cf-Access-Jwt-Assertion": self.token(kept, header, key)}
