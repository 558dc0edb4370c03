# Managed by the private-worker template: do not edit, an update replaces it.
"""Tools for agents (MCP): one path, one JSON answer to each request, nothing kept between them.

The guard has let the caller in before anything here runs. Two generations of clients are served: a
modern one says in each request which version it speaks, and repeats in headers what the request is
about; a legacy one opens with `initialize`. Read on in `Server.handle`.
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
"""

import base64
import copy
import inspect
import json
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from workers import Response

from guard import Identity, log, log_route, platform, reply, roles
from guard.body import from_another_site, read_json
from guard.refusal import BadRequest, ContentTooLarge, Reason, Refused

MODERN = ("2026-07-28",)
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
META = "io.modelcontextprotocol/"  # what the protocol's own names in `_meta` begin with
# For how many milliseconds an agent may keep a list, and that it is of nobody else.
CACHE = {"ttlMs": 5 * 60 * 1000, "cacheScope": "private"}
GIVEN = ("identity", "env")  # parameters of a tool that the agent knows nothing of
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}

Object = dict[str, Any]  # of JSON


class ToolError(Exception):
    """A tool cannot do what it was asked for. The agent is told the text and can do better."""


class Problem(Exception):
    """What gets a JSON-RPC error: a fixed text, and the status that a modern client expects."""

    def __init__(self, code: int, text: str, status: int = 400, data: Object | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.error: Object = {"code": code, "message": text} | ({"data": data} if data else {})


def tool(
    function: Callable[..., Any] | None = None, *, role: str | None = None, kind: str | None = None
) -> Callable[..., Any]:
    """Let agents call the function below; with a role or a kind, only callers who have it.

    To others the tool is not shown, and a call gets the one 403: see guard.require. Raises
    TypeError and ValueError for what could not be called, so that a deploy fails.
    """

    if not (function is None or callable(function)):
        raise TypeError('write @tool or @tool(role="admin")')

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        function.mcp_tool = Tool(function, role, kind)  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


class Tool:
    """A function, and what an agent is told about it."""

    def __init__(self, function: Callable[..., Any], role: str | None, kind: str | None) -> None:
        self.name = function.__name__
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"the tool {self.name} is not an async function: write async def")
        if not (description := inspect.getdoc(function)):
            raise TypeError(f"the tool {self.name} tells agents nothing: write a docstring")
        self.function, self._role, self._kind = function, role, kind
        self._for_all = role is None and kind is None
        if not self._for_all:
            roles.meant(role, kind)
        self._given = GIVEN & inspect.signature(function).parameters.keys()
        self._schema = input_schema(function)
        about = {"name": self.name, "description": description}
        self.described: Object = about | {"inputSchema": self._schema}

    def admit(self, identity: Identity) -> None:
        """Raises Refused for a caller without the role, or of another kind."""
        if not self._for_all:
            roles.require(identity, self._role, kind=self._kind)

    def admits(self, identity: Identity) -> bool:
        with suppress(Refused):
            self.admit(identity)
            return True
        return False

    async def call(self, arguments: Object, identity: Identity, env: Any) -> Object:
        """The function's result. Raises ToolError for wrong arguments, and what the function does.

        The text names the tool's own parameters and quotes nothing that was sent.
        """
        known: Object = self._schema["properties"]
        if not arguments.keys() <= known.keys():
            raise ToolError(f"Its parameters are: {', '.join(known) or 'none'}.")
        for name in self._schema["required"]:
            if name not in arguments:
                raise ToolError(f"{name} is missing.")
        # A default of its own for each call: what one caller puts into it is not another one's.
        values = {
            name: copy.deepcopy(one["default"]) for name, one in known.items() if "default" in one
        }
        for name, value in arguments.items():
            try:
                values[name] = fitted(known[name], value)
            except ValueError:
                raise ToolError(f"{name} does not fit the tool's schema.") from None
        ours = {"identity": identity, "env": env}
        values |= {name: ours[name] for name in self._given}
        return result_of(await self.function(**values))


