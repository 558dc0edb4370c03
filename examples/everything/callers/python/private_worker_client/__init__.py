# Managed by the private-worker template: do not edit, an update replaces it.
"""Calls a Worker behind Cloudflare Access with a service token.

    from private_worker_client import Client

    with Client("https://api.example.com") as client:
        print(client.get("/").raise_for_status().json())

`Client` and `AsyncClient` are httpx's, with all their methods, and with four rules more: the token
goes along with every request and to no other origin, no redirect is followed, what Access or the
guard refuses is an `AccessError` that says what is wrong, and a request that may be repeated is
repeated a few times when the network or the server fails.

The secret is only on the copy of a request that is sent. No repr, log line or error of this module
or of httpx has it. Nor has a variable in an error's traceback, as error reports print them: the
frames of httpx and what is below it are cut out, and a note of the error has them as text. At
DEBUG, httpcore logs the headers of answers: outside strict mode one of them is a session cookie of
Access, which this client neither keeps nor sends.

https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
"""

import asyncio
import json
import os
import random
import re
import time
import traceback
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
REFUSALS = {401, 403, 500, 503}
CHALLENGE = "/.well-known/cloudflare-access-protected-resource"
READ = httpx.ByteStream(b"")  # in place of a stream that is read, which leads to what was sent
QUOTED = re.compile(r"(Illegal header value).*")  # h11 shows the value; it may be a secret
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# Hooks would see the secret, and HTTP/2's library logs it.
NOT_HERE = {"auth", "cookies", "event_hooks", "follow_redirects", "http2"}
ALONE = {"stream": True, "auth": None, "follow_redirects": False}  # how httpx sends for this module


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
    """Access answered 401 or 403 itself: with no JSON, which is how it differs from the Worker, or
    with a challenge that only Access sends.

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


@dataclass(frozen=True, init=False)
class ServiceToken:
    """A Client ID, which ends in `.access`, and its secret. Raises CredentialsError."""

    client_id: str
    client_secret: str = field(repr=False)

    def __init__(self, client_id: str, client_secret: str) -> None:
        if problem := _problem(client_id, client_secret):
            del self, client_id, client_secret  # some tracebacks show the variables
            raise CredentialsError(problem)
        object.__setattr__(self, "client_id", client_id)
        object.__setattr__(self, "client_secret", client_secret)


def _problem(client_id: str, client_secret: str) -> str | None:
    for name, value in ((ID, client_id), (SECRET, client_secret)):
        if not isinstance(value, str) or not value.strip():
            return f"{name} is empty or no text: take it from the program's secret store"
        if not re.fullmatch(r"[!-~]+", value):
            return (
                f"{name} has a space, a line break or another character that no token has: "
                "store the value alone"
            )
        if value[0] in "<$" or "REPLACE" in value:
            return f"{name} is a placeholder: put the real value in its place"
    if client_secret.endswith(".access"):
        return f"{SECRET} is a Client ID: the two values are mixed up"
    return (
        None if client_id.endswith(".access") else f"{ID} must end in .access: it is no Client ID"
    )


def from_environment() -> ServiceToken:
    """The token in CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET. Raises CredentialsError."""
    names = ("CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET")
    for name in names:
        if name not in os.environ:
            raise CredentialsError(f"{name} is not set: take it from the program's secret store")
    return ServiceToken(os.environ[names[0]], os.environ[names[1]])


def _no_hooks(client: Any, hooks: Any = None) -> Any:
    raise TypeError("event_hooks is not for this client: a hook would see the secret")


class _Shared:
    """What `Client` and `AsyncClient` have in common."""

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

    event_hooks: Any = property(_no_hooks, _no_hooks)

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """As httpx's. Raises AddressError."""
        request = super().build_request(method, _path(url), **options)  # type: ignore[misc]
        return self._rules.checked(request)


class Client(_Shared, httpx.Client):
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

    def send(self, request: httpx.Request, *, stream: bool = False, **more: Any) -> httpx.Response:
        """As httpx's, under this module's rules, which have no `auth` and no `follow_redirects`."""
        _refuse(more)
        rules = self._rules
        attempt = 0
        while True:
            response = failure = None
            try:
                response = super().send(rules.with_token(request), **(more | ALONE))
                pause = rules.pause_after_answer(request, response, attempt)
                if pause < 0:
                    if not stream or _may_be_refusal(response):
                        response.read()
                        response.stream = READ
                    _raise_refusal(response)
                    return response
            except BaseException as error:
                failure = _without_variables(error)
            if response is not None:
                response.close()
                response = None
            if failure:
                pause = rules.pause_after_error(request, failure, attempt)
            time.sleep(pause)
            attempt += 1


