"""Plays the Managed OAuth of Access: agents register, people let them in, and they get tokens.

The handlers are those of the official MCP SDK. What is here is what Access decides; what its page
leaves open is marked "not documented":
https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/managed-oauth/
"""

import base64
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from mcp.server.auth import provider as sdk
from mcp.server.auth.handlers.authorize import AuthorizationHandler
from mcp.server.auth.handlers.register import RegistrationHandler
from mcp.server.auth.handlers.revoke import RevocationHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import ClientAuthenticator
from mcp.server.auth.provider import AccessToken, AuthorizationCode, AuthorizationParams
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull as Client
from mcp.shared.auth import OAuthToken as Tokens
from pydantic import AnyUrl
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..standin.admission import ID, KEY, Admitted, Answer, Pairs
from ..text import plain
from .access import HEADERS, LOGIN, Local
from .front import say, unwanted

AUTHORIZE = "/cdn-cgi/access/oauth/authorization"
REGISTER = "/cdn-cgi/access/oauth/registration"
TOKEN = "/cdn-cgi/access/oauth/token"
REVOKE = "/cdn-cgi/access/oauth/revoke"
SERVER = "/.well-known/oauth-authorization-server"  # RFC 8414
RESOURCE = "/.well-known/cloudflare-access-protected-resource"  # or, as in RFC 9728:
STANDARD = "/.well-known/oauth-protected-resource"
HERE = ("127.0.0.1", "localhost")


class Agent(Client):
    """An agent that has registered."""

    @property
    def name(self) -> str:
        return plain(self.client_name or "An agent without a name", 60)

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """On this computer any port will do (RFC 8252 section 7.3); the rest is exact."""
        if redirect_uri and _is_loopback(redirect_uri):
            if _without_port(redirect_uri) in map(_without_port, self.redirect_uris or []):
                return redirect_uri
        return super().validate_redirect_uri(redirect_uri)


class Grant(sdk.RefreshToken):
    """What a person (`subject`) has let an agent do. `token` is its newest refresh token."""

    agent: Agent
    code: AuthorizationCode
    access: str = ""  # its newest access token; those before are good for nothing
    admitted: Admitted | None = None  # what the Worker gets; `ends` when the access token does


