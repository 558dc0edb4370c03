# Managed by the private-worker template: do not edit, an update replaces it.
"""Calls a Worker behind Cloudflare Access with a service token.

    from private_worker_client import Client

    with Client("https://api.example.com") as client:
        print(client.get("/").raise_for_status().json())

`Client` and `AsyncClient` are httpx's, with all their methods, and with four rules more: the token
goes along with every request and to no other origin, no redirect is followed, what Access or the
guard refuses is an `AccessError` that says what is wrong, and a request that may be repeated is
repeated a few times when the network or the server fails.

The secret is on a request only while the request is sent. No repr, log line or error of this
module or of httpx has it. At DEBUG, httpcore logs the headers of answers: outside strict mode one
of them is a session cookie of Access, which this client neither keeps nor sends.

https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
"""

import asyncio
import json
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

__all__ = [
    "AccessError",
    "AddressError",
    "AsyncClient",
    "Blocked",
    "Client",
    "CredentialsError",
    "GuardRefused",
    "KeysUnavailable",
    "LoginRedirect",
    "NotConfigured",
    "ServiceToken",
    "TokenRefused",
    "from_environment",
]

USER_AGENT = "private-worker-client/1.0"  # Cloudflare's firewall knows some libraries' own
TIMEOUT = httpx.Timeout(30.0, connect=10.0)  # seconds, for each phase of an attempt
LONGEST_WAIT = 30.0  # seconds between two attempts

ID, SECRET = "CF-Access-Client-Id", "CF-Access-Client-Secret"
IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}  # RFC 9110, section 9.2.2
TRY_AGAIN = {502, 503, 504}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class AccessError(Exception):
    """Something between this program and the API is not as it should be. One line says what.

    `response` is the answer that shows it, None if nothing was sent.
    """

    def __init__(self, message: str, response: httpx.Response | None = None) -> None:
        super().__init__(message)
        self.response = response


class CredentialsError(AccessError):
    """The service token is missing or cannot be one. Nothing was sent."""


class AddressError(AccessError):
    """The address is not one that the service token may be sent to. Nothing was sent."""


class LoginRedirect(AccessError):
    """Access sent the program to its login page. The redirect was not followed."""


class TokenRefused(AccessError):
    """Access answered 401 or 403 itself: with no JSON, which is how it differs from the Worker.

    An API that refuses somebody should say so in JSON, as the guard does.
    """


class Blocked(AccessError):
    """Cloudflare stopped the request before Access saw it."""


class GuardRefused(AccessError):
    """The request got to the Worker, and the Worker's guard refused it."""


class NotConfigured(AccessError):
    """The Worker's own settings are not complete."""


class KeysUnavailable(AccessError):
    """The Worker cannot get Access's signing keys, and so cannot tell who is calling."""


@dataclass(frozen=True)
class ServiceToken:
    """A Client ID, which ends in `.access`, and its secret. Raises CredentialsError."""

    client_id: str
    client_secret: str = field(repr=False)

    def __post_init__(self) -> None:
        for name, value in ((ID, self.client_id), (SECRET, self.client_secret)):
            if not value.strip():
                raise CredentialsError(f"{name} is empty: take it from the program's secret store")
            if not re.fullmatch(r"[!-~]+", value):
                raise CredentialsError(
                    f"{name} has a space, a line break or another character that no token has: "
                    "store the value alone"
                )
            if value[0] in "<$" or "REPLACE" in value:
                raise CredentialsError(f"{name} is a placeholder: put the real value in its place")
        if self.client_secret.endswith(".access"):
            raise CredentialsError(f"{SECRET} is a Client ID: the two values are mixed up")
        if not self.client_id.endswith(".access"):
            raise CredentialsError(f"{ID} must end in .access: it is no Client ID")


def from_environment() -> ServiceToken:
    """The token in CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET. Raises CredentialsError."""
    values = []
    for name in ("CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET"):
        if name not in os.environ:
            raise CredentialsError(f"{name} is not set: take it from the program's secret store")
        values.append(os.environ[name])
    return ServiceToken(*values)


