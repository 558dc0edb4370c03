"""Stands in for Cloudflare Access as a Worker sees it: a real HTTP server with the public keys."""

import json
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from private_worker.standin.team import (
    AUD,
    CERTS,
    MACHINE,
    PERSON,
    TEAM_DOMAIN,
    SigningKey,
    Team,
    b64url,
)

__all__ = ["MACHINE", "PERSON", "TEAM_DOMAIN", "TEST_VARS", "Access", "SigningKey", "b64url"]

# What the settings are in tests, if wrangler.jsonc has a var of that name.
TEST_VARS: dict[str, Any] = {
    "TEAM_DOMAIN": TEAM_DOMAIN,
    "POLICY_AUD": AUD,
    "ALLOWED_EMAILS": [PERSON],
    "ALLOWED_SERVICE_TOKENS": [MACHINE],
    "ALLOWED_WORKERS": ["caller"],
}


class Issuer:
    """The server, for a whole session: 127.0.0.1, any free port. `access` is the current test's."""

    def __init__(self) -> None:
        issuer = self
        self.access: Access | None = None
        self._made: list[SigningKey] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if issuer.access is not None:
                    issuer.access._serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()

    def key(self, index: int) -> SigningKey:
        """One of the session's keys; made when first asked for, because that takes a while."""
        while len(self._made) <= index:
            self._made.append(SigningKey())
        return self._made[index]

    @cached_property
    def stranger(self) -> SigningKey:
        return SigningKey()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Access(Team):
    """What one test sees of Cloudflare Access. Mints tokens and decides what the server answers."""

    def __init__(self, issuer: Issuer) -> None:
        super().__init__(issuer.key(0))
        self._issuer = issuer
        self._used = 0
        self._lock = threading.Lock()
        self.url = issuer.url  # where the server really is
        self.requests = 0  # times the keys were really fetched
        self.answer()
        issuer.access = self

    # -- keys

    @property
    def stranger(self) -> SigningKey:
        """A good key that is never published."""
        return self._issuer.stranger

    def rotate(self) -> SigningKey:
        """Publish a new key and sign with it from now on; the old ones stay published."""
        self._used += 1
        self.sign_with(self._issuer.key(self._used))
        return self.signer

    # -- what the server answers

    def answer(
        self,
        status: int = 200,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
    ) -> None:
        """Answer so from now on; without arguments: the key set, at once.

        body: sent as it is instead of the key set. headers: more of them, such as Location of a
        redirect. delay: seconds before the answer.
        """
        raw = body.encode() if isinstance(body, str) else body
        self._answer = (status, raw, dict(headers or {}), delay)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path != CERTS:
            handler.send_error(404)
            return
        with self._lock:
            self.requests += 1
        status, body, headers, delay = self._answer
        content = json.dumps({"keys": self.keys}).encode() if body is None else body
        time.sleep(delay)
        try:
            handler.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
        except OSError:
            pass  # the Worker did not wait
