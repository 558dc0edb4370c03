# Managed by the private-worker template: do not edit, an update replaces it.
"""The guard: the only place that decides who gets in.

Read on in the request's order: `edge`, `gate`, then the rules in `settings`, `token`, `keys` and
`identity`. `platform` is all that touches JavaScript. `bound` is the door for other Workers.
"""

from .answers import reply
from .body import read_body, read_form, read_json
from .identity import BoundWorker, Human, Identity, Machine
from .log import log_route
from .refusal import BadRequest, ContentTooLarge
from .roles import require

__all__ = [
    "BadRequest",
    "BoundWorker",
    "ContentTooLarge",
    "Human",
    "Identity",
    "Machine",
    "log_route",
    "read_body",
    "read_form",
    "read_json",
    "reply",
    "require",
]
