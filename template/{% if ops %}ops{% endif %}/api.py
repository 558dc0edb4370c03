# Managed by the private-worker template: do not edit, an update replaces it.
"""Cloudflare's API through its official SDK. Whatever goes wrong becomes one line for a person.

https://developers.cloudflare.com/api/ Everything that comes from there is untrusted text.
"""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cloudflare
import httpx

from .project import Config, Problem

TOKEN = "CLOUDFLARE_API_TOKEN"
TOKENS_PAGE = "https://dash.cloudflare.com/profile/api-tokens"
ENABLE = "create it in the dashboard > Zero Trust, this command never does"
_NOT_ENABLED = "access.api.error.not_enabled"
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
    ("/accounts", "the accounts", "Account Settings"),
)
_UNKNOWN = "; whether it was done is not known"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST_WAIT = 60  # seconds that a write waits when Cloudflare asks it to
_MOST_PAGES = 500


class NotFound(Problem):
    """There is no such object, or it is in another account."""


def client() -> cloudflare.Cloudflare:
    """The SDK's client, with the token in CLOUDFLARE_API_TOKEN and nothing else. Raises Problem."""
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        needed = "Access: Apps and Policies, Access: Service Tokens, Workers Scripts"
        raise Problem(
            f"{TOKEN} is not set: create a token at {TOKENS_PAGE} with {needed}, {_IDENTITY}"
        )
    if not re.fullmatch(r"[!-~]+", token):
        raise Problem(f"{TOKEN} holds a space or a character that no token has: copy it again")
    try:
        http = cloudflare.DefaultHttpxClient(
            follow_redirects=False, event_hooks={"response": [_refuse_what_failed]}
        )
        seconds = httpx.Timeout(30, connect=10)
        made = cloudflare.Cloudflare(api_token=token, http_client=http, timeout=seconds)
    except (OSError, ValueError, ImportError, httpx.InvalidURL):
        names = "CLOUDFLARE_BASE_URL, HTTPS_PROXY or SSL_CERT_FILE"
        raise Problem(f"one of the variables {names} is wrong") from None
    # The SDK would prefer these from the environment to the token.
    made.api_key = made.api_email = made.user_service_key = None
    if made.base_url.scheme != "https" and made.base_url.host not in _LOOPBACK:
        raise Problem("CLOUDFLARE_BASE_URL must start with https://, or the token could be read")
    return made


def get(api: cloudflare.Cloudflare, path: str, **query: object) -> Any:
    """The `result` of a GET. The SDK repeats it on 429 and 5xx. Raises Problem."""
    with explained():
        answer: Any = api.get(path, cast_to=object, options={"params": query})
        return answer["result"] if "result" in answer else None


def rows(api: cloudflare.Cloudflare, path: str, **query: object) -> list[dict[str, Any]]:
    """All objects of a list, page after page until one is empty or repeats. Raises Problem."""
    found: list[dict[str, Any]] = []
    last: object = None
    for page in range(1, _MOST_PAGES):
        result = get(api, path, **query, page=page, per_page=50)
        if not isinstance(result, list) or not all(isinstance(row, dict) for row in result):
            raise Problem(f"reading {_about(path)[0]}: Cloudflare's answer holds no list")
        if not result or result == last:
            break
        found, last = found + result, result
    return found


def write(api: cloudflare.Cloudflare, method: str, path: str, body: dict[str, Any]) -> Any:
    """The `result` of a POST or PUT. Raises Problem.

    It is never repeated blindly: a second POST could make a second object. A 429 was not carried
    out, so it is repeated after the time that Cloudflare asks for.
    """
    send: Any = {"post": api.post, "put": api.put}[method]
    waits = 0
    while True:
        with explained():
            try:
                answer: Any = send(path, cast_to=object, body=body, options={"max_retries": 0})
                return answer["result"] if "result" in answer else None
            except cloudflare.RateLimitError as error:
                seconds = _retry_after(error.response)
                if waits == 2 or seconds > _LONGEST_WAIT:
                    raise
        waits += 1
        print(f"ops: rate limit, waiting {seconds} s", file=sys.stderr)
        time.sleep(seconds)


