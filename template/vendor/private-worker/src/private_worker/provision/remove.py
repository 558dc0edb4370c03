"""`provision --remove`: deletes what carries a name that `provision` gave, and nothing else.

The Worker, its addresses and wrangler.jsonc stay, and so do the login method and strict mode, which
other applications may need. The guard then refuses everybody, because nobody has a token of Access.
"""

import json

from ..api import APPLICATIONS, list_of
from ..project import Problem
from ..text import plain, shown
from .application import foreign, own_destinations
from .service_tokens import is_ours
from .walk import KEEP, Walk, called

POLICIES = ("people", "service tokens")  # as application.py names them


def remove(walk: Walk) -> None:
    """In the order in which nothing in use is deleted. Raises Problem."""
    applications = walk.listed("access/apps")
    policies = walk.listed("access/policies")
    tokens = walk.listed("access/service_tokens") if walk.shape.machines else []
    worker = walk.find_worker(walk.worker) or {}  # it may be gone already
    own = own_destinations(walk, worker)
    ours = [row for row in applications if row.get("name") == walk.name()]
    for row in ours:
        if other := foreign(walk, row, worker, own):
            said = f"application {called(row)} also covers {', '.join(map(shown, other))}"
            said += ", which would be open: take that out, or delete the application,"
            raise Problem(f"{said} in {APPLICATIONS}")
        walk.delete("access/apps", "application", row)
    applications = [row for row in applications if row not in ours]

    names = [walk.name(f": {who}") for who in POLICIES]
    in_use = [one for row in applications for one in list_of(row, "policies")]
    ids = [one.get("id") for one in in_use]
    for row in [row for row in policies if row.get("name") in names]:
        if row["id"] in ids:
            walk.note(KEEP, f"policy {called(row)}, which another application uses")
        else:
            walk.delete("access/policies", "policy", row)
            policies.remove(row)

    rules = json.dumps([policies, in_use])
    for row in [row for row in tokens if is_ours(walk, row)]:
        if row["id"] in rules:
            walk.note(KEEP, f"service token {called(row)}, which another policy names")
        else:
            walk.delete("access/service_tokens", "service token", row)
            said = f"Take {plain(row.get('client_id'))} out of ALLOWED_SERVICE_TOKENS"
            walk.by_hand.append(f"{said} in wrangler.jsonc.")
