"""Each request that `local` gets: refused, answered by a page of its own, or handed on."""

import re
import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ..standin.admission import Admitted, end_to_end
from ..standin.team import CERTS
from ..text import plain
from .access import HEADERS, LOGIN, Local, login_page

if TYPE_CHECKING:  # it needs the MCP SDK, which only projects with agents have
    from .oauth import OAuth

LOGOUT = "/cdn-cgi/access/logout"
# A request with one of these came through a proxy or a tunnel, so from another computer.
PROXIED = {"cf-connecting-ip", "cf-ray", "forwarded", "via", "x-forwarded-for", "x-forwarded-host"}
PROXIED |= {"x-forwarded-proto", "x-real-ip"}
# Folders of the dev server's own pages, such as its data explorer: miniflare's core/entry.worker.
DEV_SERVER = {"cdn-cgi", "__cf_local"}
LARGEST = 16 * 1024  # bytes of a form
ADDRESS = re.compile(r"(?=.{,254}\Z)[^\s@]+@[^\s@]+\.[^\s@]+")
TARGET = re.compile(r"/(?![/\\])[!-\[\]-~]*")  # a path of this server: no host, no backslash


class Front:
    """The server. `worker` is the origin behind it, `port` its own; `oauth` is for agents."""

    def __init__(self, access: Local, worker: str, port: int, oauth: "OAuth | None" = None) -> None:
        self.access, self.worker, self.oauth = access, worker, oauth
        names = {"127.0.0.1", "localhost"}
        self.hosts = {f"{name}:{port}" for name in names} | (names if port == 80 else set())
        self.form = secrets.token_hex(16)  # in its own forms; another site cannot read it
        # No proxy of the environment's; a new connection each time, which cannot be stale.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        timeout = httpx.Timeout(None, connect=5)
        self.client = httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            async with AsyncExitStack() as after:
                who, response = await self._answer(request, after)
                path = plain(scope["path"], 100)  # the query may hold what nobody else should read
                say(f"{response.status_code} {request.method} {path} {plain(who)}")
                await response(scope, receive, send)
        except ClientDisconnect:
            pass
        except httpx.TransportError as error:  # in the middle: the client's connection is cut
            say(f"The server at {self.worker} broke off: {plain(error)}")
        except Exception as error:  # the server answers 500 and says nothing
            say(f"a mistake in private_worker/local/front.py: {error!r}")
            raise

    async def _answer(self, request: Request, after: AsyncExitStack) -> tuple[str, Response]:
        """Who was let in, or "-", and what the client gets. `after` closes what it came from."""
        if refused := self._refused(request):
            return "-", refused
        if self.oauth and (answer := await self.oauth.answer(request)):
            return "-", answer
        if _is_own(request.scope["path"]):
            return "-", await self._own(request)
        target = _target(request.scope).decode("ascii")
        decided = self.access.decide(target, request.headers.items())
        if self.oauth:
            decided = self.oauth.decide(request, decided)
        if isinstance(decided, Admitted):
            return decided.who, await self._hand_on(request, decided, after)
        response = Response(decided.body, decided.status, dict(decided.headers))
        response.headers["cache-control"] = "no-store"
        return "-", response

    def _refused(self, request: Request) -> Response | None:
        """Whoever is not on this computer, and what no browser sends."""
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return _text(421, "Only 127.0.0.1 and localhost with the port lead here.")
        if through := sorted(PROXIED & set(request.headers.keys())):
            return _text(403, f"It came through a proxy or a tunnel ({through[0]}).")
        if not request.scope["raw_path"].startswith(b"/") or request.method == "CONNECT":
            return _text(400, "Only a path can be asked for.")
        if request.method != request.method.upper():  # httpx would make another method of it
            return _text(400, "Only methods in capital letters are handed on.")
        if "websocket" in request.headers.get("upgrade", "").lower():
            return _text(501, "WebSockets are not handed on: connect to the Worker itself.")
        return None

    async def _own(self, request: Request) -> Response:
        """Below /cdn-cgi/. Nothing of it is handed on: the Worker's dev server has pages there."""
        path, asked = request.scope["path"], request.method in ("GET", "HEAD")
        if f"{path}/".startswith(f"{LOGIN}/"):
            if not self.access.people:
                return _text(403, "This Worker is for programs only.")
            if request.method == "POST":
                return await self._log_in(request)
            if asked:
                return self._ask_who(request.query_params.get("redirect_url", "/"))
        if asked and path == CERTS:
            return JSONResponse({"keys": self.access.team.keys})
        if asked and path == LOGOUT:
            self.access.log_out(request.headers.items())
            response = _text(200, "Logged out: your session at this computer is over.")
            response.headers["set-cookie"] = self.access.cookie("") + "; Max-Age=0"
            return response
        return _text(404, "There is nothing at this address.")

    def _ask_who(self, target: str, wrong: str = "") -> Response:
        agent = self.oauth.asks(target) if self.oauth else ""
        if not agent and _safe(target) != target:
            gone = ", or the agent has stopped waiting" if self.oauth else ""
            wrong = wrong or f"The address to go to is not on this server{gone}."
        return login_page(self.access, self.form, target if agent else _safe(target), wrong, agent)

    async def _log_in(self, request: Request) -> Response:
        if refused := unwanted(request):
            return refused
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        target, email = form.get("redirect_url", "/"), form.get("email", "").strip()
        agent = self.oauth.asks(target) if self.oauth else ""
        if self.oauth and not agent and _safe(target) != target:
            return self._ask_who(target)
        target = target if agent else _safe(target)
        if form.get("form") != self.form:
            wrong = "That form was too old, or not from this server. Try again."
            return self._ask_who(target, wrong)
        if not ADDRESS.fullmatch(email) or not email.isprintable():
            wrong = f"This is not an e-mail address: {plain(email) or 'nothing'}"
            return self._ask_who(target, wrong)
        if self.oauth and agent:  # a browser gets no session by that
            return Response(None, 303, {"location": self.oauth.let_in(target, email)})
        say(f"{email} has logged in")
        cookie = self.access.cookie(self.access.log_in(email))
        return Response(None, 303, {"location": target, "set-cookie": cookie})

    async def _hand_on(
        self, request: Request, admitted: Admitted, after: AsyncExitStack
    ) -> Response:
        """Bodies stream both ways. The client's Host goes along, so that a redirect that the Worker
        makes of the request's address leads here again."""
        handed = self.access.handed_on(request.headers.items(), admitted)
        if self.oauth:
            handed = self.oauth.handed_on(handed)
        # The dev server takes such headers for its own, from whichever part of it they come.
        handed = [(name, value) for name, value in handed if not name.startswith("mf-")]
        has_body = {"content-length", "transfer-encoding"} & set(request.headers.keys())
        outgoing = httpx.Request(
            request.method,
            self.worker,
            headers=httpx.Headers(handed, encoding="latin-1"),
            content=request.stream() if has_body else None,
            extensions={"target": _target(request.scope), "timeout": self.client.timeout.as_dict()},
        )
        try:
            answer = await self.client.send(outgoing, stream=True, follow_redirects=False)
        except httpx.TransportError as error:
            text = f"The server at {self.worker} broke off: {plain(error)}"
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                text = f"Nothing answers at {self.worker}: start `npm run dev` in another terminal."
            say(text)
            return _text(502, text)
        after.push_async_callback(answer.aclose)
        response = StreamingResponse(answer.aiter_raw(), answer.status_code)
        answer.headers.encoding = "latin-1"  # every byte stays what it is
        kept = end_to_end(answer.headers.multi_items())
        response.raw_headers = httpx.Headers(kept, encoding="latin-1").raw
        return response