class OAuth(sdk.OAuthAuthorizationServerProvider[AuthorizationCode, Grant, AccessToken]):
    """The authorization server. All is in memory, and over when the command stops.

    redirect_uris: where codes may be sent, besides to this computer. port: the one it listens on.
    """

    code_lasts = 120  # seconds, as the next two, which are as `provision` sets them at Access
    access_lasts = 15 * 60
    grant_lasts = 14 * 24 * 3600

    def __init__(self, access: Local, redirect_uris: Sequence[str], port: int) -> None:
        self.access, self.redirect_uris = access, redirect_uris
        self.origins = tuple(f"http://{name}:{port}".removesuffix(":80") + "/" for name in HERE)
        self.agents: dict[str, Agent] = {}  # by client_id
        self.waiting: dict[str, tuple[Agent, AuthorizationParams]] = {}  # by a login's target
        self.grants: dict[str, Grant] = {}  # by every code and token that was issued for them
        known, options = ClientAuthenticator(self), ClientRegistrationOptions()
        self.handlers = {
            ("GET", AUTHORIZE): AuthorizationHandler(self).handle,
            ("POST", REGISTER): RegistrationHandler(self, options).handle,
            ("POST", TOKEN): TokenHandler(self, known).handle,
            ("POST", REVOKE): RevocationHandler(self, known).handle,
        }

    async def answer(self, request: Request) -> Response | None:
        """What is served before the Worker is asked; None for other requests."""
        path, origin = _path(request), f"http://{request.headers['host']}".lower()
        if request.method in ("GET", "HEAD") and (found := _metadata(path, origin)):
            return JSONResponse(found, headers=HEADERS)
        handle = self.handlers.get((request.method, path))
        if handle is None:
            return None
        if path == AUTHORIZE:
            if "code_challenge_method" not in request.query_params:
                # That means `plain` (RFC 7636 section 4.3), which the SDK takes for S256.
                query = request.scope["query_string"] + b"&code_challenge_method=plain"
                request = Request({**request.scope, "query_string": query})
            return await handle(request)
        if refused := unwanted(request):
            return refused
        if path != REGISTER:
            form = await _form(request)
            # RFC 8707 section 2.2. The SDK looks at none here.
            if "resource" in form and not self._is_here(form["resource"]):
                return JSONResponse({"error": "invalid_target"}, 400, HEADERS)
            request = _posting(request, form)
        return await handle(request)

    def decide(self, request: Request, decided: Admitted | Answer) -> Admitted | Answer:
        """Who is let in, or what the client gets; `decided` without regard to OAuth.

        Not documented: which proof counts if there are several, here a service token, then an
        access token, then a cookie; and what a browser is, here who navigates or takes HTML.
        """
        headers = request.headers
        if {ID, KEY} & set(headers.keys()):
            return decided
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            grant = self._of_access(token)
            return grant and grant.admitted or _challenge(request)
        navigates = headers.get("sec-fetch-mode") == "navigate"
        browser = navigates or "text/html" in headers.get("accept", "")
        to_login = isinstance(decided, Answer) and decided.status == 302
        return _challenge(request) if to_login and not browser else decided

    def handed_on(self, headers: Pairs) -> Pairs:
        """Without the access token, which Access may hand on (not documented): so no Worker relies
        on it, and none can leak what opens all its paths."""
        return [pair for pair in headers if pair[1].partition(" ")[2] not in self.grants]

    def asks(self, target: str) -> str:
        """Says which agent waits for the login that goes to `target`; "" for none."""
        if target not in self.waiting:
            return ""
        agent, asked = self.waiting[target]
        return f'"{agent.name}" asks to act as you, and will be answered at {asked.redirect_uri}'

    def let_in(self, target: str, email: str) -> str:
        """The person lets the agent in. Returns where the browser goes, with the code."""
        agent, asked = self.waiting.pop(target)
        code, now = secrets.token_urlsafe(32), int(time.time())
        who = {"client_id": agent.client_id, "scopes": asked.scopes or [], "subject": email}
        issued = {**asked.model_dump(), **who, "code": code, "expires_at": now + self.code_lasts}
        grant = {**who, "token": "", "expires_at": now + self.grant_lasts}
        self.grants[code] = Grant.model_validate({**grant, "agent": agent, "code": issued})
        say(f"{email} has let {agent.name} in")
        return sdk.construct_redirect_uri(str(asked.redirect_uri), code=code, state=asked.state)

    # The rest is what the SDK's handlers ask.

    async def get_client(self, client_id: str) -> Agent | None:
        return self.agents.get(client_id)

    async def register_client(self, client: Client) -> None:
        for uri in client.redirect_uris or []:
            if uri.fragment or not (_is_loopback(uri) or str(uri) in self.redirect_uris):
                say(f"An agent that is answered at {uri} was refused")
                why = "redirect_uri is not allowed by the account configuration"
                raise sdk.RegistrationError("invalid_client_metadata", why)
        agent = self.agents[client.client_id] = Agent(**client.model_dump())
        say(f"{agent.name} has registered")

    async def authorize(self, client: Client, params: AuthorizationParams) -> str:
        if not self._is_here(params.resource):
            raise sdk.AuthorizeError("invalid_target", "resource must be an address of this server")
        target = f"{AUTHORIZE}?waits={secrets.token_urlsafe(32)}"
        self.waiting[target] = self.agents[client.client_id], params
        return f"{LOGIN}?{urlencode({'redirect_url': target})}"

    async def load_authorization_code(self, client: Client, code: str) -> AuthorizationCode | None:
        grant = self.grants.get(code)
        if grant and grant.access:
            self._end(grant, "its code was used twice")  # RFC 6749 section 4.1.2
        return grant.code if grant and not grant.access else None

    async def exchange_authorization_code(self, client: Client, code: AuthorizationCode) -> Tokens:
        return self._issue(self.grants[code.code])

    async def load_refresh_token(self, client: Client, token: str) -> Grant | None:
        grant = self.grants.get(token)
        if grant and grant.client_id == client.client_id and grant.token != token:
            self._end(grant, "its refresh token was used twice")  # RFC 9700 section 4.14.2
        return grant if grant and grant.token == token else None

    async def exchange_refresh_token(self, client: Client, grant: Grant, _: list[str]) -> Tokens:
        if not self.access.people:  # the policy, which Access asks again each time
            self._end(grant, "nobody is admitted any more")
            raise sdk.TokenError("invalid_grant", "the person is not admitted any more")
        return self._issue(grant)

    async def load_access_token(self, token: str) -> AccessToken | None:
        if grant := self._of_access(token):
            return AccessToken(token=token, client_id=grant.client_id, scopes=grant.scopes)
        return None

    async def revoke_token(self, token: AccessToken | Grant) -> None:
        self._end(self.grants[token.token], "it was revoked")

    def _issue(self, grant: Grant) -> Tokens:
        """New tokens of both kinds, and a new application token. The scopes stay what they are."""
        grant.access, grant.token = (f"oauth:{secrets.token_urlsafe(32)}" for _ in range(2))
        self.grants[grant.access] = self.grants[grant.token] = grant
        now = int(time.time())
        lasts = min(self.access_lasts, (grant.expires_at or 0) - now)
        grant.admitted = self.access.of_person(str(grant.subject))._replace(ends=now + lasts)
        say(f"{grant.agent.name} has new tokens as {grant.subject}")
        return Tokens(access_token=grant.access, expires_in=lasts, refresh_token=grant.token)

    def _of_access(self, token: str) -> Grant | None:
        """The grant with this access token, while that is good."""
        grant = self.grants.get(token)
        newest = grant and grant.access == token and grant.admitted
        return grant if newest and newest.ends > time.time() else None

    def _end(self, grant: Grant, why: str) -> None:
        self.grants = {key: one for key, one in self.grants.items() if one is not grant}
        say(f"What {grant.subject} let {grant.agent.name} do is over: {why}")

    def _is_here(self, resource: str | None) -> bool:
        """RFC 8707. A token is good for each name of an application, so for both of this server."""
        text = f"{resource}/"
        return text.lower().startswith(self.origins) and "#" not in text