def input_schema(function: Callable[..., Any]) -> Object:
    """The JSON Schema (2020-12) of a tool's arguments. Raises TypeError for what JSON has not."""
    hints = get_type_hints(function)
    properties: Object = {}
    required = []
    for name, parameter in inspect.signature(function).parameters.items():
        try:
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise TypeError(parameter.kind)
            if name in GIVEN:
                continue
            properties[name] = schema_of(hints[name])
        except (TypeError, LookupError):
            types = "str, int, float, bool, list[...], dict[str, ...], Literal[...] or some with |"
            raise TypeError(f"{function.__name__}: {name} needs a type: {types}") from None
        if parameter.default is parameter.empty:
            required.append(name)
            continue
        try:
            default = fitted(properties[name], parameter.default)
            json.dumps(default, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise TypeError(
                f"{function.__name__}: the default of {name} does not fit its type"
            ) from None
        properties[name]["default"] = default
    rest = {"required": required, "additionalProperties": False}
    return {"type": "object", "properties": properties} | rest


def schema_of(hint: Any) -> Object:
    """The schema of one type. Raises TypeError or LookupError for one that JSON has not."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0])}
    if origin is dict and inner[0] is str:
        return {"type": "object", "additionalProperties": schema_of(inner[1])}
    if origin is Literal and {type(one) for one in inner} <= TYPES.keys():
        return {"enum": list(inner)}
    if origin in (Union, UnionType):
        # int before float, which would make another number of a long one.
        return {"anyOf": [schema_of(one) for one in sorted(inner, key=lambda one: one is not int)]}
    return {"type": TYPES[hint]}


def fitted(schema: Object, value: object) -> object:
    """A value as its type has it, for 1.0 may be an integer in JSON. Raises ValueError."""
    for one in schema.get("anyOf", ()):
        with suppress(ValueError):
            return fitted(one, value)
    for one in schema.get("enum", ()):
        if type(one) is type(value) and one == value:  # True is equal to 1
            return one
    match schema.get("type"), value:
        case "integer" | "number", bool():
            pass
        case ("string", str()) | ("integer", int()) | ("boolean", bool()) | ("null", None):
            return value
        case "integer", float() if value.is_integer():
            return int(value)
        case "number", int() | float():
            return float(value)
        case "array", list():
            return [fitted(schema["items"], item) for item in value]
        case "object", dict():
            items = schema["additionalProperties"]
            return {name: fitted(items, item) for name, item in value.items()}
    raise ValueError("of another type")


def result_of(value: object) -> Object:
    """What a tool returned, as an agent gets it. Raises TypeError or ValueError for no JSON."""
    if value is None or isinstance(value, str):
        return {"content": [] if value is None else [text(value)]}
    result: Object = {"content": [text(json.dumps(value, ensure_ascii=False, allow_nan=False))]}
    # Before 2026-07-28 it had to be an object.
    return result | ({"structuredContent": value} if isinstance(value, dict) else {})


def text(words: str) -> Object:
    """Raises ValueError for half a surrogate pair, which would spoil the whole answer."""
    words.encode()
    return {"type": "text", "text": words}


class Server:
    """Answers for the tools in a module. `name` is what agents show to people."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self._tools: dict[str, Tool] = {}
        for value in vars(module).values():
            each = getattr(value, "mcp_tool", None)
            if not isinstance(each, Tool):
                continue
            if each.function is not value:  # it would be called without what was put around it
                raise TypeError(f"{each.name}: write @tool above the other decorators")
            if self._tools.setdefault(each.name, each) is not each:
                raise TypeError(f"two tools are called {each.name}")
        self._info = {"name": name, "version": "1"}

    async def handle(self, request: Any, identity: Identity, env: Any) -> Any:
        """The answer to a request at the agents' path. Raises Refused, for which there is one 403.

        `Accept`, `Mcp-Session-Id` and `Last-Event-ID` change nothing: there is one kind of answer,
        and no session.
        """
        log_route("/mcp")
        # Not even JSON, for which a page has to ask first: the specification's rule.
        if from_another_site(request.js_object):
            raise Refused(Reason.ANOTHER_SITE, *identity.as_dict().values())
        number, modern = None, True  # until they are known
        try:
            message = await received(request)
            number = message.get("id")
            modern = is_modern(request, message)
            if "id" not in message:  # a notification, and there is none that this server acts on
                return Response(None, status=202)
            result = await self._result(message, modern, identity, env)
        except Problem as problem:
            # To a legacy client another status than 200 says that it is no answer to its request.
            return answer(number, {"error": problem.error}, problem.status if modern else 200)
        if modern:
            result |= {"resultType": "complete", "_meta": {META + "serverInfo": self._info}}
        return answer(number, {"result": result})

    async def _result(self, message: Object, modern: bool, identity: Identity, env: Any) -> Object:
        params = message.get("params", {})
        match message["method"]:
            case "server/discover" if modern:
                versions = {"supportedVersions": [*MODERN]}
                return versions | {"capabilities": {"tools": {}}} | CACHE
            case "initialize" if not modern:
                wanted = params.get("protocolVersion")
                version = {"protocolVersion": wanted if wanted in LEGACY else LEGACY[0]}
                return version | {"capabilities": {"tools": {}}, "serverInfo": self._info}
            case "ping" if not modern:
                return {}
            case "tools/list":
                if "cursor" in params:  # of another page, and there is only one
                    raise Problem(-32602, "Invalid params")
                tools = [each.described for each in self._tools.values() if each.admits(identity)]
                return {"tools": tools} | (CACHE if modern else {})
            case "tools/call":
                return await self._call(params, identity, env)
        raise Problem(-32601, "Method not found", 404)

    async def _call(self, params: Object, identity: Identity, env: Any) -> Object:
        name, arguments = params.get("name"), params.get("arguments", {})
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise Problem(-32602, "Invalid params")
        if name not in self._tools:
            raise Problem(-32602, "Unknown tool")
        log_route(f"/mcp {name}")
        try:
            # As with a path of the API: who may not call it is told so, and the log says `role`.
            self._tools[name].admit(identity)
            return await self._tools[name].call(arguments, identity, env)
        except Refused:
            raise
        except ToolError as error:
            return {"content": [text(str(error))], "isError": True}
        except BadRequest as error:
            log.bad_request(error)
            raise Problem(-32602, "Invalid params") from None
        except BaseException:  # asyncio.CancelledError and SystemExit are no Exception
            raise Problem(-32603, "The tool failed", 200, {"reference": log.failure()}) from None


async def received(request: Any) -> Object:
    """The request or notification in the body. Raises Problem."""
    if request.js_object.method != "POST":
        raise Problem(-32600, "Only POST is served here", 405)
    media_type = (platform.header(request, "Content-Type") or "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(-32600, "The content type must be application/json", 415)
    try:
        message: Any = await read_json(request)
    except ContentTooLarge:
        raise Problem(-32600, "The body is too large", 413) from None
    except BadRequest as error:
        log.bad_request(error)
        raise Problem(-32700, "Parse error") from None
    match message:
        case {"jsonrpc": "2.0", "method": str()} if isinstance(message.get("params", {}), dict):
            if type(message.get("id", 0)) in (str, int):  # True is an int as well, and no id
                return dict(message)
    raise Problem(-32600, "Invalid request")


def is_modern(request: Any, message: Object) -> bool:
    """Which generation this is. Raises Problem for another version, and if the headers differ."""
    params: Object = message.get("params", {})
    meta: Object = params["_meta"] if isinstance(params.get("_meta"), dict) else {}
    header = platform.header(request, "MCP-Protocol-Version")
    version = meta.get(META + "protocolVersion")
    differs = Problem(-32020, "The headers do not match the body")
    if version not in (None, header):
        raise differs
    if header in (None, *LEGACY):
        return False
    if header not in MODERN:
        versions = {"supported": [*MODERN, *LEGACY], "requested": header}
        raise Problem(-32022, "Unsupported protocol version", data=versions)
    if "id" not in message:
        return True
    if version is None or not isinstance(meta.get(META + "clientCapabilities"), dict):
        raise Problem(-32602, "Invalid params")
    if platform.header(request, "Mcp-Method") != message["method"]:
        raise differs
    name = decoded(platform.header(request, "Mcp-Name"))
    if message["method"] == "tools/call" and name != params.get("name"):
        raise differs
    return True


def decoded(value: str | None) -> str | None:
    """A header's value, which has a code where HTTP would not take it. None for a broken code."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode("utf-8")
    except ValueError:
        return None


def answer(number: object, outcome: Object, status: int = 200) -> Any:
    headers = {"Allow": "POST"} if status == 405 else None
    return reply({"jsonrpc": "2.0", "id": number} | outcome, status, headers)