class Client(httpx.Client):
    """An httpx.Client for one private Worker.

    base_url: its address, https only but for loopback; request paths are joined to it.
    token: asked for the service token before every attempt, so that a rotated one is picked up.
    single_header: the header in `read_service_tokens_from_header` of the Access application, for
    example "Authorization"; None for Access's usual two.
    timeout: seconds, or an httpx.Timeout. retries: attempts after the first one, for idempotent
    methods only. options: more for httpx.Client, such as `verify`, `proxy` or `headers`.

    Every request raises the AccessErrors, and httpx.TransportError when the last attempt found no
    server. All other answers are returned as they are: `raise_for_status()` is the caller's.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: Callable[[], ServiceToken] = from_environment,
        single_header: str | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        retries: int = 2,
        **options: Any,
    ) -> None:
        self._rules = _Rules(base_url, token, single_header, retries)
        super().__init__(**_options(base_url, timeout, options))

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """As httpx's. Raises AddressError."""
        return self._rules.checked(super().build_request(method, _path(url), **options))

    def send(self, request: httpx.Request, *, stream: bool = False, **_: Any) -> httpx.Response:
        """As httpx's, under this module's rules; `auth` and `follow_redirects` are not heard."""
        rules = self._rules
        rules.checked(request)
        attempt = 0
        while True:
            rules.put_token(request)
            try:
                response = super().send(request, stream=True, auth=None, follow_redirects=False)
            except httpx.TransportError as error:
                pause = rules.pause_after_error(request, error, attempt)
                if pause is None:
                    raise
            else:
                rules.take_token(response.next_request)
                pause = rules.pause_after_answer(request, response, attempt)
                if pause is None:
                    break
                response.close()
            finally:
                rules.take_token(request)
            time.sleep(pause)
            attempt += 1
        try:
            if not stream or _may_be_refusal(response):
                response.read()
            _raise_refusal(response)
        except BaseException:
            response.close()
            raise
        return response


class AsyncClient(httpx.AsyncClient):
    """`Client` for asyncio. `token` is a plain function here, too: it should not take long."""

    def __init__(
        self,
        base_url: str,
        *,
        token: Callable[[], ServiceToken] = from_environment,
        single_header: str | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        retries: int = 2,
        **options: Any,
    ) -> None:
        self._rules = _Rules(base_url, token, single_header, retries)
        super().__init__(**_options(base_url, timeout, options))

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """As httpx's. Raises AddressError."""
        return self._rules.checked(super().build_request(method, _path(url), **options))

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **_: Any
    ) -> httpx.Response:
        """As httpx's, under this module's rules; `auth` and `follow_redirects` are not heard."""
        rules = self._rules
        rules.checked(request)
        attempt = 0
        while True:
            rules.put_token(request)
            try:
                response = await super().send(
                    request, stream=True, auth=None, follow_redirects=False
                )
            except httpx.TransportError as error:
                pause = rules.pause_after_error(request, error, attempt)
                if pause is None:
                    raise
            else:
                rules.take_token(response.next_request)
                pause = rules.pause_after_answer(request, response, attempt)
                if pause is None:
                    break
                await response.aclose()
            finally:
                rules.take_token(request)
            await asyncio.sleep(pause)
            attempt += 1
        try:
            if not stream or _may_be_refusal(response):
                await response.aread()
            _raise_refusal(response)
        except BaseException:
            await response.aclose()
            raise
        return response


# ---------------------------------------------------------------- what both clients share


def _options(base_url: str, timeout: httpx.Timeout | float, more: dict[str, Any]) -> dict[str, Any]:
    """The arguments for httpx's own constructor."""
    headers = httpx.Headers(more.pop("headers", None))
    headers.setdefault("User-Agent", USER_AGENT)
    # No cookie is kept: there is no session, each request has the token.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    given: dict[str, Any] = {"base_url": base_url, "timeout": timeout}
    given |= {"headers": headers, "cookies": cookies}
    if wrong := sorted({"auth", "cookies", "follow_redirects"} & set(more)):
        raise TypeError(f"{wrong[0]} is not for this client: leave it out")
    if httpx.URL(base_url).scheme == "http":
        given["trust_env"] = False  # no proxy gets what is for this computer
    return {**more, **given}


def _path(url: httpx.URL | str) -> httpx.URL | str:
    """httpx would read `//other.example.com/x` as the path `/other.example.com/x`."""
    if str(url).startswith(("//", "/\\", "\\")):
        raise AddressError("a path must not begin with // or \\: it would name another host")
    return url


