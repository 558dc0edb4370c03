# Managed by the private-worker template: do not edit, an update replaces it.
"""Stands in for Cloudflare Access: real keys, real signatures, a real HTTP server with the keys.

What is in a token and in the key set follows Cloudflare's documentation:
https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/
"""

import base64
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Mapping
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Issuer:
    """The server, for a whole session: 127.0.0.1, any free port. `access` is the current test's."""

    def __init__(self) -> None:
        issuer = self
        self.access: Access | None = None
        self._made: list[SigningKey] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if issuer.access is not None:
                    issuer.access._serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()

    def key(self, index: int) -> SigningKey:
        """One of the session's keys; made when first asked for, because that takes a while."""
        while len(self._made) <= index:
            self._made.append(SigningKey())
        return self._made[index]

    @cached_property
    def stranger(self) -> SigningKey:
        return SigningKey()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Access(Team):
    """What one test sees of Cloudflare Access. Mints tokens and decides what the server answers."""

    def __init__(self, issuer: Issuer) -> None:
        super().__init__(issuer.key(0))
        self._issuer = issuer
        self._used = 0
        self._lock = threading.Lock()
        self.url = issuer.url  # where the server really is
        self.requests = 0  # times the keys were really fetched
        self.answer()
        issuer.access = self

    # -- keys

    @property
    def stranger(self) -> SigningKey:
        """A good key that is never published."""
        return self._issuer.stranger

    def rotate(self) -> SigningKey:
        """Publish a new key and sign with it from now on; the old ones stay published."""
        self._used += 1
        self.sign_with(self._issuer.key(self._used))
        return self.signer

    # -- what the server answers

    def answer(
        self,
        status: int = 200,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
    ) -> None:
        """Answer so from now on; without arguments: the key set, at once.

        body: sent as it is instead of the key set. headers: more of them, such as Location of a
        redirect. delay: seconds before the answer.
        """
        raw = body.encode() if isinstance(body, str) else body
        self._answer = (status, raw, dict(headers or {}), delay)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path != CERTS:
            handler.send_error(404)
            return
        with self._lock:
            self.requests += 1
        status, body, headers, delay = self._answer
        content = json.dumps({"keys": self.keys}).encode() if body is None else body
        time.sleep(delay)
        try:
            handler.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
        except OSError:
            pass  # the Worker did not wait
