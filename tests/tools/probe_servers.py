"""Servers on loopback for the tests of `probe`.

`World` is a proxy that answers for every hostname itself, over TLS with an authority made
at run time, so that the command under test asks invoices.example.net as it would on the internet:
HTTPS_PROXY, HTTP_PROXY and SSL_CERT_FILE are all that differs. What a host answers is a function
that each test gives. This file knows nothing about the command.
"""

import base64
import datetime
import json
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

TEAM = "acme-labs.cloudflareaccess.com"
LOGIN = f"https://{TEAM}/cdn-cgi/access/login/app"


@dataclass
class Seen:
    """A request that arrived. Header names are in lower case."""

    scheme: str
    host: str
    path: str
    headers: dict[str, str]
    method: str = "GET"

    def claims(self) -> dict[str, Any]:
        """The claims of a token in the header, without looking at its signature."""
        return claims(self.headers.get("cf-access-jwt-assertion", ""))


@dataclass
class Reply:
    status: int = 200
    body: bytes | Iterator[bytes] = b'{"ok": true}'
    headers: dict[str, str] = field(default_factory=dict)
    before: Iterator[bytes] = field(default_factory=lambda: iter(()))  # sent before all of it


HANG, RESET, NO_ROUTE = "hang", "reset", "no route"
Behaviour = Callable[[Seen], Reply] | str


class World:
    """`hosts` says what each hostname does; `seen` is what arrived. One host may be of any kind."""

    def __init__(self, folder: Path) -> None:
        self.hosts: dict[str, Behaviour] = {}
        self.seen: list[Seen] = []
        self.distrusted: set[str] = set()  # hosts with a certificate of somebody else's
        self._authority, self._stranger = _Authority(), _Authority()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._folder = folder
        self._lock = threading.Lock()
        self.hanging = threading.Event()  # a request has arrived at a host that hangs
        self._over = threading.Event()
        self.trusted = folder / "ca.pem"
        self.trusted.write_bytes(self._authority.pem)
        outer = self

        class Handler(_Handler):
            world = outer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def env(self) -> dict[str, str]:
        """The variables that lead a process here."""
        proxy = f"http://127.0.0.1:{self.port}"
        found = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": "127.0.0.1"}
        return found | {"SSL_CERT_FILE": str(self.trusted)}

    def behaviour(self, host: str) -> Behaviour:
        """The team's keys are always there, unless the test says otherwise."""
        return self.hosts.get(host, certs if host == TEAM else NO_ROUTE)

    def at(self, host: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.host == host]

    def wait(self) -> None:
        self.hanging.set()
        self._over.wait()

    def context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                authority = self._stranger if host in self.distrusted else self._authority
                file = self._folder / f"{len(self._contexts)}.pem"
                file.write_bytes(authority.certificate(host))
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(file)
                self._contexts[host] = context
            return self._contexts[host]


class _Authority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Made for a test")])
        made = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = made.add_extension(usage, critical=True).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self.pem = made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def certificate(self, host: str) -> bytes:
        """Key and certificate of a hostname, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
        made = self._builder(name, key).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = made.add_extension(issuer, critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        signed = made.sign(self._key, hashes.SHA256())
        return private + signed.public_bytes(serialization.Encoding.PEM)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""


class _Handler(socketserver.BaseRequestHandler):
    world: World
    request: socket.socket

    def handle(self) -> None:
        with suppress(OSError):
            line, headers = _head(self.request)
            method, target, _ = line.split(" ")
            if method != "CONNECT":
                self._plain(target, headers)
                return
            host = target.rpartition(":")[0]
            if self.world.behaviour(host) == NO_ROUTE:
                self.request.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with self.world.context(host).wrap_socket(self.request, server_side=True) as secure:
                line, headers = _head(secure)
                method, target, _ = line.split(" ")
                self._answer(secure, Seen("https", host, target, headers, method))

    def _plain(self, target: str, headers: dict[str, str]) -> None:
        """A request for the proxy (http://host/path), or for this machine itself (/path)."""
        host, path = headers["host"], target
        if target.startswith("http://"):
            host, _, path = target.removeprefix("http://").partition("/")
            path = f"/{path}"
        self._answer(self.request, Seen("http", host, path, headers))

    def _answer(self, stream: socket.socket, seen: Seen) -> None:
        self.world.seen.append(seen)
        behaviour = self.world.behaviour(seen.host)
        if behaviour == HANG:
            self.world.wait()
            return
        if behaviour == RESET:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        reply = behaviour(seen) if callable(behaviour) else Reply(502, headers={"Server": "proxy"})
        for piece in reply.before:
            stream.sendall(piece)
        lines = [f"HTTP/1.1 {reply.status} Answer", "Connection: close"]
        if isinstance(reply.body, bytes):
            lines.append(f"Content-Length: {len(reply.body)}")
        headers = {"Server": "cloudflare", **reply.headers}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        stream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if seen.method == "HEAD":
            return
        for piece in [reply.body] if isinstance(reply.body, bytes) else reply.body:
            stream.sendall(piece)


def _head(stream: socket.socket) -> tuple[str, dict[str, str]]:
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = stream.recv(65536)
        if not piece:
            raise OSError("the client went away")
        raw += piece
    line, *rest = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    pairs = (header.partition(":") for header in rest)
    return line, {name.strip().lower(): value.strip() for name, _, value in pairs}


# What Access signs

KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))


def metadata(host: str, key: rsa.RSAPrivateKey = KEY, **claims: Any) -> str:
    """Access's word that it is in front, in the form that cloudflared 2026.8.0 checks."""
    made: dict[str, Any] = {
        "type": "match",
        "hostname": host,
        "auth_domain": TEAM,
        "app_hostname": host,
    }
    made |= {"iat": int(time.time()), **claims}
    parts = [{"alg": "RS256", "kid": "k1", "typ": "JWT"}, made]
    signed = ".".join(_text(json.dumps(part).encode()) for part in parts)
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_text(signature)}"


def certs(seen: Seen) -> Reply:
    """The team's keys. The first is broken, as one may be."""
    n = KEY.public_key().public_numbers().n
    jwk = {"kid": "k1", "kty": "RSA", "alg": "RS256", "e": "AQAB", "n": _text(n.to_bytes(256))}
    return Reply(200, json.dumps({"keys": [{"kid": "k0"}, jwk]}).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# Tokens, as a careless API reads them


def claims(token: str) -> dict[str, Any]:
    """The claims of a token, whatever its signature is; {} when it is none."""
    parts = token.split(".")
    return _json(parts[1]) if len(parts) == 3 else {}


def header(token: str) -> dict[str, Any]:
    return _json(token.split(".")[0]) if token.count(".") == 2 else {}


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json(text: str) -> dict[str, Any]:
    found = json.loads(_bytes(text))
    assert isinstance(found, dict)
    return found
