# Managed by the private-worker template: do not edit, an update replaces it.
"""Whether the log says who is calling: the var `LOG_WHO`, which is "none" where it is left out.

"name" is the address, the Client ID or the Worker's name. "pseudonym" is made of it with the secret
`LOG_KEY`: the same caller always has the same one, and without the secret nobody finds out whose it
is, not even with a list of all addresses. Without the secret there are no pseudonyms.
"""

from typing import NamedTuple

from .refusal import NotConfigured
from .values import fold, text_of

NONE, PSEUDONYM, NAME = "none", "pseudonym", "name"
MIN_KEY = 32  # characters


class Who(NamedTuple):
    """What `LOG_WHO` says."""

    mode: str = NONE
    key: bytes | None = None

    def said(self, kind: str | None, name: str | None) -> str | None:
        """What the log calls a caller. `kind` keeps two apart who are named alike."""
        if self.mode == NAME or name is None:
            return name
        if self.key is None:
            return None
        import hmac  # slow to import, and hardly ever asked for

        text = f"{kind} {fold(name) if kind == 'human' else name}"
        # Half a surrogate pair, which no UTF-8 holds, must not keep a line out of the log.
        return hmac.digest(self.key, text.encode(errors="surrogatepass"), "sha256").hex()[:32]


def load(mode: object, key: object) -> Who:
    """From the var and the secret. Raises NotConfigured."""
    if mode is None:
        return Who()
    if mode not in (NONE, PSEUDONYM, NAME):
        raise NotConfigured("LOG_WHO", 'must be "none", "pseudonym" or "name"')
    if mode != PSEUDONYM or key is None:
        return Who(str(mode))
    if len(text := text_of("LOG_KEY", key)) < MIN_KEY:
        raise NotConfigured("LOG_KEY", f"has fewer than {MIN_KEY} characters")
    return Who(PSEUDONYM, text.encode())
