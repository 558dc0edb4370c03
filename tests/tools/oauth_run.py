"""An agent that says each step of OAuth by hand, and `local` in this process, for its clock."""

import base64
import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import uvicorn
from starlette.types import ASGIApp

from local_run import LOGIN, form_of, free_port, settings
from private_worker import project
from private_worker.config import Config
from private_worker.local import settings_of
from private_worker.local.access import Local
from private_worker.local.front import Front
from private_worker.local.oauth import OAuth

ENDPOINTS = "/cdn-cgi/access/oauth"
CALLBACK = "http://127.0.0.1:3334/oauth/callback"
CLAUDE = "https://claude.ai/api/mcp/auth_callback"
ANN = "ann@example.com"
VERIFIER = "a-verifier-of-at-least-43-characters-0123456789"


def challenge(verifier: str) -> str:
    """S256 of RFC 7636."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@contextmanager
def served(app: ASGIApp, port: int = 0) -> Iterator[int]:
    """The application on a port of 127.0.0.1."""
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="auto", log_config=None, log_level="critical"
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", port))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the command does
    thread = Thread(target=server.run, args=[[listening]], daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


class Played:
    """`local` in this process, in front of `worker`."""

    def __init__(self, folder: Path, worker: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings(folder, self.port)
        found = settings_of(Config(folder / project.WRANGLER), None, self.port)
        shape = project.read(folder).shape
        self.access = Local(found, "my-api", shape)
        self.oauth = OAuth(self.access, shape.redirect_uris, self.port)
        self.front = Front(self.access, worker, self.port, self.oauth)


class Agent:
    """An agent, and the browser of its person. It registers at once, unless it is told not to."""

    def __init__(self, url: str, *, register: bool = True, **metadata: Any) -> None:
        self.url = url
        # No certificates are read for what is plain http: that would take most of the time.
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30, verify=False)
        self.known = self.register(**metadata).json() if register else {}

    def close(self) -> None:
        self.http.close()

    def register(self, **metadata: Any) -> httpx.Response:
        """RFC 7591."""
        given = {"client_name": "Tester", "redirect_uris": [CALLBACK]}
        given |= {"token_endpoint_auth_method": "none", **metadata}
        return self.http.post(f"{ENDPOINTS}/registration", json=given)

    def authorize(self, **changes: str | None) -> httpx.Response:
        """RFC 6749 section 4.1.1; None leaves a parameter out."""
        asked = {
            "response_type": "code",
            "client_id": self.known.get("client_id"),
            "redirect_uri": CALLBACK,
            "state": "of the agent",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
            "resource": f"{self.url}/mcp",
        } | changes
        sent = {name: value for name, value in asked.items() if value is not None}
        return self.http.get(f"{ENDPOINTS}/authorization", params=sent)

    def log_in(self, sent: httpx.Response, email: str = ANN) -> httpx.Response:
        """What the person gets who fills in the form that the browser was sent to."""
        assert sent.status_code == 302 and sent.headers["location"].startswith(LOGIN), sent.text
        page = self.http.get(sent.headers["location"])
        assert page.status_code == 200, page.text
        target = re.search(r'name="redirect_url" value="([^"]*)"', page.text)
        assert target
        data = {"form": form_of(page), "redirect_url": target[1], "email": email}
        return self.http.post(LOGIN, data=data)

    def code(self, email: str = ANN, **changes: str | None) -> str:
        """A code, from the start."""
        return answered(self.log_in(self.authorize(**changes), email))["code"]

    def token(self, code: str, **changes: str | None) -> httpx.Response:
        """RFC 6749 section 4.1.3."""
        asked: dict[str, str | None] = {"grant_type": "authorization_code", "code": code}
        asked |= {"redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.post("token", **asked | {"resource": f"{self.url}/mcp"} | changes)

    def refresh(self, token: str, **changes: str | None) -> httpx.Response:
        """RFC 6749 section 6."""
        return self.post("token", grant_type="refresh_token", refresh_token=token, **changes)

    def post(self, endpoint: str, **form: str | None) -> httpx.Response:
        asked = {"client_id": self.known.get("client_id"), **form}
        sent = {name: value for name, value in asked.items() if value is not None}
        return self.http.post(f"{ENDPOINTS}/{endpoint}", data=sent)

    def tokens(self, email: str = ANN) -> dict[str, Any]:
        """Both tokens, from the start."""
        done = self.token(self.code(email))
        assert done.status_code == 200, done.text
        found: dict[str, Any] = done.json()
        return found

    def call(self, token: str, **headers: str) -> httpx.Response:
        """A request to the Worker with an access token."""
        return self.http.post("/mcp", headers={"Authorization": f"Bearer {token}", **headers})


def answered(response: httpx.Response) -> dict[str, str]:
    """What the agent is told at its redirect URI."""
    assert response.status_code in (302, 303), response.text
    location = response.headers["location"]
    assert location.partition("?")[0] == CALLBACK, location
    return dict(parse_qsl(urlsplit(location).query))


def error(response: httpx.Response, status: int = 400) -> str:
    """The error code of a refusal, which must not be kept anywhere."""
    assert response.status_code == status, response.text
    found: str = response.json()["error"]
    return found
