"""Where the Worker answers, and which Access application is asked first there.

An application for a hostname or path comes before one for the Worker's previews, that one before
one for the Worker, and that one before one for all Workers. Only the first counts.
https://developers.cloudflare.com/workers/configuration/cloudflare-access/
"""

import re
from fnmatch import fnmatchcase
from os.path import commonprefix
from urllib.parse import urlsplit

from ..api import Row, get, list_of
from ..config import routes_of
from ..project import Problem
from .walk import Walk, field_of


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
    """Where it answers now or may one day. `worker` is the API's object, or {}."""
    listed = routes_of(walk.config.inherited(walk.options.env))
    domains = [one.pattern.lower() for one in listed if one.fields.get("previews_enabled")]
    return [*routes(walk), *(f"*.{domain}" for domain in domains), *answers(worker)]


def answers(worker: Row, off: bool = True) -> list[str]:
    """The addresses that the API has for it, which somebody may have given it in the dashboard.

    off: workers.dev and the previews there also when they are turned off
    """
    references, subdomain, found = worker.get("references"), worker.get("subdomain"), []
    if isinstance(references, dict):
        found += [str(one.get("hostname")).lower() for one in list_of(references, "domains")]
    if isinstance(subdomain, dict) and subdomain.get("url"):
        if off or subdomain.get("enabled"):
            found.append(urlsplit(str(subdomain["url"])).netloc.lower())
        if off or subdomain.get("previews_enabled"):
            found.append(f"*{subdomain.get('preview_url_suffix')}".lower())
    return found


def destinations_of(application: Row, whole: bool = False) -> list[Row]:
    """What an application covers. An older one only has its hostnames; with `whole`, they count
    beside destinations as well, of which one may repeat them."""
    there, more = list_of(application, "destinations"), application.get("self_hosted_domains")
    older = [application.get("domain"), *(more if isinstance(more, list) else [])]
    uris = sorted({str(one) for one in older if one} - {str(one.get("uri")) for one in there})
    return there + [{"type": "public", "uri": uri} for uri in uris if whole or not there]


def overlap(theirs: object, ours: str) -> bool:
    """Whether a request can fit both. A path holds what is below it; a `*` stays within its part,
    except at the start of a Worker's route."""
    (host, *path), (our_host, *our_path) = _parts(theirs), _parts(ours)
    labels, our_labels = host.split("."), our_host.split(".")
    same = len(labels) == len(our_labels) and all(map(_fits, labels, our_labels))
    below = our_host.startswith("*") and host.endswith(our_host[1:])
    return (same or below) and all(map(_fits, path, our_path))


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
    """Whether a text can match both, in which a `*` stands for any text."""
    if "*" in one and "*" in other:  # then both need only start and end alike
        starts = [text.partition("*")[0] for text in (one, other)]
        ends = [text.rpartition("*")[2][::-1] for text in (one, other)]
        return commonprefix(starts) in starts and commonprefix(ends) in ends
    pattern, text = (one, other) if "*" in one else (other, one)
    return fnmatchcase(text, re.sub(r"[?\[]", r"[\g<0>]", pattern))  # those mean themselves
