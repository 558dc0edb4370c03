"""No traceback of the Python client has the secret, whatever fails on the way, and wherever.

Error reports print the variables of every frame, and the frames of httpx, httpcore and h11 hold the
request as it is sent. Each failure here is a real one, of a socket on this computer.
"""

import asyncio
import io
import logging
import socket
import struct
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from types import FunctionType, MethodType, ModuleType, TracebackType
from typing import Any

import httpx
import private_worker_client as pwc
import pytest
from rich.console import Console
from rich.traceback import Traceback

from client_calls import CONTEXT, Call, Serve, call, environment, pauses, refused, serve
from loopback import MACHINE, SECRET, Answer

pytestmark = pytest.mark.slow

__all__ = ["call", "environment", "pauses", "serve"]  # fixtures

OK: Answer = (200, {}, b"ok")
ONCE: dict[str, Any] = {"retries": 0}
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
Act = Callable[[socket.socket], object]


class Body(bytes):
    """One that is not printed: that takes seconds."""

    def __repr__(self) -> str:
        return "…"


LARGE = Body(20_000_000)  # more than the buffers of two sockets hold


@pytest.fixture
def raw() -> Iterator[Callable[[Act], str]]:
    """Start a server that does this with a connection, and give its host and port."""
    servers: list[socket.socket] = []

    def start(act: Act) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def run() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    act(connection)
                except OSError:
                    pass

        threading.Thread(target=run, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def answer(data: bytes) -> Act:
    """Read the request's head, send this and hang up."""

    def act(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            connection.sendall(data)

    return act


def reset(data: bytes = b"") -> Act:
    """Read a little, send this and reset the connection."""

    def act(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return act


kept: list[socket.socket] = []  # what nobody reads or answers; closed at the end of the module


@pytest.fixture(scope="module", autouse=True)
def close() -> Iterator[None]:
    yield
    for connection in kept:
        connection.close()
    kept.clear()


def nobody() -> str:
    """A host and port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


# ---------------------------------------------------------------- what an error gives away


def frames(traceback: TracebackType | None) -> Iterator[dict[str, Any]]:
    """The variables of each frame but those of this test, which knows the secret."""
    while traceback:
        if "/tests/" not in traceback.tb_frame.f_code.co_filename.replace("\\", "/"):
            yield dict(traceback.tb_frame.f_locals)
        traceback = traceback.tb_next


def holds(thing: object, seen: set[int], path: str = "") -> str | None:
    """How to get from a thing to the secret, by items and attributes, if there is a way."""
    if isinstance(thing, str | bytes | bytearray | memoryview):
        data = thing.encode(errors="replace") if isinstance(thing, str) else bytes(thing)
        return path if SECRET.encode() in data else None
    # What is called is no variable's content: a function of the caller's may well know the secret.
    if isinstance(thing, ModuleType | type | FunctionType | MethodType) or id(thing) in seen:
        return None
    seen.add(id(thing))
    parts: list[tuple[str, object]] = []
    if isinstance(thing, dict):
        parts += [(f"[{key!r}]", value) for key, value in thing.items()]
    elif isinstance(thing, list | tuple | set | frozenset):
        parts += [(f"[{number}]", value) for number, value in enumerate(thing)]
    parts += [(f".{name}", value) for name, value in getattr(thing, "__dict__", {}).items()]
    for kind in type(thing).__mro__:
        names = getattr(kind, "__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            parts.append((f".{name}", getattr(thing, name, None)))
    if isinstance(thing, BaseException):
        parts += [(f".{name}", getattr(thing, name)) for name in ("args", "__cause__")]
        parts.append((".__context__", thing.__context__))
        parts += [(".frame", variables) for variables in frames(thing.__traceback__)]
    for name, value in parts:
        if found := holds(value, seen, path + name):
            return found
    return None


def printed(error: BaseException) -> str:
    """The error as reports print it: with variables, in a log, with its request."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    stream = io.StringIO()
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(stream))
    logger.error("%r", error, exc_info=error)
    console = Console(file=stream, width=100_000)
    console.print(
        Traceback.from_exception(
            type(error),
            error,
            error.__traceback__,
            show_locals=True,
            locals_max_length=None,  # type: ignore[arg-type]
            locals_max_string=None,  # type: ignore[arg-type]
        )
    )
    text = "".join(shown.format()) + stream.getvalue()
    if request := getattr(error, "_request", None):
        text += str(request.headers.raw)
    return text


def silent(error: BaseException) -> None:
    assert SECRET not in printed(error)
    assert holds(error, set()) is None


def fails(
    call: Call,
    url: str,
    kind: type[BaseException],
    words: str = "",
    client: dict[str, Any] | None = None,
    **options: Any,
) -> BaseException:
    """A call that fails in this way, and gives no secret away."""
    with pytest.raises(kind, match=words or None) as caught:
        call(url, client=ONCE | (client or {}), **options)
    assert type(caught.value) is kind
    silent(caught.value)
    return caught.value


# ---------------------------------------------------------------- the failures


def test_the_test_finds_what_httpx_gives_away(raw: Callable[[Act], str]) -> None:
    """httpx alone: its frames hold the request, and those of h11 the list of its headers."""
    headers = {"CF-Access-Client-Secret": SECRET}
    with pytest.raises(httpx.ReadError) as caught:
        httpx.get(f"http://{raw(reset())}", headers=headers, verify=CONTEXT)
    assert holds(caught.value, set())
    with pytest.raises(httpx.LocalProtocolError) as malformed:
        httpx.get(f"http://{raw(reset())}", headers={"X": f"{SECRET}\n"}, verify=CONTEXT)
    assert SECRET in str(malformed.value)


def test_no_connection(call: Call, raw: Callable[[Act], str]) -> None:
    fails(call, f"http://{nobody()}", httpx.ConnectError)
    fails(call, "https://name.invalid", httpx.ConnectError)
    fails(call, f"https://{raw(answer(b'not TLS'))}", httpx.ConnectError)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (reset(), httpx.ReadError),
        (reset(HALF), httpx.ReadError),
        (answer(b""), httpx.RemoteProtocolError),
        (answer(b"\x00 no status line\r\n\r\n"), httpx.RemoteProtocolError),
        (answer(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n"), httpx.RemoteProtocolError),
        (answer(HALF), httpx.RemoteProtocolError),
        (
            answer(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nbad"),
            httpx.DecodingError,
        ),
    ],
)
def test_answers_that_break_off(
    call: Call, raw: Callable[[Act], str], act: Act, kind: type[httpx.RequestError]
) -> None:
    fails(call, f"http://{raw(act)}", kind)


def test_a_body_that_breaks_off(call: Call, raw: Callable[[Act], str]) -> None:
    """httpx then looks whether there is an answer, and may say that instead."""
    with pytest.raises(httpx.TransportError) as caught:
        call(f"http://{raw(reset())}", client=ONCE, method="POST", content=LARGE)
    silent(caught.value)


def test_time_limits(call: Call, raw: Callable[[Act], str]) -> None:
    """Of each phase. 192.0.2.1 is nobody's address (RFC 5737)."""
    mute = f"http://{raw(kept.append)}"
    soon = {"timeout": 0.05}
    fails(call, mute, httpx.ReadTimeout, client=soon)
    fails(call, mute, httpx.WriteTimeout, client=soon, method="POST", content=LARGE)
    with pytest.raises((httpx.ConnectTimeout, httpx.ConnectError)) as caught:
        call("https://192.0.2.1", client=ONCE | soon)
    silent(caught.value)


def test_no_connection_left(serve: Serve) -> None:
    one: dict[str, Any] = {"limits": httpx.Limits(max_connections=1), "retries": 0}
    with pwc.Client(serve(OK).url, timeout=0.05, **one) as client, client.stream("GET", "/"):
        with pytest.raises(httpx.PoolTimeout) as caught:
            client.get("/")
    silent(caught.value)


def test_headers_that_http_does_not_allow(call: Call, serve: Serve) -> None:
    """The message has no header's value: `Authorization` may be another secret."""
    url = serve(OK).url
    for value in ("Bearer other-secret\n", b"Bearer other-secret\x00"):
        error = fails(
            call,
            url,
            httpx.LocalProtocolError,
            "Illegal header value",
            headers={"Authorization": value},
        )
        assert "other-secret" not in str(error) + "".join(error.__notes__)


def test_a_secret_with_a_line_break(call: Call, serve: Serve) -> None:
    """Which no ServiceToken lets in; whoever gets round that learns nothing from the error."""
    broken = pwc.ServiceToken(MACHINE, SECRET)
    object.__setattr__(broken, "client_secret", f"{SECRET}\n")
    fails(call, serve(OK).url, httpx.LocalProtocolError, client={"token": lambda: broken})


def test_proxies(call: Call, serve: Serve, raw: Callable[[Act], str]) -> None:
    for proxy, kind in (
        (f"http://{nobody()}", httpx.ConnectError),
        (serve((407, {}, b"")).url, httpx.ProxyError),
        (f"http://{raw(answer(b'garbage'))}", httpx.RemoteProtocolError),
    ):
        fails(call, "https://api.example.com", kind, client={"proxy": proxy})


def test_the_last_of_several_attempts(
    call: Call, raw: Callable[[Act], str], pauses: list[float]
) -> None:
    fails(call, f"http://{raw(answer(b''))}", httpx.RemoteProtocolError, client={"retries": 2})
    assert len(pauses) == 2


def test_refusals(call: Call, serve: Serve) -> None:
    """What the client itself raises has frames, too, and the answer."""
    login = {"Location": "https://team.cloudflareaccess.com/cdn-cgi/access/login"}
    for given, kind in (
        ((302, login, b""), pwc.LoginRedirect),
        ((403, {}, b""), pwc.TokenRefused),
        ((403, {}, b'{"error": "forbidden"}'), pwc.GuardRefused),
    ):
        silent(refused(call, serve(given).url, kind, ""))


def test_status_that_the_caller_raises(call: Call, serve: Serve) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        call(serve((500, {}, b"")).url).raise_for_status()
    silent(caught.value)


def test_a_stream_that_breaks_off(raw: Callable[[Act], str]) -> None:
    """While the caller reads it: what is printed has no secret."""
    url = f"http://{raw(reset(HALF))}"
    with pwc.Client(url, retries=0) as client, pytest.raises(httpx.ReadError) as caught:
        with client.stream("GET", "/") as response:
            response.read()
    assert SECRET not in printed(caught.value)

    async def run() -> None:
        async with pwc.AsyncClient(url, retries=0) as client, client.stream("GET", "/") as response:
            await response.aread()

    with pytest.raises(httpx.ReadError) as caught:
        asyncio.run(run())
    assert SECRET not in printed(caught.value)


def test_errors_of_the_caller(serve: Serve) -> None:
    """They stay the same object, and say where they come from; only the variables are gone."""
    mine = ValueError("no such file")

    def body() -> Iterator[bytes]:
        yield b"x"
        raise mine

    with pwc.Client(serve(OK).url) as client, pytest.raises(ValueError) as caught:
        client.post("/", content=body())
    assert caught.value is mine and "raise mine" in printed(mine)
    silent(mine)


def test_interrupted(raw: Callable[[Act], str]) -> None:
    """By Ctrl+C, or as asyncio ends a task."""

    def stop() -> Iterator[bytes]:
        raise KeyboardInterrupt
        yield b""

    url = f"http://{raw(kept.append)}"
    with pwc.Client(url) as client, pytest.raises(KeyboardInterrupt) as caught:
        client.post("/", content=stop())
    silent(caught.value)

    async def run() -> None:
        async with pwc.AsyncClient(url) as client, asyncio.timeout(0.05):
            await client.get("/")

    with pytest.raises(TimeoutError) as late:
        asyncio.run(run())
    assert isinstance(late.value.__cause__, asyncio.CancelledError)
    silent(late.value)


def test_what_the_caller_was_handling_stays(call: Call) -> None:
    before = KeyError("before")
    with pytest.raises(httpx.ConnectError) as caught:
        try:
            raise before
        except KeyError:
            call(f"http://{nobody()}", client=ONCE)
    assert caught.value.__context__ is before and before.__traceback__


def test_the_cause_stays_as_text(call: Call) -> None:
    error = fails(call, f"http://{nobody()}", httpx.ConnectError)
    assert "httpcore.ConnectError: " in printed(error)
