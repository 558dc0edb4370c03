"""Cloudflare's API through its official SDK: https://developers.cloudflare.com/api/

Whatever goes wrong becomes one line. Everything that comes from there is untrusted text.
"""

import os
import re
import time
from typing import Any

import cloudflare
import httpx

from .config import Config
from .project import Problem
from .text import plain

TOKEN = "CLOUDFLARE_API_TOKEN"
TOKENS_PAGE = "https://dash.cloudflare.com/profile/api-tokens"
APPLICATIONS = "Zero Trust > Access controls > Applications"
ENABLE = "Zero Trust is not enabled: open it in the dashboard and choose a team name"
_IDENTITY = "Access: Organizations, Identity Providers, and Groups"
# A part of the path, what it is about, and the token's permission for it (without Read or Write).
# https://developers.cloudflare.com/fundamentals/api/reference/permissions/
_ABOUT = (
    ("/access/organizations", "the Zero Trust organisation", _IDENTITY),
    ("/access/identity_providers", "the login methods", _IDENTITY),
    ("/access/policies", "the Access policies", "Access: Apps and Policies"),
    ("/access/apps", "the Access applications", "Access: Apps and Policies"),
    ("/access/service_tokens", "the service tokens", "Access: Service Tokens"),
    ("/workers/routes", "the routes of a zone", "Workers Routes"),
    ("/workers/", "the Worker", "Workers Scripts"),
    ("/zones", "the zones", "Zone"),
    ("", "the accounts", "Account Settings"),
)
_DOING = {"GET": "reading", "POST": "creating", "DELETE": "deleting"}  # and else: changing
_NO_PAGES = ("/workers/domains", "/workers/routes")  # these lists come whole
WAITS = (1, 2, 4, 8)  # seconds before what was refused for the moment is sent again
LONGEST = 30  # seconds that Cloudflare may ask for; a person waits better than a command


class NotFound(Problem):
    """There is no such object, or it is in another account."""


class NotYet(Problem):
    """It was refused for the moment, and nothing was done. `seconds`: how long to wait, if told."""

    seconds: float | None = None


def client() -> cloudflare.Cloudflare:
    """The SDK's client, with the token in CLOUDFLARE_API_TOKEN and nothing else. Raises Problem."""
    token = os.environ.get(TOKEN, "").strip()
    if not re.fullmatch(r"[!-~]+", token):
        raise Problem(f"{TOKEN} is not set or wrong: create it at {TOKENS_PAGE}, see docs/SETUP.md")
    hooks = {"response": [_refuse_what_failed]}
    try:
        http = cloudflare.DefaultHttpxClient(follow_redirects=False, event_hooks=hooks)
        made = cloudflare.Cloudflare(api_token=token, http_client=http)
    except (OSError, ValueError, ImportError, httpx.InvalidURL):
        raise Problem("CLOUDFLARE_BASE_URL, HTTPS_PROXY or SSL_CERT_FILE is wrong") from None
    # The SDK would prefer what the environment holds for these.
    made.api_key = made.api_email = made.user_service_key = None
    if made.base_url.scheme != "https" and made.base_url.host not in ("127.0.0.1", "localhost"):
        raise Problem("CLOUDFLARE_BASE_URL must start with https://, or the token could be read")
    return made


def get(api: cloudflare.Cloudflare, path: str, **query: object) -> Any:
    """The `result` of a GET. The SDK repeats it when throttled and on 5xx. Raises Problem."""
    return _result(api.get, path, options={"params": query})


def rows(api: cloudflare.Cloudflare, path: str, **query: object) -> list[dict[str, Any]]:
    """All objects of a list, page after page until one is empty or repeats. Raises Problem."""
    found: list[dict[str, Any]] = []
    whole = path.endswith(_NO_PAGES)
    for page in range(1, 2 if whole else 500):
        pages = {} if whole else {"page": page, "per_page": 50}
        result = get(api, path, **query, **pages)
        if not isinstance(result, list) or not all(isinstance(row, dict) for row in result):
            raise Problem(f"Cloudflare's answer for {path} is no list of objects")
        if not result or result == found[-len(result) :]:
            break
        found += result
    return found


def write(
    api: cloudflare.Cloudflare, method: str, path: str, body: dict[str, Any] | None = None
) -> Any:
    """The `result` of a POST, PUT, PATCH or DELETE. Raises Problem.

    What was refused for the moment is sent again: throttled, or with an object that is too new to
    be found everywhere. A POST without an answer is not: there could be a second object.
    """
    send: Any = getattr(api, method.lower())
    name = str((body or {}).get("name", ""))
    options = {"max_retries": 0} if method == "POST" else {}
    for wait in (*WAITS, 0):
        try:
            return _result(send, path, name, body=body, options=options)
        except NotYet as problem:
            if not wait or (problem.seconds or 0) > LONGEST:
                raise
            time.sleep(problem.seconds or wait)