class _Rules:
    """Where the token goes, and when a request is sent again."""

    def __init__(
        self,
        base_url: str,
        token: Callable[[], ServiceToken],
        single_header: str | None,
        retries: int,
    ) -> None:
        try:
            url = httpx.URL(base_url)
        except (httpx.InvalidURL, TypeError):
            raise AddressError("the base URL is no URL: give https://<the hostname>") from None
        if not url.host or "<" in url.host or url.scheme not in ("https", "http"):
            raise AddressError("the base URL is not complete: give https://<the hostname>")
        if url.scheme == "http" and url.host not in LOOPBACK:
            raise AddressError("the base URL is http: anybody on the way could read the secret")
        if url.userinfo or url.query or url.fragment:
            raise AddressError("the base URL has more than a host and a path: leave the rest out")
        if not 0 <= retries <= 10:
            raise ValueError("retries is a number from 0 to 10")
        self.origin = (url.scheme, url.host, url.port)
        self.token = token
        self.single_header = single_header
        self.names = (single_header,) if single_header else (ID, SECRET)
        self.retries = retries

    def checked(self, request: httpx.Request) -> httpx.Request:
        """The request, if it goes to the base URL's origin."""
        url = request.url
        if (url.scheme, url.host, url.port) != self.origin or url.userinfo:
            raise AddressError(f"{url.host} is not the base URL's origin: the token stays at home")
        return request

    def put_token(self, request: httpx.Request) -> None:
        token = self.token()
        if self.single_header:
            value = {ID.lower(): token.client_id, SECRET.lower(): token.client_secret}
            request.headers[self.single_header] = json.dumps(value)
        else:
            request.headers[ID] = token.client_id
            request.headers[SECRET] = token.client_secret

    def take_token(self, request: httpx.Request | None) -> None:
        """So that nobody who keeps or logs a request has the secret."""
        for name in self.names if request is not None else ():
            request.headers.pop(name, None)  # type: ignore[union-attr]

    def pause_after_error(
        self, request: httpx.Request, error: httpx.TransportError, attempt: int
    ) -> float | None:
        """Seconds until the next attempt; None: there is none."""
        lost = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
        if not isinstance(error, lost) or not self._may_repeat(request, attempt):
            return None
        return _backoff(attempt)

    def pause_after_answer(
        self, request: httpx.Request, response: httpx.Response, attempt: int
    ) -> float | None:
        """The same. A server that wants to be left alone for longer is not asked again."""
        if response.status_code not in TRY_AGAIN or not self._may_repeat(request, attempt):
            return None
        wanted = _retry_after(response)
        pause = max(wanted or 0.0, _backoff(attempt))
        return pause if pause <= LONGEST_WAIT else None

    def _may_repeat(self, request: httpx.Request, attempt: int) -> bool:
        # A body that is read from somewhere is there only once.
        return (
            attempt < self.retries
            and request.method.upper() in IDEMPOTENT
            and isinstance(request.stream, httpx.ByteStream)
        )


def _backoff(attempt: int) -> float:
    """Doubles, from half a second up to 8 s; spread, so that programs do not come all at once."""
    return min(8.0, 0.5 * 2.0**attempt) * random.uniform(0.5, 1.0)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from either form in RFC 9110, section 10.2.3."""
    value = response.headers.get("Retry-After", "")
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


# ---------------------------------------------------------------- what an answer means


def _may_be_refusal(response: httpx.Response) -> bool:
    return response.status_code in (401, 403, 500, 503)


def _raise_refusal(response: httpx.Response) -> None:
    """Raise what the answer says about the way to the API; an answer of the API passes."""
    status, host = response.status_code, response.url.host
    if response.has_redirect_location and _is_login(response):
        raise LoginRedirect(
            f"Access wants {host}'s caller to log in: it did not take the service token. The "
            "Client ID or secret is wrong, the token is expired or disabled, or the policy that "
            "names it is not Service Auth; the redirect does not tell which",
            response,
        )
    if not _may_be_refusal(response):
        return
    error = _error_code(response)
    if status == 403 and error == "forbidden":
        raise GuardRefused(
            f"the Worker at {host} refused the request: its ALLOWED_SERVICE_TOKENS does not name "
            "this Client ID, or Access is not in front of this address; its log has the reason",
            response,
        )
    if status == 500 and error == "not_configured":
        raise NotConfigured(
            f"the Worker at {host} is not set up: its log names the missing or wrong setting",
            response,
        )
    if status == 503 and error == "keys_unavailable":
        raise KeysUnavailable(
            f"the Worker at {host} cannot get Access's signing keys: try again later, and if it "
            "stays so check its TEAM_DOMAIN",
            response,
        )
    if status not in (401, 403) or error is not None:
        return
    if blocked := re.search(r"(?i)error(?: code)?:? (1\d{3})\b", response.text):
        raise Blocked(
            f"Cloudflare stopped the request to {host} with error code {blocked[1]}, before Access "
            "saw it: see the zone's security rules"
            + (", or send another User-Agent" if blocked[1] == "1010" else ""),
            response,
        )
    if status == 401:
        why = (
            "the Client ID or secret is wrong, the token is expired or disabled, or it was sent "
            "in a form that the application does not take"
        )
    else:
        why = (
            "no Service Auth policy of the application names the token, or the token is not "
            "accepted and the application admits nobody else"
        )
    raise TokenRefused(f"Access refused the request to {host} with {status}: {why}", response)


def _is_login(response: httpx.Response) -> bool:
    try:
        target = response.url.join(response.headers["Location"])
    except httpx.InvalidURL:
        return False
    return target.host.endswith(".cloudflareaccess.com") or target.path.startswith(
        "/cdn-cgi/access/login"
    )


def _error_code(response: httpx.Response) -> str | None:
    """The guard's `error`; "" for any other JSON, which the API wrote; None for what is no JSON."""
    if response.request.method == "HEAD":  # there is no body to look at
        written = response.headers.get("Content-Type", "").startswith("application/json")
        return "forbidden" if written and response.status_code == 403 else "" if written else None
    try:
        body = response.json()
    except ValueError:
        return None
    except RecursionError:  # such JSON does not come from the guard
        return ""
    if isinstance(body, dict) and set(body) == {"error"} and isinstance(body["error"], str):
        return body["error"]
    return ""
