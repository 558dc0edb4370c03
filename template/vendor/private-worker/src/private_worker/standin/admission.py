"""Whom Cloudflare Access lets in: one application and its policies. It opens no connection.

It decides as Cloudflare documents it, and is no more than that: what the pages leave open is marked
"not documented". The pages are below https://developers.cloudflare.com/cloudflare-one/access-controls/
  [tokens]    service-credentials/service-tokens/
  [policies]  policies/
  [cookie]    applications/http-apps/authorization-cookie/
  [session]   access-settings/session-management/
and for the API's fields [api], https://developers.cloudflare.com/api/resources/zero_trust/.
"""

import json
from typing import NamedTuple
from urllib.parse import quote

from .team import MACHINE, PERSON, Team

SECRET = "cfast_" + "notASecret" * 4 + "00000000"  # put together, so that no scanner reports it
ASSERTION = "cf-access-jwt-assertion"
EMAIL = "cf-access-authenticated-user-email"
ID, KEY = "cf-access-client-id", "cf-access-client-secret"
COOKIE = "CF_Authorization"
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"}
HOP_BY_HOP |= {"transfer-encoding"}

Pairs = list[tuple[str, str]]  # headers in order, with lower-case names


class Answer(NamedTuple):
    """What the client gets at once."""

    status: int
    headers: Pairs
    body: bytes


class Admitted(NamedTuple):
    """The request goes on to the Worker. `ends` is when the token does, in seconds since 1970."""

    who: str  # an e-mail address or a Client ID
    added: dict[str, str]  # headers that Access adds
    ends: int
    cookie: str = ""  # a Set-Cookie that goes back with the Worker's answer