def _metadata(path: str, origin: str) -> dict[str, object]:
    for known in (RESOURCE, STANDARD):
        if f"{path}/".startswith(f"{known}/"):
            return {
                "resource": origin + path.removeprefix(known),
                "authorization_servers": [origin],
            }
    if path != SERVER:
        return {}
    ways = ["client_secret_basic", "client_secret_post", "none"]
    return {
        "issuer": origin,
        "authorization_endpoint": origin + AUTHORIZE,
        "registration_endpoint": origin + REGISTER,
        "token_endpoint": origin + TOKEN,
        "revocation_endpoint": origin + REVOKE,
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ways,
    }


def _challenge(request: Request) -> Answer:
    """401, and where to begin (RFC 9728 section 5.1)."""
    where = f"http://{request.headers['host']}".lower() + RESOURCE + _path(request)
    bearer = f'Bearer realm="OAuth", error="invalid_token", resource_metadata="{where}"'
    return Answer(401, [("www-authenticate", bearer)], b"")


def _path(request: Request) -> str:
    """As the client wrote it, but for what a header cannot hold between quotation marks."""
    return quote(request.scope["raw_path"], safe="%/:;,@!$&'()*+=~")


async def _form(request: Request) -> dict[str, str]:
    """With what the SDK asks of everybody: the client_id, which may be in the header alone (RFC
    6749 section 2.3.1), and a secret, which not every client has."""
    body = (await request.body()).decode("utf-8", "replace")
    form = {"client_secret": "", **dict(parse_qsl(body))}
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic" and "client_id" not in form:
        with suppress(ValueError):
            form["client_id"] = unquote(base64.b64decode(given).decode().partition(":")[0])
    return form


def _posting(request: Request, form: dict[str, str]) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": urlencode(form).encode()}

    kept = [pair for pair in request.scope["headers"] if pair[0] == b"authorization"]
    kept.append((b"content-type", b"application/x-www-form-urlencoded"))
    return Request({**request.scope, "headers": kept}, receive)


def _is_loopback(uri: AnyUrl) -> bool:
    return uri.scheme == "http" and uri.host in (*HERE, "[::1]")


def _without_port(uri: AnyUrl) -> str:
    return urlsplit(str(uri))._replace(netloc=uri.host or "").geturl()
