# Managed by the private-worker template: do not edit, an update replaces it.
"""Private HTTP services behind a Workers VPC binding: a client, and a forwarder for whole paths.

The VPC service decides which host and port are reached. The URL's host only becomes the `Host`
header (and the TLS name), its scheme chooses between the service's http and https port.
https://developers.cloudflare.com/workers-vpc/configuration/vpc-services/
"""

import asyncio
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from workers import Response

from guard import Identity, log, reply
from guard.body import from_another_site

CALLER = "Private-Worker-Caller"  # the one header that tells the upstream who is calling

# What is passed on. All else stays here: cookies, credentials, Access and forwarding headers, and
# those that belong to one connection only (https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1).
REQUEST_HEADERS = frozenset(
    {
        "accept",
        "accept-language",
        "content-language",
        "content-type",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
    }
)
RESPONSE_HEADERS = frozenset(
    {
        "accept-ranges",
        "allow",
        "content-disposition",
        "content-language",
        "content-range",
        "content-security-policy",
        "content-type",
        "etag",
        "last-modified",
        "retry-after",
        "x-frame-options",
    }
)


class UpstreamUnreachable(Exception):
    """The service or its tunnel is down. The message is the runtime's, for the log."""


class UpstreamTimeout(Exception):
    """The service did not begin to answer in time."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One private service.

    binding: the name in `vpc_services` of wrangler.jsonc
    origin: scheme and host as the service expects them, such as "http://billing.internal"
    prefix: the path here under which callers reach it, such as "/billing"
    methods: what callers may do there
    paths: where callers may do it, as the service sees its paths and without percent-encoding:
        ("/invoices",) is /invoices and what is below, but not /invoices2
    authorization: whether the caller's `Authorization` goes along, for a service with logins of
        its own; credentials that are meant for Access never do
    max_body: bytes that a request's body may have, None for no limit here (Cloudflare has one);
        a body then needs a Content-Length, to which HTTP holds whoever sends it
    pages: whether its pages may run scripts here. They could then call everything on this origin
        as the person who looks at them, the API and the other services included
    timeout: seconds until the answer must have begun, with the time that it takes to send a body;
        how long the answer then lasts has no limit

    Raises ValueError for an origin, a prefix or a path that makes no sense, and for text in place
    of a tuple.
    """

    binding: str
    origin: str
    prefix: str
    methods: tuple[str, ...] = ("GET", "HEAD")
    paths: tuple[str, ...] = ("/",)
    authorization: bool = False
    max_body: int | None = None
    pages: bool = False
    timeout: float = 30

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/?#@\s]+", self.origin):
            raise ValueError("an origin is http:// or https:// and a host, and nothing behind it")
        # ("/a") is text, and each "/" in it would stand for everything.
        if isinstance(self.methods, str) or isinstance(self.paths, str):
            raise ValueError("methods and paths are tuples: one alone needs a comma behind it")
        if not re.fullmatch(r"(/[^/]+)+", self.prefix):
            raise ValueError("a prefix starts with / and does not end with it")
        if not all(re.fullmatch(r"/|(/[^/%]+)+/?", path) for path in self.paths):
            raise ValueError("paths start with /, have no // and are not percent-encoded")

    def covers(self, path: str) -> bool:
        """Whether a path belongs to this upstream."""
        return path == self.prefix or path.startswith(self.prefix + "/")

    async def fetch(
        self,
        env: Any,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Response:
        """Send one request. `path` starts with "/" and may hold a query.

        Redirects are not followed. Raises UpstreamUnreachable or UpstreamTimeout, ValueError for
        another kind of path.
        """
        if not path.startswith("/"):
            raise ValueError("an upstream path starts with /")
        options: dict[str, Any] = {} if body is None else {"body": body, "duplex": "half"}
        request = getattr(env, self.binding).fetch(
            self.origin + path,
            method=method,
            headers=dict(headers or {}),
            redirect="manual",
            **options,
        )
        try:
            return await asyncio.wait_for(request, self.timeout)
        except TimeoutError:
            raise UpstreamTimeout from None
        except Exception as error:  # a VPC binding throws while its tunnel or service is down
            raise UpstreamUnreachable(str(error).split("\n")[0][:200]) from None

    async def forward(self, request: Any, identity: Identity, env: Any) -> Response:
        """Pass a caller's request on, and the answer back. Bodies stream both ways.

        What must not be passed on is answered here: 403, 404, 405, 411, 413, 502 or 504 with
        `{"error": …}`.
        """
        raw = request.js_object
        parts = urlsplit(raw.url)
        path = parts.path.removeprefix(self.prefix) or "/"
        segments = _segments(path)
        if not self.covers(parts.path) or segments is None or not self._allows(segments):
            return reply({"error": "not_found"}, 404)
        if raw.method not in self.methods:
            return reply({"error": "method_not_allowed"}, 405, {"Allow": ", ".join(self.methods)})
        reads = raw.method in ("GET", "HEAD")
        if not reads and from_another_site(raw):
            return reply({"error": "forbidden"}, 403)
        sent = {name: value for name, value in raw.headers}
        body = None if reads else raw.body or None
        if body is not None and self.max_body is not None:
            # HTTP's framing holds the sender to this length, so nothing has to be counted.
            length = sent.get("content-length", "")
            if not re.fullmatch("[0-9]{1,18}", length):
                return reply({"error": "length_required"}, 411)
            if int(length) > self.max_body:
                return reply({"error": "content_too_large"}, 413)
        try:
            response = await self.fetch(
                env,
                path + (f"?{parts.query}" if parts.query else ""),
                method=raw.method,
                headers=self._request_headers(sent) | {CALLER: _name(identity)},
                body=body,
            )
        except UpstreamTimeout:
            log.upstream(self.binding, "timeout")
            return reply({"error": "upstream_timeout"}, 504)
        except UpstreamUnreachable as error:
            log.upstream(self.binding, str(error))
            return reply({"error": "upstream_unreachable"}, 502)
        if response.status < 200 or 300 <= response.status < 400 and response.status != 304 or response.status >= 500:
            # Their headers and bodies describe machines that the caller has no business with.
            log.upstream(self.binding, f"status {response.status}")
            return reply({"error": "upstream_failed"}, 502)
        return _passed_on(response.js_object, self.pages)

    def _allows(self, segments: list[str]) -> bool:
        """Whether the list of paths has these, or a path above them."""
        for allowed in self.paths:
            wanted = allowed.strip("/").split("/") if allowed.strip("/") else []
            if segments[: len(wanted)] == wanted:
                return True
        return False

    def _request_headers(self, sent: Mapping[str, str]) -> dict[str, str]:
        """The caller's headers that go along; the names are in lower case."""
        names = REQUEST_HEADERS
        if self.authorization and _is_own_login(sent.get("authorization", "")):
            names = names | {"authorization"}
        # Headers that Connection names end here, too, even where they are on the list.
        ends_here = {name.strip().lower() for name in sent.get("connection", "").split(",")}
        return {name: sent[name] for name in names - ends_here if name in sent}


# In a decoded segment: what ends a path or decodes further, a backslash, and signs that become a
# slash or a backslash in other code pages, such as the yen's.
_UNSAFE = re.compile(r"[\\?#%\u00a5\u2044\u20a9\u2215\u2216]")
_EMPTY = "\u115f\u1160\u2800"  # two letters and a symbol of which nothing can be seen
# Something besides dots and blanks, which some file systems drop, and no drive of Windows.
_NAME = re.compile(r"(?![A-Za-z]:).*[^.\s]")


def _is_own_login(authorization: str) -> bool:
    """Whether an `Authorization` header is meant for the service, not for Access.

    Access can be told to read a program's credentials from this header, secret and all, as a JSON
    object (read_service_tokens_from_header). So what holds an object or names Access stays here.
    https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
    """
    return "{" not in authorization and "cf-access" not in authorization.lower()


def _segments(path: str) -> list[str] | None:
    """A path's segments, decoded once. None if another side could take the path for another one.

    Each is a name that stays the same however often it is decoded, and wherever a server cuts it.
    """
    try:
        segments = [unquote(part, errors="strict") for part in path.split("/")[1:]]
    except UnicodeDecodeError:  # overlong forms of dots, for example
        return None
    if segments[-1] == "":
        segments.pop()  # a "/" at the end is fine
    return segments if all(_is_name(segment) for segment in segments) else None


def _is_name(segment: str) -> bool:
    """Whether nothing in a decoded segment ends the path, decodes further, or climbs.

    Judged by what it looks like, too: servers that convert to an 8-bit code page make plain
    characters of full-width ones, and may drop what cannot be seen. So control and format
    characters are refused, joiners of letters and emoji among them, and dots stay dots whatever
    mark, unassigned or private character is beside them. Encoded slashes and ";" are where a
    server may cut.
    """
    alike = unicodedata.normalize("NFKC", segment)
    kinds = {sign: unicodedata.category(sign) for sign in alike}
    if _UNSAFE.search(alike) or not {"Cc", "Cf"}.isdisjoint(kinds.values()):
        return False
    seen = "".join(sign for sign in alike if kinds[sign][0] not in "CM" and sign not in _EMPTY)
    return all(map(_NAME.match, re.split("[/;]", seen)))


def _name(identity: Identity) -> str:
    """The caller as one header value: its kind, and its name in percent-encoding."""
    kind, name = identity.as_dict().values()
    return f"{kind} {quote(name or '', safe='')}"


def _passed_on(raw: Any, pages: bool) -> Response:
    """The upstream's answer with the headers that may be passed on.

    It is served on this Worker's origin, with all that a script in it could then do as the person
    who looks at it. So scripts do not run, unless the service is meant to show pages.
    https://www.w3.org/TR/CSP3/#directive-sandbox
    """
    headers = {name: value for name, value in raw.headers if name in RESPONSE_HEADERS}
    if not pages:
        own = headers.get("content-security-policy")
        headers["content-security-policy"] = f"{own}, sandbox" if own else "sandbox"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["X-Content-Type-Options"] = "nosniff"
    return Response(raw.body or None, status=raw.status, headers=headers)