def account_id(api: cloudflare.Cloudflare, option: str | None, config: Config) -> str:
    """The account that is given, else the only one of the token's. Raises Problem."""
    given = option or os.environ.get("CLOUDFLARE_ACCOUNT_ID") or config.data.get("account_id")
    found = [{"id": given}] if given else rows(api, "/accounts")
    if len(found) != 1:
        names = sorted(f"{plain(row.get('id'))} ({plain(row.get('name'))})" for row in found)
        listed = ", ".join(names) or "none that the API token may list"
        raise Problem(f"{len(found)} accounts, give --account-id: {listed}")
    account = str(found[0].get("id"))
    if not re.fullmatch(r"[0-9a-f]{32}", account):
        where = "--account-id, CLOUDFLARE_ACCOUNT_ID or account_id in wrangler.jsonc"
        raise Problem(f"{where} must be 32 hexadecimal digits, not {plain(account)}")
    return account


def _result(send: Any, path: str, name: str = "", **more: Any) -> Any:
    """What the answer holds. Every error of the SDK's becomes a Problem, which tells the name."""
    try:
        return send(path, cast_to=object, **more).get("result")
    except (cloudflare.APIStatusError, cloudflare.APIConnectionError) as error:
        said = _explained(error, name)
        if isinstance(error, cloudflare.APIStatusError) and _for_now(error.response):
            later, after = NotYet(said), error.response.headers.get("retry-after", "")
            later.seconds = float(after) if re.fullmatch(r"\d{1,6}", after) else None
            raise later from None
        raise (NotFound if isinstance(error, cloudflare.NotFoundError) else Problem)(said) from None
    except (cloudflare.CloudflareError, httpx.HTTPError, TypeError, ValueError) as error:
        raise Problem(f"Cloudflare's answer is unusable: {type(error).__name__}") from None


def _refuse_what_failed(response: httpx.Response) -> None:
    """An answer that is not an envelope with `success` is an error, whatever its status says."""
    response.read()
    try:
        fine = response.json()["success"] is True
    except (ValueError, KeyError, TypeError):
        fine = False
    if response.is_success and not fine:
        response.extensions["status"] = response.status_code
        response.status_code = 400  # for which the SDK raises an error and does not ask again
    elif not fine and _for_now(response):  # the SDK takes only 429 for throttling
        response.headers["x-should-retry"] = "true"


def _for_now(response: httpx.Response) -> bool:
    """Whether it is throttling, as 429 or as 403, or an object that is too new to be found."""
    if response.status_code == 429:
        return True
    throttled = response.status_code == 403 and re.search(r'"code": ?971\b|throttl', response.text)
    new = response.status_code in (400, 404) and re.search("not[ _]found", response.text)
    return bool(throttled or (new and response.request.method in ("POST", "PUT")))


def _explained(
    error: cloudflare.APIStatusError | cloudflare.APIConnectionError, name: str = ""
) -> str:
    """One line: what failed, why, and what to do."""
    request, status, path = error.request, 0, error.request.url.path
    why = f"no connection with {request.url.host} ({plain(error.__cause__)})"
    if isinstance(error, cloudflare.APIStatusError):
        status = error.response.extensions.get("status", error.status_code)
        why = f"HTTP {status}, {_reasons(error.body)}"
    doing = _DOING.get(request.method, "changing")
    right = "Read" if request.method == "GET" else "Write"
    account = re.search("/accounts/([^/]+)", path)
    what, need = next((what, need) for part, what, need in _ABOUT if part in path)
    said = f"{doing} {what}{f' ({plain(name)})' if name else ''}: {why}"
    if re.search(r"\b6003 ", why):
        said += f": {TOKEN} has not the form of an API token: copy it again from {TOKENS_PAGE}"
    elif account and re.search(r"\b7003 ", why):
        said += f": there is no account {plain(account[1])}, choose it with --account-id"
    elif "access.api.error.not_enabled" in why or (status == 404 and "/organizations" in path):
        said += f": {ENABLE}"
    elif isinstance(error, cloudflare.APIStatusError) and _for_now(error.response):
        after = plain(error.response.headers.get("retry-after", 60))
        limit = status in (403, 429)
        said += f": rate limit, wait {after} s" if limit else ": it may be too new, try again"
    elif status == 409:
        adopt = f"find the application for this address in {APPLICATIONS}, and add --adopt ID"
        said += f": {adopt if '/access/apps' in path else 'there is one already, run it again'}"
    elif status in (401, 403):
        said += f': {TOKEN} is wrong or lacks "{need} {right}" (Edit, at {TOKENS_PAGE})'
    elif request.method != "GET" and not 200 <= status < 500:
        said += "; whether it was done is not known"
    return said


def _reasons(body: object) -> str:
    """Cloudflare's codes and messages."""
    if not isinstance(body, dict) or not isinstance(body.get("errors"), list):
        return "no answer of Cloudflare's API: there is an outage, or a proxy"
    errors = [one for one in body["errors"] if isinstance(one, dict)]
    chains = [one.get("error_chain") for one in errors]  # with what is wrong in particular
    listed = [chain for chain in chains if isinstance(chain, list)]
    errors += [one for chain in listed for one in chain if isinstance(one, dict)]
    return plain("; ".join(f"{one.get('code')} {one.get('message')}" for one in errors))