class Application:
    """One Access application. The attributes are its policies and its organisation's settings."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.tokens = {MACHINE: SECRET}  # service tokens of the account: Client ID -> secret
        self.expired: set[str] = set()  # those that are expired or disabled
        self.service_auth = {MACHINE}  # those that a Service Auth policy names
        self.people = True  # an Allow policy admits whoever logs in
        self.strict = False  # the organisation's strict_service_token_auth
        self.answer_401 = False  # the application's service_auth_401_redirect
        self.single_header: str | None = None  # its read_service_tokens_from_header
        self.login_at = team.team_domain  # the origin of the login page
        self.attributes = "Path=/; Secure; HttpOnly"  # of the cookie
        self.sessions: dict[str, Admitted] = {}  # by cookie

    def log_in(self, email: str = PERSON) -> str:
        """A person has logged in: the value of the cookie that the browser gets. [cookie]"""
        admitted = self.of_person(email)
        return self._open(admitted.added[ASSERTION], admitted)

    def cookie(self, value: str) -> str:
        """The Set-Cookie header of a session."""
        return f"{COOKIE}={value}; {self.attributes}"

    def session(self, headers: Pairs) -> Admitted | None:
        """The session of a browser or of cloudflared, unless it is over."""
        found = self.sessions.get(_session_token(headers))
        return found if found and found.ends > self.team.now() else None

    def log_out(self, headers: Pairs) -> None:
        """The session is over, for all who hold its cookie. [session]"""
        self.sessions.pop(_session_token(headers), None)

    def decide(self, target: str, headers: Pairs) -> Admitted | Answer:
        """Who is let in, or what the client gets. `target`: path and query of the request."""
        sent, well_formed = self._service_token(headers)
        accepted = well_formed and self._accepts(*sent)
        if self.strict and sent:
            # [tokens] 401 for a bad token, 403 for one without authorisation. Allow policies and
            # the cookie do not count, and no cookie is given.
            if not accepted:
                return page(401, "Unauthorized")
            if not self._authorised(sent[0]):
                return page(403, "Forbidden")
            return self._of_machine(sent[0])
        if accepted and self._authorised(sent[0]):
            # [tokens] Outside strict mode the token is exchanged for a cookie.
            admitted = self._of_machine(sent[0])
            token = self._open(admitted.added[ASSERTION], admitted)
            return admitted._replace(cookie=self.cookie(token))
        if session := self.session(headers):
            return session
        if _session_token(headers) and ("x-requested-with", "XMLHttpRequest") in headers:
            return page(401, "Unauthorized")  # [session] instead of a redirect
        if self.answer_401 and self.service_auth:
            return page(401, "Unauthorized")  # [api] blocked by a Service Auth policy
        if not self.people:
            return page(403, "Forbidden")  # no policy by which anybody could log in
        # [policies] A service token that only an Allow policy names ends here as well.
        host = dict(headers).get("host", "")
        login = f"{self.login_at}/cdn-cgi/access/login/{quote(host)}"
        login += f"?kid={self.team.aud}&redirect_url={quote(target, safe='')}"
        return Answer(302, [("location", login), ("content-type", "text/html")], b"")

    def handed_on(self, headers: Pairs, admitted: Admitted) -> Pairs:
        """What the Worker gets. What Access adds cannot be sent by a client. [cookie]

        Not documented: whether the service token is passed on. Here it is not, so that no Worker
        can rely on it.
        """
        drop = {ASSERTION, EMAIL, ID, KEY, (self.single_header or KEY).lower()}
        kept = [(name, value) for name, value in end_to_end(headers) if name not in drop]
        return [*kept, *admitted.added.items()]

    def _open(self, token: str, session: Admitted) -> str:
        now = self.team.now()
        self.sessions = {key: one for key, one in self.sessions.items() if one.ends > now}
        self.sessions[token] = session
        return token

    def _service_token(self, headers: Pairs) -> tuple[list[str], bool]:
        """Client ID and secret, [] if none was sent; and whether they were sent as they should.

        [tokens] Strict mode rejects duplicates, one header without the other, and both forms.
        """
        ids = [value for name, value in headers if name == ID]
        keys = [value for name, value in headers if name == KEY]
        single: list[list[str]] = []
        if self.single_header:
            for name, value in headers:
                if name == self.single_header.lower():
                    try:
                        pair = json.loads(value)
                        single.append([pair[ID], pair[KEY]])  # lower-case names in the JSON
                    except (ValueError, LookupError, TypeError):
                        pass  # somebody else's header
        pairs = [*single, *([[*ids, *keys]] if ids or keys else [])]
        if not pairs:
            return [], False
        return pairs[0], len(pairs) == 1 and (bool(single) or len(ids) == len(keys) == 1)

    def _accepts(self, client_id: str, secret: str) -> bool:
        return client_id not in self.expired and self.tokens.get(client_id) == secret

    def _authorised(self, client_id: str) -> bool:
        return client_id in self.service_auth

    def of_person(self, email: str) -> Admitted:
        """A person's request, with a new token."""
        claims = self.team.claims_person(email)
        # Not documented: how a header holds other letters. Here as the bytes of UTF-8.
        added = {ASSERTION: self.team.token(claims), EMAIL: email.encode().decode("latin-1")}
        return Admitted(email, added, claims["exp"])

    def _of_machine(self, client_id: str) -> Admitted:
        claims = self.team.claims_machine(client_id)
        return Admitted(client_id, {ASSERTION: self.team.token(claims)}, claims["exp"])


def end_to_end(headers: Pairs) -> Pairs:
    """Without what is for the next server only (RFC 9110 section 7.6.1)."""
    lists = [value.lower().split(",") for name, value in headers if name == "connection"]
    drop = HOP_BY_HOP.union(*({part.strip() for part in parts} for parts in lists))
    if any(name == "transfer-encoding" for name, _ in headers):
        drop.add("content-length")  # does not count beside it (RFC 9112 section 6.3)
    return [(name, value) for name, value in headers if name not in drop]


def page(status: int, text: str) -> Answer:
    """Not documented: the text of Access's own pages. That they are no JSON is what counts."""
    return Answer(status, [("content-type", "text/html")], f"<h1>{text}</h1>".encode())


def _session_token(headers: Pairs) -> str:
    """The cookie of a browser, or the header that cloudflared sends; empty without."""
    for name, value in headers:
        if name == "cf-access-token":
            return value
        if name == "cookie":
            # Not http.cookies, which gives up at the first cookie of somebody else's that is odd.
            for pair in value.split(";"):
                cookie, _, token = pair.strip().partition("=")
                if cookie == COOKIE:
                    return token
    return ""
