"""Cloudflare's API through its official SDK: https://developers.cloudflare.com/api/

Whatever goes wrong becomes one line. Everything that comes from there is untrusted text.
"""

import os
import re
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudflare
import httpx

from .config import Config
from .project import Problem
from .text import plain

Row = dict[str, Any]  # an object as the API gives it: untrusted, and with fields we do not know
TOKEN = "CLOUDFLARE_API_TOKEN"
TOKENS_PAGE = "https://dash.cloudflare.com/profile/api-tokens"
APPLICATIONS = "Zero Trust > Access controls > Applications"
ENABLE = "Zero Trust is not enabled: open it in the dashboard and choose a team name"
# A part of the path, what it is about, and the token's permission for it (without Read or Edit).
_ABOUT = tomllib.loads(Path(__file__).with_name("permissions.toml").read_text(encoding="utf-8"))
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
    if not token:
        said = f"create a token at {TOKENS_PAGE}, see docs/SETUP.md, and type"
        raise Problem(f"{TOKEN} is not set: {said}: read -rs {TOKEN} && export {TOKEN}")
    if not re.fullmatch(r"[!-~]+", token):
        raise Problem(f"{TOKEN} has a character that no API token has: paste the token alone")
    hooks = {"response": [_ask_again]}
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


def rows(api: cloudflare.Cloudflare, path: str, **query: object) -> list[Row]:
    """All objects of a list, page after page until one is empty or repeats. Raises Problem."""
    found: list[Row] = []
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


def write(api: cloudflare.Cloudflare, method: str, path: str, body: Row | None = None) -> Any:
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
        if not names:
            said = "The API token may not list accounts: add --account-id ID"
            raise Problem(f"{said}, which `npx wrangler whoami` shows")
        raise Problem(f"{len(found)} accounts, add --account-id: {', '.join(names)}")
    account = str(found[0].get("id"))
    if not re.fullmatch(r"[0-9a-f]{32}", account):
        where = "--account-id, CLOUDFLARE_ACCOUNT_ID or account_id in wrangler.jsonc"
        raise Problem(f"{where} must be 32 hexadecimal digits, not {plain(account)}")
    return account


def list_of(row: Row, name: str) -> list[Row]:
    """The objects in a list of an answer's; nothing when it is no list."""
    value = row.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _result(send: Any, path: str, name: str = "", **more: Any) -> Any:
    """What the answer holds. Whatever goes wrong becomes a Problem, which tells the name."""
    try:
        response = send(path, cast_to=httpx.Response, **more)
    except cloudflare.APIStatusError as error:
        response = error.response
    except cloudflare.APIConnectionError as error:
        why = f"cannot connect to {error.request.url.host} ({plain(error.__cause__)})"
        raise Problem(_explained(error.request, None, why, name)) from None
    except (cloudflare.CloudflareError, httpx.HTTPError, TypeError, ValueError) as error:
        raise Problem(f"Cloudflare's answer is unusable: {type(error).__name__}") from None
    answer: Row = {}
    with suppress(ValueError, TypeError):
        answer = dict(response.json())
    if response.is_success and answer.get("success") is True:
        return answer.get("result")
    why = f"HTTP {response.status_code}, {_reasons(answer)}"
    said = _explained(response.request, response, why, name)
    if _for_now(response):
        later, after = NotYet(said), response.headers.get("retry-after", "")
        later.seconds = float(after) if re.fullmatch(r"\d{1,6}", after) else None
        raise later
    raise (NotFound if response.status_code == 404 else Problem)(said)


def _ask_again(response: httpx.Response) -> None:
    """By itself, the SDK takes only 429 for throttling."""
    response.read()
    if _for_now(response):
        response.headers["x-should-retry"] = "true"


def _for_now(response: httpx.Response) -> bool:
    """Whether it is throttling, as 429 or as 403, or an object that is too new to be found."""
    if response.status_code == 429:
        return True
    throttled = response.status_code == 403 and re.search(r'"code": ?971\b|throttl', response.text)
    new = response.status_code in (200, 400, 404) and re.search("not[ _]found", response.text)
    return bool(throttled or (new and response.request.method in ("POST", "PUT")))


def _explained(request: httpx.Request, response: httpx.Response | None, why: str, name: str) -> str:
    """One line: what failed, why, and what to do. `response`: None without a connection."""
    status, path = response.status_code if response is not None else 0, request.url.path
    doing = _DOING.get(request.method, "changing")
    right = "Read" if request.method == "GET" else "Edit"
    account = re.search("/accounts/([^/]+)", path)
    what, need = next(about for part, about in _ABOUT.items() if part in path)
    said = f"{doing} {what}{f' ({plain(name)})' if name else ''}: {why}"
    if re.search(r"\b6003 ", why):
        said += f": {TOKEN} does not look like an API token: copy it again from {TOKENS_PAGE}"
    elif account and re.search(r"\b7003 ", why):
        said += f": there is no account {plain(account[1])}, choose it with --account-id"
    elif "access.api.error.not_enabled" in why or (status == 404 and "/organizations" in path):
        said += f": {ENABLE}"
    elif response is not None and _for_now(response):
        after = plain(response.headers.get("retry-after", 60))
        limit = status in (403, 429)
        said += f": rate limit, wait {after} s" if limit else ": it may be too new, try again"
    elif status == 409:
        adopt = f"find the application for this address in {APPLICATIONS}, and add --adopt ID"
        said += f": {adopt if '/access/apps' in path else 'there is one already, run it again'}"
    elif status in (401, 403):
        said += f': {TOKEN} is wrong, has expired or lacks "{need}: {right}", see {TOKENS_PAGE}'
    elif request.method != "GET" and not 200 <= status < 500:
        said += "; whether it was done is not known"
    return said


def _reasons(answer: Row) -> str:
    """Cloudflare's codes and messages."""
    if not isinstance(answer.get("errors"), list):
        return "which is no answer of Cloudflare's API: it is down, or a proxy answered instead"
    errors = list_of(answer, "errors")
    chains = [one for error in errors for one in list_of(error, "error_chain")]  # in particular
    return plain("; ".join(f"{one.get('code')} {one.get('message')}" for one in errors + chains))