def unwanted(request: Request) -> Response | None:
    """Whether a form is another site's, or too long."""
    # As the browser says, which a page cannot change. A program says nothing.
    site, origin = (request.headers.get(name) for name in ("sec-fetch-site", "origin"))
    own = f"http://{request.headers['host']}".lower()
    if site not in ("same-origin", "none", None) or origin not in (own, None):
        return _text(403, "The form is not from this server.")
    length = int(request.headers.get("content-length", 0))
    if length > LARGEST or "transfer-encoding" in request.headers:
        return _text(413, "The form is too long.")
    return None


def _is_own(path: str) -> bool:
    """Whether a path may lead to one of those, however a server resolves its dots and slashes."""
    return not DEV_SERVER.isdisjoint(re.split(r"[/\\]", path.lower()))


def _target(scope: Scope) -> bytes:
    """Path and query as the client sent them."""
    query = scope["query_string"]
    return bytes(scope["raw_path"] + (b"?" + query if query else b""))


def _safe(target: str) -> str:
    """Where to go after the login: a path of the Worker's, else `/`."""
    own = TARGET.fullmatch(target) and not _is_own(unquote(target.partition("?")[0]))
    return target if own else "/"


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status, HEADERS)


def say(text: str) -> None:
    print(plain(text, 400), flush=True)
