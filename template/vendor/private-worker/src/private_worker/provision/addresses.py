"""Where the Worker answers, and which Access application is asked first there.

An application for a hostname or path comes before one for the Worker's previews, that one before
one for the Worker, and that one before one for all Workers. Only the first counts.
https://developers.cloudflare.com/workers/configuration/cloudflare-access/
"""

import re
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from ..api import get
from ..config import routes_of
from ..project import Problem
from .walk import Row, Walk, field_of, list_of


def routes(walk: Walk) -> list[str]:
    """The addresses in wrangler.jsonc, as Access writes them: host/path. Raises Problem."""
    settings = walk.config.inherited(walk.options.env)
    patterns = [route.pattern for route in routes_of(settings)]
    if "" in patterns:
        raise Problem(f"wrangler.jsonc, {walk.block.name}: a route has no pattern; npm run check")
    return [re.sub(r"^https?://|/\*?$", "", pattern).lower() for pattern in patterns]


def hostnames(walk: Walk) -> list[str]:
    """All that an application for hostnames has to name. Raises Problem."""
    uris = routes(walk)
    if walk.config.inherited(walk.options.env).get("workers_dev") is True:
        answer = get(walk.api, walk.path("workers/subdomain"))
        name = field_of(answer, "subdomain", r"[a-z0-9-]+", "the account on workers.dev")
        uris.append(f"{walk.worker}.{name}.workers.dev")
    if not uris:
        raise Problem(f"wrangler.jsonc, {walk.block.name}: no routes, so Access has no address")
    return uris


def everywhere(walk: Walk, worker: Row) -> list[str]:
    """Where it answers now or may one day: also what somebody gave it in the dashboard.

    `worker` is the API's object, or {}. workers.dev and the previews count although they are off.
    """
    found, references, subdomain = routes(walk), worker.get("references"), worker.get("subdomain")
    if isinstance(references, dict):
        found += [str(one.get("hostname")).lower() for one in list_of(references, "domains")]
    if isinstance(subdomain, dict) and subdomain.get("url"):
        found.append(urlsplit(str(subdomain["url"])).netloc.lower())
        found.append(f"*{subdomain.get('preview_url_suffix')}".lower())
    return found


def destinations_of(application: Row) -> list[Row]:
    """What an application covers. An older one only has its hostnames."""
    there, more = list_of(application, "destinations"), application.get("self_hosted_domains")
    older = [application.get("domain"), *(more if isinstance(more, list) else [])]
    return there or [
        {"type": "public", "uri": uri} for uri in sorted({str(one) for one in older if one})
    ]


def overlap(theirs: object, ours: str) -> bool:
    """Whether a request can fit both. A path holds what is below it; a `*` stays within its part,
    except at the start of a Worker's route."""
    (host, *path), (our_host, *our_path) = _parts(theirs), _parts(ours)
    labels, our_labels = host.split("."), our_host.split(".")
    same = len(labels) == len(our_labels) and all(map(_fits, labels, our_labels))
    if our_host.startswith("*") and host.endswith(our_host[1:]):
        same = True
    return same and all(map(_fits, path, our_path))


def is_first(theirs: object, ours: str) -> bool:
    """Whether an application for `theirs` is asked before one for `ours`: it says more exactly
    which requests it means."""
    (host, *path), (our_host, *our_path) = _parts(theirs), _parts(ours)
    as_exact = host.count("*") <= our_host.count("*")
    first = len(path) > len(our_path) if host == our_host else as_exact
    return first and overlap(theirs, ours)


def _parts(uri: object) -> list[str]:
    host, *path = str(uri).lower().split("/")
    return [host, *filter(None, path)]


def _fits(one: str, other: str) -> bool:
    return fnmatchcase(one, other) or fnmatchcase(other, one)
