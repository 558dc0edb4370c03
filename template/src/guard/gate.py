# Managed by the private-worker template: do not edit, an update replaces it.
"""The decision: may this request come in, and who is it?"""

from typing import Any
from urllib.parse import urlsplit

from . import identity, log, platform, settings, token
from .identity import Human, Machine
from .keys import Key, KeySet
from .refusal import Reason, Refused

PROOF = "Cf-Access-Jwt-Assertion"
MAX_KNOWN = 512  # tokens
KNOWN_FOR = 5 * 60  # seconds
THIS_COMPUTER = ("127.0.0.1", "localhost", "::1")

_gate: "Gate | None" = None  # one per isolate, made by the first request that finds good settings


async def authenticate(request: Any, env: Any, ctx: Any) -> Human | Machine:
    """Who is calling. Raises Refused, NotConfigured or KeysUnavailable."""
    global _gate
    if _gate is None:
        found = {name: platform.variable(env, name) for name in settings.VARIABLES}
        chosen = settings.load(found)
        log.who = chosen.who
        _gate = Gate(chosen)
    return await _gate.admit(request, ctx)


class Gate:
    """The settings, the keys, and the tokens that were verified a short while ago."""

    def __init__(self, chosen: settings.Settings) -> None:
        self._settings = chosen
        self._local = chosen.issuer.startswith("http://")  # the team is on this computer
        self._keys = KeySet(chosen.certs_url)
        self._known: dict[str, tuple[Human | Machine, str, Key, float]] = {}

    async def admit(self, request: Any, ctx: Any) -> Human | Machine:
        """The signed header decides. Only where there is none may `ctx.access` speak.

        Nothing else is proof: no cookie, no plain identity header, no Authorization, no query.
        """
        # A page can have its own name lead to this computer, and would then read what is here.
        if self._local and urlsplit(request.js_object.url).hostname not in THIS_COMPUTER:
            raise Refused(Reason.NOT_LOCAL)
        text = platform.header(request, PROOF)
        if text is not None:
            return self._recall(text) or await self._verify(text, ctx)
        access = getattr(ctx, "access", None)
        if access is not None:
            return await self._from_context(access)
        raise Refused(Reason.NO_PROOF)

    def _recall(self, text: str) -> Human | Machine | None:
        """The identity of a token that was verified before and may still be believed."""
        entry = self._known.get(text)
        if entry is None:
            return None
        who, kid, key, until = entry
        if platform.now() < until and self._keys.holds(kid, key):
            return who
        del self._known[text]
        return None

    async def _verify(self, text: str, ctx: Any) -> Human | Machine:
        parsed = token.parse(text)
        kid = token.key_id(parsed)
        key = await self._keys.find(kid, ctx)
        if key is None:
            raise Refused(Reason.TOKEN_KEY)
        if not await platform.verify(key.imported, parsed.signature, parsed.signed):
            raise Refused(Reason.TOKEN_SIGNATURE)
        now = platform.now()
        claims = token.claims(parsed.payload, self._settings, now)
        who = identity.from_claims(claims, self._settings)
        self._remember(text, who, kid, key, min(token.expiry(claims), now + KNOWN_FOR))
        return who

    def _remember(self, text: str, who: Human | Machine, kid: str, key: Key, until: float) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.pop(next(iter(self._known)))  # the one remembered first
        self._known[text] = (who, kid, key, until)

    async def _from_context(self, access: Any) -> Human | Machine:
        """What the runtime says when Access called the Worker without passing the header on.

        https://developers.cloudflare.com/workers/configuration/cloudflare-access/
        """
        if access.aud not in self._settings.audiences:
            raise Refused(Reason.AUDIENCE)
        person = await platform.access_identity(access)
        if person is None:
            return identity.unnamed_machine(self._settings)
        if "common_name" in person:
            raise Refused(Reason.IDENTITY_UNCLEAR)
        return identity.human(person.get("email"), self._settings)
