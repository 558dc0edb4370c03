# Managed by the private-worker template: do not edit, an update replaces it.
"""Reading one var. What is missing, blank, a placeholder or of another type is not configured."""

import re

from .refusal import NotConfigured

PLACEHOLDER = "REPLACE_WITH"  # every placeholder that the template renders starts with this
ANYONE = "*"
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"  # of a hostname
_WORD = r"[^\s*@,;:<>()\[\]\"\\.]+"  # of an address, between dots
EMAIL = re.compile(rf"{_WORD}(?:\.{_WORD})*@{_WORD}(?:\.{_WORD})+")
DOMAIN = re.compile(rf"@({LABEL}(?:\.{LABEL})+)")
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]+\.access")


def text_of(name: str, value: object) -> str:
    """The var `name` as text. Raises NotConfigured."""
    if not isinstance(value, str):
        raise NotConfigured(name, "is missing or not a string")
    if not value.strip():
        raise NotConfigured(name, "is empty")
    if PLACEHOLDER in value.upper():
        raise NotConfigured(name, "still holds a placeholder")
    return value


def strings(name: str, value: object) -> list[str]:
    """The var `name` as a list: a JSON list of strings, or one string with commas.

    Only a JSON list can be empty. Raises NotConfigured.
    """
    if isinstance(value, str):
        return [text_of(name, part.strip()) for part in value.split(",")]
    if isinstance(value, list):
        return [text_of(name, item) for item in value]
    raise NotConfigured(name, "is missing or neither a list nor a string")


def fold(email: str) -> str:
    """ASCII addresses are compared without case, all others exactly as they are.

    Unicode case folding would map different addresses onto each other.
    """
    return email.lower() if email.isascii() else email


def domain_of(email: str) -> str:
    """What is behind the last @, which is where mail goes; "" when that is not ASCII."""
    name, _, domain = email.rpartition("@")
    return domain.lower() if name and domain.isascii() else ""
