"""Values on their way to the Worker and back, and the answers of HTTP."""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from .process import WorkerError


class Headers(Mapping[str, str]):
    """Response headers; case does not matter. Repeated ones are joined, `get_all` keeps them."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = [(name.lower(), value) for name, value in pairs]

    def get_all(self, name: str) -> list[str]:
        """Every value, in order; for Set-Cookie."""
        return [value for key, value in self.pairs if key == name.lower()]

    def __getitem__(self, name: str) -> str:
        if values := self.get_all(name):
            return ", ".join(values)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(dict(self.pairs))

    def __repr__(self) -> str:
        return f"Headers({self.pairs})"


class Response:
    """What an HTTP client gets. `error` is the exception behind a bare 500, else None."""

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        error: WorkerError | None = None,
    ) -> None:
        self.status = status
        self.headers = Headers(headers)
        self.body = body
        self.error = error

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.body[:200]!r}>"


def to_wire(value: Any) -> Any:
    """A Python value as JSON for the host; bytes, sets, dates and big integers are marked."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else {"$kit": "int", "value": str(value)}
    if isinstance(value, float):
        finite = value - value == 0
        names = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
        return value if finite else {"$kit": "float", "value": names[str(value)]}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$kit": "bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"$kit": "date", "value": value.timestamp() * 1000}
    if isinstance(value, set | frozenset):
        return {"$kit": "set", "value": [to_wire(item) for item in value]}
    if isinstance(value, list):
        return [to_wire(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_wire(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} cannot be sent over RPC")


def from_wire(wire: Any) -> Any:
    """The other way round; undefined becomes None."""
    if isinstance(wire, list):
        return [from_wire(item) for item in wire]
    if not isinstance(wire, dict):
        return wire
    match wire.get("$kit"):
        case None:
            return {key: from_wire(value) for key, value in wire.items()}
        case "undefined":
            return None
        case "bytes":
            return base64.b64decode(wire["value"])
        case "int":
            return int(wire["value"])
        case "float":
            return float(wire["value"].replace("Infinity", "inf"))
        case "date":
            return datetime.fromtimestamp(wire["value"] / 1000, UTC)
        case "set":
            return {from_wire(item) for item in wire["value"]}
        case "map":
            return {from_wire(key): from_wire(value) for key, value in wire["value"]}
        case "error":
            return Exception(wire["value"])
        case "headers":
            return Headers([(name, value) for name, value in wire["value"]])
        case "response":
            return Response(wire["status"], wire["headers"], base64.b64decode(wire["body"]))
    raise TypeError(f"a {wire['$kit']} cannot be received")
