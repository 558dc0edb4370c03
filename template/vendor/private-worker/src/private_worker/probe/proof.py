"""The token by which Access proves that it is in front of an address.

Any server can copy its redirect and its headers. Cloudflare's own client believes only this token
since cloudflared 2026.8.0, see GetAppInfo:
https://github.com/cloudflare/cloudflared/blob/master/token/token.go
"""

import base64
import json
import time
from contextlib import suppress
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from ..guard_rules import Settings

ASK, ANSWER = {"Cf-Access-Metadata-Request": "true"}, "Cf-Access-Metadata"
BROKEN = (InvalidSignature, ValueError, LookupError, TypeError, AttributeError, RecursionError)
OLDEST, AHEAD = 24 * 3600, 300  # seconds that it is good for, and that a clock may be ahead


def is_given(token: str, certs: bytes, host: str, settings: Settings) -> bool:
    """Whether our team signed that our application is in front of `host`. certs: its key set.

    `alg` and `kid` are not read: it must fit one of the keys by the only algorithm there is.
    """
    signed, _, signature = token.rpartition(".")
    keys: list[Any] = []
    with suppress(*BROKEN):
        keys = list(json.loads(certs)["keys"])
    for key in keys:
        with suppress(*BROKEN):  # whatever is wrong with one key
            e, n = (int.from_bytes(_bytes(key[name])) for name in "en")
            public = RSAPublicNumbers(e, n).public_key()
            public.verify(_bytes(signature), signed.encode(), PKCS1v15(), SHA256())
            claims = json.loads(_bytes(signed.partition(".")[2]))
            here = claims["type"] == "match" and claims["hostname"].lower() == host
            ours = f"https://{claims['auth_domain']}".lower() == settings.issuer
            fresh = -AHEAD <= time.time() - claims["iat"] <= OLDEST
            return here and ours and fresh and claims["aud"].lower() in settings.audiences
    return False


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
