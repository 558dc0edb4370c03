"""The API behind the guard in test_vectors.py: runs the guard's stages on what it is sent."""

import json

from guard import keys, platform, read_json, reply, token
from guard.refusal import Refused


async def handle(request, identity, env):
    sent = await read_json(request)
    stage = STAGES[sent["stage"]]
    return reply([await stage(*each) for each in sent["inputs"]])


async def key_ids(jwks):
    """The ids of the keys that count in a JWK Set."""
    return list(keys.public_keys(json.dumps(jwks).encode()))


async def key(jwk):
    """The key stage: whether the key may be used."""
    return await usable(jwk) is not None


async def signature(jwk, message, value):
    """The signature stage alone, message and value in hex: the key may be unacceptable."""
    imported = await platform.import_key(jwk["n"], jwk["e"])
    return await platform.verify(imported, bytes.fromhex(value), bytes.fromhex(message))


async def jws(jwk, text):
    """Both stages, as a token goes through them."""
    imported = await usable(jwk)
    if imported is None:
        return False
    try:
        parsed = token.parse(text)
    except Refused:
        return False
    return await platform.verify(imported, parsed.signature, parsed.signed)


async def usable(jwk):
    return await platform.import_key(jwk["n"], jwk["e"]) if keys.acceptable(jwk) else None


STAGES = {"key_ids": key_ids, "key": key, "signature": signature, "jws": jws}
