"""What an answer means for somebody who must not get in. What is not known to be closed is open."""

import re
from typing import NamedTuple

import httpx

from ..guard_rules import Settings
from ..text import plain

# From the worst to the best. `guard`: only the guard refused. `missing`: `nothing` is there, but
# wrangler.jsonc says that the Worker is. `https`: plain http is sent on to https.
VERDICTS = ("open", "unreachable", "guard", "missing", "access", "nothing", "https")
NO_NAME = "DNS knows no such name"
LOGIN = "/cdn-cgi/access/login"
# What Access's challenge names, with or without Managed OAuth (RFC 9728).
CHALLENGE = r'="https://{}(:\d+)?/\.well-known/cloudflare-access-protected-resource\b'
# Cloudflare's firewall refuses with a page of one line or with one of these in HTML.
# https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/
_BLOCKED = (b"Attention Required! | Cloudflare", b"cf-error-details")
# src/guard/answers.py. Access never says that, whatever the headers are.
_GUARD = {403: b"forbidden", 500: b"not_configured", 503: b"keys_unavailable"}


class Answer(NamedTuple):
    """What came back. `why` says what went wrong; without a status nothing came."""

    status: int | None = None
    headers: httpx.Headers = httpx.Headers()
    body: bytes = b""
    why: str = ""

    @property
    def at_cloudflare(self) -> bool:
        return str(self.headers.get("server")).lower() == "cloudflare"

    @property
    def is_json(self) -> bool:
        kind = self.headers.get("content-type", "").lower()
        return "json" in kind or self.body.lstrip().startswith((b"{", b"["))


def judge(answer: Answer, asked: httpx.URL, settings: Settings | None) -> tuple[str, str]:
    """One of VERDICTS, and a sentence for people or "". `settings`: the guard's, or None."""
    status, headers, page = answer.status, answer.headers, answer.body.strip()
    if status is None:
        return ("nothing" if answer.why == NO_NAME else "unreachable"), f"{answer.why}."
    if status in (301, 302, 303, 307, 308):
        return _redirect(answer, asked, settings)
    if answer.why:  # the body did not come to its end
        return ("unreachable" if status in (401, 403) else "open"), f"{answer.why} ({status})."
    if status in _GUARD and page.replace(b" ", b"") == b'{"error":"%b"}' % _GUARD[status]:
        return "guard", f"It says {plain(page.decode())}."
    # Cloudflare's own pages: 1042 for a workers.dev or preview address that is off, the other for
    # a <name>.workers.dev that nobody has.
    nobody = asked.host.endswith(".workers.dev") and b"There is nothing here yet" in page
    theirs = answer.at_cloudflare and not answer.is_json
    if status == 404 and theirs and (nobody or page == b"error code: 1042"):
        return "nothing", ""
    if status in (401, 403):
        if not answer.at_cloudflare:
            return "unreachable", "It is not Cloudflare that answers."
        blocked = page.startswith(b"error code:") or any(part in page for part in _BLOCKED)
        if blocked or "cf-mitigated" in headers:
            return "unreachable", "Cloudflare's firewall stopped the probe itself."
        return _refusal(answer, asked, settings)
    return "open", f"It answered {status}."


def _redirect(answer: Answer, asked: httpx.URL, settings: Settings | None) -> tuple[str, str]:
    to = httpx.URL(answer.headers.get("location", ""))  # httpx has refused one that is none
    if asked.scheme == "http" and to.scheme == "https" and to.netloc == asked.netloc:
        return "https", ""
    at_access = to.scheme == "https" and to.netloc.endswith(b".cloudflareaccess.com")
    login = at_access and answer.status in (302, 303) and f"{to.path}/".startswith(f"{LOGIN}/")
    if login and (settings is None or settings.issuer == f"https://{to.host}"):
        return "access", _audience(to.params.get("kid", ""), settings)
    what = "The login is of another team than TEAM_DOMAIN" if login else "It redirects"
    return "open", f"{what}: {plain(to.host or to.path)}."


def _refusal(answer: Answer, asked: httpx.URL, settings: Settings | None) -> tuple[str, str]:
    """A 401 or 403: any API can answer so. Access names its application, or where to log in.

    It is not asked for JSON. Only Managed OAuth answers with JSON all the same, and a challenge.
    """
    headers, tag = answer.headers, answer.headers.get("cf-access-aud", "")
    scheme, _, challenge = headers.get("www-authenticate", "").partition(" ")
    here = re.search(CHALLENGE.format(re.escape(asked.raw_host.decode())), challenge, re.IGNORECASE)
    if answer.is_json and not (here and answer.status == 401 and scheme.lower() == "bearer"):
        return "open", f"It answered {answer.status} with JSON, as the API does."
    if here or re.fullmatch("[0-9a-f]{64}", tag, re.IGNORECASE):
        return "access", _audience(tag, settings)
    return "unreachable", f"It answered {answer.status}, but nothing shows that this is Access."


def _audience(tag: str, settings: Settings | None) -> str:
    """`tag`: the AUD of the application in front. Any server can copy it."""
    if not tag or settings is None or tag.lower() in settings.audiences:
        return ""
    return (
        f"Another Access application is in front. Its AUD {plain(tag)} is not in POLICY_AUD, so "
        "the guard refuses everybody who logs in there."
    )