class AsyncClient(_Shared, httpx.AsyncClient):
    """`Client` for asyncio. `token` is a plain function here, too: it should not take long."""

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **more: Any
    ) -> httpx.Response:
        """As httpx's, under this module's rules, which have no `auth` and no `follow_redirects`."""
        _refuse(more)
        rules = self._rules
        attempt = 0
        while True:
            response = failure = None
            try:
                response = await super().send(rules.with_token(request), **(more | ALONE))
                pause = rules.pause_after_answer(request, response, attempt)
                if pause < 0:
                    if not stream or _may_be_refusal(response):
                        await response.aread()
                        response.stream = READ
                    _raise_refusal(response)
                    return response
            except BaseException as error:
                failure = _without_variables(error)
            if response is not None:
                await response.aclose()
                response = None
            if failure:
                pause = rules.pause_after_error(request, failure, attempt)
            await asyncio.sleep(pause)
            attempt += 1


# ---------------------------------------------------------------- what both clients share


def _refuse(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if name in NOT_HERE and value and value is not httpx.USE_CLIENT_DEFAULT:
            raise TypeError(f"{name} is not for this client: leave it out")


def _options(base_url: str, timeout: httpx.Timeout | float, more: dict[str, Any]) -> dict[str, Any]:
    """The arguments for httpx's own constructor."""
    _refuse(more)
    headers = httpx.Headers(more.pop("headers", None))
    headers.setdefault("User-Agent", USER_AGENT)
    # No cookie is kept: there is no session, each request has the token.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    given: dict[str, Any] = {"base_url": base_url, "timeout": timeout}
    given |= {"headers": headers, "cookies": cookies}
    if httpx.URL(base_url).scheme == "http":
        given["trust_env"] = False  # no proxy gets what is for this computer
    return {**more, **given}


def _path(url: httpx.URL | str) -> httpx.URL | str:
    """httpx would read `//other.example.com/x` as the path `/other.example.com/x`."""
    if str(url).startswith(("//", "/\\", "\\")):
        raise AddressError("a path must not begin with // or \\: it would name another host")
    return url


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


@dataclass(repr=False)
class _Rules:
    """Where the token goes, and when a request is sent again."""

    base_url: str
    token: Callable[[], ServiceToken]
    single_header: str | None
    retries: int

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except (httpx.InvalidURL, TypeError):
            raise AddressError("the base URL is no URL: give https://<the hostname>") from None
        if not url.host or "<" in url.host or url.scheme not in ("https", "http"):
            raise AddressError("the base URL is not complete: give https://<the hostname>")
        if url.scheme == "http" and url.host not in LOOPBACK:
            raise AddressError("the base URL is http: anybody on the way could read the secret")
        if url.userinfo or url.query or url.fragment:
            raise AddressError("the base URL has more than a host and a path: leave the rest out")
        if not 0 <= self.retries <= 10:
            raise ValueError("retries is a number from 0 to 10")
        self.origin = _origin(url)
        self.names = (self.single_header,) if self.single_header else (ID, SECRET)

    def checked(self, request: httpx.Request) -> httpx.Request:
        """The request, if it goes to the base URL's origin."""
        url = request.url
        if url.userinfo:
            raise AddressError("the address has a user or a password in it: leave them out")
        if _origin(url) != self.origin:
            raise AddressError(
                f"{_origin(url)} is not the base URL's origin, {self.origin}: the token stays there"
            )
        return request

    def with_token(self, request: httpx.Request) -> httpx.Request:
        """A copy to be sent: whoever keeps, shares or logs the request itself has no secret."""
        copy = httpx.Request(request.method, request.url, stream=request.stream)
        copy.headers, copy.extensions = request.headers.copy(), dict(request.extensions)
        self.checked(copy)
        token = self.token()
        if not isinstance(token, ServiceToken):
            del token  # as in ServiceToken
            raise CredentialsError("the token function must return a ServiceToken")
        if self.single_header:
            copy.headers[self.single_header] = json.dumps(
                {ID.lower(): token.client_id, SECRET.lower(): token.client_secret}
            )
        else:
            copy.headers[ID] = token.client_id
            copy.headers[SECRET] = token.client_secret
        return copy

    def pause_after_error(
        self, request: httpx.Request, error: BaseException, attempt: int
    ) -> float:
        """Seconds until the next attempt. Raises the error if there is none."""
        if isinstance(error, httpx.RequestError):
            error.request = request
        lost = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
        if not isinstance(error, lost) or not self._may_repeat(request, attempt):
            raise error
        return _backoff(attempt)

    def pause_after_answer(
        self, request: httpx.Request, response: httpx.Response, attempt: int
    ) -> float:
        """The same; below 0: this answer is it. A server that wants a long rest is left alone."""
        response.request = request
        for name in self.names if response.next_request else ():
            response.next_request.headers.pop(name, None)  # type: ignore[union-attr]
        if response.status_code not in TRY_AGAIN or not self._may_repeat(request, attempt):
            return -1
        pause = max(_retry_after(response), _backoff(attempt))
        return pause if pause <= LONGEST_WAIT else -1

    def _may_repeat(self, request: httpx.Request, attempt: int) -> bool:
        # A body that is read from somewhere is there only once.
        return (
            attempt < self.retries
            and request.method.upper() in IDEMPOTENT
            and isinstance(request.stream, httpx.ByteStream)
        )


def _without_variables(error: BaseException) -> BaseException:
    """The same error without the frames that it went through, and without its causes.

    To be raised outside of the `except` that caught it, or they come back.
    """
    if isinstance(error, AccessError):  # this module's own frames have no secret
        return error
    if isinstance(error, httpx.LocalProtocolError):
        error.args = (QUOTED.sub(r"\1", str(error)),)
    if isinstance(error, Exception):
        error.add_note(QUOTED.sub(r"\1", "".join(traceback.format_exception(error))))
    error.__cause__ = error.__context__ = error.__traceback__ = None
    error.__suppress_context__ = False  # what the caller was dealing with is shown as always
    return error


def _backoff(attempt: int) -> float:
    """Doubles, from half a second up to 8 s; spread, so that programs do not come all at once."""
    return min(8.0, 0.5 * 2.0**attempt) * random.uniform(0.5, 1.0)


def _retry_after(response: httpx.Response) -> float:
    """Seconds; 0 if there is none. From either form in RFC 9110, section 10.2.3."""
    value = response.headers.get("Retry-After", "")
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


# ---------------------------------------------------------------- what an answer means


def _may_be_refusal(response: httpx.Response) -> bool:
    """Whether a stream is worth reading for it: the body of the API's own answer may be long."""
    if response.status_code not in REFUSALS:
        return False
    length = response.headers.get("Content-Length", "")
    short = re.fullmatch(r"[0-9]{1,5}", length) and int(length) <= 64 * 1024
    return bool(short) or _media_type(response).endswith(("html", "json"))


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


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
    if status not in REFUSALS or not response.is_closed:  # open: a stream that was not read
        return
    error = _error_code(response)
    if status == 403 and error == "forbidden":
        raise GuardRefused(
            f"the Worker at {host} refused the request: its ALLOWED_SERVICE_TOKENS does not name "
            "this Client ID, or Access is not in front of this address, or a role is missing, or "
            "the API answered in the same words; its log has the reason",
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
    # Where agents can log in, Access refuses in JSON, and says where the login is (RFC 9728).
    challenged = status == 401 and CHALLENGE in response.headers.get("WWW-Authenticate", "")
    if status not in (401, 403) or (error is not None and not challenged):
        return
    if how := _blocked(response):
        raise Blocked(
            f"Cloudflare stopped the request to {host} with {how}, before Access saw it: see the "
            "zone's security rules" + (", or send another User-Agent" if "1010" in how else ""),
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
    perhaps = "" if challenged else "; or the API itself answered so, without JSON"
    raise TokenRefused(
        f"Access refused the request to {host} with {status}: {why}{perhaps}",
        response,
    )


def _blocked(response: httpx.Response) -> str | None:
    """How Cloudflare itself refused, if it did.

    https://developers.cloudflare.com/cloudflare-challenges/challenge-types/challenge-pages/detect-response/
    """
    if response.headers.get("cf-mitigated") == "challenge":
        return "a challenge, which only a browser can pass"
    html = _media_type(response).endswith("html")
    if not html and not response.text.startswith("error code:"):
        return None
    if code := re.search(r"(?i)error(?: code)?:?(?:\s|<[^<>]*>)+(10\d\d)\b", response.text):
        return f"error code {code[1]}"
    return "a page" if html and "you have been blocked" in response.text.lower() else None


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
        kind = _media_type(response)
        if kind == "application/json" and response.status_code == 403:
            return "forbidden"
        return "" if kind.endswith(("/json", "+json")) else None
    try:
        body = response.json()
    except ValueError:
        return None
    except RecursionError:  # such JSON does not come from the guard
        return ""
    if isinstance(body, dict) and set(body) == {"error"} and isinstance(body["error"], str):
        return body["error"]
    return ""