def account_id(api: cloudflare.Cloudflare, option: str | None, config: Config) -> str:
    """--account-id, CLOUDFLARE_ACCOUNT_ID, wrangler.jsonc, or the token's only account.

    With several accounts a person at a terminal chooses. Raises Problem.
    """
    given = (
        ("--account-id", option),
        ("CLOUDFLARE_ACCOUNT_ID", os.environ.get("CLOUDFLARE_ACCOUNT_ID")),
        ('"account_id" in wrangler.jsonc', config.data.get("account_id")),
    )
    for name, value in given:
        if value:
            return _account(value, name)
    accounts = {_account(row.get("id"), "an account"): row for row in rows(api, "/accounts")}
    if not accounts:
        raise Problem(f"{TOKEN} reaches no account it may list: give --account-id")
    if len(accounts) == 1:
        return next(iter(accounts))
    names = {f"{key} ({plain(row.get('name'))})": key for key, row in accounts.items()}
    if sys.stdin.isatty() and sys.stdout.isatty():
        import questionary

        chosen: str | None = questionary.select("Which account?", sorted(names)).ask()
        if chosen is None:
            raise KeyboardInterrupt
        return names[chosen]
    raise Problem(f"several accounts, choose one with --account-id: {', '.join(sorted(names))}")


def plain(value: object, limit: int = 200) -> str:
    """Text from outside as one line without terminal escapes, of bounded length."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


@contextmanager
def explained() -> Iterator[None]:
    """Turns every error of the SDK's into a Problem that says what failed and what to do."""
    try:
        yield
    except cloudflare.NotFoundError as error:
        raise NotFound(_refusal(error)) from None
    except cloudflare.APIStatusError as error:
        raise Problem(_refusal(error)) from None
    except cloudflare.APIConnectionError as error:
        cause = error.__cause__
        why = "no answer in time" if isinstance(cause, httpx.TimeoutException) else "no connection"
        detail = f" ({plain(cause)})" if isinstance(cause, httpx.ConnectError) else ""
        said = f"{_step(error.request)}: {why} with {error.request.url.host}{detail}"
        said += _UNKNOWN * (error.request.method != "GET")
        raise Problem(f"{said}; run it again") from None
    except (cloudflare.CloudflareError, httpx.HTTPError, TypeError, ValueError) as error:
        raise Problem(
            f"Cloudflare's answer is not what it should be: {type(error).__name__}"
        ) from None


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


def _refusal(error: cloudflare.APIStatusError) -> str:
    response, status = error.response, error.response.extensions.get("status", error.status_code)
    body: dict[str, Any] = error.body if isinstance(error.body, dict) else {}
    errors = body["errors"] if isinstance(body.get("errors"), list) else []
    parts = [f"{row.get('code')} {row.get('message')}" for row in errors if isinstance(row, dict)]
    detail = plain("; ".join(parts).replace(os.environ.get(TOKEN, "").strip() or "\0", "***"))
    if not body:
        detail = f"no answer of Cloudflare's API: {response.url.host} has an outage or a proxy"
    said = f"{_step(response.request)}: HTTP {status}, {detail or 'no reason given'}"
    if "/access/" in response.url.path and _NOT_ENABLED in detail:
        return f"{said}: Zero Trust is not enabled; {ENABLE}"
    if status in (401, 403):
        right = "Read" if response.request.method == "GET" else "Write"
        need = f'"{_about(response.url.path)[1]} {right}"'
        return f"{said}: {TOKEN} is wrong or lacks {need} (Write is Edit there): {TOKENS_PAGE}"
    if status == 429:
        return f"{said}: rate limit, run it again in {_retry_after(response)} s"
    unknown = status >= 500 and response.request.method != "GET"
    return said + _UNKNOWN * unknown


def _step(request: httpx.Request) -> str:
    doing = {"GET": "reading", "POST": "creating", "PUT": "changing"}.get(request.method, "asking")
    return f"{doing} {_about(request.url.path)[0]}"


def _about(path: str) -> tuple[str, str]:
    return next(
        ((what, need) for part, what, need in _ABOUT if part in path), (plain(path), "more")
    )


def _retry_after(response: httpx.Response) -> int:
    """Seconds. https://developers.cloudflare.com/fundamentals/api/reference/limits/"""
    value = response.headers.get("retry-after", "")
    return max(1, int(value)) if re.fullmatch(r"[0-9]{1,6}", value) else 10


def _account(value: object, name: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{32}", value):
        raise Problem(f"{name} must be an account's id, 32 hexadecimal digits: {plain(value)}")
    return value
