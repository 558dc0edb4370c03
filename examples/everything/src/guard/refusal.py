# Managed by the private-worker template: do not edit, an update replaces it.
"""Why a request is not let in. The reason goes to the log, never to the caller."""

from enum import StrEnum


class Reason(StrEnum):
    """Reason codes of the log line. None of them holds anything from the request."""

    NOT_LOCAL = "not_local"
    NO_PROOF = "no_proof"
    TOKEN_SHAPE = "token_shape"
    TOKEN_HEADER = "token_header"
    TOKEN_ALGORITHM = "token_algorithm"
    TOKEN_KEY = "token_key"
    TOKEN_SIGNATURE = "token_signature"
    TOKEN_PAYLOAD = "token_payload"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    TOKEN_TYPE = "token_type"
    IDENTITY_UNCLEAR = "identity_unclear"
    CALLER_KIND = "caller_kind"
    ANOTHER_SITE = "another_site"
    UNNAMED_CALLER = "unnamed_caller"
    NOT_ALLOWED = "not_allowed"
    ROLE = "role"
    RATE_LIMITED = "rate_limited"
    NOT_AN_EVENT = "not_an_event"
    NOT_A_METHOD = "not_a_method"
    UNEXPECTED = "unexpected"


class Refused(Exception):
    """The caller is not let in (403). `kind` of caller and `name`, where they are proved."""

    def __init__(self, reason: Reason, kind: str | None = None, name: str | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.kind = kind
        self.name = name


class NotConfigured(Exception):
    """A setting is missing, a placeholder or malformed, so nobody is let in (500).

    `setting` is the variable's name, `problem` says what is wrong with it. The value itself is
    never part of the message.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting} {problem}")
        self.setting = setting
        self.problem = problem


class KeysUnavailable(Exception):
    """No signing key is known and none can be had (503). `retry_after` in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"try again after {retry_after} s")
        self.retry_after = retry_after


class BadRequest(ValueError):
    """What a caller who was let in sent cannot be used (400). The message is for the log."""


class ContentTooLarge(BadRequest):
    """The body has more bytes than it may have (413)."""
